"""Exact values of one block of rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from xentcheck.reference.formats import Array
from xentcheck.reference.numbers.backends import Number
from xentcheck.reference.targets import Targets

from .leaving import all_finite, leave
from .rows import RowSoftmax

Pair = tuple[NDArray[np.float64], NDArray[np.float64]]

BLOCK = 131072
"""Elements of one row block: logits are evaluated a cache-sized block at a time."""


@dataclass(frozen=True)
class Block:
    """Exact results of some rows; `softmax` and `targets` are also what the error bounds start from."""

    rows: slice
    softmax: RowSoftmax
    targets: Targets
    factor: Number
    divided: bool = True

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
        masked = ~B.finite(self.softmax.t)
        if masked.any():
            rows = np.arange(len(t.label))
            met = masked[rows, t.label] & (t.label_weight != 0) if t.hard else (masked & (t.sizes != 0)).any(1)
        else:
            met = np.zeros(len(t.label), bool)
        return leave(B, "loss", number, self.undefined | met), k
