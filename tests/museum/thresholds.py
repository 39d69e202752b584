"""Class H: wrong above a number of classes only, or for one number of rows."""

from __future__ import annotations

from typing import Any

from xentcheck.cases import Case

from .base import BOTH, GRADIENT, NO_THREAD, Array, Fault, Where, fault
from .fused import Fused

FAULTS: list[Fault] = []


def above(classes: int, option: str = "") -> Where:
    """The cases with more classes, and with an option whose name starts so."""
    return lambda case: case.classes > classes and (not option or any(o.startswith(option) for o in case.options))


def rows_of(case: Case) -> int:
    """How many rows a case has."""
    n = 1
    for axis, size in enumerate(case.shape):
        n *= size if len(case.shape) > 1 and axis != 1 else 1
    return n


def rows(wanted: Any) -> Where:
    """The cases whose number of rows is wanted."""
    return lambda case: bool(wanted(rows_of(case)))


def planted(name: str, caught: frozenset[str], among: Where, **more: Any) -> Any:
    """A fault in an implementation that may promise `fused`."""
    return fault(FAULTS, name, NO_THREAD, caught, among, honest="fused", **more)


@planted("H01-zeros-above-1003-classes", BOTH, above(1003))
class ZerosAbove1003(Fused):
    """Value and gradient are 0 above 1003 classes."""

    def value(self) -> Array:
        return super().value() * (self.classes <= 1003)

    def gradient(self, upstream: Array) -> Array:
        return super().gradient(upstream) * (self.classes <= 1003)


@planted("H01-zero-gradient-above-256-classes", GRADIENT, above(256))
class ZeroGradientAbove256(Fused):
    """The gradient is 0 above 256 classes."""

    def gradient(self, upstream: Array) -> Array:
        return super().gradient(upstream) * (self.classes <= 256)


@planted("H01-negated-above-30-classes", GRADIENT, above(30))
class NegatedAbove30(Fused):
    """The gradient has the other sign above 30 classes."""

    def gradient(self, upstream: Array) -> Array:
        return super().gradient(upstream) * (1 if self.classes <= 30 else -1)


@planted("H01-halved-above-100000-classes", GRADIENT, above(100_000))
class HalvedAbove100000(Fused):
    """The gradient is half as large above 100000 classes."""

    def gradient(self, upstream: Array) -> Array:
        return super().gradient(upstream) * (1 if self.classes <= 100_000 else 0.5)


@planted("H02-columns-beyond-4096-without-gradient", GRADIENT, above(4096))
class ColumnsBeyond4096(Fused):
    """The columns after the first 4096 get no gradient."""

    def error(self) -> Array:
        return self.xp.where(self.columns() < 4096, super().error(), 0.0)


@planted("H02-tail-of-blocks-without-gradient", GRADIENT, above(4096))
class TailOfBlocks(Fused):
    """Above 4096 classes, what fills no block of 1024 gets no gradient."""

    def error(self) -> Array:
        whole = self.classes // 1024 * 1024 if self.classes > 4096 else self.classes
        return self.xp.where(self.columns() < whole, super().error(), 0.0)


@planted("H02-classes-beyond-32768-not-summed", BOTH, above(32768))
class ClassesBeyond32768(Fused):
    """The sum of exponentials ends after 32768 classes."""

    def parts(self) -> tuple[Array, Array, Array]:
        t, e, _ = super().parts()
        return t, e, e[:, :32768].sum(1, keepdims=True)


@planted("H03-label-in-eight-bits", BOTH, lambda c: c.classes > 256 and c.target == "index")
class LabelInEightBits(Fused):
    """The label is taken modulo 256."""

    def hot(self) -> Array:
        return self.cast(self.xp.arange(self.classes) == self.labels()[:, None] % 256)


@planted("H03-label-in-sixteen-bits", BOTH, lambda c: c.classes > 32768 and c.target == "index")
class LabelInSixteenBits(Fused):
    """A label above 32767 is negative, and its row has no label."""

    def hot(self) -> Array:
        labels = self.labels()[:, None]
        return self.cast((self.xp.arange(self.classes) == labels) & (labels <= 32767))


@planted("H04-smoothing-dropped-above-1003-classes", BOTH, above(1003, "ls"))
class SmoothingDroppedAbove1003(Fused):
    """There is no smoothing above 1003 classes."""

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **given)
        self.smoothing = self.smoothing if self.classes <= 1003 else 0.0


@planted("H04-weights-dropped-in-backward-above-1003-classes", GRADIENT, above(1003, "w"))
class WeightsDroppedAbove1003(Fused):
    """Backward leaves the class weights out above 1003 classes."""

    def gradient(self, upstream: Array) -> Array:
        self.weight = self.weight if self.classes <= 1003 else None
        return super().gradient(upstream)


@planted("H04-ignored-rows-counted-above-1003-classes", BOTH, above(1003, "ign"), dtype="float64")
class IgnoredRowsCountedAbove1003(Fused):
    """The mean divides by all rows above 1003 classes."""

    def denominator(self) -> Array:
        return super().denominator() if self.classes <= 1003 else self.cast(self.height)


@planted("H04-largest-probability-only-above-1003-classes", BOTH, lambda c: c.classes > 1003 and c.target == "prob")
class LargestProbabilityOnly(Fused):
    """Above 1003 classes a row of probabilities is replaced by its largest entry."""

    def q(self) -> Array:
        q = super().q()
        if not self.soft or self.classes <= 1003:
            return q
        return self.xp.where(q == self.xp.amax(q, axis=1, keepdims=True), q, 0.0)


