"""exp and log1p in double-double, to 93 bits: argument reduction by tables (`tables`).

Only + - * / on float64, integers and ldexp: the same bits everywhere, like `double_double`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xentcheck.reference.formats import Array

from .double_double import CHUNK, DoubleDouble
from .fast import kernels
from .tables import FAR, GRID, LN2, PER_STEP, SPLITTER, STEP_PARTS, STEPS, TAYLOR, THIRD, exponentials, logarithms

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
    if compiled := kernels(hi.size):
        compiled.exponentials(hi, lo, exponent, *exponentials(), flat, flat_low)
        return DoubleDouble(out, out_low)
    size = min(CHUNK, hi.size)
    work, integers = np.empty((10, size)), np.empty((2, size), np.int64)
    for start in range(0, hi.size, CHUNK):
        part = slice(start, min(start + CHUNK, hi.size))
        n = part.stop - start
        a, b, w, i = hi[part], lo[part], work[:, :n], integers[:, :n]
        if exponent == 0 and a.min() >= _NORMAL:
            e, e_low, power = _exp(a, b, w, i)
            np.multiply(e, power, out=flat[part])
            np.multiply(e_low, power, out=flat_low[part])
            continue
        far = ~(a >= FAR)
        e, e_low, power = _exp(np.where(far, 0.0, a), np.where(far, 0.0, b), w, i)
        k = np.where(far, -4000, (power.view(np.int64) >> 52) + (exponent - 1023)).astype(np.int32)
        flat[part], flat_low[part] = np.ldexp(e, k), np.ldexp(e_low, k)
    return DoubleDouble(out, out_low)


def _exp(x: Array, x_low: Array, work: Array, integers: NDArray[np.int64]) -> tuple[Array, Array, Array]:
    """exp(x + x_low) = (e + e_low) 2^k in the work arrays, and 2^k by its bits (their sign wraps below 2^-1023)."""
    s, low, j, power = _reduce(x, x_low, work, integers)
    p, p_low = _expm1(s, low, work)
    c, d, f, g, t, t1, t_low = work[2:9]
    table = exponentials()
    for values, out in ((table.hi, t), (table.leading, t1), (table.lo, t_low)):
        np.take(values, j, out=out, mode="clip")
    p_low *= t
    np.multiply(t_low, p, out=c)
    c += t_low
    p_low += c  # everything below the product of the leading parts
    product = np.multiply(t, p, out=c)
    np.multiply(p, SPLITTER, out=d)
    np.subtract(d, p, out=f)
    d -= f  # Veltkamp's halves of p
    p -= d
    np.multiply(t1, d, out=f)
    f -= product
    np.multiply(t1, p, out=g)
    f += g
    np.subtract(t, t1, out=t1)
    d *= t1
    f += d
    p *= t1
    f += p
    f += p_low
    e = np.add(t, product, out=d)
    t -= e
    t += product
    t += f
    np.add(e, t, out=work[0])
    e -= work[0]
    t += e
    return work[0], t, power


def _reduce(
    x: Array, x_low: Array, work: Array, integers: NDArray[np.int64]
) -> tuple[Array, Array, NDArray[np.int64], Array]:
    """s + low = x + x_low - n ln2/4096 in work[:2], the index j = n mod 4096, and 2^(n div 4096).

    The products of n < 2^23 with 30 bits are exact, and so are both fast sums: s is a multiple of the last bit of what
    is added (at least 2^-72 against less than 2^-75), which is all that Dekker's sum needs.
    """
    (s, low, steps, product, d), (first, second, third) = work[:5], STEP_PARTS
    j, power = integers
    np.multiply(x, PER_STEP, out=steps)
    steps += _NEAREST
    bits = steps.view(np.int64)
    np.bitwise_and(bits, STEPS - 1, out=j)
    np.bitwise_and(bits, -STEPS, out=power)
    np.left_shift(power, 40, out=power)
    power += 1023 << 52
    steps -= _NEAREST
    np.multiply(steps, first, out=d)
    np.subtract(x, d, out=d)
    np.multiply(steps, second, out=product)
    np.subtract(d, product, out=s)
    d -= s
    d -= product
    steps *= third
    d -= steps
    d += x_low
    np.add(s, d, out=product)
    s -= product
    np.add(s, d, out=low)
    s[...] = product
    return s, low, j, power.view(np.float64)


def _expm1(s: Array, low: Array, work: Array) -> tuple[Array, Array]:
    """exp(s + low) - 1 as p + p_low in work[:2]; s = s1 + s2 with s1 a multiple of 2^-40, so that s1^2 is exact."""
    s1, s2, tail, q = work[2:6]
    np.add(s, GRID, out=s1)
    s1 -= GRID
    np.subtract(s, s1, out=s2)
    np.multiply(s2, 0.5, out=q)
    q += s1
    q *= s2  # (s^2 - s1^2)/2
    tail[...] = TAYLOR[0]
    for coefficient in TAYLOR[1:]:
        tail *= s
        tail += coefficient
    np.multiply(s, s, out=s2)
    s2 *= s
    tail *= s2
    tail += q
    np.multiply(s, low, out=q)
    tail += q
    low += tail
    np.multiply(s1, 0.5, out=q)
    s1 *= q
    p = np.add(s, s1, out=q)
    s -= p
    s += s1
    low += s
    s[...] = p
    return s, low


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
