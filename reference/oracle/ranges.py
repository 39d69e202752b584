"""Which number system the oracle needs for a problem: float64, double-double, or double-double with exponents."""

from __future__ import annotations

import math

import numpy as np

from xentcheck.reference.formats import Array
from xentcheck.reference.numbers.backends import DOUBLE_DOUBLE, FLOAT64, WIDE_RANGE, Backend
from xentcheck.reference.problem import Problem
from xentcheck.reference.rows import to_rows

LARGE = 60.0
"""log2 of the largest product of factors that double-double takes, beside logits that differ by up to 2^1024."""

SMALL = -250.0
"""log2 of the smallest: the error terms of its products, 2^-106 of them, stay above 2^-1022."""


def backend_for(problem: Problem) -> Backend:
    """The backend that is exact enough to judge implementations of a problem's storage dtype, on its very inputs.

    [derived] In float64 the products of float32 factors (class weight, target, upstream gradient, 1/denominator, inputs
    and weights of two layers) stay in range: below 2^(128 * 6), above 2^(-149 * 6), times exp(z - max z), which
    vanishes in float32 before it does in float64.
    """
    if problem.dtype != "float64":
        return FLOAT64
    large, small = np.sum([_extent(array) for array in _factors(problem)], axis=0)
    fits = large <= LARGE and small >= SMALL and _gap_fits(problem.logits)
    return DOUBLE_DOUBLE if fits else WIDE_RANGE


def _factors(p: Problem) -> list[Array]:
    """What is multiplied with each other; of a row of probabilities its largest entry counts."""
    given = [p.weight, p.upstream, p.v, p.a_prev, p.w, p.b, p.hidden_w, p.hidden_b]
    found = [x for x in given if x is not None]
    if p.probabilities and p.target.size:
        found.append(np.abs(to_rows(p.target)).max(1))
    return found


def _extent(x: Array) -> tuple[float, float]:
    """log2 of the largest magnitude, at least 0, and of the smallest that is not 0, at most 0."""
    size = np.abs(x)
    size = size[np.isfinite(size) & (size != 0)]
    if not size.size:
        return 0.0, 0.0
    return max(math.log2(size.max()), 0.0), min(math.log2(size.min()), 0.0)


def _gap_fits(logits: Array | None) -> bool:
    """Whether no difference of finite logits overflows."""
    if logits is None:
        return True
    finite = np.isfinite(logits)
    top, bottom = (float(f(logits, initial=0.0, where=finite)) for f in (np.max, np.min))
    return top / 2.0 - bottom / 2.0 < 2.0**1023
