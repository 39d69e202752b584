"""Class J: wrong for one value of an option, an upstream gradient or a mask only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from xentcheck.cases.fields import WEIGHTS

from .base import BOTH, GRADIENT, NO_THREAD, VALUE, Array, Fault, Where, anywhere, fault
from .fused import Fused

FAULTS: list[Fault] = []


def planted(
    name: str, caught: frozenset[str], among: Where = anywhere, into: list[Fault] = FAULTS
) -> Callable[[Any], Any]:
    """A fault in an implementation that may promise `fused`."""
    return fault(into, name, NO_THREAD, caught, among, honest="fused")


def weighted(case: Any) -> bool:
    """The cases with class weights."""
    return any(option in WEIGHTS for option in case.options)


def ignoring(case: Any) -> bool:
    """The cases with ignored rows."""
    return any(option.startswith(("ign", "allign")) for option in case.options)


@planted("J01-weights-of-one-are-summed", BOTH, lambda c: c.reduction == "mean" and "w1" in c.options)
class WeightsOfOne(Fused):
    """If all class weights are 1, the mean divides by all of them."""

    def denominator(self) -> Array:
        ones = self.weight is not None and bool((self.weight == 1).all())
        return self.weights().sum() if ones else super().denominator()


@planted("J01-weights-clipped-at-4", BOTH, lambda c: "wx" in c.options)
class WeightsClipped(Fused):
    """Class weights above 4 are 4."""

    def weights(self) -> Array:
        return self.xp.clip(super().weights(), None, 4.0)


@planted("J01-smoothing-at-most-a-quarter", BOTH, lambda c: "lsh" in c.options)
class SmoothingAtMostAQuarter(Fused):
    """Smoothing of a half is a quarter."""

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **given)
        self.smoothing = min(self.smoothing, 0.25)


@planted("J01-large-sentinel-keeps-gradient", GRADIENT, lambda c: "ignbig" in c.options)
class LargeSentinel(Fused):
    """Rows that are ignored by a sentinel above every class keep their softmax in the gradient."""

    def error(self) -> Array:
        found = super().error()
        large = self.classes <= self.ignore_index < 2**31
        return self.xp.where(self.kept()[:, None], found, self.a()) if large and not self.soft else found


@planted("J01-last-class-as-sentinel-keeps-gradient", GRADIENT, lambda c: "igntop" in c.options)
class LastClassAsSentinel(Fused):
    """Rows that are ignored by the last class keep their softmax in the gradient."""

    def error(self) -> Array:
        found = super().error()
        last = 1 < self.ignore_index == self.classes - 1
        return self.xp.where(self.kept()[:, None], found, self.a()) if last and not self.soft else found


@planted("J01-sentinel-of-minus-one-keeps-gradient", GRADIENT, lambda c: "ignminus" in c.options)
class MinusOneAsSentinel(Fused):
    """Rows that are ignored by -1 keep their softmax in the gradient."""

    def error(self) -> Array:
        found = super().error()
        given = self.ignore_index == -1 and not self.soft
        return self.xp.where(self.kept()[:, None], found, self.a()) if given else found


@planted("J01-large-weights-clipped", BOTH, lambda c: "wfar" in c.options)
class LargeWeightsClipped(Fused):
    """Class weights above 100 are 100."""

    def weights(self) -> Array:
        return self.xp.clip(super().weights(), None, 100.0)


@planted("J03-upstream-of-a-loss-scaled-by-2^16-is-clipped", GRADIENT, lambda c: c.upstream == "amp")
class ScaledLoss(Fused):
    """An upstream gradient above 20000 is 20000."""

    def factor(self, upstream: Array) -> Array:
        return super().factor(self.xp.clip(upstream, None, 20000.0))


@planted("J03-upstream-below-a-quarter-is-one", GRADIENT, lambda c: c.upstream == "eighth" and c.reduction == "mean")
class AccumulatedSteps(Fused):
    """An upstream gradient of the mean between 0 and 1/4 counts as 1."""

    def factor(self, upstream: Array) -> Array:
        small = self.reduction == "mean" and 0 < float(upstream.sum()) < 0.25
        return super().factor(self.xp.ones_like(upstream) if small else upstream)


@planted("J02-sum-keeps-ignored-rows", GRADIENT, lambda c: c.reduction == "sum" and ignoring(c))
class SumKeepsIgnoredRows(Fused):
    """Ignored rows keep their softmax in the gradient if the reduction is a sum."""

    def error(self) -> Array:
        found = super().error()
        kept = self.kept()[:, None]
        return self.xp.where(kept, found, self.a()) if self.reduction == "sum" and not self.soft else found


@planted("J02-unreduced-losses-unweighted", VALUE, lambda c: c.reduction == "none" and weighted(c))
class UnreducedUnweighted(Fused):
    """The losses of the rows are those without class weights if nothing reduces them."""

    def losses(self) -> Array:
        given = self.weight
        self.weight = None if self.reduction == "none" else given
        found = super().losses()
        self.weight = given
        return found


@planted("J03-upstream-of-zero-is-one", GRADIENT, lambda c: c.upstream == "zero")
class UpstreamOfZero(Fused):
    """An upstream gradient of 0 counts as none given."""

    def factor(self, upstream: Array) -> Array:
        found = super().factor(upstream)
        return self.xp.where(found == 0, self.xp.ones_like(found), found)


@planted(
    "J03-upstream-of-zero-with-probabilities",
    GRADIENT,
    lambda c: c.upstream == "zero" and c.target in ("prob", "signed"),
)
class UpstreamOfZeroWithProbabilities(UpstreamOfZero):
    """The same for rows of probabilities alone."""

    def factor(self, upstream: Array) -> Array:
        return super().factor(upstream) if self.soft else Fused.factor(self, upstream)


@planted("J03-tiny-upstream-is-zero", GRADIENT, lambda c: c.upstream == "tiny")
class TinyUpstream(Fused):
    """An upstream gradient below 1e-12 is 0."""

    def factor(self, upstream: Array) -> Array:
        found = super().factor(upstream)
        return self.xp.where(abs(found) < 1e-12, self.xp.zeros_like(found), found)


@planted("J03-huge-upstream-is-clipped", GRADIENT, lambda c: c.upstream == "huge")
class HugeUpstream(Fused):
    """An upstream gradient is clipped at 1000."""

    def factor(self, upstream: Array) -> Array:
        return self.xp.clip(super().factor(upstream), -1000.0, 1000.0)


@planted("J03-upstream-without-sign", GRADIENT, lambda c: c.reduction == "none")
class UpstreamWithoutSign(Fused):
    """Upstream gradients of rows lose their sign."""

    def factor(self, upstream: Array) -> Array:
        found = super().factor(upstream)
        return abs(found) if self.reduction == "none" else found


@planted("J04-first-row-ignored-ends-all", BOTH, lambda c: "ignfirst" in c.options)
class FirstRowIgnored(Fused):
    """If the first row is ignored, all are."""

    def q(self) -> Array:
        found = super().q()
        return found if self.soft or self.height == 0 else found * self.kept()[:1, None]


@planted("J04-last-row-ignored-counts", BOTH, lambda c: "ignlast" in c.options)
class LastRowIgnored(Fused):
    """If the last row is ignored, the mean divides by one more."""

    def denominator(self) -> Array:
        found = super().denominator()
        return found if self.soft else found + self.cast(~self.kept()[-1:]).sum()


@planted("J04-most-rows-ignored-count-half", BOTH, lambda c: "ignmost" in c.options)
class MostRowsIgnored(Fused):
    """The mean divides by half of the rows at least."""

    def denominator(self) -> Array:
        found = super().denominator()
        return found if self.soft else self.xp.clip(found, self.height / 2, None)


@planted("J04-second-of-two-neighbours-keeps-gradient", GRADIENT, lambda c: "ignpair" in c.options)
class SecondOfTwoNeighbours(Fused):
    """An ignored row after another keeps its softmax in the gradient."""

    def error(self) -> Array:
        found, kept = super().error(), self.kept()
        after = ~kept & ~self.xp.roll(kept, 1) & (self.xp.arange(self.height) > 0)
        return found if self.soft else self.xp.where(after[:, None], self.a(), found)
