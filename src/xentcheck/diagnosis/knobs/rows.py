"""Rows: what a loss of each row is made from, for a part of the rows, and what follows from losses and gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from xentcheck.diagnosis.counterfactual import Counterfactual
from xentcheck.reference.formats import Array
from xentcheck.reference.rows import to_rows

Made = tuple[Array, Array]
"""The losses (m,) of rows and their gradients (m, C), before upstream gradient and denominator."""

STEP = 1e-4
"""Of the logits, for a derivative along a direction: its error is 1e-8 of a third derivative."""


@dataclass(frozen=True, eq=False)
class Rows:
    """z, q: (m, C), q the factors of -log a. hot: y, or None for probabilities. kept, own: (m,), own the weight of the
    row's label. weight: (C,). s, d: (m,), what multiplies a gradient, and divides a loss. eps: the smoothing.
    v: (m, C) or None. layer: x (m, K) and w (C, K), or empty. reduced, mean: whether values are
    summed, and divided.
    """

    z: Array
    q: Array
    hot: Array | None
    kept: Array
    own: Array
    weight: Array
    weighted: bool
    s: Array
    d: Array
    eps: float
    v: Array | None
    layer: tuple[Array, ...]
    reduced: bool
    mean: bool

    @classmethod
    def of(cls, c: Counterfactual) -> Rows:
        """All rows of a problem."""
        t = c.targets
        shape = c.z.shape[:1]
        hot = None if t.probabilities is not None else np.asarray(np.arange(t.classes) == t.label[:, None], np.float64)
        kept = t.kept.astype(np.float64)
        own = kept if hot is None else np.asarray(t.label_weight * kept)
        d = np.broadcast_to(c.denominator, shape)
        return cls(
            z=c.z,
            q=c.q,
            hot=hot,
            kept=kept,
            own=own,
            weight=np.ones(t.classes) if t.weight is None else np.asarray(t.weight, np.float64),
            weighted=t.weight is not None,
            s=np.broadcast_to(c.upstream / c.denominator, shape),
            d=d,
            eps=float(t.smoothing),
            v=None if c.problem.v is None else to_rows(c.problem.v).astype(np.float64),
            layer=c.layer[:2],
            reduced=c.problem.reduction != "none",
            mean=c.mean,
        )

    def only(self, rows: slice) -> Rows:
        """Some of the rows."""
        cut: dict[str, Any] = {k: getattr(self, k)[rows] for k in ("z", "q", "kept", "own", "s", "d")}
        cut |= {k: None if getattr(self, k) is None else getattr(self, k)[rows] for k in ("hot", "v")}
        layer = (self.layer[0][rows], self.layer[1]) if self.layer else ()
        return replace(self, **cut, layer=layer)

    @property
    def every(self) -> Array:
        """A 1 for each row."""
        return np.ones_like(self.kept)

    @cached_property
    def softmax(self) -> tuple[Array, Array, Array]:
        """a, log a, and the log of the sum (m, 1)."""
        return softmax(self.z)

    @cached_property
    def right(self) -> Made:
        """What is right."""
        return self.of_logits(self.z)

    def of_logits(self, z: Array) -> Made:
        """The loss of other logits, and its gradient by them."""
        a, log_a, _ = self.softmax if z is self.z else softmax(z)
        return self.losses(log_a), a * self.q.sum(1, keepdims=True) - self.q

    def losses(self, log_a: Array) -> Array:
        """-sum q log a, with 0 * inf = 0."""
        return np.asarray(-np.where(self.q != 0, self.q * log_a, 0.0).sum(1))

    def quantity(self, name: str, made: Made) -> Array:
        """A quantity of all these rows, in row form."""
        losses, gradient = made
        if name in ("loss", "cost"):
            rows = losses / self.d
            return np.asarray(rows if name == "loss" else np.atleast_1d(rows.sum()))
        if name == "jvp":
            assert self.v is not None
            tangents = (gradient * self.v).sum(1) / self.d
            return np.asarray(np.atleast_1d(tangents.sum()) if self.reduced else tangents)
        delta = self.s[:, None] * gradient
        if name == "dC/da_prev":
            return np.asarray(delta @ self.layer[1])
        if name == "dC/dw":
            return np.asarray(delta.T @ self.layer[0])
        return np.asarray(delta.sum(0) if name == "dC/db" else delta)

    def along(self, made: Callable[[Rows], Made]) -> Array:
        """The derivative of a gradient along v, from differences: right to about STEP^2."""
        assert self.v is not None
        step = STEP / max(float(np.abs(self.v).max(initial=0.0)), 1e-300)
        there, back = (made(replace(self, z=self.z + sign * step * self.v))[1] for sign in (1.0, -1.0))
        return np.asarray(self.s[:, None] * (there - back) / (2.0 * step))


def softmax(z: Array) -> tuple[Array, Array, Array]:
    """a, log a, and the log of the sum (m, 1)."""
    top = z.max(1, keepdims=True, initial=-np.inf)
    e = np.exp(z - top)
    total = e.sum(1, keepdims=True)
    return e / total, z - top - np.log(total), top + np.log(total)


def entropy(r: Rows) -> Made:
    """That of the softmax, and its gradient."""
    a, log_a, _ = r.softmax
    each = np.where(a > 0, -a * log_a, 0.0)
    value = each.sum(1)
    return value, each - a * value[:, None]


def spread(low: float, high: float, count: int = 13) -> tuple[float, ...]:
    """Numbers from low to high, in one ratio."""
    return tuple(float(x) for x in np.geomspace(low, high, count))


@dataclass(frozen=True)
class Family:
    """One kind of mistake.

    sentence: with {} for its number, which is of the case if a colon follows it. among: where the number is looked
    for, from value to value; empty where results are linear in it, and 0 is right. whole: whether a row's loss depends
    on other rows. start: what is told is more by it than the number. beside: what is said of the gradient alone, which
    values do not tell. round: of two digits at most. values: told of values only, as the gradient has a factor and no
    more. count: a whole number from 1 on. step: whether roundings of the losses, over the number, are in the gradient.
    """

    code: str
    sentence: str
    made: Callable[[Rows, float], Made]
    among: tuple[float, ...] = ()
    whole: bool = False
    start: float = 0.0
    beside: str = ""
    round: bool = False
    values: bool = False
    count: bool = False
    step: bool = False
