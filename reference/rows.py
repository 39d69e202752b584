"""Logits of any rank as a matrix with one row per example, and back."""

from __future__ import annotations

import math

import numpy as np

from .formats import Array


def to_rows(x: Array) -> Array:
    """(C,), (N, C) or (N, C, d1..dk) -> (M, C) with M = N d1..dk: the class axis last, a view where possible.

    >>> to_rows(np.zeros((2, 5, 3))).shape
    (6, 5)
    """
    if x.ndim == 1:
        return x[None, :]
    moved = np.moveaxis(x, 1, -1)
    return moved.reshape(math.prod(moved.shape[:-1]), x.shape[1])


def from_rows(rows: Array, shape: tuple[int, ...]) -> Array:
    """The inverse of `to_rows` for an array of the given shape.

    >>> from_rows(np.zeros((6, 5)), (2, 5, 3)).shape
    (2, 5, 3)
    """
    if len(shape) == 1:
        return rows.reshape(shape)
    moved = rows.reshape(shape[0], *shape[2:], shape[1])
    return np.moveaxis(moved, -1, 1)
