"""Causes in axes, strides, tails and padding. Codes as in `mistakes`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from xentcheck.diagnosis.counterfactual import Counterfactual, Mistake
from xentcheck.reference.formats import Array
from xentcheck.reference.rows import from_rows, to_rows


def axes(c: Counterfactual) -> Iterator[Mistake]:
    """Every such mistake that could make a difference to this problem."""
    p, z = c.problem, c.z
    with np.errstate(all="ignore"):
        yield "F73", "softmax over the rows instead of the classes", _softmaxed(c, z, 0)
        every = z - z.max(initial=-np.inf)
        yield (
            "F73",
            "softmax over rows and classes together",
            _normalised(c, every, np.full((1, 1), np.exp(every).sum())),
        )
        if p.logits is not None and p.logits.ndim > 2 and p.logits.size:
            flat = np.ascontiguousarray(p.logits).reshape(z.shape).astype(np.float64)
            read = replace(c, z=flat)
            back = to_rows(read.result("dC/dz").reshape(p.logits.shape))
            yield "F73", "the class axis is taken to be the last", read
            yield "F73", "the class axis is taken to be the last", replace(read, given={"dC/dz": back})
            yield "F73", "softmax over the last axis, labels on axis 1", _over_last_axis(c, p.logits.shape)
            size = int(np.prod(p.logits.shape[2:]))
            yield "B24", f"divides by the {size} positions once more", replace(c, factor=1.0 / size)
        t = z - z.max(1, keepdims=True, initial=-np.inf)
        yield "F73", "the exponentials are summed over the rows", _normalised(c, t, np.exp(t).sum(0, keepdims=True))
        yield from _lost_rows(c)
        yield from _over_the_batch(c)
        for block in (2, 4, 8, 16, 32, 64, 128):
            if (tail := z.shape[1] % block) and z.shape[1] > block:
                sentence = f"the last {tail} classes, the tail of blocks of {block}, are left out of the sum"
                yield "F74", sentence, _normalised(c, t, np.exp(t[:, :-tail]).sum(1, keepdims=True))
        for name, array in (("logits", p.logits), ("upstream", p.upstream)):
            if array is None or array.size == 0 or array.flags.c_contiguous:
                continue
            packed = _packed(array)
            sentence = f"the strides of the {name} are ignored"
            if name == "logits":
                yield "F70", sentence, replace(c, z=to_rows(packed).astype(np.float64))
            else:
                yield "F70", sentence, replace(c, upstream=packed.astype(np.float64).reshape(-1))
        if p.logits is not None and not p.logits.flags.c_contiguous and p.logits.size:
            written = replace(c, given={"dC/dz": to_rows(_written_packed(c, p.logits))})
            yield "F72", "the gradient has the logits' strides, and is written as if it were packed", written
        if (masked := np.isneginf(z)).any():
            for value in (0.0, -1.0, -6.0, -10.0, -30.0):
                sentence = f"classes at -inf count as logits of {value:g}"
                yield "F75", sentence, replace(c, z=np.where(masked, value, z))


def _lost_rows(c: Counterfactual) -> Iterator[Mistake]:
    """Rows in some places count for nothing: neither summed nor, with another denominator, counted."""
    t, rows = c.targets, len(c.z)
    number = np.arange(rows)
    share = t.label_weight if t.probabilities is None else np.ones(rows)
    for sentence, lost in _places(rows, number):
        if not 0 < np.count_nonzero(lost) < rows:
            continue
        wrong = replace(c, q=c.q * ~lost[:, None])
        yield "F78", sentence, wrong
        if c.mean:
            left = float(share[~lost].sum())
            yield "F78", f"{sentence}, in the denominator too", replace(wrong, denominator=left or np.inf)


def _places(rows: int, number: Array) -> Iterator[tuple[str, Array]]:
    """What loses rows: an end, a step, a tail that fills no block, a grid with too few blocks."""
    yield "the first row is lost", number == 0
    yield "the last row is lost", number == rows - 1
    for block in (2, 3, 4, 5, 6, 7, 8, 16, 32, 64, 128):
        if rows > block and (tail := rows % block):
            yield f"blocks of {block} rows: the tail that fills no block is lost", number >= rows - tail
    for step in (2, 3, 4, 8):
        if step < rows:
            yield f"{step} rows a step: the first row of each step is lost", number % step == 0
            yield f"{step} rows a step: the last row of each step is lost", number % step == step - 1
            yield f"{step} rows a step: the first row of each step alone counts", number % step != 0
    for size in (2, 4, 8, 16, 32, 64, 128, 256):
        if 1 < size < rows:
            yield f"{size} rows: rows beyond the first block are lost", number >= size
            yield f"{size} rows: the first block of rows is lost", number < size
    for parts in (2, 3, 4):
        if rows > parts:
            yield f"{parts} parts: the last part of the rows is lost", number >= rows // parts * (parts - 1)
            yield f"{parts} parts: the first part of the rows alone counts", number >= -(-rows // parts)


def _over_the_batch(c: Counterfactual) -> Iterator[Mistake]:
    """The softmax over the batch alone; what multiplies a in the gradient sums over the batch, too."""
    p = c.problem
    if p.logits is None or p.logits.ndim < 3 or not p.logits.size:
        return
    shape = p.logits.shape
    z = from_rows(c.z, shape)
    t = z - z.max(0, keepdims=True)
    total = np.exp(t).sum(0, keepdims=True)
    s = np.broadcast_to(c.upstream / c.denominator, c.z.shape[:1])[:, None]
    mass = to_rows(np.broadcast_to(from_rows(c.q * s, shape).sum(0, keepdims=True), shape))
    a, log_a = to_rows(np.exp(t) / total), to_rows(t - np.log(total))
    sentence = "softmax over axis 0, the batch, as functions without an axis take it: classes are on axis 1"
    yield "F73", sentence, replace(c, a=a, log_a=log_a, row_mass=np.where(s == 0, 0.0, mass / s))


def _over_last_axis(c: Counterfactual, shape: tuple[int, ...]) -> Counterfactual:
    """The softmax over a position axis: what multiplies a in the gradient sums over that axis, too."""
    z = from_rows(c.z, shape)
    t = z - z.max(-1, keepdims=True, initial=-np.inf)
    total = np.exp(t).sum(-1, keepdims=True)
    s = np.broadcast_to(c.upstream / c.denominator, c.z.shape[:1])[:, None]
    mass = to_rows(np.broadcast_to(from_rows(c.q * s, shape).sum(-1, keepdims=True), shape))
    a, log_a = to_rows(np.exp(t) / total), to_rows(t - np.log(total))
    return replace(c, a=a, log_a=log_a, row_mass=np.where(s == 0, 0.0, mass / s))


def _softmaxed(c: Counterfactual, z: Array, axis: int) -> Counterfactual:
    t = z - z.max(axis, keepdims=True, initial=-np.inf)
    return _normalised(c, t, np.exp(t).sum(axis, keepdims=True))


def _normalised(c: Counterfactual, t: Array, total: Array) -> Counterfactual:
    return replace(c, a=np.exp(t) / total, log_a=t - np.log(total))


def _packed(array: Array) -> Array:
    """What lies in the array's memory from its first element on, read as if it were contiguous."""
    strides = [abs(s) for s in array.strides]
    reach = sum((n - 1) * s for n, s in zip(array.shape, strides, strict=True)) // array.itemsize + 1
    memory = np.lib.stride_tricks.as_strided(array, (reach,), (array.itemsize,))
    return np.asarray(np.resize(memory, array.shape))


def _written_packed(c: Counterfactual, logits: Array) -> Array:
    """The right gradient, in the order of its elements, in memory that is read with the logits' order of axes."""
    out = np.empty_like(logits, dtype=np.float64)
    right = from_rows(c.result("dC/dz"), logits.shape)
    np.lib.stride_tricks.as_strided(out, (out.size,), (out.itemsize,))[...] = right.ravel()
    return out
