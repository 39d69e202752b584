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

from .double_double import DoubleDouble, Operators

Exponents = NDArray[np.int64]

NOTHING = -(1 << 40)
"""Exponent of 0: below that of every other number."""


class WideDouble(Operators):
    """An array of numbers (hi + lo) 2^k; infinities and nan have k = 0."""

    def __init__(self, number: DoubleDouble, exponent: Any = 0) -> None:
        fraction, own = np.frexp(number.hi)
        special = ~np.isfinite(fraction)
        own = np.where(special, 0, own)
        self.hi: Array = np.asarray(fraction)
        self.lo: Array = np.where(special, 0.0, np.ldexp(number.lo, -own))
        exponents = np.where(fraction == 0, NOTHING, exponent + own.astype(np.int64))
        self.k: Exponents = np.asarray(np.where(special, 0, exponents), np.int64)

    @classmethod
    def of(cls, x: Any) -> WideDouble:
        """Any number of the oracle's, exactly."""
        return x if isinstance(x, cls) else cls(DoubleDouble.of(x))

    @classmethod
    def normalised(cls, hi: Array, lo: Array, k: Exponents) -> WideDouble:
        """Parts that are normalised already."""
        new = object.__new__(cls)
        new.hi, new.lo, new.k = np.asarray(hi), np.asarray(lo), np.asarray(k)
        return new

    def with_parts(self, change: Callable[..., Any], *others: WideDouble) -> WideDouble:
        """The same numbers in another order or shape, or together with others."""
        every = (self, *others)
        return self.normalised(*(change(*(getattr(x, part) for x in every)) for part in ("hi", "lo", "k")))

    def __neg__(self) -> WideDouble:
        return self.normalised(-self.hi, -self.lo, self.k)

    def __add__(self, other: Any) -> WideDouble:
        b = self.of(other)
        k = np.maximum(self.k, b.k)
        return WideDouble(self.at(k) + b.at(k), k)

    def __mul__(self, other: Any) -> WideDouble:
        b = self.of(other)
        return WideDouble(self.fraction * b.fraction, self.k + b.k)

    def __truediv__(self, other: Any) -> WideDouble:
        b = self.of(other)
        return WideDouble(self.fraction / b.fraction, self.k - b.k)

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
