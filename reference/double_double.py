"""Double-double arithmetic in pure NumPy: an unevaluated sum hi + lo of two float64 numbers, about 105 bits.

Uses only + - * / and rint on float64, each correctly rounded, and tables from the standard library's `decimal`, so that
the bits do not depend on platform, thread count or NumPy's vector units. Error-free transformations after Dekker and
Knuth (Muller et al., Handbook of Floating-Point Arithmetic, ch. 4).
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_SPLITTER = 134217729.0  # 2^27 + 1


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
    t = _SPLITTER * a
    high = t - (t - a)
    return high, a - high


def two_prod(a: Array, b: Array) -> tuple[Array, Array]:
    """p + e = a b exactly, p = fl(a b), unless a or b exceeds 2^996 or the error term underflows (Dekker)."""
    p = a * b
    a1, a2 = split(a)
    b1, b2 = split(b)
    return p, ((a1 * b1 - p) + a1 * b2 + a2 * b1) + a2 * b2


class DoubleDouble:
    """An array of double-double numbers; finite values only (callers mask infinities)."""

    __array_ufunc__ = None

    def __init__(self, hi: Any, lo: Any = None) -> None:
        self.hi: Array = np.asarray(hi, np.float64)
        self.lo: Array = np.zeros_like(self.hi) if lo is None else np.asarray(lo, np.float64)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.hi.shape

    @property
    def T(self) -> DoubleDouble:
        return DoubleDouble(self.hi.T, self.lo.T)

    def __getitem__(self, key: Any) -> DoubleDouble:
        return DoubleDouble(self.hi[key], self.lo[key])

    def __neg__(self) -> DoubleDouble:
        return DoubleDouble(-self.hi, -self.lo)

    def __add__(self, other: Any) -> DoubleDouble:
        b = _double_double(other)
        s, e = two_sum(self.hi, b.hi)
        t, f = two_sum(self.lo, b.lo)
        s, e = fast_two_sum(s, e + t)
        return DoubleDouble(*fast_two_sum(s, e + f))

    __radd__ = __add__

    def __sub__(self, other: Any) -> DoubleDouble:
        return self + (-_double_double(other))

    def __rsub__(self, other: Any) -> DoubleDouble:
        return _double_double(other) - self

    def __mul__(self, other: Any) -> DoubleDouble:
        b = _double_double(other)
        p, e = two_prod(self.hi, b.hi)
        return DoubleDouble(*fast_two_sum(p, e + (self.hi * b.lo + self.lo * b.hi)))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> DoubleDouble:
        b = _double_double(other)
        q = self.hi / b.hi
        p, e = two_prod(q, b.hi)
        remainder = ((self.hi - p) - e) + self.lo - q * b.lo
        return DoubleDouble(*fast_two_sum(q, remainder / b.hi))

    def __rtruediv__(self, other: Any) -> DoubleDouble:
        return _double_double(other) / self


def _double_double(x: Any) -> DoubleDouble:
    return x if isinstance(x, DoubleDouble) else DoubleDouble(x)


def dd_sum(x: DoubleDouble) -> DoubleDouble:
    """Sum over the last axis by a balanced tree of TwoSum; relative error about n 2^-105 of the sum of |terms|."""
    hi, lo = x.hi, x.lo
    if hi.shape[-1] == 0:
        return DoubleDouble(np.zeros(hi.shape[:-1]))
    while (n := hi.shape[-1]) > 1:
        half = n // 2
        s, e = two_sum(hi[..., :half], hi[..., n - half :])
        e += lo[..., :half] + lo[..., n - half :]
        if n % 2:
            s = np.concatenate([s, hi[..., half : half + 1]], -1)
            e = np.concatenate([e, lo[..., half : half + 1]], -1)
        hi, lo = s, e
    return DoubleDouble(*fast_two_sum(hi[..., 0], lo[..., 0]))


def dd_matmul(a: DoubleDouble, b: DoubleDouble) -> DoubleDouble:
    """(m, k) @ (k, n), one outer product at a time."""
    out = DoubleDouble(np.zeros((a.shape[0], b.shape[1])))
    for k in range(a.shape[1]):
        out = out + a[:, k : k + 1] * b[k : k + 1]
    return out


def _pair(x: Decimal) -> tuple[float, float]:
    hi = float(x)
    return hi, float(x - Decimal(hi))


def _leading_bits(x: Decimal, bits: int) -> float:
    """x rounded to `bits` significant bits, so that its products with small integers are exact."""
    unit = Decimal(2) ** int(bits - np.frexp(float(x))[1])
    return float((x * unit).to_integral_value() / unit)


with localcontext() as _context:
    _context.prec = 80
    _LN2 = Decimal(2).ln()
    _STEP = _LN2 / 256
    _STEP_1 = _leading_bits(_STEP, 32)
    _STEP_2 = _leading_bits(_STEP - Decimal(_STEP_1), 32)
    _STEP_3 = float(_STEP - Decimal(_STEP_1) - Decimal(_STEP_2))
    _PER_STEP = float(1 / _STEP)
    _EXP_HI, _EXP_LO = np.array([_pair((_STEP * j).exp()) for j in range(256)]).T
    _LOG_HI, _LOG_LO = np.array([_pair((1 + Decimal(j) / 256).ln()) for j in range(257)]).T
    LN2 = _pair(_LN2)
_EXP_1, _EXP_2 = split(_EXP_HI)


def dd_exp(x: DoubleDouble) -> DoubleDouble:
    """exp(x) for x <= 0, relative error below 2^-71; 0 below -1e5 and for -inf; subnormal results to 2^-1074.

    x = (256 k + j) ln2/256 + s with |s| <= ln2/512, exp(x) = 2^k 2^(j/256) exp(s); the degree-6 Taylor polynomial of
    exp(s) leaves s^7/5040 < 2^-78, and its quadratic part in float64 an error of 2^-53 s^2/2 < 2^-72.
    """
    tiny = ~(x.hi > -1.0e5)
    hi = np.where(tiny, 0.0, x.hi)
    lo = np.where(tiny, 0.0, x.lo)
    steps = np.rint(hi * _PER_STEP)
    s, error = two_sum(hi - steps * _STEP_1, -(steps * _STEP_2))
    s, low = two_sum(s, (error - steps * _STEP_3) + lo)
    q = (s * s) * (0.5 + s * (1 / 6 + s * (1 / 24 + s * (1 / 120 + s * (1 / 720))))) + s * low
    p, p_low = fast_two_sum(s, q)
    p_low += low
    whole = steps.astype(np.int64)
    j, k = whole & 255, whole >> 8
    t = _EXP_HI[j]
    t_low = _EXP_LO[j]
    product = t * p
    p1, p2 = split(p)
    t1, t2 = _EXP_1[j], _EXP_2[j]
    product_low = ((t1 * p1 - product) + t1 * p2 + t2 * p1) + t2 * p2
    e, e_low = fast_two_sum(t, product)
    e, e_low = fast_two_sum(e, e_low + (product_low + (t * p_low + (t_low + t_low * p))))
    k = np.where(tiny, -2000, np.maximum(k, -2000)).astype(np.int32)
    return DoubleDouble(np.ldexp(e, k), np.ldexp(e_low, k))


def dd_log1p(x: DoubleDouble) -> DoubleDouble:
    """log(1 + x) for 0 <= x < 2^900, relative error below 2^-70.

    1 + x = 2^k c (1 + r), c = 1 + j/256, |r| <= 2^-8; log(1 + r) = 2 atanh(w), w = r/(2 + r). For k = j = 0, r = x
    exactly, so that small x keep their relative accuracy; elsewhere no term cancels more than half of another.
    """
    one_plus = x + 1.0
    k = np.frexp(one_plus.hi)[1] - 1
    f = DoubleDouble(np.ldexp(one_plus.hi, -k), np.ldexp(one_plus.lo, -k))
    j = np.rint((f.hi - 1.0) * 256).astype(np.int64)
    c = 1.0 + j / 256
    first = (k == 0) & (j == 0)
    difference = f - c
    r = DoubleDouble(np.where(first, x.hi, difference.hi), np.where(first, x.lo, difference.lo)) / c
    w = r / (r + 2.0)
    square = w.hi * w.hi
    series = w.hi * square * (1 / 3 + square * (1 / 5 + square * (1 / 7 + square * (1 / 9))))
    atanh = w + series
    log_c = DoubleDouble(_LOG_HI[j], _LOG_LO[j])
    log_2k = DoubleDouble(LN2[0], LN2[1]) * k.astype(np.float64)
    result = log_2k + log_c + atanh * 2.0
    small = x.hi < 2.0**-200  # log1p(x) = x (1 - x/2 ...), and halving a subnormal x would round it
    return DoubleDouble(np.where(small, x.hi, result.hi), np.where(small, x.lo, result.lo))
