"""Classes C and D: ignored rows, class weights, label smoothing and soft targets."""

from __future__ import annotations

from xentcheck.cases.case import Case
from xentcheck.cases.fields import SOFT

from .base import BOTH, ERROR, GRADIENT, NO_THREAD, VALUE, Array, CrossEntropy, Fault, fault, options

FAULTS: list[Fault] = []


@fault(FAULTS, "C30-ignored-rows-keep-gradient", "Paddle#28622", GRADIENT, options("ign"))
class IgnoredRowsKeepGradient(CrossEntropy):
    """Forward masks ignored rows, backward leaves their softmax in the gradient."""

    def error(self) -> Array:
        return self.xp.where(self.kept()[:, None], super().error(), self.a())


@fault(FAULTS, "C31-ignored-rows-are-smoothed", "pytorch#73205", BOTH, options("ls", "ign"))
class IgnoredRowsAreSmoothed(CrossEntropy):
    """The mask reaches the likelihood only, not the smoothing term."""

    def q(self) -> Array:
        found = super().q()
        return found if self.soft else self.xp.where(self.kept()[:, None], found, self.uniform())


@fault(FAULTS, "C32-sentinel-as-index", "pytorch#69339", ERROR, options("w", "ign"))
class SentinelAsIndex(CrossEntropy):
    """weight[target] before the mask: the sentinel -100 is out of range."""

    def denominator(self) -> Array:
        if self.weight is None or self.soft:
            return super().denominator()
        return (self.weight[self.labels()] * self.cast(self.kept())).sum()


@fault(FAULTS, "C32-sentinel-wraps", "OpenNMT-py#1463", BOTH, options("ign"))
class SentinelWraps(CrossEntropy):
    """An index of the sentinel modulo C: ignored rows count as rows of that class."""

    def labels(self) -> Array:
        return self.target.reshape(-1) % self.classes


@fault(FAULTS, "C34-ignores-non-negative-only", "pytorch#95833", BOTH, options("ign"))
class IgnoresNonNegativeOnly(CrossEntropy):
    """Masks only if ignore_index >= 0: the default sentinel's rows count as rows of the last class."""

    def labels(self) -> Array:
        labels = self.target.reshape(-1)
        return self.xp.where(labels < 0, self.classes - 1, labels)


@fault(FAULTS, "C34-hard-coded-sentinel", "Paddle#50145", BOTH, options("ign1"))
class HardCodedSentinel(CrossEntropy):
    """Ignores -100 whatever ignore_index says."""

    def kept(self) -> Array:
        return super().kept() if self.soft else self.labels() != -100


@fault(FAULTS, "C34-drops-the-column", "pytorch#63004", BOTH, options("ign1"))
class DropsTheColumn(CrossEntropy):
    """The class ignore_index leaves the softmax's sum too."""

    def parts(self) -> tuple[Array, Array, Array]:
        t, e, _ = super().parts()
        column = self.xp.arange(self.classes) == self.ignore_index
        e = self.xp.where(column[None, :], 0.0, e)
        return t, e, e.sum(1, keepdims=True)


@fault(FAULTS, "C38-sentinel-narrowed", NO_THREAD, BOTH, options("ignwide"))
class SentinelNarrowed(CrossEntropy):
    """ignore_index is compared as 32 bits: 2^32 becomes class 0."""

    def kept(self) -> Array:
        return super().kept() if self.soft else self.labels() != self.ignore_index % 2**32


@fault(FAULTS, "C36-mask-inverted", "sockeye#200", BOTH, options("ign"))
class MaskInverted(CrossEntropy):
    """Keeps the ignored rows and drops the others from the sums."""

    def q(self) -> Array:
        return self.xp.where(self.kept()[:, None], 0.0, self.hot() + self.uniform())


@fault(FAULTS, "D40-smoothing-over-other-classes", "Megatron-LM#737", BOTH, options("ls"))
class SmoothingOverOtherClasses(CrossEntropy):
    """eps/(C-1) per class instead of eps/C."""

    def uniform(self) -> Array:
        return super().uniform() * (self.classes / max(self.classes - 1, 1))


@fault(FAULTS, "D40-complement-of-smoothing", "aprender#2199", BOTH, options("ls"))
class ComplementOfSmoothing(CrossEntropy):
    """(1-eps)/C per class instead of eps/C."""

    def uniform(self) -> Array:
        factor = (1 - self.smoothing) / self.smoothing if self.smoothing else 1.0
        return super().uniform() * factor


@fault(FAULTS, "D40-smoothing-by-one", "ConvE#55", BOTH, options("ls"))
class SmoothingByOne(CrossEntropy):
    """1/C per class instead of eps/C."""

    def uniform(self) -> Array:
        return super().uniform() / self.smoothing if self.smoothing else super().uniform()


