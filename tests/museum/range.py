"""Class A: range, stability and precision."""

from __future__ import annotations

from .base import BOTH, GRADIENT, NO_THREAD, VALUE, Array, CrossEntropy, Fault, families, fault

FAULTS: list[Fault] = []


@fault(FAULTS, "A01-no-shift", "pytorch#62897", BOTH, families("common-offset"))
class NoShift(CrossEntropy):
    """The maximum is not subtracted."""

    def shift(self, z: Array) -> Array:
        return self.xp.zeros_like(z[:, :1])


@fault(FAULTS, "A01-log-of-naive-sum", "tensorflow-onnx#1248", VALUE, families("very-negative"))
class NaiveSum(CrossEntropy):
    """Forward: log(sum(exp z)) without a shift; the backward is stable."""

    def log_a(self) -> Array:
        z = self.rows(self.logits)
        return z - self.xp.log(self.xp.exp(z).sum(1, keepdims=True))


@fault(FAULTS, "A01-maximum-of-all-rows", "pytorch#196705", BOTH, families("very-negative"))
class MaximumOfAllRows(CrossEntropy):
    """One maximum for the whole batch: rows far below it underflow."""

    def shift(self, z: Array) -> Array:
        return self.xp.amax(z) * self.xp.ones_like(z[:, :1])


@fault(FAULTS, "A02-recombined-offset", "pytorch#11752", VALUE, families("common-offset"), contract="fused")
class RecombinedOffset(CrossEntropy):
    """log a = z - (m + log S): the offset's rounding error enters the loss."""

    def log_a(self) -> Array:
        z = self.rows(self.logits)
        total = self.parts()[2]
        return z - (self.shift(z) + self.xp.log(total))


@fault(FAULTS, "A04-log-of-clipped-softmax", "keras#17634", VALUE, families("confident", "saturated-miss"))
class LogOfClippedSoftmax(CrossEntropy):
    """log(clip(a, 1e-7)): the loss cannot exceed 16.1."""

    def log_a(self) -> Array:
        return self.xp.log(self.xp.clip(self.a(), 1e-7, 1.0))


@fault(FAULTS, "A04-log-of-softmax", "pytorch#795", VALUE, families("saturated-miss"))
class LogOfSoftmax(CrossEntropy):
    """log(softmax): inf where the probability underflows."""

    def log_a(self) -> Array:
        return self.xp.log(self.a())


@fault(FAULTS, "A04-gradient-of-log-of-softmax", "Theano#3162", GRADIENT, families("saturated-miss"))
class GradientOfLogOfSoftmax(CrossEntropy):
    """Backward through softmax of q / a: nan or 0 where a underflows."""

    def error(self) -> Array:
        a, q = self.a(), self.q()
        back = -self.xp.where(q != 0, q / a, 0.0)
        return a * (back - (back * a).sum(1, keepdims=True))


@fault(FAULTS, "A04-epsilon-in-denominator", NO_THREAD, GRADIENT, families("gaussian"))
class EpsilonInDenominator(CrossEntropy):
    """Backward: e / (S + 1e-5)."""

    def a(self) -> Array:
        _, e, total = self.parts()
        return e / (total + 1e-5)


@fault(FAULTS, "A05-zero-times-infinity", "optax#896", VALUE, families("masked"))
class ZeroTimesInfinity(CrossEntropy):
    """-(q log a).sum() over all classes: nan if a class is masked."""

    def losses(self) -> Array:
        return -(self.q() * self.log_a()).sum(1)


@fault(FAULTS, "A09-losses-summed-in-half-precision", "transformers#10674", VALUE, families("near-overflow"))
class LossesSummedInHalfPrecision(CrossEntropy):
    """The losses go through half precision before they are reduced: inf beyond 65504."""

    def reduce(self, losses: Array) -> Array:
        return super().reduce(self.cast(self.xp.asarray(losses, dtype=self.xp.float16)))


@fault(FAULTS, "A10-float32-loss-of-float64", "pytorch#64163", VALUE, families("gaussian"), dtype="float64")
class Float32Loss(CrossEntropy):
    """The losses are accumulated in float32, whatever the dtype."""

    def losses(self) -> Array:
        return self.cast(self.xp.asarray(super().losses(), dtype=self.xp.float32))


@fault(
    FAULTS, "A10-float32-softmax-of-float64", "TransformerEngine#3193", GRADIENT, families("gaussian"), dtype="float64"
)
class Float32Softmax(CrossEntropy):
    """Backward: the saved softmax is float32."""

    def a(self) -> Array:
        return self.cast(self.xp.asarray(super().a(), dtype=self.xp.float32))


@fault(FAULTS, "A10-half-precision-logarithm", "optax#1020", VALUE, families("gaussian"))
class HalfLogarithm(CrossEntropy):
    """The logarithm of the sum is rounded to half precision before it is subtracted."""

    def log_a(self) -> Array:
        t, _, total = self.parts()
        return t - self.cast(self.xp.asarray(self.xp.log(total), dtype=self.xp.float16))


@fault(FAULTS, "A10-half-precision-softmax", "marin#8217", GRADIENT, families("gaussian"))
class HalfSoftmax(CrossEntropy):
    """Backward: the saved softmax went through half precision; forward is right."""

    def a(self) -> Array:
        return self.cast(self.xp.asarray(super().a(), dtype=self.xp.float16))


@fault(FAULTS, "A10-half-precision-sum", "pytorch#29429", BOTH, families("gaussian"))
class HalfSum(CrossEntropy):
    """The exponentials are summed in half precision."""

    def parts(self) -> tuple[Array, Array, Array]:
        t, e, _ = super().parts()
        return t, e, self.cast(self.xp.asarray(e, dtype=self.xp.float16).sum(1, keepdims=True))


@fault(FAULTS, "A10-fast-exponential", NO_THREAD, BOTH, families("gaussian", "few-active"))
class FastExponential(CrossEntropy):
    """exp(t) with a relative error of 1e-4 that grows with t, as a table or a short series has it."""

    def exp(self, t: Array) -> Array:
        return self.xp.where(t < -80, 0.0, self.xp.exp(t) * (1 + 1e-4 * t))


@fault(FAULTS, "A11-maximum-gets-gradient", "jax#13529", GRADIENT, families("ties"))
class MaximumGetsGradient(CrossEntropy):
    """Backward through the maximum with a factor of 1.001 on its share."""

    def error(self) -> Array:
        found = super().error()
        z = self.rows(self.logits)
        top = self.cast(z == self.shift(z))
        return found + 1e-3 * top / top.sum(1, keepdims=True)
