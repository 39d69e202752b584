"""Random numbers with the same bits everywhere: PCG64 raw words, seeded by a hash of the case id.

Only exact operations follow (integer arithmetic, + - * / and correctly rounded conversions): `np.exp` and
`Generator.normal` differ between machines and versions.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np

from xentcheck.reference.formats import Array

AT_ONCE = 2**14
"""Gaussian numbers that are drawn at once: the words of all of them would take twelve times their memory."""


class Stream:
    """A stream of numbers that depends on its name only.

    >>> int(Stream("example").integers(0, 100, (1,))[0]) == int(Stream("example").integers(0, 100, (1,))[0])
    True
    """

    def __init__(self, name: str) -> None:
        self._bits = np.random.PCG64(int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], "big"))

    def _raw(self, shape: tuple[int, ...]) -> Array:
        words = np.asarray(self._bits.random_raw(math.prod(shape)), np.uint64)
        return words.reshape(shape)

    def uniform(self, low: float, high: float, shape: tuple[int, ...]) -> Array:
        """Float64 in [low, high), 53 random bits."""
        unit = (self._raw(shape) >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return low + (high - low) * unit

    def integers(self, low: int, high: int, shape: tuple[int, ...]) -> Array:
        """Int64 in [low, high); the bias of the remainder is below 2^-40 for the ranges used."""
        span = np.uint64(high - low)
        return (self._raw(shape) % span).astype(np.int64) + low

    def gaussian(self, shape: tuple[int, ...]) -> Array:
        """Nearly normal: the sum of 12 uniform integers, exact in uint64, so that no order of summation matters."""
        sums = np.empty(math.prod(shape), np.uint64)
        for start in range(0, sums.size, AT_ONCE):
            part = sums[start : start + AT_ONCE]
            np.einsum("ni->n", self._raw((part.size, 12)) >> np.uint64(12), out=part)
        return (sums.astype(np.float64) * 2.0**-52 - 6.0).reshape(shape)

    def signs(self, shape: tuple[int, ...]) -> Array:
        """Float64 -1 or 1."""
        return 1.0 - 2.0 * self.integers(0, 2, shape).astype(np.float64)

    def subset(self, rows: int, of: int, size: int) -> Array:
        """(rows, size) distinct integers below `of` per row."""
        return np.argsort(self._raw((rows, of)), axis=1, kind="stable")[:, :size]