@fault(FAULTS, "D42-smoothing-dropped", "Liger-Kernel#243", BOTH, options("ls"))
class SmoothingDropped(CrossEntropy):
    """label_smoothing is accepted and not passed on."""

    def __init__(self, *args: object, label_smoothing: float = 0.0, **given: object) -> None:
        super().__init__(*args, **given)  # type: ignore[arg-type]  # a fault takes whatever the loss takes


@fault(FAULTS, "D42-smoothing-dropped-in-backward", NO_THREAD, GRADIENT, options("ls"))
class SmoothingDroppedInBackward(CrossEntropy):
    """Backward is that of the loss without smoothing."""

    def gradient(self, upstream: Array) -> Array:
        self.smoothing = 0.0
        return super().gradient(upstream)


@fault(FAULTS, "D42-weights-dropped-in-backward", NO_THREAD, GRADIENT, options("w"))
class WeightsDroppedInBackward(CrossEntropy):
    """Backward is that of the loss without class weights."""

    def gradient(self, upstream: Array) -> Array:
        self.weight = None
        return super().gradient(upstream)


@fault(FAULTS, "D42-weights-dropped-in-forward", NO_THREAD, VALUE, options("w"))
class WeightsDroppedInForward(CrossEntropy):
    """Forward is that of the loss without class weights."""

    def value(self) -> Array:
        given, self.weight = self.weight, None
        found = super().value()
        self.weight = given
        return found


@fault(FAULTS, "D43-label-weight-on-smoothing", "pytorch#72047", BOTH, options("w", "ls"))
class LabelWeightOnSmoothing(CrossEntropy):
    """The smoothing term has the label's weight instead of each class's own."""

    def uniform(self) -> Array:
        if self.soft:
            return super().uniform()
        label_weight = (self.hot() * self.weights()).sum(1, keepdims=True)
        return label_weight * (self.smoothing / self.classes) * self.xp.ones_like(self.weights())


def smoothed_rows(case: Case) -> bool:
    """Target rows under label smoothing."""
    return case.target in SOFT and bool({"ls", "lsh"} & set(case.options))


@fault(FAULTS, "D42-smoothing-dropped-for-probabilities", NO_THREAD, BOTH, smoothed_rows)
class SmoothingDroppedForProbabilities(CrossEntropy):
    """label_smoothing is applied to class indices only."""

    def __init__(self, *args: object, **given: object) -> None:
        super().__init__(*args, **given)  # type: ignore[arg-type]  # a fault takes whatever the loss takes
        self.smoothing = 0.0 if self.soft else self.smoothing


@fault(FAULTS, "D40-smoothing-twice", NO_THREAD, BOTH, smoothed_rows)
class SmoothingTwice(CrossEntropy):
    """Rows of probabilities are smoothed where they are made, and once more in the loss."""

    def q(self) -> Array:
        found = super().q()
        return found * (1 - self.smoothing) + self.uniform() if self.soft else found


@fault(FAULTS, "D40-smoothing-added-only", NO_THREAD, BOTH, smoothed_rows)
class SmoothingAddedOnly(CrossEntropy):
    """eps/C is added to rows of probabilities that are not multiplied by 1 - eps."""

    def q(self) -> Array:
        return self.rows(self.target) * self.weights() + self.uniform() if self.soft else super().q()


@fault(FAULTS, "D40-smoothing-outside-weights", NO_THREAD, BOTH, lambda c: smoothed_rows(c) and "w" in c.options)
class SmoothingOutsideWeights(CrossEntropy):
    """Rows of probabilities get their class weights before they are smoothed."""

    def q(self) -> Array:
        if not self.soft:
            return super().q()
        return self.rows(self.target) * self.weights() * (1 - self.smoothing) + self.smoothing / self.classes


@fault(FAULTS, "D44-targets-clipped", NO_THREAD, BOTH, lambda c: c.target == "signed")
class TargetsClipped(CrossEntropy):
    """Entries of target rows are clipped to 0 to 1."""

    def rows(self, x: Array) -> Array:
        found = super().rows(x)
        return self.xp.clip(found, 0.0, 1.0) if self.soft and x is self.target else found


@fault(FAULTS, "D44-negative-entries-masked", NO_THREAD, BOTH, lambda c: c.target == "signed")
class NegativeEntriesMasked(CrossEntropy):
    """Entries of target rows below 0 do not count."""

    def q(self) -> Array:
        found = super().q()
        return self.xp.where(self.rows(self.target) >= 0, found, 0.0) if self.soft else found


@fault(FAULTS, "D44-rows-assumed-to-sum-to-one", NO_THREAD, GRADIENT, lambda c: c.target == "prob")
class RowsAssumedToSumToOne(CrossEntropy):
    """a - q instead of a sum(q) - q."""

    def error(self) -> Array:
        return self.a() - self.q() if self.soft else super().error()
