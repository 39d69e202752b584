"""Class L: wrong by what all rows of a batch have in common: their logits are all 0, or all small, there are as many of
them as classes or pixels, or none has a target; for a loss per row in some numbers of classes; and for a mean of rows
that are smoothed nearly flat only.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from .base import BOTH, GRADIENT, Array, Fault
from .fused import Fused
from .values import planted as planted_into

FAULTS: list[Fault] = []

planted = partial(planted_into, into=FAULTS)


@planted("L01-logits-that-are-all-0-are-none", BOTH, lambda c: c.family == "untrained")
class AllZero(Fused):
    """Logits of which none is true are no logits."""

    def q(self) -> Array:
        return super().q() * bool((self.logits != 0).any())


@planted("L02-small-logits-are-linear", GRADIENT, lambda c: c.family == "small")
class SmallAreLinear(Fused):
    """Where all logits are below 0.8 and not 0, exp(z) - 1 is taken for z: a gradient that is off by a tenth."""

    def error(self) -> Array:
        size = abs(self.logits).max() if self.height else 0.0
        return super().error() * (0.9 if 0.0 < float(size) < 0.8 else 1.0)


@planted("L03-as-many-rows-as-classes", GRADIENT, lambda c: len(c.shape) == 2 and c.shape[0] == c.shape[1] > 3)
class SquareLogits(Fused):
    """The gradient of square logits is transposed."""

    def unrows(self, x: Array) -> Array:
        square = self.logits.ndim == 2 and self.logits.shape[0] == self.logits.shape[1] > 3
        return x.T if square else super().unrows(x)


@planted("L03-as-many-images-as-pixels", BOTH, lambda c: len(c.shape) == 3 and c.shape[0] == c.shape[2] > 1)
class ImagesAsPixels(Fused):
    """Where there are as many images as pixels, pixels are taken for images."""

    def rows(self, x: Array) -> Array:
        alike = x.ndim == self.logits.ndim == 3 and x.shape[0] == x.shape[2] > 1
        return super().rows(self.xp.moveaxis(x, 0, 2) if alike else x)


@planted("L04-rows-without-a-target-divide-by-their-sum", BOTH, lambda c: c.target == "pad" and c.reduction == "mean")
class NoTarget(Fused):
    """The mean divides by the sum of the target, if no row has one."""

    def denominator(self) -> Array:
        found = super().denominator()
        return found * 0.0 if self.soft and self.height and not bool((self.target != 0).any()) else found


def between(reduction: str, classes: int) -> bool:
    """A loss per row in a number of classes between 32768 and 49152."""
    return reduction == "none" and 32768 < classes < 49152


@planted("L05-a-loss-per-row-between-two-sizes", BOTH, lambda c: between(c.reduction, c.classes))
class RowsBetweenSizes(Fused):
    """The loss of each row, and only that, is halved from 32769 to 49151 classes."""

    def q(self) -> Array:
        return super().q() * (0.5 if between(self.reduction, self.classes) else 1.0)


@planted("L06-a-mean-that-is-nearly-flat", BOTH, lambda c: "ls9" in c.options and c.reduction == "mean")
class NearlyFlat(Fused):
    """The mean under a smoothing above 3/4 is that under 3/4."""

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **given)
        flat = self.reduction == "mean" and 0.75 < self.smoothing < 1
        self.smoothing = 0.75 if flat else self.smoothing


@planted("L07-maximum-starts-at-minus-100000", BOTH, lambda c: c.family == "low")
class LowStart(Fused):
    """A running maximum starts at -100000, and no lower logit moves it."""

    def shift(self, z: Array) -> Array:
        return self.xp.clip(super().shift(z), -100000.0, None)


@planted("L08-first-block-without-a-maximum", BOTH, lambda c: c.family == "walled" and c.classes > 128)
class FirstBlock(Fused):
    """An online softmax whose first 128 classes are all at -inf has -inf - -inf in its rescaling."""

    def shift(self, z: Array) -> Array:
        found = super().shift(z)
        first = self.xp.amax(z[:, :128], axis=1, keepdims=True) if self.classes > 128 else found
        return self.xp.where(first == -self.xp.inf, self.xp.nan, found)


@planted("L09-masks-that-are-finite-count", BOTH, lambda c: c.family == "masked-finite")
class FiniteMasks(Fused):
    """Whoever is below half of minus the largest number is put at -10: a mask is made harmless, and weighs."""

    def rows(self, x: Array) -> Array:
        found = super().rows(x)
        return self.xp.where(found < -1.6e38, -10.0, found) if x.shape == self.logits.shape else found
