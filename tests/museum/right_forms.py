"""Right implementations in NumPy with another exponential, logarithm, loss, smoothing, gradient or mean."""

from __future__ import annotations

from typing import Any

import numpy as np

from .base import Array, Fault
from .fused import Fused
from .right import right

FAULTS: list[Fault] = []

NARROWER = ("float32", "bfloat16", "float16")

UNWEIGHTED = ("ignore_index", "label_smoothing", "upstream", "k_dims", "unbatched", "empty_batch", "strided")
LABELS = tuple(option for option in UNWEIGHTED if option != "label_smoothing")
"""Options of forms that leave weights and probabilities, and smoothing, to others."""


class Rowwise(Fused):
    """The loss of a row from log-probabilities at its label."""

    def at_label(self, x: Array) -> Array:
        """x[i, y_i], and x[i, 0] in ignored rows: (m,)."""
        labels = np.where(self.kept(), self.labels(), 0)
        return np.take_along_axis(x, labels[:, None].astype(np.int64), 1)[:, 0]

    def keep(self, losses: Array) -> Array:
        """0 in ignored rows."""
        return np.where(self.kept(), losses, 0)


@right(FAULTS, "gathered", options=LABELS)
class Gathered(Rowwise):
    """-log a at the label, without a product."""

    def losses(self) -> Array:
        return self.keep(-self.at_label(self.log_a()))


@right(FAULTS, "logsumexp-minus-label", options=LABELS)
class LogSumExpMinusLabel(Rowwise):
    """log sum exp(z) - z_y."""

    def losses(self) -> Array:
        z = self.rows(self.logits)
        lse = (self.shift(z) + np.log(self.parts()[2]))[:, 0]
        return self.keep(lse - self.at_label(z))


@right(FAULTS, "margins", options=LABELS)
class Margins(Rowwise):
    """log sum exp(z - z_y), its maximum subtracted; the gradient is that of the margins."""

    def parts(self) -> tuple[Array, Array, Array]:
        z = self.rows(self.logits)
        d = z - np.where(self.kept(), self.at_label(z), 0)[:, None]
        self.largest = self.shift(d)
        t = d - self.largest
        e = self.exp(t)
        return t, e, e.sum(1, keepdims=True)

    def losses(self) -> Array:
        total = self.parts()[2]
        return self.keep((self.largest + np.log(total))[:, 0])


@right(FAULTS, "smoothing-by-mean-of-log-a", options=UNWEIGHTED)
class SmoothingByMeanOfLogA(Rowwise):
    """(1 - eps) (-log a_y) + eps (-mean(log a))."""

    def losses(self) -> Array:
        log_a = self.log_a()
        if not self.smoothing:
            return self.keep(-self.at_label(log_a))
        return self.keep(-(1 - self.smoothing) * self.at_label(log_a) - self.smoothing * log_a.mean(1))


@right(FAULTS, "smoothing-interpolated", options=UNWEIGHTED)
class SmoothingInterpolated(Rowwise):
    """l + eps (mean of all losses - l) for the label's loss l."""

    def losses(self) -> Array:
        log_a = self.log_a()
        plain = -self.at_label(log_a)
        return self.keep(plain + self.smoothing * (-log_a.mean(1) - plain) if self.smoothing else plain)


@right(FAULTS, "smoothing-of-logits", options=UNWEIGHTED)
class SmoothingOfLogits(Rowwise):
    """lse - (1 - eps) z_y - eps mean(z)."""

    def losses(self) -> Array:
        z = self.rows(self.logits)
        lse = (self.shift(z) + np.log(self.parts()[2]))[:, 0]
        if not self.smoothing:
            return self.keep(lse - self.at_label(z))
        return self.keep(lse - (1 - self.smoothing) * self.at_label(z) - self.smoothing * z.mean(1))


@right(FAULTS, "subtracted-at-label", options=LABELS)
class SubtractedAtLabel(Rowwise):
    """The softmax, from which 1 is subtracted in place at the label."""

    def error(self) -> Array:
        found, kept = self.a(), self.kept()
        rows = np.arange(len(found))[kept]
        found[rows, self.labels()[kept].astype(np.int64)] -= 1
        found[~kept] = 0
        return found


