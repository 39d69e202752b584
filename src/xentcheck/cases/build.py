"""Building a case's problem: inputs drawn from its id, rounded to the storage dtype, laid out in memory as it says."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from xentcheck.errors import CaseError, ProblemError
from xentcheck.reference.formats import FORMATS, Array
from xentcheck.reference.problem import Problem
from xentcheck.reference.rows import from_rows

from .case import Case
from .families import LOGIT_FAMILIES
from .fields import CONSTANT, SCALARS, SOFT, WEIGHTS
from .layer_families import draw_layer
from .randomness import Stream
from .targets import POISON, kept_and_ignored, rows_of, sentinel_of

SMOOTHINGS = {"ls": 0.1, "ls3": 0.3, "lsh": 0.5, "ls1": 1.0, "ls01": 0.0125, "ls9": 0.9, "ls05": 0.05, "ls2": 0.2}

LARGEST = 1 << 25
"""Numbers in one array of a case, about twice those of the largest in a profile: with what is computed of it, 8 GiB."""

EXTREMES = {"zero": 0.0, "tiny": 1e-30, "huge": 1e20}
"""Upstream gradients of every second row."""


def build(case: Case | str) -> Problem:
    """The problem of a case, or of its id. Raises CaseError if it cannot be built: a case is never skipped.

    >>> build("ties.2x3.f64.index.plain.mean.up-one.contig.s0").logits.shape
    (2, 3)
    """
    case = case if isinstance(case, Case) else Case.parse(case)
    if (numbers := _largest(case)) > LARGEST:
        told = f"an array of it has {numbers} numbers; allowed: up to {LARGEST}"
        told += "" if case.inputs else ", or its id after `xentcheck run --large`"
        raise CaseError(f"case {case} cannot be built: {told}")
    try:
        return _build(case)
    except ProblemError as error:
        raise CaseError(f"case {case} cannot be built: {error}") from error
    except MemoryError:
        raise CaseError(f"case {case} cannot be built: it does not fit into memory") from None


def _largest(case: Case) -> int:
    """How many numbers the largest array of a case has."""
    rows = case.shape[0] if len(case.shape) > 1 else 1
    width = case.hidden or case.inputs
    layer = (rows * case.inputs, rows * width, case.classes * width, case.hidden * case.inputs)
    return max(prod(case.shape), *layer)


def _build(case: Case) -> Problem:
    stream = Stream(str(case))
    dtype = np.dtype(case.dtype)
    loss_shape = () if len(case.shape) == 1 else (case.shape[0], *case.shape[2:])
    rows = int(np.prod(loss_shape, dtype=np.int64))
    arrays, labels, usable = _inputs(case, stream, rows)
    if case.target in CONSTANT:
        labels = np.full_like(labels, CONSTANT[case.target] % case.classes)
    if case.target == "diag":
        labels = np.arange(len(labels)) % case.classes
    if case.target in SOFT:
        target = from_rows(rows_of(case, stream, labels, usable).astype(dtype), case.shape)
    else:
        target = kept_and_ignored(case, labels, usable).reshape(loss_shape)
        target = target.astype(np.uint8 if case.target == "u8" else np.int64)
    weight = _weight(case, stream, labels)
    return Problem(
        **arrays,
        target=_strided(target, POISON[case.target]) if "tstr" in case.layout else target.copy(order="C"),
        weight=None if weight is None else weight.astype(dtype),
        ignore_index=sentinel_of(case),
        label_smoothing=next((SMOOTHINGS[option] for option in case.options if option in SMOOTHINGS), 0.0),
        reduction=case.reduction,
        upstream=_upstream(case, stream, loss_shape, dtype),
        backwards=3 if "thrice" in case.layout else 2 if "twice" in case.layout else 1,
        needs=case.needs,
        v=_direction(case, stream).astype(dtype) if "dir" in case.options else None,
    )


def _inputs(case: Case, stream: Stream, rows: int) -> tuple[dict[str, Any], Array, Array]:
    """The arrays before the softmax, labels, and which classes (m, C) may carry probability."""
    dtype = np.dtype(case.dtype)
    if not case.inputs:
        z, labels = LOGIT_FAMILIES[case.family].draw(stream, rows, case.classes, case.dtype)
        z, labels = _expanded(case, z, labels) if "bcast" in case.layout else (z, labels)
        z = z.astype(dtype)
        return {"logits": _lay_out(from_rows(z, case.shape), case.layout)}, labels, np.isfinite(z)
    width = case.hidden or case.inputs
    layer = draw_layer(case.family, stream, rows, case.classes, width)
    arrays = {"a_prev": layer.a_prev, "w": layer.w, "b": layer.b}
    if case.hidden:
        below = draw_layer("gaussian" if case.family == "gaussian" else "dyadic", stream, rows, width, case.inputs)
        arrays |= {"a_prev": below.a_prev, "hidden_w": below.w, "hidden_b": below.b}
    usable = np.broadcast_to(np.isfinite(layer.b), (rows, case.classes))
    return {name: array.astype(dtype) for name, array in arrays.items()}, layer.labels, usable


def _expanded(case: Case, z: Array, labels: Array) -> tuple[Array, Array]:
    """The first example of the batch in the place of all others."""
    if len(case.shape) == 1 or not case.shape[0]:
        return z, labels
    first = len(labels) // case.shape[0]
    return np.tile(z[:first], (case.shape[0], 1)), np.tile(labels[:first], case.shape[0])


def _weight(case: Case, stream: Stream, labels: Array) -> Array | None:
    kinds = set(WEIGHTS) & set(case.options)
    if not kinds:
        return None
    if "wx" in kinds:
        return np.asarray(8.0 ** (np.arange(case.classes) % 3 - 1))
    if "wfar" in kinds:
        return np.asarray(1024.0 ** (np.arange(case.classes) % 3 - 1))
    if "wint" in kinds:
        return np.array([1.0, 2.0, 5.0])[np.arange(case.classes) % 3]
    if "wsmall" in kinds:
        return np.asarray((np.arange(case.classes) % 3 + 1) / 4096)
    if "w1" in kinds:
        return np.ones(case.classes)
    if "weq" in kinds:
        return np.full(case.classes, 0.375)
    weight = stream.uniform(0.25, 2.0, (case.classes,))
    if "wneg" in kinds:
        return np.asarray(-weight)
    if "wn" in kinds:
        weight = weight * np.where(np.arange(case.classes) % 3 == 2, -1.0, 1.0)
    if "wz" in kinds:
        weight[labels[:1]] = 0.0
    if "wone" in kinds:
        weight = np.where(np.isin(np.arange(case.classes), labels[:1]), weight, 0.0)
    return weight


def _direction(case: Case, stream: Stream) -> Array:
    """Signed numbers with zeros among them, never constant along the classes: the Hessian's null vector."""
    v = stream.uniform(0.25, 2.0, case.shape) * stream.signs(case.shape)
    return np.where(stream.integers(0, 5, case.shape) == 0, 0.0, v)


