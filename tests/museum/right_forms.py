"""Right implementations in NumPy that write the loss, its smoothing or the label's gradient in another form."""

from __future__ import annotations

import numpy as np

from .base import Array, Fault
from .fused import Fused
from .right import right

FAULTS: list[Fault] = []

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