@right(FAULTS, "complement-at-label", options=LABELS)
class ComplementAtLabel(Rowwise):
    """At the label, minus the sum of the other exponentials over S."""

    def error(self) -> Array:
        _, e, total = self.parts()
        hot = self.hot() != 0
        others = np.where(hot, 0, e)
        found = np.where(hot, -others.sum(1, keepdims=True), others) / total
        return np.where(self.kept()[:, None], found, 0)


@right(FAULTS, "row-by-row")
class RowByRow(Fused):
    """One row after another, added in a loop."""

    def reduce(self, losses: Array) -> Array:
        if self.reduction == "none":
            return super().reduce(losses)
        total = np.zeros((), losses.dtype)
        for loss in losses:
            total = total + loss
        return np.asarray(total / self.denominator() if self.reduction == "mean" else total)


@right(FAULTS, "exp2-log2")
class Exp2Log2(Fused):
    """exp(t) as 2^(t log2 e), and log(S) as log2(S) ln 2."""

    def exp(self, t: Array) -> Array:
        return np.exp2(t * t.dtype.type(np.log2(np.e)))

    def log_a(self) -> Array:
        t, _, total = self.parts()
        return t - np.log2(total) * total.dtype.type(np.log(2))


@right(FAULTS, "log1p")
class Log1p(Fused):
    """log(S) as log1p of the sum of all exponentials but the largest."""

    def log_a(self) -> Array:
        t, e, _ = self.parts()
        largest = np.arange(self.classes) == e.argmax(1)[:, None]
        return t - np.log1p(np.where(largest, 0, e).sum(1, keepdims=True))


@right(FAULTS, "logsumexp")
class LogSumExp(Fused):
    """log a = z - (m + log S)."""

    def log_a(self) -> Array:
        z = self.rows(self.logits)
        return z - (self.shift(z) + np.log(self.parts()[2]))


@right(FAULTS, "gradient-of-kept-log-a")
class KeptLogA(Fused):
    """The softmax in the gradient is exp(log a)."""

    def a(self) -> Array:
        return np.exp(self.log_a())


@right(FAULTS, "gradient-by-logsumexp")
class ByLogSumExp(LogSumExp):
    """The softmax in the gradient is exp(z - lse)."""

    def a(self) -> Array:
        return np.exp(self.log_a())


@right(FAULTS, "reciprocal-of-sum")
class ReciprocalOfSum(Fused):
    """e times 1/S."""

    def a(self) -> Array:
        _, e, total = self.parts()
        return e * (1 / total)


@right(FAULTS, "subtracted-before-division")
class SubtractedBeforeDivision(Fused):
    """(e Q - S q) / S."""

    def error(self) -> Array:
        q = self.q()
        _, e, total = self.parts()
        return (e * q.sum(1, keepdims=True) - total * q) / total


@right(FAULTS, "mean-by-reciprocal")
class MeanByReciprocal(Fused):
    """Times 1/N, forward and backward."""

    def reduce(self, losses: Array) -> Array:
        return losses.sum() * (1 / self.denominator()) if self.reduction == "mean" else super().reduce(losses)

    def factor(self, upstream: Array) -> Array:
        up = upstream.reshape(-1)
        return up * (1 / self.denominator()) if self.reduction == "mean" else up


@right(FAULTS, "rows-scaled-first")
class RowsScaledFirst(Fused):
    """Each row's loss is divided before they are added."""

    def reduce(self, losses: Array) -> Array:
        return (losses / self.denominator()).sum() if self.reduction == "mean" else super().reduce(losses)


@right(FAULTS, "float64-throughout", dtypes=NARROWER)
class Float64Throughout(Fused):
    """Everything in float64, rounded once."""

    def __init__(self, xp: Any, logits: Array, target: Array, *, weight: Array | None = None, **options: Any) -> None:
        soft = target.ndim == logits.ndim and target.dtype == logits.dtype
        wide = None if weight is None else weight.astype(np.float64)
        super().__init__(
            xp, logits.astype(np.float64), target.astype(np.float64) if soft else target, weight=wide, **options
        )
        self.given = logits.dtype