def _upstream(case: Case, stream: Stream, loss_shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    shape = loss_shape if case.reduction == "none" else ()
    if case.upstream in SCALARS:
        f, number = FORMATS[case.dtype], SCALARS[case.upstream]
        return np.full(shape, min(max(number, f.smallest_normal if number else 0.0), f.largest / 2), dtype)
    if case.upstream in ("neg", "exp"):
        scalar = np.asarray(-stream.uniform(0.5, 2.0, ()), dtype)
        return np.broadcast_to(scalar, shape) if case.upstream == "exp" else np.full(shape, scalar)
    values = (stream.uniform(0.25, 2.0, shape) * stream.signs(shape)).astype(dtype)
    if case.upstream in EXTREMES:
        f, extreme = FORMATS[case.dtype], EXTREMES[case.upstream]
        allowed = min(max(extreme, float(f.smallest_normal)), float(f.largest) / 4) if extreme else 0.0
        return np.where(np.arange(values.size).reshape(shape) % 2 == 1, dtype.type(allowed), values)
    return _strided(values, np.nan) if case.upstream == "str" else values


def _lay_out(logits: Array, layout: tuple[str, ...]) -> Array:
    if "bcast" in layout and logits.ndim > 1:
        return np.broadcast_to(np.ascontiguousarray(logits[:1]), logits.shape)
    if "trans" in layout:
        return np.ascontiguousarray(logits.T).T
    if "sliced" in layout:
        return _strided(logits, np.nan)
    if "padded" in layout:
        return _padded(logits)
    return np.ascontiguousarray(logits)


def _padded(logits: Array) -> Array:
    """The same values in the midst of longer rows of a buffer, with nan around them."""
    buffer = np.full((*logits.shape[:-1], logits.shape[-1] + 5), np.nan, logits.dtype)
    buffer[..., 2:-3] = logits
    return buffer[..., 2:-3]


def _strided(x: Array, between: float) -> Array:
    """The same values in every second place of a wider buffer, with poison between them."""
    if x.ndim == 0:
        return x
    buffer = np.full((*x.shape[:-1], 2 * x.shape[-1] + 1), between, x.dtype)
    buffer[..., 1::2] = x
    return buffer[..., 1::2]
