"""exp and log1p in double-double, to 93 bits: argument reduction by tables (`tables`).

Only + - * / on float64, integers and ldexp: the same bits everywhere, like `double_double`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xentcheck.reference.formats import Array

from .double_double import CHUNK, DoubleDouble, split
from .fast import kernels
from .tables import FAR, GRID, LN2, PER_STEP, STEP_PARTS, STEPS, TAYLOR, THIRD, exponentials, logarithms

_NEAREST = 1.5 * 2.0**52
_NORMAL = -600.0


def dd_exp(x: DoubleDouble, exponent: int = 0) -> DoubleDouble:
    """2^exponent exp(x) for x <= 0, relative error below 2^-93; 0 below -1400 and at -inf; to 2^-1074 where subnormal.

    x = (4096 k + j) ln2/4096 + s with |s| <= ln2/8192 < 2^-13.5, exp(x) = 2^k 2^(j/4096) exp(s). The largest roundings:
    s^3/6 < 2^-43.1 and its sum with other low parts in float64 (2^-95), x.lo into s (2^-97, where x is near -745), the
    sums of the low parts of the result (2^-96); the Taylor polynomial of degree 6 leaves s^7/5040 < 2^-106.
    """
    hi, lo = x.hi.ravel(), x.lo.ravel()
    out, out_low = np.empty(x.shape), np.empty(x.shape)
    flat, flat_low = out.reshape(-1), out_low.reshape(-1)
    if compiled := kernels(hi):
        compiled.exponentials(hi, lo, exponent, *exponentials(), flat, flat_low)
        return DoubleDouble(out, out_low)
    for start in range(0, hi.size, CHUNK):
        part = slice(start, start + CHUNK)
        a, b = hi[part], lo[part]
        if exponent == 0 and a.min() >= _NORMAL:
            e, e_low, power = _exp(a, b)
            flat[part], flat_low[part] = e * power, e_low * power
            continue
        far = ~(a >= FAR)
        e, e_low, power = _exp(np.where(far, 0.0, a), np.where(far, 0.0, b))
        k = np.where(far, -4000, (power.view(np.int64) >> 52) + (exponent - 1023)).astype(np.int32)
        flat[part], flat_low[part] = np.ldexp(e, k), np.ldexp(e_low, k)
    return DoubleDouble(out, out_low)


def _exp(x: Array, x_low: Array) -> tuple[Array, Array, Array]:
    """exp(x + x_low) = (e + e_low) 2^k, and 2^k by its bits (their sign wraps below 2^-1023)."""
    s, low, j, power = _reduce(x, x_low)
    p, p_low = _expm1(s, low)
    t, t_low = (values[j] for values in exponentials())
    p_low = p_low * t + (t_low * p + t_low)  # everything below the product of the leading parts
    product = t * p
    p1, p2 = split(p)
    t1, t2 = split(t)
    error = t1 * p1 - product + t1 * p2 + t2 * p1 + t2 * p2 + p_low
    e = t + product
    rest = t - e + product + error
    total = e + rest
    return total, rest + (e - total), power


def _reduce(x: Array, x_low: Array) -> tuple[Array, Array, NDArray[np.int64], Array]:
    """s + low = x + x_low - n ln2/4096, the index j = n mod 4096, and 2^(n div 4096).

    The products of n < 2^23 with 30 bits are exact, and so are both fast sums: s is a multiple of the last bit of what
    is added (at least 2^-72 against less than 2^-75), which is all that Dekker's sum needs.
    """
    first, second, third = STEP_PARTS
    nearest = x * PER_STEP + _NEAREST
    bits, steps = nearest.view(np.int64), nearest - _NEAREST
    power = ((bits & -STEPS) << 40) + (1023 << 52)
    d = x - steps * first
    product = steps * second
    s = d - product
    d = d - s - product - steps * third + x_low
    reduced = s + d
    return reduced, s - reduced + d, bits & (STEPS - 1), power.view(np.float64)


def _expm1(s: Array, low: Array) -> tuple[Array, Array]:
    """exp(s + low) - 1 as p + p_low; s = s1 + s2 with s1 a multiple of 2^-40, so that s1^2 is exact."""
    s1 = s + GRID - GRID
    s2 = s - s1
    q = (s2 * 0.5 + s1) * s2  # (s^2 - s1^2)/2
    tail: Any = TAYLOR[0]
    for coefficient in TAYLOR[1:]:
        tail = tail * s + coefficient
    tail = tail * (s * s * s) + q + s * low
    half = s1 * (s1 * 0.5)
    p = s + half
    return p, low + tail + (s - p + half)


def dd_log1p(x: DoubleDouble) -> DoubleDouble:
    """log(1 + x) for 0 <= x < 2^900, relative error below 2^-93.

    1 + x = 2^k c (1 + r), c = 1 + j/256, |r| <= 2^-9; log(1 + r) = 2 atanh(w), w = r/(2 + r) < 2^-10. For k = j = 0,
    r = x exactly, so that small x keep their relative accuracy; elsewhere no term cancels more than half of another.
    atanh(w)/w - 1 = w^2/3 + ...: the terms from w^4/5 < 2^-42 on are summed in float64; w^10/11 < 2^-103 is left out.
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
    square = w * w
    rest = square.hi * (1 / 5 + square.hi * (1 / 7 + square.hi * (1 / 9)))
    atanh = w + w * (square * (DoubleDouble(*THIRD) + rest))
    of_c = logarithms()
    log_c = DoubleDouble(of_c[0, j], of_c[1, j])
    log_2k = DoubleDouble(*LN2) * k.astype(np.float64)
    result = log_2k + log_c + atanh * 2.0
    small = x.hi < 2.0**-200  # log1p(x) = x (1 - x/2 ...), and halving a subnormal x would round it
    return DoubleDouble(np.where(small, x.hi, result.hi), np.where(small, x.lo, result.lo))
