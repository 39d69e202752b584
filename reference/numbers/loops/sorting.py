"""A radix sort of float32 numbers, compiled by numba, for machines on which NumPy's sort is slower."""

from __future__ import annotations

import numpy as np

from xentcheck.reference.formats import Array

from .passes import loop


@loop
def sort_rows(rows: Array) -> None:
    """Sort each row (n, C) in place by the bits of its numbers, 11 at a time."""
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
