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


@loop
def scaled_rows(e: Array, factors: Array, rows: Array) -> None:
    """Rows of e (n, C), each times its factor (n,), rounded to the format of rows (n, any), which zeros fill up."""
    for i in range(e.shape[0]):
        for j in range(e.shape[1]):
            rows[i, j] = e[i, j] * factors[i]
        rows[i, e.shape[1] :] = 0


LANES = 32
"""Sums that are taken beside each other, in vector registers: a loop over fewer is unrolled, and uses none."""


@loop_in_any_order
def _total(lanes: Array) -> float:
    total = 0.0
    for k in range(lanes.size):
        total += lanes[k]
    return total


@loop
def _rests(x: Array, to_grains: Any, one: Any, other: Any, lanes: Array) -> tuple[float, float]:
    """Sums of y - rint(y), y the grains of x times one factor, and times another; exact up to 2^15 x in each lane.

    All of x, the factors and lanes (2, LANES) are float32.
    """
    lanes[:] = 0
    whole = x.size // LANES * LANES
    for start in range(0, whole, LANES):
        for k in range(LANES):
            grains = np.rint(x[start + k] * to_grains)
            y, z = grains * one, grains * other
            lanes[0, k] += y - np.rint(y)
            lanes[1, k] += z - np.rint(z)
    for k in range(whole, x.size):
        grains = np.rint(x[k] * to_grains)
        y, z = grains * one, grains * other
        lanes[0, 0] += y - np.rint(y)
        lanes[1, 0] += z - np.rint(z)
    return _total(lanes[0]), _total(lanes[1])


@loop_in_any_order
def _sum_of_grains(block: Array, factor: Any) -> float:
    total = 0.0
    for j in range(block.size):
        total += np.rint(block[j] * factor)
    return total


@loop
def sort_rows(rows: Array) -> None:
    """Sort each row (n, C) of float32 in place, as np.sort does: by the bits of its numbers, 11 at a time."""
    n, width = rows.shape
    spare, places = np.empty(width, np.uint32), np.empty((3, 2048), np.int64)
    for row in range(n):
        bits = rows[row].view(np.uint32)
        places[:] = 0
        for i in range(width):
            k = bits[i] ^ (np.uint32(np.int32(bits[i]) >> 31) | np.uint32(1 << 31))  # in the order of the numbers
            bits[i] = k
            for digit in range(3):
                places[digit, (k >> np.uint32(11 * digit)) & np.uint32(2047)] += 1
        for digit in range(3):
            place, shift = places[digit], np.uint32(11 * digit)
            place[:] = np.cumsum(place) - place
            source, sink = (spare, bits) if digit == 1 else (bits, spare)
            for i in range(width):
                j = (source[i] >> shift) & np.uint32(2047)
                sink[place[j]] = source[i]
                place[j] += 1
        for i in range(width):
            bits[i] = spare[i] ^ (np.uint32(~(np.int32(spare[i]) >> 31)) | np.uint32(1 << 31))


@loop
def _last_places(running: Array, lowest: int) -> Array:
    """The exponents of running sums, as frexp has them, above the lowest; 0 below it."""
    return np.asarray(np.maximum(((running.view(np.int64) >> 52) & 2047) - 1022 - lowest, 0))


@loop
def sorted_drift(rows: Array, grain: float, precision: int, block: int, exact: int, each: float) -> Array:
    """(n,): `addends.drift_of_sorted` of sorted rows (n, any) of float32, by blocks; neighbours with the same last
    places are one run, of at most so many addends that what they leave over is exact.
    """
    lowest, found = math.frexp(grain)[1], np.zeros(len(rows))
    count = rows.shape[1] // block
    upwards, lanes = np.zeros(count + 1), np.empty((2, LANES), np.float32)
    units = np.ldexp(grain, -lowest - np.arange(64)).astype(np.float32)  # of the last places above the grain
    for i in range(len(rows)):
        row = rows[i]
        for j in range(count):
            some = row[j * block : (j + 1) * block]
            upwards[j + 1] = upwards[j] + _sum_of_grains(some, np.float32(1.0) / np.float32(grain)) * (grain * each)
        for scale in SCALES:
            ascending, descending, start = 0.0, 0.0, 0
            up = _last_places(scale * upwards[1:], precision + lowest)
            down = _last_places(scale * (upwards[-1] - upwards[:-1]), precision + lowest)
            for j in range(1, count + 1):
                at_an_end = j == count or up[j] != up[start] or down[j] != down[start]
                if at_an_end or (j - start) * block >= exact:
                    some, one, other = row[start * block : j * block], units[up[start]], units[down[start]]
                    rest, other_rest = _rests(some, np.float32(scale) / np.float32(grain), one, other, lanes)
                    ascending += rest / one
                    descending += other_rest / other
                    start = j
            found[i] = max(found[i], abs(ascending) / scale, abs(descending) / scale)
    return found * (2.0 * grain * each)


@loop
def left_over(parts: Array, grain: float, levels: int, exact: int) -> tuple[Array, Array]:
    """What rows (n, parts, any) of float32 leave over by level: (levels, n, parts), from so many addends that it is
    exact; and how many are not 0: (n, parts).
    """
    n, chunks, width = parts.shape
    rests, counts = np.zeros((levels, n, chunks)), np.zeros((n, chunks), np.int64)
    lanes = np.empty((2, LANES), np.float32)
    for i in range(n):
        for c in range(chunks):
            for j in range(width):
                counts[i, c] += parts[i, c, j] != 0
            for start in range(0, width, exact):
                piece = parts[i, c, start : start + exact]
                for level in range(levels):
                    if level % 4 > 1:
                        continue  # it is looked at together with the one an octave above
                    lower = level + 2
                    one, other = np.float32(grain * 2.0 ** (level // 2)), np.float32(grain * 2.0 ** (lower // 2))
                    to_grains = np.float32(SCALES[level % 2]) / np.float32(grain)
                    rest, other_rest = _rests(piece, to_grains, one, other, lanes)
                    rests[level, i, c] += rest
                    if lower < levels:
                        rests[lower, i, c] += other_rest
    return rests, counts
