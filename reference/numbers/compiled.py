"""Loops over elements, compiled by numba where it is installed (the extra `fast`): NumPy's numbers, in less time.

Every operation is one of IEEE 754, in the order of `double_double`, `elementary`, `scattered` and `metric`, and none is
contracted; sums that may be taken in any order are exact. Imported at the first large array only; numba keeps what it
compiled beside this file, or in its own folder.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numpy as np
from numba import njit

from xentcheck.reference.formats import Array

from .tables import FAR, GRID, PER_STEP, SPLITTER, STEP_1, STEP_2, STEP_3, STEPS, TAYLOR

F = TypeVar("F", bound=Callable[..., object])

T6, T5, T4, T3 = TAYLOR

PART = 512
"""Elements of which a kernel keeps numbers: they stay in the first cache."""


def _compiled(function: F) -> F:
    return cast(F, njit(cache=True, nogil=True, error_model="numpy")(function))


def _in_any_order(function: F) -> F:
    return cast(F, njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc"})(function))


@_in_any_order
def _rest(grains: Array, factor: float) -> float:
    total: float = grains[0] * factor * 0
    for j in range(grains.size):
        scaled = grains[j] * factor
        total += scaled - np.rint(scaled)
    return total


@_compiled
def rest(grains: Array, factors: Array) -> Array:
    """Sums over each row of s - rint(s), s = grains (m, k) times its factor (m,): (m,); exact in any order."""
    found = np.empty(grains.shape[0], np.float64)
    for i in range(grains.shape[0]):
        found[i] = _rest(grains[i], factors[i])
    return found


@_compiled
def rest_at_levels(grains: Array, factors: Array) -> Array:
    """The same for each of several factors (levels,) of all rows: (levels, m)."""
    found = np.empty((factors.size, grains.shape[0]), np.float64)
    for i in range(grains.shape[0]):
        for level in range(factors.size):
            found[level, i] = _rest(grains[i], factors[level])
    return found


@_in_any_order
def block_sums(grains: Array) -> Array:
    """Sums over each row of grains (m, k), whole numbers, in float64: (m,), exact in any order."""
    found = np.empty(grains.shape[0], np.float64)
    for i in range(grains.shape[0]):
        total = 0.0
        for j in range(grains.shape[1]):
            total += grains[i, j]
        found[i] = total
    return found


@_compiled
def _share_and_ulps(
    got: Array, hi: Array, lo: Array, bound: Array, normal: float, per_unit: float, share: Array, ulps: Array
) -> int:
    """error/bound, and the error in ULPs or -1 below the normal range; how many numbers are no ordinary ones."""
    odd = 0
    inverse = np.empty(got.size)
    bits, exact = inverse.view(np.int64), hi.view(np.int64)
    for i in range(got.size):
        bits[i] = (2046 << 52) - (exact[i] & (2047 << 52))  # of 2^-k, for an exact value of exponent k
    for i in range(got.size):
        error = abs((got[i] - hi[i]) - lo[i])
        odd += not error < np.inf
        odd += not abs(got[i]) < np.inf
        odd += not bound[i] > 0.0
        found = error / bound[i]
        beyond = found if found > 1.0 else 1.0 + 2.0**-52
        share[i] = found if error <= bound[i] else beyond
        in_units = error * inverse[i] * per_unit
        ulps[i] = in_units if abs(hi[i]) >= normal else -1.0
    return odd


@_compiled
def _count(x: Array, n: int, edges: Array, above: Array) -> None:
    for k in range(edges.size):
        count = 0
        for i in range(n):
            count += x[i] >= edges[k]
        above[k] += count


@_compiled
def _largest(x: Array, n: int) -> float:
    """The largest of numbers that are not nan: of those below 0, any."""
    bits, most = x.view(np.int64), np.int64(-1)
    for i in range(n):
        most = max(most, bits[i])
    return np.array([most]).view(np.float64)[0] if most >= 0 else -1.0


@_compiled
def compared(
    got: Array,
    hi: Array,
    lo: Array,
    bound: Array,
    normal: float,
    per_unit: float,
    edges: tuple[Array, Array],
    above: tuple[Array, Array],
) -> tuple[int, float, int, float]:
    """What `Tally` looks for in elements (n,): how many fail, the largest share, where, and the most ULPs (-1: none).

    normal: the smallest normal number; per_unit: 1 in ULPs of it. edges: of shares and of ULPs; above: how many are
    there or beyond, to which is added. -1 failing elements: something is not finite, or a bound is 0: left to NumPy.
    """
    failing, largest, at, most = np.zeros(1, np.int64), -1.0, 0, -1.0
    share, found = np.empty(PART), np.empty(PART)
    beyond = np.array([1.0 + 2.0**-52])
    for start in range(0, got.size, PART):
        stop = min(start + PART, got.size)
        n = stop - start
        x, a, b, c = got[start:stop], hi[start:stop], lo[start:stop], bound[start:stop]
        if _share_and_ulps(x, a, b, c, normal, per_unit, share, found):
            return -1, 0.0, 0, 0.0
        top = _largest(share, n)
        if top > largest:
            largest = top
            for i in range(n):
                if share[i] == top:
                    at = start + i
                    break
        if top > 1.0:
            _count(share, n, beyond, failing)
        most = max(most, _largest(found, n))
        _count(share, n, edges[0], above[0])
        _count(found, n, edges[1], above[1])
    return failing[0], largest, at, most


@_compiled
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


@_compiled
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


@_compiled
def add(a: Array, a_low: Array, b: Array, b_low: Array, hi: Array, lo: Array) -> None:
    """Sums of (n, C) and (n or 1, C or 1) numbers."""
    for i in range(hi.shape[0]):
        k = min(i, b.shape[0] - 1)
        if b.shape[1] == 1:
            y, y_low = b[k, 0], b_low[k, 0]
            for j in range(hi.shape[1]):
                hi[i, j], lo[i, j] = _sum(a[i, j], a_low[i, j], y, y_low)
        else:
            for j in range(hi.shape[1]):
                hi[i, j], lo[i, j] = _sum(a[i, j], a_low[i, j], b[k, j], b_low[k, j])


@_compiled
def multiply(a: Array, a_low: Array, b: Array, b_low: Array, hi: Array, lo: Array) -> None:
    """Products of (n, C) and (n or 1, C or 1) numbers."""
    for i in range(hi.shape[0]):
        k = min(i, b.shape[0] - 1)
        if b.shape[1] == 1:
            y, y_low = b[k, 0], b_low[k, 0]
            for j in range(hi.shape[1]):
                hi[i, j], lo[i, j] = _product(a[i, j], a_low[i, j], y, y_low)
        else:
            for j in range(hi.shape[1]):
                hi[i, j], lo[i, j] = _product(a[i, j], a_low[i, j], b[k, j], b_low[k, j])


@_compiled
def sums(hi: Array, lo: Array, total: Array, total_low: Array) -> None:
    """`double_double.dd_sum` of each row of (n, C), by the same tree."""
    for i in range(hi.shape[0]):
        a, a_low, n = hi[i].copy(), lo[i].copy(), hi.shape[1]
        while n > 1:
            half = n // 2
            middle, middle_low = a[half], a_low[half]
            for j in range(half):
                x, y = a[j], a[n - half + j]
                s = x + y
                t = s - x
                a_low[j] = ((x - (s - t)) + (y - t)) + (a_low[j] + a_low[n - half + j])
                a[j] = s
            if n % 2:
                a[half], a_low[half] = middle, middle_low
            n -= half
        total[i] = a[0] + a_low[0]
        total_low[i] = a_low[0] - (total[i] - a[0])


POWERS = np.ldexp(1.0, np.arange(-1000, 1001))


@_compiled
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
        if -1000 <= k <= 1000:
            hi[i], lo[i] = w * POWERS[k + 1000], t * POWERS[k + 1000]
        else:
            hi[i], lo[i] = np.ldexp(w, k), np.ldexp(t, k)
