"""Exact values of one block of rows: of each row, of the layers before them, and along a direction."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xentcheck.reference.formats import Array
from xentcheck.reference.numbers.arrays import Place, as_array, home
from xentcheck.reference.numbers.backends import Number
from xentcheck.reference.problem import Problem
from xentcheck.reference.rows import to_rows
from xentcheck.reference.targets import Targets

from . import layers
from .leaving import all_finite, leave
from .rows import RowSoftmax

Pair = tuple[NDArray[np.float64], NDArray[np.float64]]

BLOCK = 131072
"""Elements of one row block: logits are evaluated a cache-sized block at a time."""

FEW = 8
"""Rows of a block that may have twice as many elements: what is done once for each block is shared by few rows then."""


def rows_of_block(elements: int, classes: int) -> int:
    """How many rows of so many classes make a block of about so many elements; one at least.

    >>> rows_of_block(2**17, 1000), rows_of_block(2**17, 32000), rows_of_block(2**17, 128256)
    (131, 8, 2)
    """
    classes = max(1, classes)
    return max(1, elements // classes, min(FEW, 2 * elements // classes))


@dataclass(frozen=True)
class Block:
    """Exact results of some rows; `softmax` and `targets` are also what the error bounds start from.

    rows: where they stand among those that are evaluated; chosen: among all of the problem. shared: what bounds under
    several contracts find of these rows, by name. place: where (n, C) numbers lie.
    """

    problem: Problem
    chosen: slice | Array
    rows: slice
    softmax: RowSoftmax
    targets: Targets
    factor: Number
    divided: bool = True
    place: Place = home
    shared: dict[str, Any] = field(default_factory=dict)

    def of(self, x: Array | None) -> Array:
        """(n, C): these rows of an array of the logits' shape, in float64."""
        return as_array(self.place(to_rows(np.asarray(x))[self.chosen]).astype(np.float64))

    @cached_property
    def undefined(self) -> Array:
        """(n,): rows without a finite maximum, or with a factor (weight, target, upstream) that is not finite."""
        t = self.targets
        given = all_finite(t.weight, t.probabilities)
        return np.asarray(~(self.softmax.defined & np.isfinite(t.upstream) & given))

    def a(self) -> Number:
        """(78) of these rows."""
        return leave(self.softmax.backend, "a", self.softmax.softmax(), ~self.softmax.defined[:, None])

    def log_a(self) -> Number:
        """log of (78) of these rows; -inf where the logit is."""
        B, s = self.softmax.backend, self.softmax
        return leave(B, "log_a", s.log_softmax(), ~s.defined[:, None] | ~B.finite(s.t))

    @cached_property
    def gradient(self) -> Number:
        """dC/dz of these rows."""
        B = self.softmax.backend
        undefined = self.undefined | (not self.divided)
        return leave(B, "dC/dz", self.softmax.gradient(self.targets, self.factor), undefined[:, None])

    @cached_property
    def loss(self) -> tuple[Number, Array]:
        """Loss of these rows as (number, k) for number * 2^k."""
        B, t = self.softmax.backend, self.targets
        number, k = self.softmax.loss(t)
        masked, met = ~B.finite(self.softmax.t), np.zeros(len(t.label), bool)
        if masked.any():
            rows = np.arange(len(t.label))
            met = masked[rows, t.label] & (t.label_weight != 0) if t.hard else (masked & (t.sizes != 0)).any(1)
        return leave(B, "loss", number, self.undefined | met), k

    @cached_property
    def layer(self) -> dict[str, Number]:
        """The gradients of the layers before the softmax, of a problem that has all its rows here."""
        B = self.softmax.backend
        undefined = not (layers.all_given_finite(self.problem) and B.finite(self.gradient).all())
        found = layers.gradients(B, self.problem, self.gradient)
        return {q: leave(B, q, value, undefined) for q, value in found.items()}

    @cached_property
    def along(self) -> dict[str, Number]:
        """jvp (n,), without reduction and upstream, and hvp (n, C): the derivatives along the problem's direction v.

        [derived] with the factors q of -log a, Q = sum q_i and s = a.v: the loss C = -sum q_i log a_i of a row moves by
        jvp = Q s - q.v, and dC/dz = f (a Q - q) by hvp = f Q a o (v - s). Only differences of v count, so that v is
        shifted by its entry at the largest a, which keeps s from cancelling.
        """
        B, s, t, v = self.softmax.backend, self.softmax, self.targets, self.of(self.problem.v)
        top = v[np.arange(len(v)), s.argmax][:, None]
        d = B.difference(v, np.broadcast_to(top, v.shape))
        mean = B.sum(s.e * d) / s.total
        q = t.terms(B) if not t.hard else B.array(t.one_hot)
        mass = B.sum(q)
        jvp = mass * mean - B.sum(q * d)
        hvp = (s.e / s.total[:, None]) * (d - mean[:, None]) * (mass * self.factor)[:, None]
        jvp, hvp = B.where(t.kept, jvp, 0.0), B.where(t.kept[:, None], hvp, 0.0)
        undefined = self.undefined | (not all_finite(v))
        of_all = (undefined | (not self.divided))[:, None]
        return {"jvp": leave(B, "jvp", jvp, undefined), "hvp": leave(B, "hvp", hvp, of_all)}
