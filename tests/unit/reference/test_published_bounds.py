"""Our bounds against published ones: Blanchard, Higham and Higham (2021), on vectors like theirs, in their arithmetic.

P. Blanchard, D. J. Higham, N. J. Higham, "Accurately computing the log-sum-exp and softmax functions", IMA Journal of
Numerical Analysis 41(4), 2021, doi:10.1093/imanum/draa038. Theirs are to first order in u and for a whole vector; ours
are rigorous and elementwise.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from xentcheck.cases.randomness import Stream
from xentcheck.reference.bounds.arithmetic import Arithmetic
from xentcheck.reference.bounds.base import RowBase
from xentcheck.reference.bounds.contracts import CATALOGUE
from xentcheck.reference.bounds.softmax_errors import RowErrors
from xentcheck.reference.formats import FORMATS, Array
from xentcheck.reference.oracle import Exact
from xentcheck.reference.problem import Problem

VECTORS, N = 2500, 10

ONE_ROUNDING = replace(CATALOGUE["fused"], exp_ulps=0.5, log_ulps=0.5, flushes=False)
"""Every step, exp and log too, is rounded once: their model, where storage and arithmetic are one format."""


@cache
def vectors(dtype: str) -> Problem:
    """Logits as of a classifier: the label leads by some 10, and a fifth of the rows overflow exp in float16."""
    s = Stream("published")
    z = 4.5 * s.gaussian((VECTORS, N)) - 2.0
    z[np.arange(VECTORS), np.arange(VECTORS) % N] = 8.0 + 3.5 * s.gaussian((VECTORS,))
    return Problem(logits=z.astype(dtype), target=np.zeros(VECTORS, int))


def ours(dtype: str, log_form: str) -> tuple[Array, Array, Array, Array]:
    """In u: relative bounds of the softmax by division and by exp(log a), bound of log a; and where a is normal."""
    fmt = FORMATS[dtype]
    arithmetic = Arithmetic(replace(ONE_ROUNDING, log_form=log_form, gradient_form="exp"), fmt, fmt)
    parts = []
    for block in Exact(vectors(dtype)).blocks():
        errors = RowErrors(RowBase.of(block.softmax, fmt), arithmetic)
        a = block.softmax.softmax()
        normal = a > 100.0 * fmt.smallest_normal
        with np.errstate(divide="ignore", invalid="ignore"):
            parts.append((errors.softmax() / a, errors.gradient_softmax() / a, errors.log_softmax(), normal))
    soft, by_exp, log_a, normal = (np.concatenate(x) for x in zip(*parts, strict=True))
    u = fmt.unit_roundoff
    return soft / u, by_exp / u, log_a / u, normal


def theirs(dtype: str) -> tuple[Array, Array, Array]:
    """Their relative bounds: shifted softmax, exp(x - lse), and the error of x - lse, in u."""
    x = np.asarray(vectors(dtype).logits).astype(np.float64)
    top, low = x.max(1, keepdims=True), x.min(1, keepdims=True)
    y = top + np.log(np.exp(x - top).sum(1, keepdims=True))
    of_lse = np.abs(y + N - low)
    soft = np.broadcast_to(N + 2.0 + 2.0 * (top - low), x.shape)
    return soft, 1.0 + np.abs(x - y).max(1, keepdims=True) + of_lse, np.abs(x - y) + of_lse


def mean(ratio: Array) -> float:
    """The geometric mean."""
    return float(np.exp(np.log(ratio).mean()))


@pytest.mark.parametrize(("dtype", "typical"), [("float16", 0.30), ("bfloat16", 0.42)])
def test_the_shifted_softmax_is_never_looser(dtype: str, typical: float) -> None:
    """No element has a larger bound than theirs: at most 0.86 of it, 0.3 to 0.4 in the mean."""
    soft, _, _, normal = ours(dtype, "sub")
    ratio = (soft / theirs(dtype)[0])[normal]
    assert ratio.size > 2 * VECTORS
    assert ratio.max() <= 1.0
    assert mean(ratio) <= typical


@pytest.mark.parametrize(("dtype", "typical"), [("float16", 0.55), ("bfloat16", 0.85)])
def test_the_division_free_softmax_is_tighter_in_the_mean(dtype: str, typical: float) -> None:
    """exp(x - lse): ours covers (x - m) - log S as well, whose roundings are others, and all orders of u.

    Single elements have more than the first order of theirs.
    """
    _, by_exp, _, normal = ours(dtype, "lse")
    ratio = (by_exp / theirs(dtype)[1])[normal]
    assert mean(ratio) <= typical


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_log_softmax_is_tighter_in_the_mean(dtype: str) -> None:
    """Theirs for x - lse, with the error of lse; ours of either form."""
    for form in ("sub", "lse"):
        assert mean(ours(dtype, form)[2] / theirs(dtype)[2]) < 1.0
