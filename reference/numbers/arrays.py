"""Arrays wherever they lie: in this machine's memory, or on a device, by the same functions of NumPy.

An array on a device is what NumPy hands its operators and functions to (`__array_ufunc__`, `__array_function__`), with
a method `place` that puts others there: one text serves both. What has no class axis left, numbers per row among them,
comes from there as an array of NumPy's.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

Place = Callable[[Array], Array]
"""Puts an array where others lie."""

home: Place = np.asarray
"""This machine's memory."""

ON_DEVICE = 2**22
"""Elements that are looked at together on a device, which has no cache to stay in, and a price for each call."""


def here(x: Any) -> bool:
    """Whether an array lies in this machine's memory.

    >>> here(np.zeros(2)), here(1.0)
    (True, True)
    """
    return isinstance(x, (np.ndarray, np.generic)) or not hasattr(x, "place")


def as_array(x: Any, dtype: Any = None) -> Array:
    """`np.asarray`, but an array on a device stays there.

    >>> as_array([1, 2], np.float64)
    array([1., 2.])
    """
    if isinstance(x, np.ndarray) or here(x):
        return np.asarray(x, dtype)
    placed: Array = x if dtype is None else x.astype(dtype, copy=False)
    return placed


def at_once(x: Array, few: int) -> int:
    """How many elements of an array are looked at together: so few that they stay in a cache, more on a device.

    >>> at_once(np.zeros(5), 2)
    2
    """
    return few if here(x) else ON_DEVICE


LONG = 1024
"""Elements of a row from which on counting row by row is faster than adding up booleans, which become integers."""


def nonzeros(x: Array) -> Array:
    """(n,): how many elements of each row (n, C) are not 0.

    >>> nonzeros(np.array([[0.0, 1.0], [2.0, np.nan]]))
    array([1, 2])
    """
    there = x if x.dtype == bool else x != 0
    if not here(x) or x.shape[1] < LONG:
        return np.asarray(np.count_nonzero(there, axis=1))
    return np.array([np.count_nonzero(row) for row in there])


@cache
def keep_freed_memory() -> None:
    """Freed arrays of a block stay with the process: else each of its arrays may be mapped page by page again.

    glibc keeps as much as twice the largest array that was freed, up to 32 MiB, and starts with 128 KiB.
    """
    np.empty(2**25 - 2**16, np.uint8)
