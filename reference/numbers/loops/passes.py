"""Passes over addends, compiled by numba: what those of long sums leave over.

Every operation is one of IEEE 754, in the order of `bounds.sums.addends`, and none is contracted; sums that may be
taken in any order are exact. numba keeps what it compiled beside this file, or in its own folder.
"""

from __future__ import annotations

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
def rest(parts: Array, to_grains: float, factors: Array) -> Array:
    """Sums over each part (m, k) of s - rint(s), s = rint(part to_grains) times its factor (m,): (m,); exact in any
    order.
    """
    found = np.empty(parts.shape[0], np.float64)
    grains, left = np.empty(parts.shape[1], parts.dtype), np.empty(parts.shape[1], parts.dtype)
    for i in range(parts.shape[0]):
        _to_grains(parts[i], to_grains, grains)
        _left_over(grains, factors[i], left)
        found[i] = _total(left)
    return found


@loop
def rest_at_levels(parts: Array, to_grains: float, factors: Array) -> Array:
    """The same for each of several factors (levels,) of all parts: (levels, m)."""
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
def block_sums(blocks: Array, to_grains: float) -> Array:
    """Sums over each block (m, k) of rint(block to_grains), in float64: (m,), exact in any order."""
    found = np.empty(blocks.shape[0], np.float64)
    for i in range(blocks.shape[0]):
        found[i] = _sum_of_grains(blocks[i], to_grains)
    return found


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
