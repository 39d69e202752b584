"""Double-double numbers with an exponent of their own: what the oracle computes in where float64's range is too small.

A number is (hi + lo) 2^k with 1/2 <= |hi| < 1, so that no product, quotient or sum overflows or underflows on the way
to a result that is in range; the relative errors are those of `double_double`, as scaling by powers of two is exact.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xentcheck.reference.formats import Array

from .double_double import DoubleDouble, dd_sum
from .elementary import dd_exp, dd_log1p
from .tables import LN2

Exponents = NDArray[np.int64]

NOTHING = -(1 << 40)
"""Exponent of 0: below that of every other number."""

LOWERED = 512
"""exp(x) is formed as exp(x - n LOWERED ln 2) 2^(n LOWERED), with a first factor above 2^-LOWERED."""

LOWEST = -128
"""The smallest n: exp is 0 below -45000, less than any factors in float64 can bring back."""


class WideDouble:
    """An array of numbers (hi + lo) 2^k; infinities and nan have k = 0."""

    __array_ufunc__ = None

    def __init__(self, number: DoubleDouble, exponent: Any = 0) -> None:
        fraction, own = np.frexp(number.hi)
        special = ~np.isfinite(fraction)
        own = np.where(special, 0, own)
        self.hi: Array = np.asarray(fraction)
        self.lo: Array = np.where(special, 0.0, np.ldexp(number.lo, -own))
        exponents = np.where(fraction == 0, NOTHING, exponent + own.astype(np.int64))
        self.k: Exponents = np.asarray(np.where(special, 0, exponents), np.int64)

    @classmethod
    def _of(cls, hi: Array, lo: Array, k: Exponents) -> WideDouble:
        """Parts that are normalised already."""
        new = object.__new__(cls)
        new.hi, new.lo, new.k = np.asarray(hi), np.asarray(lo), np.asarray(k)
        return new

    def with_parts(self, change: Callable[[Any], Any]) -> WideDouble:
        """The same numbers in another order or shape."""
        return self._of(change(self.hi), change(self.lo), change(self.k))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.hi.shape

    @property
    def T(self) -> WideDouble:
        return self.with_parts(lambda x: x.T)

    def __getitem__(self, key: Any) -> WideDouble:
        return self.with_parts(lambda x: x[key])

    def __neg__(self) -> WideDouble:
        return self._of(-self.hi, -self.lo, self.k)

    def __add__(self, other: Any) -> WideDouble:
        b = wide(other)
        k = np.maximum(self.k, b.k)
        return WideDouble(self.at(k) + b.at(k), k)

    __radd__ = __add__

    def __sub__(self, other: Any) -> WideDouble:
        return self + (-wide(other))

    def __rsub__(self, other: Any) -> WideDouble:
        return wide(other) - self

    def __mul__(self, other: Any) -> WideDouble:
        b = wide(other)
        return WideDouble(self.fraction * b.fraction, self.k + b.k)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> WideDouble:
        b = wide(other)
        return WideDouble(self.fraction / b.fraction, self.k - b.k)

    def __rtruediv__(self, other: Any) -> WideDouble:
        return wide(other) / self

    @property
    def fraction(self) -> DoubleDouble:
        """hi + lo."""
        return DoubleDouble(self.hi, self.lo)

    def at(self, exponent: Any) -> DoubleDouble:
        """The numbers over 2^exponent in double-double: 0, or infinite, where that is out of range."""
        down = np.clip(self.k - exponent, -4000, 4000).astype(np.int32)
        with np.errstate(all="ignore"):
            return DoubleDouble(np.ldexp(self.hi, down), np.ldexp(self.lo, down))

    def pair(self) -> tuple[Array, Array]:
        """The numbers themselves: rounded to hi + lo, infinite beyond float64."""
        plain = self.at(0)
        with np.errstate(all="ignore"):
            hi = plain.hi + plain.lo  # where lo is subnormal it was rounded by itself
            hi = np.where(np.isfinite(plain.hi), hi, plain.hi)
            return hi, np.where(np.isfinite(hi), plain.lo - (hi - plain.hi), 0.0)


def wide(x: Any) -> WideDouble:
    """Any number of the oracle's as a WideDouble, exactly."""
    if isinstance(x, WideDouble):
        return x
    return WideDouble(x if isinstance(x, DoubleDouble) else DoubleDouble(x))


class WideRange:
    """Double-double numbers with exponents: the same bits on every platform, and no end of the range."""

    name = "double-double with exponents"
    lifts = False

    def array(self, x: Any) -> WideDouble:
        return wide(x)

    def difference(self, a: Array, b: Array) -> WideDouble:
        return wide(a) - wide(b)

    def exp(self, x: WideDouble, exponent: int = 0) -> WideDouble:
        plain = DoubleDouble(*x.pair())
        with np.errstate(all="ignore"):
            steps = np.ceil(plain.hi / (LOWERED * LN2[0]))
        far = ~(steps >= LOWEST)
        steps = np.where(far, 0.0, steps)
        near = DoubleDouble(np.where(far, 0.0, plain.hi), np.where(far, 0.0, plain.lo))
        raised = near + DoubleDouble(*LN2) * (-LOWERED * steps)
        below = np.minimum(raised.hi, 0.0)  # exp takes no positive number, and rounding may leave one
        result = dd_exp(DoubleDouble(below, np.where(raised.hi > 0.0, 0.0, raised.lo)))
        found = DoubleDouble(np.where(far, 0.0, result.hi), np.where(far, 0.0, result.lo))
        return WideDouble(found, (LOWERED * steps).astype(np.int64) + exponent)

    def log1p(self, x: WideDouble) -> WideDouble:
        small = x.k < -200
        result = wide(dd_log1p(DoubleDouble(*self.where(small, 0.0, x).pair())))
        return self.where(small, x, result)

    def sum(self, x: WideDouble, axis: int = -1) -> WideDouble:
        moved = x.with_parts(lambda part: np.moveaxis(part, axis, -1))
        k = moved.k.max(-1, initial=NOTHING)
        return WideDouble(dd_sum(moved.at(k[..., None])), k)

    def matmul(self, a: Any, b: Any) -> WideDouble:
        left, right = wide(a), wide(b)
        columns = [self.sum(left * right[:, j][None, :]) for j in range(right.shape[1])]
        if not columns:
            return wide(np.zeros((left.shape[0], 0)))
        return WideDouble._of(*(np.stack([getattr(c, part) for c in columns], 1) for part in ("hi", "lo", "k")))

    def where(self, mask: Any, x: Any, y: Any) -> WideDouble:
        a, b = wide(x), wide(y)
        return WideDouble._of(np.where(mask, a.hi, b.hi), np.where(mask, a.lo, b.lo), np.where(mask, a.k, b.k))

    def scale(self, x: WideDouble, exponent: Any) -> WideDouble:
        moved = (x.hi != 0) & np.isfinite(x.hi)
        return WideDouble._of(*np.broadcast_arrays(x.hi, x.lo, np.where(moved, x.k + exponent, x.k)))

    def pair(self, x: Any) -> tuple[Array, Array]:
        return wide(x).pair()

    def sign(self, x: WideDouble) -> Array:
        return np.asarray(np.sign(wide(x).hi))

    def finite(self, x: WideDouble) -> NDArray[np.bool_]:
        return np.asarray(np.isfinite(wide(x).hi))

    def concatenate(self, parts: list[WideDouble]) -> WideDouble:
        if not parts:
            return wide(np.zeros(0))
        return WideDouble._of(
            *(np.concatenate([getattr(x, part).ravel() for x in parts]) for part in ("hi", "lo", "k"))
        )
