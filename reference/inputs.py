"""What the book's equations take: floating arrays with one row per example, and targets y."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import Any, TypeVar, cast

import ml_dtypes
import numpy as np

from xentcheck.errors import DtypeError, ShapeError

from .formats import Array
from .given import refuse_first

Function = TypeVar("Function", bound=Callable[..., Any])

WIDE = ("float64", "float32")
"""The dtypes that the equations compute in."""

NARROW = (np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16))

MANY = 2**14
"""So many numbers of float16 are looked up faster than converted."""


def widened(x: Any) -> Any:
    """Arrays of float16 and bfloat16 as float32, exactly; anything else as it is.

    >>> widened(np.float16([0.1])).dtype
    dtype('float32')
    """
    if getattr(x, "dtype", None) not in NARROW:
        return x
    if isinstance(x, np.ndarray) and x.dtype == np.float16 and x.size >= MANY and x.flags.c_contiguous:
        return _halves().take(x.view(np.uint16))
    return x.astype(np.float32)


@cache
def _halves() -> Array:
    """All numbers of float16 in float32, by their bits: those below the normal range take long to convert."""
    with np.errstate(invalid="ignore"):
        return np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float32)


def in_float32(function: Function) -> Function:
    """The function for float16 and bfloat16 as well: carried out in float32, the result rounded once.

    >>> in_float32(lambda x: x / 3)(np.float16([1.0])).dtype
    dtype('float16')
    """

    @wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        narrow = [x.dtype for x in (*args, *options.values()) if getattr(x, "dtype", None) in NARROW]
        if not narrow:
            return function(*args, **options)
        result = function(*map(widened, args), **{name: widened(x) for name, x in options.items()})
        return np.asarray(result, narrow[0])

    return cast(Function, call)


def floating(x: Any, name: str = "z") -> Array:
    """x as an array of float64 or float32; integers become float64.

    Raises DtypeError for any other dtype: a result rounded to integers or half precision would be wrong without a word.

    >>> floating([1, 2]).dtype
    dtype('float64')
    """
    array = np.asarray(x)
    if array.dtype.kind in "iu":
        return array.astype(np.float64)
    if str(array.dtype) not in WIDE:
        raise DtypeError(f"{name} has dtype {array.dtype}; allowed: {', '.join(WIDE)}, or integers (as float64)")
    return array


def logits(z: Any) -> Array:
    """z as a floating array (..., K) with K >= 1 classes on the last axis.

    Raises ShapeError or DtypeError.

    >>> logits([[0.0, 1.0]]).shape
    (1, 2)
    """
    array = floating(z)
    if array.ndim == 0 or array.shape[-1] == 0:
        raise ShapeError(f"z has shape {array.shape}; allowed: (..., K) with K >= 1")
    return array


def matrix(x: Any, name: str, like: Array | None = None) -> Array:
    """x as a floating matrix, rows = examples; with `like`, of its dtype (integers are converted) and length.

    Raises ShapeError or DtypeError.

    >>> matrix([[1, 2]], "a_prev", like=np.zeros((1, 3), np.float32)).dtype
    dtype('float32')
    """
    given = np.asarray(x)
    array = given.astype(like.dtype) if like is not None and given.dtype.kind in "iu" else floating(given, name)
    if array.ndim != 2 or (like is not None and len(array) != len(like)):
        rows = "m" if like is None else str(len(like))
        raise ShapeError(f"{name} has shape {array.shape}; allowed: ({rows}, n), one row per example")
    if like is not None and array.dtype != like.dtype:
        raise DtypeError(f"{name} has dtype {array.dtype}; allowed: {like.dtype}, the dtype of z")
    return array


def same_shape(x: Any, name: str, like: Array, other: str) -> Array:
    """x as a matrix of the shape and dtype of `like`, which the message calls `other`. Raises ShapeError or DtypeError.

    >>> same_shape([[1, 0]], "y", np.zeros((1, 2)), "a").tolist()
    [[1.0, 0.0]]
    """
    given = np.asarray(x)
    if given.shape != like.shape:
        raise ShapeError(f"{name} has shape {given.shape}; allowed: {like.shape}, the shape of {other}")
    return matrix(given, name, like)


def examples(z: Any, y: Any) -> tuple[Array, Array]:
    """z (m, K), floating, and y as labels (m,), int64, or as rows of probabilities (m, K) in the dtype of z.

    Rows of probabilities may be any finite numbers; rows of integers (one-hot) count as probabilities.
    Raises ShapeError, DtypeError, or TargetError with the first offender.

    >>> examples([[0.0, 1.0]], [1])[1].dtype
    dtype('int64')
    """
    z = logits(z)
    matrix(z, "z")
    given = np.asarray(y)
    m, classes = z.shape
    if given.shape not in ((m,), (m, classes)):
        raise ShapeError(f"y has shape {given.shape}; allowed: ({m},) labels or ({m}, {classes}) rows of probabilities")
    if given.ndim == 2:
        return z, finite(given, z)
    if given.dtype.kind not in "iu" and m > 0:
        raise DtypeError(f"y has dtype {given.dtype}; allowed: integer labels, or rows of probabilities")
    refuse_first("y", given, (given < 0) | (given >= classes), f"labels from 0 to {classes - 1}")
    return z, given.astype(np.int64)


def finite(y: Any, like: Array, other: str = "z") -> Array:
    """y as a matrix of finite numbers in the shape and dtype of `like`: target rows, in which the loss is linear.

    Raises ShapeError, DtypeError, or TargetError with the first offender.

    >>> finite([[1.5, -0.5]], np.zeros((1, 2))).tolist()
    [[1.5, -0.5]]
    """
    array = same_shape(y, "y", like, other)
    refuse_first("y", array, ~np.isfinite(array), "finite numbers")
    return array


def probabilities(y: Any, like: Array, other: str = "z") -> Array:
    """y as a matrix of numbers from 0 to 1 in the shape and dtype of `like`.

    Raises ShapeError, DtypeError, or TargetError with the first offender.

    >>> probabilities([[1, 0]], np.zeros((1, 2))).tolist()
    [[1.0, 0.0]]
    """
    array = same_shape(y, "y", like, other)
    refuse_first("y", array, ~((array >= 0) & (array <= 1)), "probabilities from 0 to 1")
    return array
