"""The cancellation-free equations of softmax and its loss for a block of rows, over any backend.

For a row z with maximum m: t_i = z_i - m, e_i = exp(t_i), R = sum of e without the maximum, S = 1 + R [derived from
(78)]. Nothing here subtracts nearly equal numbers: log S = log1p(R), and 1 - a_y = (sum of the other e)/S.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from xentcheck.reference.formats import Array
from xentcheck.reference.numbers.backends import FLOAT64, WIDE_RANGE, Backend, Number
from xentcheck.reference.targets import Targets

HUGE = 2.0**800
"""Losses above this are summed after a scaling by a power of two: double-double has the range of float64."""

SCALE = 128

LIFT = 512
"""What is below 2^-LIFT is formed 2^LIFT times as large, so that it is rounded once, after sums and factors."""


@dataclass(frozen=True)
class RowSoftmax:
    """Softmax of rows: t (n, C), e = exp(t), R, S = 1 + R and log S (n,); `defined`: rows with a finite maximum.

    `low`: rows with R < 2^-LIFT, of which `lifted` holds 2^LIFT R.
    """

    backend: Backend
    t: Number
    e: Number
    maximum: Array
    argmax: Array
    others: Number
    low: Array
    lifted: Number
    total: Number
    log_total: Number
    defined: Array

    @classmethod
    def of_logits(cls, backend: Backend, z: Array) -> RowSoftmax:
        """Rows of logits that are exact in float64."""
        argmax = z.argmax(1)
        maximum = z[np.arange(len(z)), argmax]
        return cls._of(backend, backend.difference(z, maximum[:, None]), argmax, maximum)

    @classmethod
    def of_number(cls, backend: Backend, z: Number, masked: Array) -> RowSoftmax:
        """Rows of logits in the backend's own precision; `masked` (C,) marks classes whose logit is -inf."""
        hi = np.where(masked, -np.inf, backend.pair(z)[0])
        argmax = hi.argmax(1)
        rows = np.arange(len(hi))
        t = z - z[rows, argmax][:, None]
        return cls._of(backend, backend.where(masked, -np.inf, t), argmax, hi[rows, argmax])

    @classmethod
    def _of(cls, backend: Backend, t: Number, argmax: Array, maximum: Array) -> RowSoftmax:
        e = backend.exp(t)
        others, low, lifted = sum_of_others(backend, t, e, argmax)
        total, log_total = others + 1.0, backend.log1p(others)
        return cls(backend, t, e, maximum, argmax, others, low, lifted, total, log_total, np.isfinite(maximum))

    def softmax(self) -> Number:
        """(78): a = e / S."""
        return self._where_defined(self._times(self.backend.array(1.0) / self.total))

    def _times(self, factor: Number) -> Number:
        """e * factor[:, None], rounded once where e is subnormal: a factor would multiply the error of e."""
        B = self.backend
        product = self.e * factor[:, None]
        if not B.lifts:
            return product
        hi, lo = B.pair(product)
        small = B.pair(self.e)[0] < 2.0**-LIFT
        if not small.any():
            return product
        rows, columns = np.nonzero(small & np.isfinite(B.pair(self.t)[0]))
        lifted = B.exp(self.t[rows, columns], LIFT) * factor[rows]
        hi[rows, columns], lo[rows, columns] = B.pair(B.scale(lifted, -LIFT))
        return product

    def log_softmax(self) -> Number:
        """[derived] log a = t - log S."""
        finite = self.backend.finite(self.t)
        if finite.all():
            return self._where_defined(self.t - self.log_total[:, None])
        value = self.backend.where(finite, self.t, 0.0) - self.log_total[:, None]
        return self._where_defined(self.backend.where(finite, value, -np.inf))

    def loss(self, targets: Targets) -> tuple[Number, Array]:
        """(80) with weights and smoothing: the loss of each row, as (number, k) for number * 2^k.

        A probability (or weight) of 0 contributes 0, also where log a is -inf.
        """
        B = self.backend
        if targets.hard:
            rows = np.arange(len(targets.label))
            t = self.t[rows, targets.label]
            q = B.array(targets.label_weight)
            terms_t, terms_q, log_total = t[:, None], q[:, None], self.log_total[:, None]
        else:
            terms_t, terms_q, log_total = self.t, targets.terms(B), self.log_total[:, None]
        sign, finite = B.sign(terms_q), B.finite(terms_t)
        hi = B.pair(terms_t)[0]
        infinite = ~finite & (sign != 0)
        used = finite & (sign != 0)
        if used.all():
            deepest, surprise = -np.min(hi, axis=1, initial=0.0), log_total - terms_t
        else:
            deepest = -np.min(np.where(used, hi, 0.0), axis=1, initial=0.0)
            surprise = B.where(used, log_total - B.where(used, terms_t, 0.0), 0.0)
        k = np.where(deepest > HUGE, SCALE, 0)
        value = B.sum(B.scale(surprise, -k[:, None]) * terms_q)
        alone = self.low & (deepest == 0)
        if alone.any():
            value = B.where(alone, self.lifted * B.sum(B.where(used, terms_q, 0.0)), value)
            k = np.where(alone, -LIFT, k)
        if infinite.any():
            blown = np.where(infinite, sign, 0.0)
            limit = np.where((blown > 0).any(1) & (blown < 0).any(1), np.nan, np.sign(blown.sum(1)) * np.inf)
            value = B.where(infinite.any(1), limit, value)
        return B.where(self.defined, B.where(targets.kept, value, 0.0), np.where(targets.kept, np.nan, 0.0)), k

    def gradient(self, targets: Targets, factor: Number) -> Number:
        """(81), (84): dC/dz = factor (a - y) per row, by the complement form at the label; exactly 0 in ignored rows.

        [derived] with probabilities q of sum Q: factor (a Q - q); smoothing adds factor eps/C (a sum(w) - w).
        """
        B = self.backend
        if targets.probabilities is not None:
            q = targets.terms(B)
            g = self._times(B.sum(q) / self.total * factor) - q * factor[:, None]
        else:
            main = factor * targets.label_weight
            if targets.smoothing:
                main = main * (B.array(1.0) - targets.smoothing)
            g = self._one_hot_gradient(targets.label, main)
            if targets.smoothing:
                g = g + self._uniform_gradient(targets, factor)
        g = self._where_defined(g)
        return g if targets.kept.all() else B.where(targets.kept[:, None], g, 0.0)

    def _one_hot_gradient(self, label: Array, factor: Number) -> Number:
        """[derived] S - e_y of a label that is not the maximum cancels nothing: it is at least 1, and e_y at most 1."""
        B = self.backend
        ratio = factor / self.total
        first = label == self.argmax
        rest = B.where(first, self.others, self.total - self.e[np.arange(len(label)), label])
        at_label = rest * ratio
        if self.low.any():
            at_label = B.where(first & self.low, B.scale(self.lifted * ratio, -LIFT), at_label)
        return put(B, self._times(ratio), label, -at_label)

    def _uniform_gradient(self, targets: Targets, factor: Number) -> Number:
        B = self.backend
        weight = np.ones(targets.classes) if targets.weight is None else targets.weight
        share = factor * (B.array(targets.smoothing) / float(targets.classes))
        return self._times(B.sum(B.array(weight)) / self.total * share) - share[:, None] * weight[None, :]

    def _where_defined(self, x: Number) -> Number:
        return x if self.defined.all() else self.backend.where(self.defined[:, None], x, np.nan)


