"""Passes over addends, compiled by numba: what those of long sums leave over.

Every operation is one of IEEE 754, in the order of `bounds.sums.addends`, and none is contracted; sums that may be
taken in any order are exact. numba keeps what it compiled beside this file, or in its own folder.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar, cast

import numpy as np
from numba import njit

from xentcheck.reference.formats import Array

F = TypeVar("F", bound=Callable[..., object])


def loop(function: F) -> F:
    """The function, compiled when it is first called with arguments of some types."""
    return cast(F, njit(cache=True, nogil=True, error_model="numpy")(function))


def loop_in_any_order(function: F) -> F:
    """The same for sums that are exact, whatever their order."""
    return cast(F, njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc"})(function))


@loop
def _left_over(grains: Array, factor: float, left: Array) -> None:
    for j in range(grains.size):
        scaled = grains[j] * factor
        left[j] = scaled - np.rint(scaled)


@loop_in_any_order
def _total(left: Array) -> float:
    total: float = left[0] * 0  # in the format of the grains
    for j in range(left.size):
        total += left[j]
    return total


@loop
def _to_grains(part: Array, factor: float, grains: Array) -> None:
    for j in range(part.size):
        grains[j] = np.rint(part[j] * factor)


@loop
def rest_at_levels(parts: Array, to_grains: float, factors: Array) -> Array:
    """Sums over each part (m, k) of s - rint(s), s = rint(part to_grains) times each factor (levels,): (levels, m);
    exact in any order.
    """
    found = np.empty((factors.size, parts.shape[0]), np.float64)
    grains, left = np.empty(parts.shape[1], parts.dtype), np.empty(parts.shape[1], parts.dtype)
    for i in range(parts.shape[0]):
        _to_grains(parts[i], to_grains, grains)
        for level in range(factors.size):
            _left_over(grains, factors[level], left)
            found[level, i] = _total(left)
    return found


@loop_in_any_order
def _sum_of_grains(block: Array, factor: float) -> float:
    total = 0.0
    for j in range(block.size):
        total += np.rint(block[j] * factor)
    return total


@loop
def _sort(x: Array, other: Array, places: Array) -> None:
    """Sort float32 numbers by their bits, 11 at a time; other, places: (n,) and (3, 2048), to work in."""
    bits, spare = x.view(np.uint32), other.view(np.uint32)
    places[:] = 0
    for i in range(bits.size):
        k = bits[i] ^ (np.uint32(np.int32(bits[i]) >> 31) | np.uint32(1 << 31))  # in the order of the numbers
        bits[i] = k
        for digit in range(3):
            places[digit, (k >> np.uint32(11 * digit)) & np.uint32(2047)] += 1
    for digit in range(3):
        place, shift = places[digit], np.uint32(11 * digit)
        place[:] = np.cumsum(place) - place
        source, sink = (spare, bits) if digit == 1 else (bits, spare)
        for i in range(bits.size):
            j = (source[i] >> shift) & np.uint32(2047)
            sink[place[j]] = source[i]
            place[j] += 1
    for i in range(bits.size):
        bits[i] = spare[i] ^ (np.uint32(~(np.int32(spare[i]) >> 31)) | np.uint32(1 << 31))


@loop
def sorted_drifts(rows: Array, grain: float, precision: int) -> Array:
    """`Addends.sorted_drift` of rows (n, blocks, k) of float32, which are sorted; grain: float32."""
    found, (count, k) = np.zeros(rows.shape[0]), rows.shape[1:]
    other, places = np.empty(count * k, np.float32), np.empty((3, 2048), np.int64)
    grains, left, upwards = np.empty(k, np.float32), np.empty(k, np.float32), np.zeros(count + 1)
    for i in range(rows.shape[0]):
        _sort(rows[i].reshape(-1), other, places)
        for j in range(count):
            upwards[j + 1] = upwards[j] + _sum_of_grains(rows[i, j], np.float32(1.0) / grain) * grain
        for scale in (1.0, math.sqrt(2.0)):
            ascending, descending = 0.0, 0.0
            for j in range(count):
                _to_grains(rows[i, j], np.float32(scale) / grain, grains)
                ascending += _left_at(grains, left, scale * upwards[j + 1], grain, precision)
                descending += _left_at(grains, left, scale * (upwards[-1] - upwards[j]), grain, precision)
            found[i] = max(found[i], abs(ascending) / scale, abs(descending) / scale)
    return found


@loop
def _left_at(grains: Array, left: Array, running: float, grain: float, precision: int) -> float:
    """What grains leave over at the last place of a running sum, in units u of size 1."""
    exponent = max(math.frexp(running)[1] - precision, math.frexp(grain)[1])
    _left_over(grains, np.float32(math.ldexp(grain, -exponent)), left)
    return math.ldexp(np.float64(_total(left)), exponent + 1)


@loop
def not_zero(parts: Array) -> Array:
    """How many numbers of each part (m, k) are not 0: (m,)."""
    found = np.empty(parts.shape[0], np.int64)
    for i in range(parts.shape[0]):
        count = 0
        for j in range(parts.shape[1]):
            count += parts[i, j] != 0
        found[i] = count
    return found
