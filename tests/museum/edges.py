"""Class K: wrong for labels of the last class, equal logits, one or two rows, options in many classes, equal weights,
the sentinel 0, a smoothing of 1, a scaled loss, a last axis of 1, 12 to 30 classes, full blocks of rows, small or large
smoothing, a single weight, labels that are all the same, or as many pixels as classes only.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from xentcheck.reference.problem import NO_IGNORE

from .base import BOTH, GRADIENT, Array, Fault
from .fused import Fused
from .thresholds import rows_of
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


@planted("K07-equal-weights-are-none", BOTH, lambda c: "weq" in c.options and c.reduction == "none")
class EqualWeights(Fused):
    """Class weights that are all equal are taken for none, as if they cancelled in every reduction."""

    def weights(self) -> Array:
        w = super().weights()
        return self.xp.where((w == w[:1]).all(), self.xp.ones_like(w), w)


@planted("K08-sentinel-0-is-none", BOTH, lambda c: "ign0" in c.options)
class SentinelZero(Fused):
    """An ignore_index of 0 is taken for none: `if ignore_index`."""

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **given)
        self.ignore_index = self.ignore_index or NO_IGNORE


@planted("K09-smoothed-away-unweighted", BOTH, lambda c: "ls1" in c.options and weighted(c))
class SmoothedAwayUnweighted(Fused):
    """A smoothing of 1 leaves out the class weights."""

    def uniform(self) -> Array:
        found = super().uniform()
        return self.xp.zeros_like(found) + self.smoothing / self.classes if self.smoothing == 1 else found


@planted("K10-scaled-loss-clipped", GRADIENT, lambda c: c.upstream == "scale")
class ScaledLossClipped(Fused):
    """The upstream gradient of a mean or a sum is clipped at 1000."""

    def factor(self, upstream: Array) -> Array:
        return super().factor(upstream if self.reduction == "none" else self.xp.clip(upstream, -1000.0, 1000.0))


@planted("K11-last-axis-of-one", GRADIENT, lambda c: len(c.shape) > 2 and c.shape[-1] == 1)
class LastAxisOfOne(Fused):
    """Logits (N, C, 1) get the gradient of half of their loss."""

    def error(self) -> Array:
        return super().error() * (0.5 if self.logits.ndim > 2 and self.logits.shape[-1] == 1 else 1.0)


@planted("K12-half-a-warp", GRADIENT, lambda c: 11 < c.classes < 31)
class HalfAWarp(Fused):
    """From 12 to 30 classes the gradient is halved."""

    def error(self) -> Array:
        return super().error() * (0.5 if 11 < self.classes < 31 else 1.0)


@planted("K13-full-blocks-of-rows-twice", BOTH, lambda c: rows_of(c) % 256 == 0 < rows_of(c))
class FullBlocksOfRows(Fused):
    """The rows that blocks of 256 leave over are z[-rest:]: where nothing is left over, all of them once more."""

    def q(self) -> Array:
        found = super().q()
        return found * 2 if self.height % 256 == 0 else found


@planted("K14-small-smoothing-is-none", BOTH, lambda c: "ls01" in c.options)
class SmallSmoothing(Fused):
    """A smoothing below 1/20 is 0."""

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **given)
        self.smoothing *= self.smoothing >= 0.05


@planted("K14-smoothing-at-most-three-quarters", BOTH, lambda c: "ls9" in c.options)
class LargeSmoothing(Fused):
    """A smoothing between 3/4 and 1 is 3/4."""

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **given)
        self.smoothing = 0.75 if 0.75 < self.smoothing < 1 else self.smoothing


@planted("K15-one-weight-counts-all-rows", BOTH, lambda c: "wone" in c.options and c.reduction == "mean")
class OneWeight(Fused):
    """Where one class alone has a weight, the mean divides by all rows."""

    def denominator(self) -> Array:
        found = super().denominator()
        one = self.weight is not None and int((self.weight != 0).sum()) == 1
        return found * 0.0 + self.height if one and not self.soft and self.classes > 1 else found


@planted("K16-labels-that-are-all-0-are-none", BOTH, lambda c: c.target == "low")
class LabelsAllZero(Fused):
    """Labels of which none is true are no labels."""

    def q(self) -> Array:
        found = super().q()
        return found if self.soft or self.height == 0 or bool((self.labels() != 0).any()) else found * 0


@planted("K16-labels-of-the-last-class-alone", GRADIENT, lambda c: c.target == "top")
class LabelsAllLast(Fused):
    """Where all labels are the last class, there is no gradient."""

    def error(self) -> Array:
        found = super().error()
        last = not self.soft and self.height > 0 and bool((self.labels() == self.classes - 1).all())
        return found * (not last)


@planted("K17-pixels-as-many-as-classes", BOTH, lambda c: len(c.shape) > 2 and c.shape[1] == c.shape[-1])
class PixelsAsClasses(Fused):
    """Where the last axis is as long as the classes, it is taken for theirs."""

    def rows(self, x: Array) -> Array:
        return x.reshape(-1, self.classes) if self._last(x) else super().rows(x)

    def unrows(self, x: Array) -> Array:
        return x.reshape(self.logits.shape) if self._last(self.logits) else super().unrows(x)

    def _last(self, x: Array) -> bool:
        return bool(x.ndim == self.logits.ndim > 2 and self.logits.shape[-1] == self.classes)
