"""Passes over elements, compiled by numba: what a comparison looks for, and what the addends of long sums leave over.

Every operation is one of IEEE 754, in the order of `metric` and `scattered`, and none is contracted; sums that may be
taken in any order are exact. numba keeps what it compiled beside this file, or in its own folder.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numpy as np
from numba import njit

from xentcheck.reference.formats import Array

F = TypeVar("F", bound=Callable[..., object])

PART = 512
"""Elements of which a kernel keeps numbers: they stay in the first cache."""


def loop(function: F) -> F:
    """The function, compiled when it is first called with arguments of some types."""
    return cast(F, njit(cache=True, nogil=True, error_model="numpy")(function))


def loop_in_any_order(function: F) -> F:
    """The same for sums that are exact, whatever their order."""
    return cast(F, njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc"})(function))


@loop_in_any_order
def _rest(grains: Array, factor: float) -> float:
    total: float = factor * 0  # in the format of the grains
    for j in range(grains.size):
        scaled = grains[j] * factor
        total += scaled - np.rint(scaled)
    return total


@loop
def rest(grains: Array, factors: Array) -> Array:
    """Sums over each row of s - rint(s), s = grains (m, k) times its factor (m,): (m,); exact in any order."""
    found = np.empty(grains.shape[0], np.float64)
    for i in range(grains.shape[0]):
        found[i] = _rest(grains[i], factors[i])
    return found


@loop
def rest_at_levels(grains: Array, factors: Array) -> Array:
    """The same for each of several factors (levels,) of all rows: (levels, m)."""
    found = np.empty((factors.size, grains.shape[0]), np.float64)
    for i in range(grains.shape[0]):
        for level in range(factors.size):
            found[level, i] = _rest(grains[i], factors[level])
    return found


@loop_in_any_order
def block_sums(grains: Array) -> Array:
    """Sums over each row of grains (m, k), whole numbers, in float64: (m,), exact in any order."""
    found = np.empty(grains.shape[0], np.float64)
    for i in range(grains.shape[0]):
        total = 0.0
        for j in range(grains.shape[1]):
            total += grains[i, j]
        found[i] = total
    return found


@loop
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


@loop
def _count(x: Array, n: int, edges: Array, above: Array) -> None:
    for k in range(edges.size):
        count = 0
        for i in range(n):
            count += x[i] >= edges[k]
        above[k] += count


@loop
def _largest(x: Array, n: int) -> float:
    """The largest of numbers that are not nan: of those below 0, any."""
    bits, most = x.view(np.int64), np.int64(-1)
    for i in range(n):
        most = max(most, bits[i])
    return np.array([most]).view(np.float64)[0] if most >= 0 else -1.0


@loop
def _first(x: Array, n: int, value: float) -> int:
    """Where a number stands first among others."""
    for i in range(n):
        if x[i] == value:
            return i
    return 0


@loop
def compared(
    got: Array,
    hi: Array,
    lo: Array,
    bound: Array,
    normal: float,
    per_unit: float,
    edges: tuple[Array, Array],
    above: tuple[Array, Array],
) -> tuple[int, float, int, float, int]:
    """What `Tally` looks for in elements (n,): how many fail, the largest share, the most ULPs (-1: none), each where.

    normal: the smallest normal number; per_unit: 1 in ULPs of it. edges: of shares and of ULPs; above: how many are
    there or beyond, to which is added. -1 failing elements: something is not finite, or a bound is 0: left to NumPy.
    """
    failing, largest, at, most, far = np.zeros(1, np.int64), -1.0, 0, -1.0, 0
    share, found = np.empty(PART), np.empty(PART)
    beyond = np.array([1.0 + 2.0**-52])
    for start in range(0, got.size, PART):
        stop = min(start + PART, got.size)
        n = stop - start
        x, a, b, c = got[start:stop], hi[start:stop], lo[start:stop], bound[start:stop]
        if _share_and_ulps(x, a, b, c, normal, per_unit, share, found):
            return -1, 0.0, 0, 0.0, 0
        top = _largest(share, n)
        if top > largest:
            largest, at = top, start + _first(share, n, top)
        if top > 1.0:
            _count(share, n, beyond, failing)
        units = _largest(found, n)
        if units > most:
            most, far = units, start + _first(found, n, units)
        _count(share, n, edges[0], above[0])
        _count(found, n, edges[1], above[1])
    return failing[0], largest, at, most, far