def sum_of_others(backend: Backend, t: Number, e: Number, argmax: Array) -> tuple[Number, Array, Number]:
    """R: the row sums of e without the maximum; the rows with R < 2^-LIFT; and 2^LIFT R of those.

    Such rows are summed in the normal range and scaled down, so that R is rounded once even if each term is subnormal.
    """
    others = sum_except(backend, e, argmax)
    low = np.zeros(len(argmax), bool)
    if backend.lifts:
        low = (backend.pair(others)[0] < 2.0**-LIFT) & backend.finite(t).any(1)
    if not low.any():
        return others, low, backend.array(np.zeros(len(low)))
    sums = sum_except(backend, backend.exp(t[low], LIFT), argmax[low])
    lifted = backend.array(np.zeros(len(low))) + 0.0
    for whole, part, lowered in zip(
        backend.pair(lifted) + backend.pair(others),
        backend.pair(sums) * 2,
        (0, 0, -LIFT, -LIFT),
        strict=True,
    ):
        whole[low] = np.ldexp(part, lowered)
    return others, low, lifted


def sum_except(backend: Backend, e: Number, index: Array) -> Number:
    """Row sums of e without the element at `index`, which nothing cancels; e is as it was afterwards."""
    taken = e[np.arange(len(index)), index]
    others = backend.sum(put(backend, e, index, 0.0))
    put(backend, e, index, taken)
    return others


def put(backend: Backend, x: Number, index: Array, value: Any) -> Number:
    """x (n, C) with x[n, index[n]] = value[n], in place where it can be: not in the wide range, whose result is new."""
    rows = np.arange(len(index))
    if backend.name == WIDE_RANGE.name:
        new = backend.array(value) + np.zeros(len(index))
        return backend.where(np.arange(x.shape[1]) == index[:, None], new[:, None], x)
    parts = slice(0, 1 if backend.name == FLOAT64.name else 2)
    for part, new in zip(backend.pair(x)[parts], backend.pair(value)[parts], strict=True):
        part[rows, index] = new
    return x
