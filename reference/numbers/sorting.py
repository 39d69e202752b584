"""Sorting many numbers, by the faster of two ways that give the same rows."""

from __future__ import annotations

from functools import cache
from time import perf_counter

import numpy as np

from .arrays import Array
from .fast import kernels

SHORT = 1024
"""Numbers in a row up to which NumPy is faster everywhere: counting them by 2048 digits takes longer."""

TRIED = (4, 2**14)
"""Rows and their width on which both ways are timed, once."""


def sort_rows(rows: Array) -> None:
    """Sort each row (n, C) in place, as np.sort does: by NumPy, or by a compiled radix sort where that is faster.

    NumPy sorts float32 by vector instructions whose price differs from processor to processor by several times.
    """
    compiled = kernels(rows) if rows.dtype == np.float32 and rows.shape[1] > SHORT else None
    if compiled and not _numpy_is_faster():
        compiled.sort_rows(rows)
    else:
        rows.sort(axis=1)


@cache
def _numpy_is_faster() -> bool:
    """Whether NumPy's sort took less time here than the radix sort; which of them it is changes no number."""
    numbers = np.random.default_rng(0).standard_normal(TRIED).astype(np.float32)
    compiled = kernels(numbers)
    if not compiled:
        return True
    times = []
    for sort in (lambda rows: rows.sort(axis=1), compiled.sort_rows):
        found = []
        for _ in range(4):  # the first one compiles
            rows = numbers.copy()
            start = perf_counter()
            sort(rows)
            found.append(perf_counter() - start)
        times.append(min(found))
    return times[0] <= times[1]
