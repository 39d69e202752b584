"""Targets, class weights, ignored rows and upstream gradients of a problem, one entry per row of logits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

import numpy as np

from xentcheck.reference.numbers.arrays import Place, home, nonzeros
from xentcheck.reference.numbers.backends import FLOAT64, Backend, Number

from .formats import Array
from .problem import Problem
from .rows import to_rows

CANCELS = 2.0**-10
"""A sum of weights below this share of the largest is taken exactly: no number of bits is enough for all of them."""


def exact_sum(x: Array) -> tuple[float, float]:
    """The sum of float64 numbers as hi + lo.

    >>> exact_sum(np.array([1e300, 1e-300, -1e300]))
    (1e-300, 0.0)
    """
    values, counts = np.unique(x[np.isfinite(x)], return_counts=True)
    total = sum((Fraction(v) * n for v, n in zip(values.tolist(), counts.tolist(), strict=True)), Fraction(0))
    hi = float(total)
    return hi, float(total - Fraction(hi))


@dataclass(frozen=True)
class Targets:
    """Row form of a problem's targets; float64 arrays hold the storage values exactly.

    kept, label: (M,), label 0 where a row is ignored. probabilities: (M, C) or None. weight: (C,) or None.
    upstream: (M,), dC/d(loss of the row) before the division by the denominator. place: where (M, C) numbers lie.
    """

    kept: Array
    label: Array
    probabilities: Array | None
    weight: Array | None
    smoothing: float
    reduction: str
    upstream: Array
    classes: int
    place: Place = home

    @classmethod
    def of(cls, p: Problem) -> Targets:
        """The targets of a problem in row form."""
        kept = p.kept.reshape(-1)
        label = np.zeros(kept.shape, np.int64) if p.probabilities else np.where(kept, p.target.reshape(-1), 0)
        return cls(
            kept=kept,
            label=label.astype(np.int64),
            probabilities=to_rows(p.target).astype(np.float64) if p.probabilities else None,
            weight=None if p.weight is None else p.weight.astype(np.float64),
            smoothing=p.label_smoothing,
            reduction=p.reduction,
            upstream=np.broadcast_to(p.upstream.astype(np.float64).reshape(-1), kept.shape),
            classes=p.classes,
        )

    @property
    def hard(self) -> bool:
        """Whether each row looks at one class only."""
        return self.probabilities is None and not self.smoothing

    @cached_property
    def label_weight(self) -> Array:
        """(M,): class weight of each row's label, 0 for ignored rows."""
        if self.weight is None:
            return np.where(self.kept, 1.0, 0.0)
        return np.where(self.kept, self.weight[self.label], 0.0)

    @property
    def one_hot(self) -> Array:
        """(M, C): the factors of -log a of hard targets, in float64."""
        return np.asarray((np.arange(self.classes) == self.label[:, None]) * self.label_weight[:, None])

    def block(self, rows: slice | Array, place: Place = home) -> Targets:
        """The targets of some rows."""
        q = None if self.probabilities is None else place(self.probabilities[rows])
        kept, label, upstream = self.kept[rows], self.label[rows], self.upstream[rows]
        return replace(self, kept=kept, label=label, probabilities=q, upstream=upstream, place=place)

    def denominator(self, backend: Backend) -> Number:
        """What `mean` divides by: the weights of the kept labels, or the number of rows for probabilities; else 1."""
        if self.reduction != "mean":
            return backend.array(1.0)
        if self.probabilities is not None:
            return backend.array(float(len(self.kept)))
        total = backend.sum(backend.array(self.label_weight))
        if not abs(float(backend.pair(total)[0])) < CANCELS * float(np.abs(self.label_weight).max(initial=0.0)):
            return total
        hi, lo = exact_sum(self.label_weight)
        return backend.array(hi) + lo

    @cached_property
    def sizes(self) -> Array:
        """(M, C): |factors| in float64 as rounding errors see them: entries of either sign do not cancel with eps/C."""
        if self.probabilities is None or not self.smoothing:
            q = self._terms_in_float64
            return np.abs(q) if q.min(initial=0.0) < 0 else q
        q = np.abs(self.probabilities) * (1.0 - self.smoothing) + self.smoothing / self.classes
        return q if self.weight is None else q * np.abs(self.weight)

    @cached_property
    def mass(self) -> Array:
        """(M,): the sum of a row's sizes."""
        return np.asarray(self.sizes.sum(1))

    @cached_property
    def entries(self) -> Array:
        """(M,): how many sizes of a row are not 0."""
        return nonzeros(self.sizes)

    def forming(self, rounding: float, lost: float) -> float:
        """Relative error, of `sizes`, of a smoothed probability: of 1 - eps or eps/C, of the product and of the sum.

        rounding: of each of the three. lost: absolute, of the product and of eps/C, where they are below the normal
        range; no size is below eps/C. 0 for factors that are given.
        """
        if self.probabilities is None or not self.smoothing:
            return 0.0
        return float(np.expm1(-3.0 * np.log1p(-rounding))) + 2.0 * lost * self.classes / self.smoothing

    def terms(self, backend: Backend) -> Number:
        """(M, C): the factors q of -log a, with class weights and smoothing inside: C_n = -sum_i q_i log a_i.

        [derived] q = w_y [i = y] (1 - eps) + (eps/C) w_i for labels, w_i (q_i (1 - eps) + eps/C) for probabilities
        (PyTorch's smoothing, of each entry: a row of sum Q gets the sum Q (1 - eps) + eps).
        """
        return self._terms_in_float64 if backend.name == FLOAT64.name else self._terms(backend)

    @cached_property
    def _terms_in_float64(self) -> Array:
        return self.place(self._terms(FLOAT64))

    def _terms(self, backend: Backend) -> Number:
        weight = np.ones(self.classes) if self.weight is None else self.weight
        smooth = backend.array(self.smoothing) / float(self.classes)
        if self.probabilities is not None:
            q = backend.array(self.probabilities)
            q = q * (backend.array(1.0) - self.smoothing) + smooth if self.smoothing else q
            return q * weight[None, :]
        spread = backend.array(weight[None, :] * self.kept[:, None]) * smooth
        if self.smoothing == 1.0:
            return spread
        one_hot = np.arange(self.classes) == self.label[:, None]
        at_label = backend.array(self.label_weight) * (backend.array(1.0) - self.smoothing)
        return spread + at_label[:, None] * one_hot.astype(np.float64)
