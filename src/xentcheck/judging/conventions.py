"""Conventions: degenerate problems and rows whose meaning differs between libraries; what they return there is
recorded, not judged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from xentcheck.reference.formats import FORMATS, Array
from xentcheck.reference.numbers.backends import FLOAT64
from xentcheck.reference.problem import Problem
from xentcheck.reference.rows import to_rows
from xentcheck.reference.targets import Targets
from xentcheck.vocabulary import DIRECTIONAL, GRADIENTS, VALUES


@dataclass(frozen=True)
class Convention:
    """One degenerate situation: what it concerns, which quantities, and the results seen in the wild.

    concerns: every row of a problem (True), as a denominator does, or those of (M,), each pixel of (N, C, d) being one.
    """

    id: str
    concerns: Callable[[Problem], bool | Array]
    quantities: tuple[str, ...]
    seen: str

    def rows(self, p: Problem, quantity: str) -> bool | Array:
        """Which rows it concerns in a quantity. The value of an ignored row is 0, whatever the row holds."""
        found = quantity in self.quantities and self.concerns(p)
        return found if isinstance(found, bool) or quantity not in VALUES else found & p.kept.reshape(-1)


def _no_row_kept(p: Problem) -> bool:
    return p.reduction == "mean" and p.kept.size > 0 and not p.kept.any()


def _empty(p: Problem) -> bool:
    return p.reduction == "mean" and p.kept.size == 0


def _weights_vanish(p: Problem) -> bool:
    """Whether the weighted mean's denominator may be computed as 0: all weights are, or those of both signs cancel.

    [derived] a sum of weights of one sign is at least the largest in every order and format, unless all of them are
    subnormal and flushed. Of both signs, n - 1 roundings of the arithmetic format; where more are stored, the bound is
    infinite (`Scaling.of`).
    """
    if p.weight is None or p.reduction != "mean" or p.probabilities or _no_row_kept(p):
        return False
    w = Targets.of(p).label_weight
    if not (w.min() < 0 < w.max()):
        return not np.abs(w).max(initial=0.0) >= FORMATS[p.dtype].smallest_normal
    u = min(FORMATS[p.dtype].unit_roundoff, FORMATS["float32"].unit_roundoff)
    return bool(abs(w.sum()) <= len(w) * 2.0 * u * np.abs(w).sum())


def _zero_times_inf(p: Problem) -> bool | Array:
    """The rows in which a class at -inf has the factor 0 in a sum over all classes."""
    if not p.probabilities and (p.weight is None or not p.label_smoothing):
        return False
    masked = _masked(p)
    if masked is None:
        return False
    if p.probabilities:
        return np.asarray((masked & (np.asarray(Targets.of(p).terms(FLOAT64)) == 0)).any(1))
    return np.broadcast_to((masked & (p.weight == 0)).any(1), p.kept.size)


def _masked(p: Problem) -> Array | None:
    """Which classes are at -inf, (m, C) or (1, C)."""
    masked = np.isneginf(to_rows(p.logits)) if p.logits is not None else np.isneginf(np.asarray(p.b))[None, :]
    return masked if masked.any() else None


def _not_finite(p: Problem) -> bool | Array:
    """The rows without a finite maximum: +inf, nan, or all -inf."""
    if p.logits is None:
        return bool(np.isneginf(np.asarray(p.b)).all())
    return np.asarray(~np.isfinite(p.maxima))


GRADIENTS_TOO = (*VALUES, *GRADIENTS, *DIRECTIONAL)

CONVENTIONS = (
    Convention("all-ignored", _no_row_kept, GRADIENTS_TOO, "PyTorch: value nan, gradient 0; Keras 3 and others: 0"),
    Convention("empty-batch", _empty, GRADIENTS_TOO, "PyTorch and JAX: value nan; PyTorch before 1.11 on CPU: 0"),
    Convention("zero-weights", _weights_vanish, GRADIENTS_TOO, "PyTorch: value nan, gradient nan; before 1.11: 0"),
    Convention(
        "zero-times-inf", _zero_times_inf, VALUES, "PyTorch, JAX, optax: nan; xentcheck and optax with where=: 0"
    ),
    Convention("not-finite", _not_finite, ("a", "log_a", *GRADIENTS_TOO), "nan, or inf, by library"),
)
"""All of them, in order of precedence."""


def convention_of(problem: Problem, quantity: str) -> Convention | None:
    """The first convention that takes rows of a result out, or all of it; None: the whole is judged."""
    return next((c for c in CONVENTIONS if np.any(c.rows(problem, quantity))), None)


def seen(result: Array) -> str:
    """What an implementation returned, in a word: nan, 0, inf, finite, or a mixture."""
    x = np.asarray(result, np.float64).ravel()
    kinds = {
        "empty": x.size == 0,
        "nan": bool(np.isnan(x).any()),
        "inf": bool(np.isinf(x).any()),
        "0": bool((x == 0).any()),
        "finite": bool((np.isfinite(x) & (x != 0)).any()),
    }
    return " and ".join(kind for kind, found in kinds.items() if found)
