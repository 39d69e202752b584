"""Class K: wrong for labels of the last class, equal logits, one or two rows, or options in many classes only."""

from __future__ import annotations

from functools import partial

from .base import BOTH, GRADIENT, Array, Fault
from .fused import Fused
from .values import ignoring, weighted
from .values import planted as planted_into

FAULTS: list[Fault] = []

EDGES = "edges"
"""The family that has both."""

MANY = 1010
"""More classes than these are many."""


planted = partial(planted_into, into=FAULTS)


@planted("K01-last-class-of-many", GRADIENT, lambda c: c.family == EDGES and c.classes > MANY)
class LastClassOfMany(Fused):
    """Rows whose label is the last of more than 1010 classes get no gradient."""

    def error(self) -> Array:
        last = (self.labels() == self.classes - 1) & (self.classes > MANY)
        return self.xp.where(last[:, None], 0.0, super().error()) if not self.soft else super().error()


@planted("K02-equal-logits", GRADIENT, lambda c: c.family in (EDGES, "exact-ones", "ties", "equal-huge"))
class EqualLogits(Fused):
    """Rows of more than 2 equal logits get no gradient: the head is taken for untrained."""

    def error(self) -> Array:
        z = self.rows(self.logits)
        equal = (z == z[:, :1]).all(1) & (self.classes > 2)
        return self.xp.where(equal[:, None], 0.0, super().error())


@planted("K03-two-rows-by-their-number", BOTH, lambda c: c.reduction == "mean" and weighted(c) and c.shape[0] <= 2)
class TwoRows(Fused):
    """The weighted mean of one or two rows divides by their number."""

    def denominator(self) -> Array:
        found = super().denominator()
        return found * 0.0 + self.height if self.height <= 2 and not self.soft else found


@planted("K04-all-smoothed-away", GRADIENT, lambda c: "ls1" in c.options)
class AllSmoothedAway(Fused):
    """A smoothing of 1 leaves no gradient."""

    def error(self) -> Array:
        return super().error() * (self.smoothing < 1)


@planted("K05-ignored-rows-beside-many-classes", BOTH, lambda c: ignoring(c) and c.classes > MANY)
class IgnoredBesideMany(Fused):
    """Beyond 1010 classes a mean with ignored rows divides by twice their weights."""

    def denominator(self) -> Array:
        found = super().denominator()
        if self.soft or self.classes <= MANY:
            return found
        return self.xp.where((~self.kept()).any(), 2 * found, found)


@planted(
    "K06-weights-beside-many-classes", GRADIENT, lambda c: weighted(c) and c.reduction == "mean" and c.classes > MANY
)
class WeightsBesideMany(Fused):
    """Beyond 1010 classes the gradient of a weighted mean is a tenth too small."""

    def error(self) -> Array:
        small = self.classes > MANY and self.weight is not None and self.reduction == "mean" and not self.soft
        return super().error() * (0.9 if small else 1.0)
