"""All compiled loops, where numba is installed (the extra `fast`): NumPy's numbers, in less time.

Here those of double-double, operation by operation as in `double_double` and `elementary`; the others are those of
`passes` and `comparing`. Imported at the first large array only.
"""

from __future__ import annotations

import numpy as np

from xentcheck.reference.formats import Array
from xentcheck.reference.numbers.tables import FAR, GRID, PER_STEP, SPLITTER, STEP_PARTS, STEPS, TAYLOR

from .comparing import compared, compared_by_form, ratios
from .passes import left_over, loop, scaled_rows, sort_rows, sorted_drift

__all__ = [
    "combined",
    "compared",
    "compared_by_form",
    "differences",
    "exponentials",
    "left_over",
    "ratios",
    "scaled_rows",
    "sort_rows",
    "sorted_drift",
    "sums",
]

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
def differences(a: Array, b: Array, hi: Array, lo: Array) -> None:
    """`double_double.exact_difference` of (n, C) and (n, 1) numbers."""
    for i in range(a.shape[0]):
        b_i = -b[i, 0]
        for j in range(a.shape[1]):
            s = a[i, j] + b_i
            t = s - a[i, j]
            hi[i, j] = s
            lo[i, j] = (a[i, j] - (s - t)) + (b_i - t) if abs(s) < np.inf else 0.0


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


PART = 512
"""Elements of which a loop keeps numbers: they stay in the first cache."""


@loop
def _expm1(x: Array, x_low: Array, steps: Array, p: Array, p_low: Array) -> None:
    """exp(x + x_low - steps log(2) / STEPS) - 1, by `elementary`'s polynomial."""
    for i in range(x.size):
        d = x[i] - steps[i] * STEP_1
        product = steps[i] * STEP_2
        s = d - product
        d = ((d - s) - product) - steps[i] * STEP_3
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
        p[i] = s + s1
        p_low[i] = low + ((s - p[i]) + s1)


@loop
def _plus_1_times(p: Array, p_low: Array, table: Array, table_low: Array) -> None:
    """(1 + p) times a number of the table of 2^(j/STEPS)."""
    for i in range(p.size):
        t, t_low = table[i], table_low[i]
        c = SPLITTER * t
        t1 = c - (c - t)
        low = p_low[i] * t + (t_low * p[i] + t_low)
        product = t * p[i]
        c = SPLITTER * p[i]
        p1 = c - (c - p[i])
        p2 = p[i] - p1
        f = t1 * p1 - product
        f += t1 * p2
        f += (t - t1) * p1
        f += (t - t1) * p2
        f += low
        e = t + product
        t = ((t - e) + product) + f
        p[i] = e + t
        p_low[i] = t + (e - p[i])


@loop
def exponentials(x: Array, x_low: Array, exponent: int, table: Array, table_low: Array, hi: Array, lo: Array) -> None:
    """`elementary.dd_exp` of (n,) numbers, PART at a time: arithmetic without branches, then what is special."""
    steps, k, t, t_low = np.empty(PART), np.empty(PART, np.int64), np.empty(PART), np.empty(PART)
    for start in range(0, x.size, PART):
        some, n = slice(start, start + PART), min(PART, x.size - start)
        a, p, p_low = x[some], hi[some], lo[some]
        for i in range(n):
            steps[i] = np.rint(a[i] * PER_STEP) if a[i] >= FAR else 0.0
        for i in range(n):
            integer = np.int64(steps[i])
            j = integer & (STEPS - 1)
            t[i], t_low[i], k[i] = table[j], table_low[j], (integer >> 12) + exponent
        _expm1(a, x_low[some], steps, p, p_low)
        _plus_1_times(p, p_low, t, t_low)
        for i in range(n):
            if not a[i] >= FAR:
                p[i], p_low[i] = 0.0, 0.0
            elif k[i] >= -1000:  # and at most 512, as x is at most 0
                p[i], p_low[i] = p[i] * POWERS[k[i] + 1000], p_low[i] * POWERS[k[i] + 1000]
            else:
                p[i], p_low[i] = np.ldexp(p[i], k[i]), np.ldexp(p_low[i], k[i])
