"""The frameworks' loss on top of the book's equations: softmax (78) and log-likelihood (80) with PyTorch's options.

Shapes: logits (C,), (N, C) or (N, C, d1..dk); target: class indices of that shape without C, or probabilities of the
logits' shape, any finite numbers. Conventions are PyTorch's: the weighted mean divides by the sum of the kept labels'
weights, with probabilities by the number of rows; class weights stand inside the smoothing sum, whose mass is eps/C per
class; smoothed probabilities are q (1 - eps) + eps/C, whatever their rows sum to; an ignored row contributes nothing
and gets a gradient of exactly 0. A mean over no kept row is nan with a gradient of 0; weights that sum to 0 give nan
twice; an empty batch has mean nan, sum 0. One difference: a factor of 0 on a logit of -inf contributes 0, where PyTorch
returns nan. A logit of -inf under label smoothing makes the loss inf.

Everything is computed in the dtype of the logits. Where class weights, targets and upstream gradients have a product,
or a sum of products, beyond its largest number, results are inf, or nan as inf - inf, inf/inf or 0 inf; each of them
alone may be as large as it likes. `reference.oracle` has no such limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from xentcheck.reference.book.activations import complement, log_total, shifted
from xentcheck.vocabulary import DTYPES

from .formats import Array
from .inputs import in_float32
from .numbers.arrays import keep_freed_memory
from .problem import NO_IGNORE, Problem
from .rows import from_rows, to_rows


def problem_of(
    logits: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = NO_IGNORE,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    upstream: Any = 1.0,
) -> Problem:
    """The problem that the arguments of PyTorch's cross_entropy describe; a scalar upstream stands for every loss."""
    z, y = _apart(logits), _apart(target)
    shape = () if reduction != "none" or z.ndim < 2 else z.shape[:1] + z.shape[2:]
    up = np.array(upstream, z.dtype if str(z.dtype) in DTYPES else None)
    return Problem(
        logits=z,
        target=y.astype(np.int64) if y.dtype.kind in "iu" else y,
        weight=None if weight is None else np.array(weight),
        ignore_index=ignore_index,
        reduction=reduction,
        label_smoothing=label_smoothing,
        upstream=np.broadcast_to(up, shape).copy() if up.ndim == 0 else up,
    )


BLOCK = 2**17
"""Elements that are looked at together, so that they stay in the cache."""


def _apart(x: Any) -> Array:
    """An array that may be made read-only: of numbers that lie in order a view, else a copy in which they do."""
    given = np.asarray(x)
    return given.view() if given.flags.forc else np.array(given)


