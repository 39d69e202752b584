"""Number systems for the oracle: float64; for implementations that compute in it, double-double, of any range."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import as_array
from .double_double import DoubleDouble, dd_matmul, dd_sum, exact_difference
from .elementary import dd_exp, dd_log1p
from .tables import LN2
from .wide_range import NOTHING, WideDouble

Array = NDArray[np.float64]
Number = Any
"""An array of a backend: it has + - * / and indexing."""

ZERO = np.zeros(())


@lru_cache(maxsize=256)
def zeros(shape: tuple[int, ...]) -> Array:
    """Read-only zeros, which take no memory."""
    return np.broadcast_to(ZERO, shape)


LOWERED = 512
"""exp(x) is formed as exp(x - n LOWERED ln 2) 2^(n LOWERED), with a first factor above 2^-LOWERED."""

LOWEST = -128
"""The smallest n: exp is 0 below -45000, less than any factors in float64 can bring back."""


class Backend:
    """What the oracle's equations need beside + - * /.

    Here in plain float64: enough for float32 implementations (errors below 1e-8 of a float32 ULP, `docs/numerics.md`).
    """

    name = "float64"
    lifts = False
    """Whether small numbers are to be formed in the normal range and scaled down."""

    def array(self, x: Any) -> Number:
        return as_array(x, np.float64)

    def difference(self, a: Array, b: Array) -> Number:
        return as_array(a - b)

    def exp(self, x: Number, exponent: int = 0) -> Number:
        return as_array(np.ldexp(np.exp(x), exponent) if exponent else np.exp(x))

    def log1p(self, x: Number) -> Number:
        return as_array(np.log1p(x))

    def sum(self, x: Number, axis: int = -1) -> Number:
        return as_array(x.sum(axis))

    def matmul(self, a: Number, b: Number) -> Number:
        return as_array(a @ b)

    def where(self, mask: Any, x: Number, y: Number) -> Number:
        return as_array(np.where(mask, x, y))

    def scale(self, x: Number, exponent: Any) -> Number:
        return as_array(np.ldexp(x, exponent)) if np.any(exponent) else as_array(x)

    def pair(self, x: Number) -> tuple[Array, Array]:
        hi = as_array(x, np.float64)
        return hi, zeros(hi.shape)

    def sign(self, x: Number) -> Array:
        return as_array(np.sign(x))

    def finite(self, x: Number) -> NDArray[np.bool_]:
        return as_array(np.isfinite(x))

    def concatenate(self, parts: list[Number]) -> Number:
        return np.concatenate([x.ravel() for x in parts] or [np.zeros(0)])


class Double(Backend):
    """Double-double: the same bits on every platform (`double_double`)."""

    name = "double-double"
    lifts = True

    def array(self, x: Any) -> Number:
        return DoubleDouble.of(x)

    def difference(self, a: Array, b: Array) -> Number:
        return exact_difference(a, b)

    def exp(self, x: Number, exponent: int = 0) -> Number:
        return dd_exp(x, exponent)

    def log1p(self, x: Number) -> Number:
        return dd_log1p(x)

    def sum(self, x: Number, axis: int = -1) -> Number:
        return dd_sum(x.with_parts(lambda part: np.moveaxis(part, axis, -1)))

    def matmul(self, a: Number, b: Number) -> Number:
        return dd_matmul(self.array(a), self.array(b))

    def where(self, mask: Any, x: Number, y: Number) -> Number:
        return self.array(x).with_parts(lambda part, other: np.where(mask, part, other), self.array(y))

    def scale(self, x: Number, exponent: Any) -> Number:
        return x.with_parts(lambda part: np.ldexp(part, exponent)) if np.any(exponent) else x

    def pair(self, x: Number) -> tuple[Array, Array]:
        hi, lo = self.array(x).pair()
        return hi, lo

    def sign(self, x: Number) -> Array:
        return np.asarray(np.sign(self.array(x).hi))

    def finite(self, x: Number) -> NDArray[np.bool_]:
        return np.asarray(np.isfinite(self.array(x).hi))

    def concatenate(self, parts: list[Number]) -> Number:
        first, *others = parts or [self.array(np.zeros(0))]
        return first.with_parts(lambda *same: np.concatenate([part.ravel() for part in same]), *others)


class WideRange(Double):
    """Double-double numbers with exponents: the same bits on every platform, and no end of the range."""

    name = "double-double with exponents"
    lifts = False

    def array(self, x: Any) -> WideDouble:
        return WideDouble.of(x)

    def difference(self, a: Array, b: Array) -> Number:
        return self.array(a) - self.array(b)

    def exp(self, x: WideDouble, exponent: int = 0) -> WideDouble:
        plain = DoubleDouble(*x.pair())
        with np.errstate(all="ignore"):
            steps = np.ceil(plain.hi / (LOWERED * LN2[0]))
        far = ~(steps >= LOWEST)
        near = DoubleDouble(np.where(far, 0.0, plain.hi), np.where(far, 0.0, plain.lo))
        steps = np.where(far, 0.0, steps)
        steps += (near + DoubleDouble(*LN2) * (-LOWERED * steps)).hi > 0.0  # the quotient was rounded to n from above
        result = dd_exp(near + DoubleDouble(*LN2) * (-LOWERED * steps))
        found = DoubleDouble(np.where(far, 0.0, result.hi), np.where(far, 0.0, result.lo))
        return WideDouble(found, (LOWERED * steps).astype(np.int64) + exponent)

    def log1p(self, x: WideDouble) -> Number:
        small = x.k < -200
        result = dd_log1p(DoubleDouble(*self.pair(self.where(small, 0.0, x))))
        return self.where(small, x, result)

    def sum(self, x: WideDouble, axis: int = -1) -> WideDouble:
        moved = x.with_parts(lambda part: np.moveaxis(part, axis, -1))
        k = moved.k.max(-1, initial=NOTHING)
        return WideDouble(dd_sum(moved.at(k[..., None])), k)

    def matmul(self, a: Number, b: Number) -> WideDouble:
        left, right = self.array(a), self.array(b)
        columns = [self.sum(left * right[:, j][None, :]) for j in range(right.shape[1])]
        if not columns:
            return self.array(np.zeros((left.shape[0], 0)))
        return columns[0].with_parts(lambda *same: np.stack(same, 1), *columns[1:])

    def scale(self, x: WideDouble, exponent: Any) -> WideDouble:
        moved = (x.hi != 0) & np.isfinite(x.hi)
        return WideDouble.normalised(*np.broadcast_arrays(x.hi, x.lo, np.where(moved, x.k + exponent, x.k)))


FLOAT64 = Backend()
DOUBLE_DOUBLE = Double()
WIDE_RANGE = WideRange()
