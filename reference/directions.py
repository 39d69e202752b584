"""Derivatives of the frameworks' loss along a direction v of the logits: the first one, and that of its gradient.

Options, conventions and limits are those of `loss`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .formats import Array
from .given import refuse_other
from .inputs import in_float32
from .loss import Rows, problem_of, products
from .problem import NO_IGNORE
from .rows import from_rows, to_rows


def shifted_direction(rows: Rows, v: Any) -> Array:
    """v in row form, minus its entry at the largest a, which keeps a.v from cancelling. Raises ShapeError."""
    v = np.asarray(v, rows.p.dtype)
    refuse_other("v", v, rows.p.logits_shape, "the shape of the logits")
    d = to_rows(v)
    return np.asarray(d - np.take_along_axis(d, rows.t.argmax(1)[:, None], 1))


@in_float32
def cross_entropy_jvp(
    logits: Any,
    target: Any,
    v: Any,
    *,
    weight: Any = None,
    ignore_index: int = NO_IGNORE,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Array:
    """Derivative of `cross_entropy` along v: Q (a.v) - q.v per row [derived], reduced like the loss.

    v: the logits' shape. Returns the shape and dtype of the loss. Raises like `cross_entropy`.

    >>> float(cross_entropy_jvp(np.array([[0.0, 0.0]]), np.array([1]), np.array([[1.0, 0.0]])))
    0.5
    """
    p = problem_of(logits, target, weight, ignore_index, reduction, label_smoothing)
    with np.errstate(all="ignore"):
        rows = Rows(p)
        d = shifted_direction(rows, v)
        mean = (rows.e * d).sum(1) / rows.total[:, 0]
        if p.probabilities:
            moved = rows.q.sum(1) * mean - products(rows.q, d)
        else:
            at_label = rows.label_weight * (mean - d[np.arange(len(d)), rows.label])
            spread = rows.weight.sum() * mean - (rows.weight * d).sum(1)
            moved = (1 - rows.smoothing) * at_label + rows.share * spread
            moved = np.where(rows.kept, moved, rows.type(0))
        if reduction == "none":
            return np.asarray(moved, rows.type).reshape(p.loss_shape)
        return np.asarray(moved.sum() / rows.denominator(), rows.type)


@in_float32
def cross_entropy_hvp(
    logits: Any,
    target: Any,
    v: Any,
    *,
    weight: Any = None,
    ignore_index: int = NO_IGNORE,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    upstream: Any = 1.0,
) -> Array:
    """(d2C/dz2) v = s Q a (v - a.v) per row [derived]: the Jacobian of (84) times v, Q the sum of the factors q.

    v: the logits' shape. Returns the logits' shape and dtype. Raises like `cross_entropy`.

    >>> cross_entropy_hvp(np.array([[0.0, 0.0]]), np.array([1]), np.array([[1.0, 0.0]])).tolist()
    [[0.25, -0.25]]
    """
    p = problem_of(logits, target, weight, ignore_index, reduction, label_smoothing, upstream)
    with np.errstate(all="ignore"):
        rows = Rows(p)
        a, d = rows.e / rows.total, shifted_direction(rows, v)
        if p.probabilities:
            mass = rows.q.sum(1)
        else:
            spread = rows.weight.sum() / rows.type(p.classes)
            mass = (1 - rows.smoothing) * rows.label_weight + rows.smoothing * spread
        product = a * (d - (a * d).sum(1, keepdims=True))
        product *= (rows.factor() * mass)[:, None]
        return from_rows(np.where(rows.kept[:, None], product, rows.type(0)), p.logits_shape)
