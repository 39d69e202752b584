"""All compiled loops, where numba is installed (the extra `fast`): NumPy's numbers, in less time.

Here those of double-double, operation by operation as in `double_double` and `elementary`; the others are those of
`passes` and `comparing`. Imported at the first large array only.
"""

from __future__ import annotations

import numpy as np

from xentcheck.reference.formats import Array
from xentcheck.reference.numbers.tables import FAR, GRID, PER_STEP, SPLITTER, STEP_PARTS, STEPS, TAYLOR

from .comparing import compared, compared_by_form, ratios
from .passes import loop, not_zero, rest_at_levels, sorted_drifts

__all__ = ["combined", "exponentials", "sums"]
__all__ += ["compared", "compared_by_form", "not_zero", "ratios", "rest_at_levels", "sorted_drifts"]

T6, T5, T4, T3 = TAYLOR
STEP_1, STEP_2, STEP_3 = STEP_PARTS


@loop
def _sum(a: float, a_low: float, b: float, b_low: float) -> tuple[float, float]:
    s = a + b
    t = s - a
    e = (a - (s - t)) + (b - t)
    s_low = a_low + b_low
    t = s_low - a_low
    f = (a_low - (s_low - t)) + (b_low - t)
    e = e + s_low
    whole = s + e
    e = (e - (whole - s)) + f
    result = whole + e
    return result, e - (result - whole)


@loop
def _product(a: float, a_low: float, b: float, b_low: float) -> tuple[float, float]:
    p = a * b
    t = SPLITTER * a
    a1 = t - (t - a)
    a2 = a - a1
    t = SPLITTER * b
    b1 = t - (t - b)
    b2 = b - b1
    e = a1 * b1 - p
    e += a1 * b2
    e += a2 * b1
    e += a2 * b2
    e += a * b_low + a_low * b
    s = p + e
    return s, e - (s - p)


@loop
def combined(product: bool, a: Array, a_low: Array, b: Array, b_low: Array, hi: Array, lo: Array) -> None:
    """Products, or else sums, of (n, C) and (n or 1, C or 1) numbers."""
    across, along = b.shape[0] > 1, b.shape[1] > 1
    for i in range(hi.shape[0]):
        k = i if across else 0
        for j in range(hi.shape[1]):
            m = j if along else 0
            if product:
                hi[i, j], lo[i, j] = _product(a[i, j], a_low[i, j], b[k, m], b_low[k, m])
            else:
                hi[i, j], lo[i, j] = _sum(a[i, j], a_low[i, j], b[k, m], b_low[k, m])


@loop
def sums(hi: Array, lo: Array, total: Array, total_low: Array) -> None:
    """`double_double.dd_sum` of each row of (n, C), by the same tree."""
    for i in range(hi.shape[0]):
        a, a_low, n = hi[i].copy(), lo[i].copy(), hi.shape[1]
        while n > 1:
            half = n // 2  # of an odd number the middle one stays where it is
            for j in range(half):
                x, y = a[j], a[n - half + j]
                s = x + y
                t = s - x
                a_low[j] = ((x - (s - t)) + (y - t)) + (a_low[j] + a_low[n - half + j])
                a[j] = s
            n -= half
        total[i] = a[0] + a_low[0]
        total_low[i] = a_low[0] - (total[i] - a[0])


POWERS = np.ldexp(1.0, np.arange(-1000, 513))


@loop
def exponentials(
    x: Array, x_low: Array, exponent: int, table: Array, table_low: Array, leading: Array, hi: Array, lo: Array
) -> None:
    """`elementary.dd_exp` of (n,) numbers."""
    for i in range(x.size):
        if not x[i] >= FAR:
            hi[i], lo[i] = 0.0, 0.0
            continue
        n = np.rint(x[i] * PER_STEP)
        integer = np.int64(n)
        j, k = integer & (STEPS - 1), (integer >> 12) + exponent
        d = x[i] - n * STEP_1
        product = n * STEP_2
        s = d - product
        d = ((d - s) - product) - n * STEP_3
        d += x_low[i]
        product = s + d
        low = (s - product) + d
        s = product
        s1 = (s + GRID) - GRID
        s2 = s - s1
        q = (s2 * 0.5 + s1) * s2
        tail = ((T6 * s + T5) * s + T4) * s + T3
        tail = tail * ((s * s) * s) + q
        tail += s * low
        low += tail
        s1 = s1 * (s1 * 0.5)
        p = s + s1
        low += (s - p) + s1
        t, t1, t_low = table[j], leading[j], table_low[j]
        p_low = low * t + (t_low * p + t_low)
        product = t * p
        c = SPLITTER * p
        p1 = c - (c - p)
        p2 = p - p1
        f = t1 * p1 - product
        f += t1 * p2
        f += (t - t1) * p1
        f += (t - t1) * p2
        f += p_low
        e = t + product
        t = ((t - e) + product) + f
        w = e + t
        t += e - w
        if k >= -1000:  # and at most 512, as x is at most 0
            hi[i], lo[i] = w * POWERS[k + 1000], t * POWERS[k + 1000]
        else:
            hi[i], lo[i] = np.ldexp(w, k), np.ldexp(t, k)
