"""Passes over addends, compiled by numba: what those of long sums leave over.

Every operation is one of IEEE 754, in the order of `bounds.sums.addends`, and none is contracted; sums that may be
taken in any order are exact. numba keeps what it compiled beside this file, or in its own folder.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

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


SCALES = (1.0, math.sqrt(2.0))
"""As addends are, and half an octave above."""

Found = tuple[Array, Array, Array]
"""What the addends of rows leave over, how many addends there are, and how far sums of sorted addends drift."""


@loop
def _left_over(grains: Array, factor: Any, left: Array) -> None:
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
def _to_grains(part: Array, factor: Any, grains: Array) -> None:
    for j in range(part.size):
        grains[j] = np.rint(part[j] * factor)


@loop_in_any_order
def _sum_of_grains(block: Array, factor: Any) -> float:
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
def _sorted_drift(blocks: Array, grain: float, precision: int, other: Array, places: Array) -> float:
    """`Addends.sorted_drift` of a row in blocks (any, k), which are sorted; grain: float32."""
    found, (count, k), lowest = 0.0, blocks.shape, math.frexp(grain)[1]
    grains, left, upwards = np.empty(k, np.float32), np.empty(k, np.float32), np.zeros(count + 1)
    units = np.ldexp(grain, -lowest - np.arange(64)).astype(np.float32)  # of the last places above the grain
    _sort(blocks.reshape(-1), other, places)
    for j in range(count):
        upwards[j + 1] = upwards[j] + _sum_of_grains(blocks[j], np.float32(1.0) / grain) * grain
    for scale in SCALES:
        ascending, descending = 0.0, 0.0
        up = _last_places(scale * upwards[1:], precision + lowest)
        down = _last_places(scale * (upwards[-1] - upwards[:-1]), precision + lowest)
        for j in range(count):
            _to_grains(blocks[j], np.float32(scale) / grain, grains)
            _left_over(grains, units[up[j]], left)
            ascending += _total(left) / units[up[j]]
            _left_over(grains, units[down[j]], left)
            descending += _total(left) / units[down[j]]
        found = max(found, abs(ascending) / scale, abs(descending) / scale)
    return found * 2.0 * grain


@loop
def _last_places(running: Array, lowest: int) -> Array:
    """The exponents of running sums, as frexp has them, above the lowest; 0 below it."""
    return np.asarray(np.maximum(((running.view(np.int64) >> 52) & 2047) - 1022 - lowest, 0))


@loop
def left_over(parts: Array, grain: float, levels: int, exact: int, block: int, precision: int) -> Found:
    """What rows (n, parts, any) of float32 leave over by level: (levels, n, parts), from so many addends that it is
    exact; how many are not 0: (n, parts); and `Addends.sorted_drift`, by blocks, for a precision: (n,).
    """
    n, chunks, width = parts.shape
    rests, counts, drifts = np.zeros((levels, n, chunks)), np.zeros((n, chunks), np.int64), np.zeros(n)
    grains, left = np.empty(min(width, exact), np.float32), np.empty(min(width, exact), np.float32)
    other, places = np.empty(chunks * width, np.float32), np.empty((3, 2048), np.int64)
    for i in range(n):
        for c in range(chunks):
            for j in range(width):
                counts[i, c] += parts[i, c, j] != 0
            for start in range(0, width, exact):
                piece = parts[i, c, start : start + exact]
                for odd in range(2):
                    _to_grains(piece, np.float32(SCALES[odd]) / grain, grains)
                    for level in range(odd, levels, 2):
                        _left_over(grains[: piece.size], np.float32(grain * 2.0 ** (level // 2)), left)
                        rests[level, i, c] += _total(left[: piece.size])
        if precision:
            drifts[i] = _sorted_drift(parts[i].reshape(-1, block), grain, precision, other, places)
    return rests, counts, drifts
