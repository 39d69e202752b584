"""Simpler problems: the next steps that shrinking tries from a problem."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from xentcheck.errors import ProblemError
from xentcheck.reference import sigmoid
from xentcheck.reference.formats import Array
from xentcheck.reference.problem import NO_IGNORE, Problem
from xentcheck.reference.rows import to_rows


def smaller_problems(p: Problem) -> Iterator[Callable[[], Problem]]:
    """Simpler problems, the greatest steps first. Making one may raise ProblemError."""
    yield from _plainer(p)
    yield from _fewer(p, p.logits_shape[0] if len(p.logits_shape) > 1 else 1, _keep_rows)
    yield from _fewer(p, p.classes, _keep_classes)
    if p.a_prev is not None:
        yield from _fewer(p, p.a_prev.shape[1], _keep_inputs)
    yield from _rounder(p)


def _plainer(p: Problem) -> Iterator[Callable[[], Problem]]:
    """One option less; plain layout."""
    if p.backwards > 1:
        yield lambda: replace(p, backwards=1)
    if p.needs:
        yield lambda: replace(p, needs=())
    if p.hidden_w is not None:
        yield lambda: _last_layer(p)
    if any(not a.flags.c_contiguous for a in p.arrays().values()):
        plain: dict[str, Any] = {name: np.ascontiguousarray(a).reshape(a.shape) for name, a in p.arrays().items()}
        yield lambda: replace(p, **plain)
    if p.logits is not None and p.logits.ndim > 2:
        yield lambda: _flat(p)
    if p.label_smoothing:
        yield lambda: replace(p, label_smoothing=0.0)
        if p.label_smoothing != 0.5:
            yield lambda: replace(p, label_smoothing=0.5)
    if p.weight is not None:
        yield lambda: replace(p, weight=None)
    if not bool((np.asarray(p.upstream) == 1).all()):
        yield lambda: replace(p, upstream=np.ones_like(p.upstream))
    if p.ignore_index != NO_IGNORE and not p.probabilities:
        yield lambda: replace(p, ignore_index=NO_IGNORE, target=np.where(p.kept, p.target, NO_IGNORE).astype(np.int64))


def _last_layer(p: Problem) -> Problem:
    """The last layer of a network alone, on about the activations that it has there."""
    assert p.a_prev is not None
    assert p.hidden_w is not None
    x, w, b = (np.asarray(x, np.float64) for x in (p.a_prev, p.hidden_w, p.hidden_b))
    return replace(p, a_prev=sigmoid(x @ w.T + b).astype(p.dtype), hidden_w=None, hidden_b=None)


def _flat(p: Problem) -> Problem:
    """(N, C, d1..dk) as (N d1..dk, C)."""
    assert p.logits is not None
    rows: dict[str, Any] = {"logits": to_rows(p.logits)}
    if p.v is not None:
        rows["v"] = to_rows(p.v)
    rows["target"] = to_rows(p.target) if p.probabilities else p.target.reshape(-1)
    rows["upstream"] = np.asarray(p.upstream).reshape(-1) if p.reduction == "none" else p.upstream
    rows = {name: np.ascontiguousarray(a) if a.ndim else a for name, a in rows.items()}
    return replace(p, **rows)


def _fewer(p: Problem, count: int, keep: Callable[[Problem, Array], Problem]) -> Iterator[Callable[[], Problem]]:
    """Parts of so many things: without a half, a quarter, ... without one."""
    size = count // 2
    while size >= 1:
        for start in range(0, count, size):
            kept = np.delete(np.arange(count), slice(start, start + size))
            if len(kept):
                yield lambda kept=kept: keep(p, kept)  # type: ignore[misc]  # mypy cannot infer the default's type
        size //= 2


def _keep_rows(p: Problem, kept: Array) -> Problem:
    """The examples of these positions in the batch."""
    if len(p.logits_shape) == 1:
        raise ProblemError("one example is the least")
    names = ("logits", "a_prev", "target", "v", *(("upstream",) if p.reduction == "none" else ()))
    arrays = {name: array for name in names if (array := getattr(p, name)) is not None}
    parts: dict[str, Any] = {name: np.ascontiguousarray(array[kept]) for name, array in arrays.items()}
    return replace(p, **parts)


def _keep_classes(p: Problem, kept: Array) -> Problem:
    """These classes; a label that goes takes its row along."""
    axis = 0 if len(p.logits_shape) == 1 else 1
    parts: dict[str, Any] = {}
    for name in ("logits", "v"):
        if (array := getattr(p, name)) is not None:
            parts[name] = np.ascontiguousarray(np.take(array, kept, axis))
    for name in ("w", "b", "weight"):
        if (array := getattr(p, name)) is not None:
            parts[name] = array[kept]
    if p.probabilities:
        parts["target"] = np.ascontiguousarray(np.take(p.target, kept, axis))
        return replace(p, **parts)
    place = {int(k): i for i, k in enumerate(kept)}
    gone = p.kept & ~np.isin(p.target, kept)
    if gone.any():
        raise ProblemError("a label would go")
    if p.ignore_index in range(p.classes):
        raise ProblemError("the ignored class would be another one")
    mapped = [place.get(int(y), int(y)) for y in p.target.ravel()]
    return replace(p, **parts, target=np.array(mapped, p.target.dtype).reshape(p.target.shape))


def _keep_inputs(p: Problem, kept: Array) -> Problem:
    """These inputs of the first layer."""
    first = "w" if p.hidden_w is None else "hidden_w"
    parts: dict[str, Any] = {name: getattr(p, name)[:, kept].copy() for name in ("a_prev", first)}
    return replace(p, **parts)


def _rounder(p: Problem) -> Iterator[Callable[[], Problem]]:
    """Arrays of rounder numbers, whole and element by element."""
    for name in ("logits", "a_prev", "w", "b", "hidden_w", "hidden_b", "weight", "v", "upstream"):
        array = getattr(p, name)
        if array is None:
            continue
        values = np.asarray(array, np.float64)
        for rounded in _candidates(values, name):
            if not np.array_equal(rounded, values, equal_nan=True):
                yield lambda name=name, rounded=rounded: replace(p, **{name: rounded.astype(p.dtype)})  # type: ignore[misc]  # as above


def _candidates(x: Array, name: str) -> Iterator[Array]:
    """Zeros (ones for factors), whole numbers, eighths; then single elements, in small arrays."""
    plain = np.ones_like(x) if name in ("weight", "upstream", "v") else np.zeros_like(x)
    finite = np.where(np.isfinite(x), x, 0.0)
    steps = [np.where(np.isfinite(x), y, x) for y in (plain, np.rint(finite), np.rint(finite * 8) / 8)]
    yield from steps
    if x.size <= 16:
        for i in range(x.size):
            for step in steps:
                single = x.copy()
                single.flat[i] = step.flat[i]
                yield single
