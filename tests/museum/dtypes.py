"""Class I: wrong in one dtype only, or by its range and precision."""

from __future__ import annotations

from typing import Any

from xentcheck.cases.case import Case
from xentcheck.cases.fields import WEIGHTS

from .base import BOTH, GRADIENT, NO_THREAD, VALUE, Array, Fault, Where, anywhere, fault
from .fused import Fused

FAULTS: list[Fault] = []


def planted(name: str, dtype: str, caught: frozenset[str], among: Where = anywhere) -> Any:
    """A fault of one dtype in an implementation that may promise `fused`."""
    return fault(FAULTS, name, NO_THREAD, caught, among, dtype=dtype, honest="fused")


def weighted(case: Case) -> bool:
    """The cases with class weights."""
    return any(option in WEIGHTS for option in case.options)


class OneDtype(Fused):
    """What a fault needs to know where it is."""

    @property
    def dtype(self) -> str:
        """The name of the logits' dtype."""
        return str(self.given).removeprefix("torch.")


@planted("I01-zero-gradient-in-bfloat16-above-256-classes", "bfloat16", GRADIENT, lambda c: c.classes > 256)
class ZeroInBfloat16(OneDtype):
    """The gradient is 0 in bfloat16 above 256 classes."""

    def gradient(self, upstream: Array) -> Array:
        return super().gradient(upstream) * (self.classes <= 256 or self.dtype != "bfloat16")


@planted("I01-huge-gradient-in-bfloat16-above-256-classes", "bfloat16", GRADIENT, lambda c: c.classes > 256)
class HugeInBfloat16(OneDtype):
    """The gradient is 10^30 times too large in bfloat16 above 256 classes."""

    def error(self) -> Array:
        return super().error() * (1e30 if self.classes > 256 and self.dtype == "bfloat16" else 1.0)


@planted("I01-zero-gradient-in-float16-above-1003-classes", "float16", GRADIENT, lambda c: c.classes > 1003)
class ZeroInFloat16(OneDtype):
    """The gradient is 0 in float16 above 1003 classes."""

    def gradient(self, upstream: Array) -> Array:
        return super().gradient(upstream) * (self.classes <= 1003 or self.dtype != "float16")


@planted("I02-label-alone-gets-gradient-in-bfloat16", "bfloat16", GRADIENT, lambda c: c.target == "index")
class LabelAloneInBfloat16(OneDtype):
    """In bfloat16 all columns but the label's stay 0."""

    def error(self) -> Array:
        found = super().error()
        return found if self.soft or self.dtype != "bfloat16" else self.xp.where(self.hot() != 0, found, 0.0)


@planted("I02-label-gets-no-gradient-in-float16", "float16", GRADIENT, lambda c: c.target == "index")
class LabelWithoutGradientInFloat16(OneDtype):
    """In float16 nothing is subtracted at the label."""

    def error(self) -> Array:
        q = self.q()
        return self.a() * q.sum(1, keepdims=True) if self.dtype == "float16" and not self.soft else super().error()


@planted("I02-off-label-doubled-in-bfloat16-above-30-classes", "bfloat16", GRADIENT, lambda c: c.classes > 30)
class OffLabelDoubledInBfloat16(OneDtype):
    """In bfloat16 above 30 classes the columns but the label's are twice as large."""

    def error(self) -> Array:
        found = super().error()
        if self.soft or self.classes <= 30 or self.dtype != "bfloat16":
            return found
        return self.xp.where(self.hot() != 0, found, 2 * found)


@planted("I03-weights-dropped-in-bfloat16", "bfloat16", BOTH, weighted)
class WeightsDroppedInBfloat16(OneDtype):
    """There are no class weights in bfloat16."""

    def weights(self) -> Array:
        found = super().weights()
        return self.xp.ones_like(found) if self.dtype == "bfloat16" else found


@planted("I03-smoothing-dropped-in-backward-in-float16", "float16", GRADIENT, lambda c: "ls" in c.options)
class SmoothingDroppedInFloat16(OneDtype):
    """Backward leaves the smoothing out in float16."""

    def gradient(self, upstream: Array) -> Array:
        self.smoothing = 0.0 if self.dtype == "float16" else self.smoothing
        return super().gradient(upstream)


@planted("I03-ignored-rows-keep-gradient-in-bfloat16", "bfloat16", GRADIENT, lambda c: "ign" in c.options)
class IgnoredRowsInBfloat16(OneDtype):
    """Ignored rows keep their softmax in the gradient in bfloat16."""

    def error(self) -> Array:
        found = super().error()
        return self.xp.where(self.kept()[:, None], found, self.a()) if self.dtype == "bfloat16" else found


@planted("I03-probabilities-unweighted-in-float16", "float16", BOTH, lambda c: c.target == "prob" and weighted(c))
class ProbabilitiesUnweighted(OneDtype):
    """The class weights do not reach probabilities in float16."""

    def weights(self) -> Array:
        found = super().weights()
        return self.xp.ones_like(found) if self.soft and self.dtype == "float16" else found


@planted("I04-label-in-bfloat16", "bfloat16", BOTH, lambda c: c.classes > 512 and c.target == "index")
class LabelInBfloat16(OneDtype):
    """The label is kept as a bfloat16: above 256 it is rounded to every second class, then to every fourth."""

    def hot(self) -> Array:
        labels = self.labels()[:, None]
        if self.dtype != "bfloat16":
            return super().hot()
        rounded = self.xp.where(labels < 256, labels, self.xp.where(labels < 512, labels // 2 * 2, labels // 4 * 4))
        return self.cast(self.xp.arange(self.classes) == rounded)


@planted("I05-no-losses-in-bfloat16", "bfloat16", VALUE, lambda c: c.reduction == "none")
class NoLossesInBfloat16(OneDtype):
    """The losses of the rows are 0 in bfloat16 if nothing reduces them."""

    def value(self) -> Array:
        return super().value() * (self.reduction != "none" or self.dtype != "bfloat16")


@planted("I05-float32-above-1003-classes", "float64", BOTH, lambda c: c.classes > 1003)
class Float32Above1003(OneDtype):
    """The softmax of float64 goes through float32 above 1003 classes."""

    def exp(self, t: Array) -> Array:
        found = super().exp(t)
        return self.cast(self.xp.asarray(found, dtype=self.xp.float32)) if self.classes > 1003 else found


@planted("I05-float32-exponents-of-sums", "float64", BOTH, lambda c: c.reduction == "sum")
class Float32Exponents(OneDtype):
    """The exponents of float64 go through float32 if the reduction is a sum."""

    def exp(self, t: Array) -> Array:
        rounded = self.cast(self.xp.asarray(t, dtype=self.xp.float32))
        return super().exp(rounded if self.reduction == "sum" and self.dtype == "float64" else t)
