"""Causes: the mistakes that implementations are known to make, each as a change of the right computation.

The letter and number of a cause are those of the planted faults: A range and precision, B normaliser, C ignored rows,
D smoothing and soft targets, E upstream gradient, F layout and axes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from xentcheck.reference.formats import Array
from xentcheck.reference.numbers.backends import FLOAT64
from xentcheck.reference.rows import from_rows, to_rows

from .counterfactual import Counterfactual, Mistake

CHUNKS = (*range(2, 17), 32, 64, 128)


def causes(right: Counterfactual) -> Iterator[Mistake]:
    """Every mistake that could make a difference to this problem."""
    yield from _denominators(right)
    yield from _ignored(right)
    yield from _ignored_classes(right)
    yield from _options(right)
    yield from _upstreams(right)
    yield from _axes(right)


def _denominators(c: Counterfactual) -> Iterator[Mistake]:
    t = c.targets
    rows, kept = len(t.kept), int(np.count_nonzero(t.kept))
    counted = float(t.label_weight.sum()) if t.probabilities is None else float(rows)
    yield "B24", "divides by C as well, as a mean over all N C elements does", _over(c, c.denominator * t.classes)
    if not c.mean:
        yield "B23", "divides by the denominator of the mean although nothing is to be divided", _over(c, counted)
        yield "B23", "divides by the number of rows although nothing is to be divided", _over(c, float(rows))
        return
    factor = f"valid/N = {kept}/{rows}" if counted == kept else f"{c.denominator / rows:.3g}"
    yield "B20", f"off by the factor {factor}: divides by all rows", _over(c, float(rows))
    yield "B21", "divides by the number of kept rows, not by the sum of their weights", _over(c, float(kept))
    if t.weight is not None:
        every = float(t.weight[t.label].sum())
        yield "B21", "the denominator sums the weights of ignored rows too", _over(c, every)
        yield "B21", "divides by the sum of all class weights", _over(c, float(t.weight.sum()))
        yield "B21", "divides by the mean class weight times the rows", _over(c, float(t.weight.mean() * rows))
    yield "B21", "does not divide: the sum instead of the mean", _over(c, 1.0)
    yield "B24", "divides twice by the denominator", _over(c, c.denominator**2)
    share = np.where(t.kept, t.label_weight, 0.0) if t.probabilities is None else np.ones(rows)
    chunks = {f"{size} rows": np.arange(0, rows, size) for size in CHUNKS if size < rows}
    parts = {"half": 2, "a third": 3, "a quarter": 4, "an eighth": 8}
    split = [(f"{part} of the rows", np.arange(0, rows, -(-rows // n))) for part, n in parts.items() if n <= rows]
    for sentence, starts in (*chunks.items(), *split, ("half of the rows", np.array([0, rows // 2]))):
        if rows > 1:
            sums = np.add.reduceat(share, starts)
            with np.errstate(all="ignore"):
                per_row = np.repeat(sums, np.diff([*starts, rows]))
                per_row = np.where(per_row == 0, np.inf, per_row)
            yield "B22", f"the mean over chunks of {sentence} of their means", _over(c, per_row * len(starts))
            yield "B22", f"the sum over chunks of {sentence} of their means", _over(c, per_row)


def _over(c: Counterfactual, denominator: Any) -> Counterfactual:
    return replace(c, denominator=denominator)


def _ignored(c: Counterfactual) -> Iterator[Mistake]:
    t, p = c.targets, c.problem
    if t.kept.all() or t.probabilities is not None:
        return
    ignored = ~t.kept
    everything = np.ones_like(t.kept)
    for label in dict.fromkeys((p.ignore_index % t.classes, t.classes - 1, 0)):
        told = c.with_labels(np.where(ignored, label, t.label), everything)
        sentence = f"ignored rows count as rows of class {label}"
        yield "C34", f"{sentence}: ignore_index is not honoured", told
        yield "C34", f"{sentence}, in the denominator too", _over(told, float(told.targets.label_weight.sum()) or 1.0)
    uniform = (np.ones(t.classes) if t.weight is None else t.weight) * t.smoothing / t.classes
    if t.smoothing:
        yield "C31", "ignored rows are smoothed", replace(c, q=np.where(ignored[:, None], uniform, c.q))
    mass = np.where(ignored, 1.0, c.q.sum(1))[:, None]
    yield "C30", "ignored rows keep their softmax in the gradient", replace(c, row_mass=mass)
    labels = np.where(ignored, p.ignore_index % t.classes, t.label)
    yield "C36", "the mask is inverted: ignored rows count, kept ones do not", c.with_labels(labels, ignored)
    none = np.where(ignored[:, None], uniform, 0.0)
    yield "C36", "the mask is inverted: kept rows do not count", replace(c, q=none)
    if 0 <= p.ignore_index < t.classes:
        z = np.where(np.arange(t.classes) == p.ignore_index, -np.inf, c.z)
        yield "C34", "the class ignore_index leaves the softmax", replace(c, z=z)


def _ignored_classes(c: Counterfactual) -> Iterator[Mistake]:
    """Rows of class 0 or of the last class are taken for ignored ones, in the denominator too or not."""
    t = c.targets
    if t.probabilities is not None:
        return
    for label in dict.fromkeys((0, t.classes - 1)):
        kept = t.kept & (t.label != label)
        if kept.any() and not np.array_equal(kept, t.kept):
            told = c.with_labels(t.label, kept)
            sentence = f"rows of class {label} are taken for ignored ones"
            yield "C34", sentence, told
            if c.mean:
                yield "C34", f"{sentence}, in the denominator too", _over(told, float(t.label_weight[kept].sum()))


def _options(c: Counterfactual) -> Iterator[Mistake]:
    t = c.targets
    hot = (np.arange(t.classes) == t.label[:, None]) & t.kept[:, None]
    weight = np.ones(t.classes) if t.weight is None else t.weight
    if t.smoothing:
        labels = hot * t.label_weight[:, None] if t.probabilities is None else t.probabilities * weight
        kept = t.kept[:, None]
        base = (1.0 - t.smoothing) * labels
        of = "" if t.probabilities is None else " of rows of probabilities"
        even = kept * weight * t.smoothing / t.classes
        yield "D42", f"label smoothing{of} is left out", replace(c, q=labels)
        yield "D40", "smoothing is applied twice", replace(c, q=(1.0 - t.smoothing) * c.q + even)
        yield "D40", "eps/C is added without the factor 1 - eps", replace(c, q=labels + even)
        if t.probabilities is None:
            for sentence, mass in (
                ("eps/C for each class but none at the label, which sum to less than 1", t.smoothing / t.classes),
                ("eps/(C - 2) for each class but none at the label", t.smoothing / max(t.classes - 2, 1)),
            ):
                spread = np.where(hot, base, kept * weight * mass)
                yield "D40", f"wrong smoothing mass: {sentence}", replace(c, q=spread)
        for sentence, mass in (
            ("eps/(C - 1) per class instead of eps/C", t.smoothing / max(t.classes - 1, 1)),
            ("(1 - eps)/C per class instead of eps/C", (1.0 - t.smoothing) / t.classes),
            ("1/C per class instead of eps/C", 1.0 / t.classes),
        ):
            yield "D40", f"wrong smoothing mass: {sentence}", replace(c, q=base + kept * weight * mass)
            if t.probabilities is not None:
                continue
            spread = np.where(hot, labels * (1.0 - t.smoothing), kept * weight * mass)
            yield "D40", f"wrong smoothing mass: {sentence}, none at the label", replace(c, q=spread)
        if t.weight is not None and t.probabilities is None:
            mixed = base + t.label_weight[:, None] * t.smoothing / t.classes
            yield "D43", "smoothing is weighted by the label's class weight", replace(c, q=mixed)
    if t.weight is not None and t.smoothing and t.probabilities is None:
        for sentence, mass in (
            ("eps/C", t.smoothing / t.classes),
            ("eps/(C - 1)", t.smoothing / max(t.classes - 1, 1)),
        ):
            label = (1.0 - t.smoothing) * hot * t.label_weight[:, None]
            told = f"smoothing without class weights: {sentence} for each class"
            yield "D43", told, replace(c, q=label + t.kept[:, None] * mass)
            yield "D43", f"{told}, none at the label", replace(c, q=np.where(hot, label, t.kept[:, None] * mass))
    if t.weight is not None:
        yield "D43", "class weights reach y only: a - w y", replace(c, row_mass=t.kept[:, None] * 1.0)
        plain = replace(c, q=_unweighted(c))
        yield "D42", "class weights are left out of the terms", plain
        count = float(np.count_nonzero(t.kept)) if t.probabilities is None else float(len(t.kept))
        yield "D42", "class weights are left out", _over(plain, count if c.mean else 1.0)
    if t.probabilities is not None:
        clipped = replace(t, probabilities=np.clip(t.probabilities, 0.0, 1.0))
        yield "D44", "entries of target rows are clipped to 0 to 1", replace(c, q=np.asarray(clipped.terms(FLOAT64)))
        positive = replace(t, probabilities=np.maximum(t.probabilities, 0.0))
        yield "D44", "entries of target rows below 0 do not count", replace(c, q=np.asarray(positive.terms(FLOAT64)))
        masked = np.where(t.probabilities < 0, 0.0, c.q)
        yield "D44", "entries of target rows below 0 do not count, smoothed or not", replace(c, q=masked)
        yield "D44", "rows of probabilities are taken to sum to 1: a - q", replace(c, row_mass=1.0)
        if t.smoothing and t.weight is not None:
            outside = t.probabilities * weight * (1.0 - t.smoothing) + t.smoothing / t.classes
            yield "D40", "rows of probabilities are weighted before they are smoothed", replace(c, q=outside)


def _unweighted(c: Counterfactual) -> Array:
    t = c.targets
    if t.probabilities is not None:
        return np.asarray(t.unweighted(FLOAT64))
    hot = (np.arange(t.classes) == t.label[:, None]) * (1.0 - t.smoothing) + t.smoothing / t.classes
    return np.asarray(hot * t.kept[:, None])


def _upstreams(c: Counterfactual) -> Iterator[Mistake]:
    up = c.upstream
    ones = np.ones_like(up)
    yield "E50", "the upstream gradient is ignored", replace(c, upstream=ones)
    if c.problem.reduction == "none" and len(up):
        yield "E50", "the first row's upstream gradient is used for all rows", replace(c, upstream=ones * up[0])
        yield "E50", "the mean of the upstream gradients is used for all rows", replace(c, upstream=ones * up.mean())
    yield "E50", "the upstream gradient is squared", replace(c, upstream=up * up)
    added = replace(c, upstream=ones).result("dC/dz") + up[:, None]
    yield "E50", "the upstream gradient is added, not multiplied", replace(c, given={"dC/dz": added})
    if c.problem.backwards > 1:
        yield "E53", "the second backward call finds what the first left behind", replace(c, upstream=-2.0 * up * up)
    yield "E54", "the result is 0", replace(c, factor=0.0)
    yield "G90", "the sign is wrong", replace(c, factor=-1.0)
    yield "B24", "twice the right result", replace(c, factor=2.0)
    yield "B24", "half of the right result", replace(c, factor=0.5)


def _axes(c: Counterfactual) -> Iterator[Mistake]:
    p, z = c.problem, c.z
    with np.errstate(all="ignore"):
        yield "F73", "softmax over the rows instead of the classes", _softmaxed(c, z, 0)
        if p.logits is not None and p.logits.ndim > 2:
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
        for block in (2, 4, 8, 16, 32, 64, 128):
            if (tail := z.shape[1] % block) and z.shape[1] > block:
                sentence = f"the last {tail} classes, the tail of blocks of {block}, are left out of the sum"
                yield "F74", sentence, _normalised(c, t, np.exp(t[:, :-tail]).sum(1, keepdims=True))
            if (tail := len(z) % block) and len(z) > block:
                kept = np.arange(len(z))[:, None] < len(z) - tail
                yield "F78", f"the last {tail} rows, the tail of chunks of {block}, are lost", replace(c, q=c.q * kept)
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
        for block in (8, 16, 32, 64, 128):
            if pad := -z.shape[1] % block:
                top = np.maximum(z.max(1, keepdims=True, initial=-np.inf), 0.0)
                e = np.exp(z - top)
                total = e.sum(1, keepdims=True) + pad * np.exp(-top)
                sentence = f"{pad} columns of padding to a multiple of {block} count as logits of 0"
                yield "F74", sentence, replace(c, a=e / total, log_a=z - top - np.log(total))


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
