"""What users give as arrays and numbers, as it is needed; anything else is refused in one line."""

from __future__ import annotations

import hashlib
import mmap
import sys
from collections.abc import Iterator, Mapping
from numbers import Integral, Real
from typing import Any
from zlib import crc32

import numpy as np

from xentcheck.errors import ProblemError, ShapeError, TargetError
from xentcheck.errors import told as told_of

from .formats import Array

CHECKED = 2**22
"""Bytes of arrays of which a change is noticed: of more, looking at them would add to each verdict, and cost memory."""


def native(array: Array) -> Array:
    """The same numbers in the byte order of this machine, in which alone a dtype has its name.

    >>> native(np.array([1.0], ">f4")).dtype
    dtype('float32')
    """
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def array_of(name: str, given: Any) -> Array:
    """What is given as an array, in the byte order of this machine. Raises ShapeError if it is none.

    >>> array_of("logits", [[1.0], [2.0, 3.0]])
    Traceback (most recent call last):
      ...
    xentcheck.errors.ShapeError: logits are no array: their rows differ in length; allowed: an array, or equal rows
    """
    are, their = ("are", "their") if name == "logits" else ("is", "its")
    try:
        return native(of_tensor(given) if hasattr(given, "detach") else np.asarray(given))
    except ValueError:
        told = f"{name} {are} no array: {their} rows differ in length"
        raise ShapeError(f"{told}; allowed: an array, or equal rows") from None
    except Exception as error:
        raise ShapeError(f"{name} {are} no array: {told_of(error)}; allowed: an array, or equal rows") from error


def of_tensor(tensor: Any) -> Array:
    """A tensor of PyTorch, from any device, as an array; of bfloat16 too, which NumPy knows by `ml_dtypes` only."""
    plain = tensor.detach().cpu()
    if str(plain.dtype) == "torch.bfloat16":
        return np.asarray(plain.contiguous().view(sys.modules["torch"].int16).numpy().view("bfloat16"))
    return np.asarray(plain.numpy(force=True))


def whole(name: str, given: Any, least: int | None = None) -> int:
    """What is given as a whole number, from the least one on. Raises ProblemError.

    >>> whole("backwards", np.int64(2), 1)
    2
    >>> whole("backwards", 0, 1)
    Traceback (most recent call last):
      ...
    xentcheck.errors.ProblemError: backwards is 0; allowed: a whole number from 1
    """
    if isinstance(given, Integral) and not isinstance(given, bool) and (least is None or int(given) >= least):
        return int(given)
    raise ProblemError(f"{name} is {given!r}; allowed: a whole number{'' if least is None else f' from {least}'}")


def within(name: str, given: Any, low: float, high: float) -> float:
    """What is given as a number from one to another. Raises ProblemError.

    >>> within("label_smoothing", None, 0, 1)
    Traceback (most recent call last):
      ...
    xentcheck.errors.ProblemError: label_smoothing is None; allowed: 0 to 1
    """
    if isinstance(given, Real) and not isinstance(given, bool) and low <= float(given) <= high:
        return float(given)
    raise ProblemError(f"{name} is {given}; allowed: {low} to {high}")


def refuse_other(name: str, array: Array, shape: tuple[int, ...], why: str) -> None:
    """Raise a ShapeError for an array of another shape.

    >>> refuse_other("weight", np.ones(2), (3,), "one weight per class")
    Traceback (most recent call last):
      ...
    xentcheck.errors.ShapeError: weight has shape (2,); allowed: (3,), one weight per class
    """
    if array.shape != shape:
        raise ShapeError(f"{name} has shape {array.shape}; allowed: {shape}, {why}")


def refuse_first(name: str, array: Array, bad: Array, allowed: str) -> None:
    """Raise a TargetError with the index and the value of the first element that is bad, if there is one.

    >>> refuse_first("y", np.array([1, 7]), np.array([False, True]), "labels from 0 to 2")
    Traceback (most recent call last):
      ...
    xentcheck.errors.TargetError: y[1] is 7; allowed: labels from 0 to 2
    """
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise TargetError(f"{name}{list(where)} is {array[where]}; allowed: {allowed}")


AT_ONCE = 2**26
"""Bytes of an array that are looked at together."""


def pieces(array: Array) -> Iterator[Array]:
    """An array piece by piece along its first axis; of one that lies in a file, no more than a piece stays in memory.

    >>> [piece.tolist() for piece in pieces(np.array([1, 2]))]
    [[1, 2]]
    """
    if not array.size or not array.ndim:
        yield array
        return
    step = max(1, AT_ONCE * len(array) // array.nbytes)
    for start in range(0, len(array), step):
        yield array[start : start + step]
        forget(array)


def digest(arrays: Mapping[str, Array], words: str) -> str:
    """SHA-256 of named arrays' values, whatever their layout in memory, and of words: 16 digits of it.

    >>> digest({"z": np.arange(4.0)}, "mean") == digest({"z": np.arange(8.0)[:4]}, "mean")
    True
    """
    sha = hashlib.sha256()
    for name, array in arrays.items():
        sha.update(f"{name}{array.shape}{array.dtype}".encode())
        for piece in pieces(array):
            sha.update(np.ascontiguousarray(piece).reshape(-1).view(np.uint8).data)
    sha.update(words.encode())
    return sha.hexdigest()[:16]


def checksums(arrays: Mapping[str, Array]) -> dict[str, int]:
    """CRC-32 of the bytes of each array; of arrays that are large together, none."""
    if sum(array.nbytes for array in arrays.values()) > CHECKED:
        return {}
    return {name: crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data) for name, array in arrays.items()}


def forget(array: Array) -> None:
    """Let the pages go that were read of a file mapped to be read: they are in the file, and count as memory here."""
    base: Any = array
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap) and base.mode != "r":
            return  # what was written to a private copy would be lost
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)
