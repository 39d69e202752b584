"""Double-double arithmetic in pure NumPy: an unevaluated sum hi + lo of two float64 numbers, about 105 bits.

Uses only + - * / on float64, each correctly rounded: the bits do not depend on platform, thread count or NumPy's vector
units. Error-free transformations after Dekker and Knuth (Muller et al., Handbook of Floating-Point Arithmetic, ch. 4).

Relative errors with u = 2^-53: + 3u^2, * 7u^2, / 15u^2 (Joldes, Muller and Popescu, 2017, for normalised pairs); a sum
of n terms (D^2 + 5D) u^2 of the sum of |terms|, D = ceil(log2 n), below 2^-97 at n = 2^18; exp and log1p 2^-93
(`elementary`). [derived] A softmax has two exponentials, a sum, a reciprocal and a product: 2^-92 + 2^-97 + 2^-100; the
gradient's factor and log S add 2^-93 at most, so that 2^-90 holds twice over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .fast import kernels
from .tables import SPLITTER

Array = NDArray[np.float64]

CHUNK = 8192
"""Elements that are worked on at a time: the temporaries stay in the cache."""


def two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """s + e = a + b exactly, s = fl(a + b) (Knuth)."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def fast_two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """s + e = a + b exactly if |a| >= |b| or a = 0 (Dekker)."""
    s = a + b
    return s, b - (s - a)


def split(a: Array) -> tuple[Array, Array]:
    """a = high + low exactly, with at most 26 significant bits each (Veltkamp); needs |a| < 2^996."""
    t = SPLITTER * a
    high = t - (t - a)
    return high, a - high


def two_prod(a: Array, b: Array) -> tuple[Array, Array]:
    """p + e = a b exactly, p = fl(a b), unless a or b exceeds 2^996 or the error term underflows (Dekker)."""
    p = a * b
    a1, a2 = split(a)
    b1, b2 = split(b)
    return p, ((a1 * b1 - p) + a1 * b2 + a2 * b1) + a2 * b2


class Operators:
    """The operators of arrays of numbers in parts that follow from their + * / and -x, and from the conversion `of`."""

    __array_ufunc__ = None

    def __radd__(self: Any, other: Any) -> Any:
        return self + other

    def __sub__(self: Any, other: Any) -> Any:
        return self + (-self.of(other))

    def __rsub__(self: Any, other: Any) -> Any:
        return self.of(other) - self

    def __rmul__(self: Any, other: Any) -> Any:
        return self * other

    def __rtruediv__(self: Any, other: Any) -> Any:
        return self.of(other) / self

    def __getitem__(self: Any, key: Any) -> Any:
        return self.with_parts(lambda x: x[key])

    @property
    def T(self: Any) -> Any:
        return self.with_parts(lambda x: x.T)

    @property
    def shape(self: Any) -> tuple[int, ...]:
        return tuple(self.hi.shape)


class DoubleDouble(Operators):
    """An array of double-double numbers; finite values only (callers mask infinities)."""

    def __init__(self, hi: Any, lo: Any = None) -> None:
        self.hi: Array = np.asarray(hi, np.float64)
        self.lo: Array = np.zeros_like(self.hi) if lo is None else np.asarray(lo, np.float64)

    @classmethod
    def of(cls, x: Any) -> DoubleDouble:
        """A number of any kind but one with an exponent, exactly."""
        return x if isinstance(x, cls) else cls(x)

    def with_parts(self, change: Callable[..., Any], *others: DoubleDouble) -> DoubleDouble:
        """The same numbers in another order or shape, or together with others."""
        return DoubleDouble(*(change(*(getattr(x, part) for x in (self, *others))) for part in ("hi", "lo")))

    def pair(self) -> tuple[Array, Array]:
        return self.hi, self.lo

    def __neg__(self) -> DoubleDouble:
        return DoubleDouble(-self.hi, -self.lo)

    def __add__(self, other: Any) -> DoubleDouble:
        b = self.of(other)
        return self._combined(b, product=False) or DoubleDouble(*_blockwise(_add, self.hi, self.lo, b.hi, b.lo))

    def __mul__(self, other: Any) -> DoubleDouble:
        b = self.of(other)
        whole = self._combined(b, product=True)
        return whole or DoubleDouble(*_blockwise(_multiply, self.hi, self.lo, b.hi, b.lo, *split(b.hi)))

    def __truediv__(self, other: Any) -> DoubleDouble:
        b = self.of(other)
        return DoubleDouble(*_blockwise(_divide, self.hi, self.lo, b.hi, b.lo))

    def _combined(self, b: DoubleDouble, *, product: bool) -> DoubleDouble | None:
        """The sum or product by a compiled loop, if this is large, and `b` of its shape, a row, a column, or one."""
        compiled = kernels(self.hi)
        if compiled is None or self.hi.ndim != 2 or np.broadcast_shapes(self.shape, b.shape) != self.shape:
            return None
        factors = (np.ascontiguousarray(np.atleast_2d(x)) for x in (b.hi, b.lo))
        hi, lo = np.empty(self.shape), np.empty(self.shape)
        compiled.combined(product, np.ascontiguousarray(self.hi), np.ascontiguousarray(self.lo), *factors, hi, lo)
        return DoubleDouble(hi, lo)


def _add(a: Array, a_low: Array, b: Array, b_low: Array) -> tuple[Array, Array]:
    s, e = two_sum(a, b)
    t, f = two_sum(a_low, b_low)
    s, e = fast_two_sum(s, e + t)
    return fast_two_sum(s, e + f)


def _multiply(a: Array, a_low: Array, b: Array, b_low: Array, b1: Array, b2: Array) -> tuple[Array, Array]:
    p = a * b
    a1, a2 = split(a)
    e = a1 * b1
    e -= p
    e += a1 * b2
    e += a2 * b1
    e += a2 * b2
    e += a * b_low + a_low * b
    return fast_two_sum(p, e)


def _divide(a: Array, a_low: Array, b: Array, b_low: Array) -> tuple[Array, Array]:
    q = a / b
    p, e = two_prod(q, b)
    return fast_two_sum(q, (((a - p) - e) + a_low - q * b_low) / b)


def _blockwise(kernel: Callable[..., tuple[Array, Array]], *arrays: Array) -> tuple[Array, Array]:
    """A pair of arrays by an elementwise kernel, a cache-sized part at a time."""
    if max(x.ndim for x in arrays) != 2:
        return kernel(*arrays)
    shape = np.broadcast_shapes(*(x.shape for x in arrays))
    if shape[0] * shape[1] <= CHUNK:
        return kernel(*arrays)
    whole = [np.broadcast_to(x, shape) for x in arrays]
    hi, lo = np.empty(shape), np.empty(shape)
    width = min(shape[1], CHUNK)
    height = max(1, CHUNK // width)
    for i in range(0, shape[0], height):
        for j in range(0, shape[1], width):
            part = np.s_[i : i + height, j : j + width]
            hi[part], lo[part] = kernel(*(x[part] for x in whole))
    return hi, lo


def dd_sum(x: DoubleDouble) -> DoubleDouble:
    """Sum over the last axis by a balanced tree of TwoSum: error below (D^2 + 5D) 2^-106 sum |terms|, D = ceil(log2 n).

    [derived] the TwoSums are exact; the low parts at level d are below (d + 1) 2^-53 and two additions round each.
    """
    hi, lo = x.hi, x.lo
    if hi.shape[-1] == 0:
        return DoubleDouble(np.zeros(hi.shape[:-1]))
    if hi.ndim == 2 and (compiled := kernels(hi)):
        total, low = np.empty(len(hi)), np.empty(len(hi))
        compiled.sums(np.ascontiguousarray(hi), np.ascontiguousarray(lo), total, low)
        return DoubleDouble(total, low)
    while (n := hi.shape[-1]) > 1:
        half = n // 2
        right = np.s_[..., n - half :]
        s, e = _blockwise(_sum_of_halves, hi[..., :half], lo[..., :half], hi[right], lo[right])
        if n % 2:
            s = np.concatenate([s, hi[..., half : half + 1]], -1)
            e = np.concatenate([e, lo[..., half : half + 1]], -1)
        hi, lo = s, e
    return DoubleDouble(*fast_two_sum(hi[..., 0], lo[..., 0]))


def _sum_of_halves(a: Array, a_low: Array, b: Array, b_low: Array) -> tuple[Array, Array]:
    s, e = two_sum(a, b)
    e += a_low + b_low
    return s, e


def exact_difference(a: Array, b: Array) -> DoubleDouble:
    """a - b exactly; an infinite difference has the low part 0."""
    if a.ndim == 2 and b.shape == (len(a), 1) and (compiled := kernels(a)):
        hi, lo = np.empty(a.shape), np.empty(a.shape)
        compiled.differences(np.ascontiguousarray(a), np.ascontiguousarray(b), hi, lo)
        return DoubleDouble(hi, lo)
    return DoubleDouble(*_blockwise(_exact_difference, a, b))


def _exact_difference(a: Array, b: Array) -> tuple[Array, Array]:
    s, e = two_sum(a, -b)
    if not np.isfinite(e).all():
        e[~np.isfinite(s)] = 0.0
    return s, e


def dd_matmul(a: DoubleDouble, b: DoubleDouble) -> DoubleDouble:
    """(m, k) @ (k, n), one outer product at a time."""
    out = DoubleDouble(np.zeros((a.shape[0], b.shape[1])))
    for k in range(a.shape[1]):
        out = out + a[:, k : k + 1] * b[k : k + 1]
    return out