class Rows:
    """Some rows of a problem, in its own dtype: softmax pieces and the factors q of -log a."""

    def __init__(self, p: Problem, part: slice = slice(None)) -> None:
        assert p.logits is not None
        self.p, self.part = p, part
        self.kept = p.kept.reshape(-1)[part]
        self.type = p.logits.dtype.type
        self.weight = np.ones(p.classes, self.type) if p.weight is None else p.weight
        self.smoothing = self.type(p.label_smoothing)
        self.share = self.smoothing / self.type(p.classes)
        labels = np.zeros(len(self.kept), np.int64) if p.probabilities else p.target.reshape(-1)[part]
        self.label = np.where(self.kept, labels, 0)
        self.label_weight = np.where(self.kept, self.weight[self.label], self.type(0))

    def blocks(self) -> Iterator[Rows]:
        """The rows, a few at a time where that does not change how those of an array are added up."""
        keep_freed_memory()
        given = [self.p.logits, self.p.target] if self.p.probabilities else [self.p.logits]
        in_order = all(x is not None and x.ndim <= 2 and x.flags.c_contiguous for x in given)
        rows = len(self.kept)
        step = max(1, BLOCK // self.p.classes if in_order else rows)
        return (Rows(self.p, slice(start, start + step)) for start in range(0, max(1, rows), step))

    @cached_property
    def t(self) -> Array:
        """z - max z: (m, C)."""
        assert self.p.logits is not None
        return shifted(to_rows(self.p.logits)[self.part])

    @cached_property
    def q(self) -> Array:
        """The factors of -log a, of rows of probabilities: (m, C)."""
        q = to_rows(self.p.target)[self.part]
        return np.asarray((q * (1 - self.smoothing) + self.share if self.smoothing else q) * self.weight)

    @cached_property
    def e(self) -> Array:
        """exp(t): (m, C)."""
        return np.exp(self.t)

    @cached_property
    def total(self) -> Array:
        """S: (m, 1)."""
        return np.asarray(self.e.sum(1, keepdims=True))

    def losses(self) -> Array:
        """-ln a_y (80), weighted, smoothed or against probabilities: (m,)."""
        total = log_total(self.t)
        if self.p.probabilities:
            return products(self.q, total - self.t)
        loss = products(self.label_weight, total[:, 0] - self.t[np.arange(len(self.label)), self.label])
        if self.smoothing:
            spread = products(self.weight, total - self.t).sum(-1) * self.share
            loss = (1 - self.smoothing) * loss + spread
        return np.asarray(np.where(self.kept, loss, self.type(0)))

    def denominator(self) -> Any:
        """What the mean divides by."""
        if self.p.reduction != "mean":
            return self.type(1)
        return self.type(len(self.kept)) if self.p.probabilities else self.label_weight.sum()

    def gradient(self, factor: Array) -> Array:
        """factor (a - y) per row (84), (81); a_y - 1 by `complement`: (m, C)."""
        a = self.e / self.total
        f = factor[:, None]
        if self.p.probabilities:
            g = f * (a * self.q.sum(1, keepdims=True) - self.q)
        else:
            main = factor * self.label_weight * (1 - self.smoothing)
            g = a * main[:, None]
            g[np.arange(len(g)), self.label] = -complement(a, self.label) * main
            if self.smoothing:
                g = g + f * self.share * (a * self.weight.sum() - self.weight)
        g[~self.kept] = 0
        return np.asarray(g, self.t.dtype)

    def factor(self) -> Array:
        """Upstream gradient over the denominator, per row; 0 for ignored rows."""
        up = np.broadcast_to(self.p.upstream.reshape(-1).astype(self.type), self.kept.shape)
        return np.asarray(np.where(self.kept, up / self.denominator(), self.type(0)))


def products(q: Array, surprise: Array) -> Array:
    """q * surprise, summed over classes where q is a matrix; 0 * inf = 0."""
    with np.errstate(invalid="ignore"):
        product = np.where(q != 0, q * surprise, surprise.dtype.type(0))
    return np.asarray(product.sum(1) if q.ndim == 2 else product)


@in_float32
def cross_entropy(
    logits: Any,
    target: Any,
    *,
    weight: Any = None,
    ignore_index: int = NO_IGNORE,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Array:
    """Loss C = -ln a_y, (78) and (80), with PyTorch's options and conventions (module docstring).

    logits: floating, class axis 1 (or 0 if there is one axis); target as above; weight (C,) of any sign, or None.
    Returns the logits' dtype: a scalar for `mean` and `sum`, the loss per example for `none`. Raises ShapeError,
    DtypeError or TargetError, the last with the first index and value out of range.

    >>> float(cross_entropy(np.array([[0.0, 0.0]]), np.array([1])))
    0.6931471805599453
    """
    p = problem_of(logits, target, weight, ignore_index, reduction, label_smoothing)
    with np.errstate(all="ignore"):
        rows = Rows(p)
        losses = np.concatenate([block.losses() for block in rows.blocks()])
        if reduction == "none":
            return losses.reshape(p.loss_shape)
        return np.asarray(losses.sum() / rows.denominator(), losses.dtype)


@in_float32
def cross_entropy_grad(
    logits: Any,
    target: Any,
    *,
    weight: Any = None,
    ignore_index: int = NO_IGNORE,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    upstream: Any = 1.0,
) -> Array:
    """dC/dlogits of `cross_entropy`: (a - y) per row, (84) and (81), times weight and upstream over the denominator.

    upstream: gradient with respect to the output, a scalar or an array of the output's shape. Returns the logits'
    shape and dtype; ignored rows are exactly 0. Raises like `cross_entropy`.

    >>> cross_entropy_grad(np.array([[0.0, 0.0]]), np.array([1])).tolist()
    [[0.5, -0.5]]
    """
    p = problem_of(logits, target, weight, ignore_index, reduction, label_smoothing, upstream)
    with np.errstate(all="ignore"):
        rows = Rows(p)
        factor, found = rows.factor(), np.empty_like(to_rows(np.asarray(p.logits)))
        for block in rows.blocks():
            found[block.part] = block.gradient(factor[block.part])
        return from_rows(found, p.logits_shape)