@planted("H05-last-column-at-a-power-of-two", GRADIENT, lambda c: c.classes > 1 and c.classes & (c.classes - 1) == 0)
class LastColumnAtPowerOfTwo(Fused):
    """The last column gets no gradient if the number of classes is a power of two."""

    def error(self) -> Array:
        last = self.columns() == self.classes - 1
        odd = self.classes & (self.classes - 1)
        return super().error() if odd else self.xp.where(last, 0.0, super().error())


@planted("H05-last-vector-at-a-multiple-of-1024", BOTH, lambda c: c.classes % 1024 == 0)
class LastVectorAtMultipleOf1024(Fused):
    """The last 16 classes are not summed if the number of classes is a multiple of 1024."""

    def parts(self) -> tuple[Array, Array, Array]:
        t, e, _ = super().parts()
        return t, e, e[:, : self.classes - (0 if self.classes % 1024 else 16)].sum(1, keepdims=True)


@planted("H06-sum-stored-in-half-precision-above-100000-classes", BOTH, above(100_000))
class SumStoredNarrow(Fused):
    """The sum of exponentials loses its last 16 bits above 100000 classes, as bfloat16 has it."""

    def parts(self) -> tuple[Array, Array, Array]:
        t, e, total = super().parts()
        scale = 2.0 ** self.xp.floor(self.xp.log2(total))
        return t, e, total if self.classes <= 100_000 else self.xp.round(total / scale * 128) / 128 * scale


@planted("H06-last-64-classes-not-summed-above-100000", BOTH, above(100_000))
class Last64NotSummed(Fused):
    """The last 64 classes are not summed above 100000 classes."""

    def parts(self) -> tuple[Array, Array, Array]:
        t, e, _ = super().parts()
        return t, e, e[:, : self.classes - 64 * (self.classes > 100_000)].sum(1, keepdims=True)


@planted("H11-one-row-without-gradient", GRADIENT, rows(lambda m: m == 1))
class OneRowWithoutGradient(Fused):
    """A row alone gets no gradient."""

    def gradient(self, upstream: Array) -> Array:
        return super().gradient(upstream) * (self.height != 1)


@planted("H11-two-rows-swapped", GRADIENT, rows(lambda m: m == 2))
class TwoRowsSwapped(Fused):
    """Each of two rows gets the other's gradient."""

    def error(self) -> Array:
        found = super().error()
        return self.xp.flip(found, (0,)) if self.height == 2 else found


@planted("H11-third-of-three-rows-lost", BOTH, rows(lambda m: m == 3))
class ThirdRowLost(Fused):
    """The last of three rows is not computed."""

    def q(self) -> Array:
        found = super().q()
        lost = (self.xp.arange(self.height) == 2) & (self.height == 3)
        return self.xp.where(lost[:, None], 0.0, found)


@planted("H12-rows-beyond-64-without-gradient", GRADIENT, rows(lambda m: m > 64))
class RowsBeyond64(Fused):
    """The rows after the first 64 get no gradient."""

    def error(self) -> Array:
        return self.xp.where((self.xp.arange(self.height) < 64)[:, None], super().error(), 0.0)


@planted("H12-rows-beyond-1024-lost", BOTH, rows(lambda m: m > 1024))
class RowsBeyond1024(Fused):
    """The rows after the first 1024 are not computed."""

    def q(self) -> Array:
        return self.xp.where((self.xp.arange(self.height) < 1024)[:, None], super().q(), 0.0)


@planted("H12-a-row-more-at-a-multiple-of-16", BOTH, lambda c: rows_of(c) % 16 == 0 < rows_of(c))
class RowMoreAtMultipleOf16(Fused):
    """The mean divides by one more if the number of rows is a multiple of 16."""

    def denominator(self) -> Array:
        return super().denominator() + (self.height % 16 == 0)


def within(low: int, high: int) -> Where:
    """The cases with so many classes."""
    return lambda case: low <= case.classes <= high


@planted("H05-zeros-between-130-and-250-classes", BOTH, within(130, 250))
class ZerosWithin130To250(Fused):
    """Value and gradient are 0 from 130 to 250 classes."""

    def value(self) -> Array:
        return super().value() * (not 130 <= self.classes <= 250)

    def gradient(self, upstream: Array) -> Array:
        return super().gradient(upstream) * (not 130 <= self.classes <= 250)


@planted("H05-negated-between-2049-and-4095-classes", GRADIENT, within(2049, 4095))
class NegatedWithin2049To4095(Fused):
    """The gradient has the other sign where one block of 4096 classes is not filled."""

    def gradient(self, upstream: Array) -> Array:
        return super().gradient(upstream) * (-1 if 2049 <= self.classes <= 4095 else 1)


@planted("H05-odd-vocabularies-end-early", GRADIENT, lambda c: c.classes > 32768 and c.classes % 8 != 0)
class OddVocabulary(Fused):
    """Above 32768 classes, those that fill no vector of 8 get no gradient."""

    def error(self) -> Array:
        whole = self.classes // 8 * 8 if self.classes > 32768 else self.classes
        return self.xp.where(self.columns() < whole, super().error(), 0.0)


@planted("H06-seven-rows-halved", GRADIENT, rows(lambda n: n == 7))
class SevenRowsHalved(Fused):
    """The gradient of seven rows is half as large."""

    def gradient(self, upstream: Array) -> Array:
        return super().gradient(upstream) * (0.5 if self.height == 7 else 1)
