"""Number systems for the oracle: float64, and double-double for implementations that compute in float64 themselves."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .double_double import DoubleDouble, dd_matmul, dd_sum, exact_difference
from .elementary import dd_exp, dd_log1p
from .wide_range import WideRange

Array = NDArray[np.float64]
Number = Any
"""An array of a backend: it has + - * / and indexing."""

ZERO = np.zeros(())


@lru_cache(maxsize=256)
def zeros(shape: tuple[int, ...]) -> Array:
    """Read-only zeros, which take no memory."""
    return np.broadcast_to(ZERO, shape)


class Backend(Protocol):
    """What the oracle's equations need beside + - * /."""

    name: str
    lifts: bool
    """Whether small numbers are to be formed in the normal range and scaled down."""

    def array(self, x: Any) -> Number: ...
    def difference(self, a: Array, b: Array) -> Number: ...
    def exp(self, x: Number, exponent: int = 0) -> Number: ...
    def log1p(self, x: Number) -> Number: ...
    def sum(self, x: Number, axis: int = -1) -> Number: ...
    def matmul(self, a: Number, b: Number) -> Number: ...
    def where(self, mask: Any, x: Number, y: Number) -> Number: ...
    def scale(self, x: Number, exponent: Any) -> Number: ...
    def pair(self, x: Number) -> tuple[Array, Array]: ...
    def sign(self, x: Number) -> Array: ...
    def finite(self, x: Number) -> NDArray[np.bool_]: ...
    def concatenate(self, parts: list[Number]) -> Number: ...


class Float64:
    """Plain float64: enough for float32 implementations (errors below 1e-8 of a float32 ULP, `docs/numerics.md`)."""

    name = "float64"
    lifts = False

    def array(self, x: Any) -> Array:
        return np.asarray(x, np.float64)

    def difference(self, a: Array, b: Array) -> Array:
        return np.asarray(a - b)

    def exp(self, x: Array, exponent: int = 0) -> Array:
        return np.asarray(np.ldexp(np.exp(x), exponent) if exponent else np.exp(x))

    def log1p(self, x: Array) -> Array:
        return np.asarray(np.log1p(x))

    def sum(self, x: Array, axis: int = -1) -> Array:
        return np.asarray(x.sum(axis))

    def matmul(self, a: Array, b: Array) -> Array:
        return np.asarray(a @ b)

    def where(self, mask: Any, x: Any, y: Any) -> Array:
        return np.asarray(np.where(mask, x, y))

    def scale(self, x: Array, exponent: Any) -> Array:
        return np.asarray(np.ldexp(x, exponent)) if np.any(exponent) else np.asarray(x)

    def pair(self, x: Any) -> tuple[Array, Array]:
        hi = np.asarray(x, np.float64)
        return hi, zeros(hi.shape)

    def sign(self, x: Array) -> Array:
        return np.asarray(np.sign(x))

    def finite(self, x: Array) -> NDArray[np.bool_]:
        return np.asarray(np.isfinite(x))

    def concatenate(self, parts: list[Array]) -> Array:
        return np.concatenate([x.ravel() for x in parts] or [np.zeros(0)])


class Double:
    """Double-double: the same bits on every platform (`double_double`)."""

    name = "double-double"
    lifts = True

    def array(self, x: Any) -> DoubleDouble:
        return x if isinstance(x, DoubleDouble) else DoubleDouble(x)

    def difference(self, a: Array, b: Array) -> DoubleDouble:
        return exact_difference(a, b)

    def exp(self, x: DoubleDouble, exponent: int = 0) -> DoubleDouble:
        return dd_exp(x, exponent)

    def log1p(self, x: DoubleDouble) -> DoubleDouble:
        return dd_log1p(x)

    def sum(self, x: DoubleDouble, axis: int = -1) -> DoubleDouble:
        return dd_sum(DoubleDouble(np.moveaxis(x.hi, axis, -1), np.moveaxis(x.lo, axis, -1)))

    def matmul(self, a: Any, b: Any) -> DoubleDouble:
        return dd_matmul(self.array(a), self.array(b))

    def where(self, mask: Any, x: Any, y: Any) -> DoubleDouble:
        a, b = self.array(x), self.array(y)
        return DoubleDouble(np.where(mask, a.hi, b.hi), np.where(mask, a.lo, b.lo))

    def scale(self, x: DoubleDouble, exponent: Any) -> DoubleDouble:
        return DoubleDouble(np.ldexp(x.hi, exponent), np.ldexp(x.lo, exponent)) if np.any(exponent) else x

    def pair(self, x: Any) -> tuple[Array, Array]:
        value = self.array(x)
        return value.hi, value.lo

    def sign(self, x: Any) -> Array:
        return np.asarray(np.sign(self.array(x).hi))

    def finite(self, x: Any) -> NDArray[np.bool_]:
        return np.asarray(np.isfinite(self.array(x).hi))

    def concatenate(self, parts: list[DoubleDouble]) -> DoubleDouble:
        hi, lo = (np.concatenate([getattr(x, part).ravel() for x in parts] or [np.zeros(0)]) for part in ("hi", "lo"))
        return DoubleDouble(hi, lo)


FLOAT64: Backend = Float64()
DOUBLE_DOUBLE: Backend = Double()
WIDE_RANGE: Backend = WideRange()
