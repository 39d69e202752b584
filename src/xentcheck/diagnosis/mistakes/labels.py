"""Causes in the labels and rows of probabilities: read as others, of other rows, or with their own entropy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations

import numpy as np

from xentcheck.diagnosis.counterfactual import Counterfactual, Mistake
from xentcheck.reference.formats import Array


def labels(c: Counterfactual) -> Iterator[Mistake]:
    """Every such mistake that could make a difference to this problem."""
    with np.errstate(all="ignore"):
        yield from _entropy(c)
        yield from _zeroed_logits(c)
        yield from (_of_probabilities(c) if c.targets.probabilities is not None else _of_classes(c))


def _entropy(c: Counterfactual) -> Iterator[Mistake]:
    """A divergence has the entropy of its targets less than the cross-entropy, and the same gradient."""
    t = c.targets
    if t.probabilities is None and not t.smoothing:
        return
    weight = np.ones(t.classes) if t.weight is None else t.weight
    less = np.where(c.q != 0, c.q * np.log(np.where(weight != 0, c.q / weight, 1.0)), 0.0).sum(1)
    rows = (c.losses() + less) / c.denominator
    yield (
        "D46",
        "a divergence in the place of the cross-entropy: the entropy of the target rows is subtracted",
        replace(c, given={"loss": rows, "cost": np.asarray(rows.sum())}),
    )


def _zeroed_logits(c: Counterfactual) -> Iterator[Mistake]:
    """Ignored rows have logits of 0, and a loss like others."""
    t = c.targets
    if t.kept.all() or t.probabilities is not None:
        return
    sentence = "the logits of ignored rows are set to 0, not their losses: each adds log C"
    for weight in dict.fromkeys((1.0, 1.0 if t.weight is None else float(t.weight[0]))):
        rows = (c.losses() + weight * ~t.kept * np.log(t.classes)) / c.denominator
        yield "C34", sentence, replace(c, given={"loss": rows, "cost": np.asarray(rows.sum())})


def _of_probabilities(c: Counterfactual) -> Iterator[Mistake]:
    t = c.targets
    assert t.probabilities is not None
    if t.weight is not None:
        rows = t.probabilities * (1.0 - t.smoothing) + t.smoothing / t.classes
        weights = (rows * t.weight).sum(1, keepdims=True)
        yield "D43", "a row of probabilities has one weight q.w, not one per class", replace(c, q=rows * weights)
    own = np.ones(t.classes) if t.weight is None else t.weight
    last = t.classes - 1 - t.probabilities[:, ::-1].argmax(1)
    for label in (t.probabilities.argmax(1), last):
        sharp = np.arange(t.classes) == label[:, None]
        sentence = "a row of probabilities counts as its largest entry"
        yield "F76", sentence, replace(c, q=sharp * c.q.sum(1, keepdims=True))
        told = replace(c, q=(sharp * (1.0 - t.smoothing) + t.smoothing / t.classes) * own)
        yield "F76", sentence, told
        if c.mean and t.weight is not None:
            yield "F76", sentence, replace(told, denominator=float(own[label].sum()))


def _of_classes(c: Counterfactual) -> Iterator[Mistake]:
    t, last = c.targets, c.targets.classes - 1
    for name in dict.fromkeys(("bfloat16", "float16", c.problem.dtype)):
        rounded = t.label.astype(name).astype(np.float64)
        yield from _read(c, f"labels are rounded to {name}", np.clip(rounded, 0, last), t.kept)
    for sentence, label in (
        ("labels count from 1", np.clip(t.label - 1, 0, None)),
        ("labels count from the other end", last - t.label),
        ("the label is one class too high", np.minimum(t.label + 1, last)),
        ("labels are taken for their neighbours' rows", np.roll(t.label, 1)),
        ("labels are narrowed to 8 bits", t.label.astype(np.uint8)),
        ("labels are narrowed to 8 bits with a sign", t.label.astype(np.int8).astype(np.int64) % t.classes),
        ("labels of the last class are read as the class before", np.minimum(t.label, max(last - 1, 0))),
        ("labels of class 0 are read as class 1", np.maximum(t.label, min(1, last))),
        ("labels are one too low, and label 0 is the last class", (t.label - 1) % t.classes),
        ("labels are one too high, and the last one is class 0", (t.label + 1) % t.classes),
    ):
        yield from _read(c, sentence, label, t.kept)
    if not t.smoothing and t.weight is None:
        yield _of_all_rows(c)
    if c.problem.target.ndim > 1:
        yield from _positions(c)
    yield from _shards(c)
    shape = c.problem.target.shape
    axes = {len(shape) - 1: "position", 0: "row"} if shape else {}
    for axis, name in axes.items():
        for step, which, end in ((-1, "next", "last"), (1, "previous", "first")):
            label, kept = (np.roll(x.reshape(shape), step, axis) for x in (t.label, t.kept))
            edge = np.arange(shape[axis]) == (shape[axis] - 1 if step < 0 else 0)
            inside = kept & ~np.expand_dims(edge, [i for i in range(len(shape)) if i != axis])
            sentence = f"each {name} has the label of the {which} {name}"
            yield from _read(c, sentence, label.reshape(-1), kept.reshape(-1))
            yield from _read(c, f"{sentence}, the {end} one none", label.reshape(-1), inside.reshape(-1))


def _positions(c: Counterfactual) -> Iterator[Mistake]:
    """Positions of the logits are taken in another order of their axes than those of the labels."""
    shape = c.problem.target.shape
    number = np.arange(len(c.z)).reshape(shape)
    for order in permutations(range(len(shape))):
        if order == tuple(range(len(shape))):
            continue
        taken = number.transpose(order).reshape(-1)
        sentence = f"the logits' positions are taken in the order {order} of their axes, the labels' in the order given"
        moved = replace(c, z=c.z[taken])
        back = np.empty_like(c.z)
        back[taken] = moved.result("dC/dz")
        yield "F73", sentence, replace(moved, given={"dC/dz": back})


def _shards(c: Counterfactual) -> Iterator[Mistake]:
    """A label at the boundary of two shards of the classes is found in both, or in none."""
    t = c.targets
    rows = np.arange(len(c.z))
    for block in (2, 4, 8, 16, 32, 64, 128):
        there = t.kept & (t.label >= t.classes // block * block)
        if there.any() and t.classes > block:
            less = c.q.copy()
            less[rows[there], t.label[there]] -= (1.0 - t.smoothing) * t.label_weight[there]
            sentence = f"blocks of {block} classes: labels in the tail that fills no block are found in none"
            yield from _with_labels_part(c, "G92", sentence, less)
    for shards in (2, 3, 4, 8):
        size = -(-t.classes // shards)
        if size < 2 or size >= t.classes:
            continue
        first = t.kept & (t.label % size == 0) & (t.label > 0)
        last = t.kept & (t.label % size == size - 1) & (t.label < t.classes - 1)
        of = f"of {shards} shards of the classes"
        for sentence, there, other in (
            (f"the first label {of} is found in the shard before, too, as its last class", first, t.label - 1),
            (f"the first label {of} is found in the shard before, too, as its first class", first, t.label - size),
            (f"the last label {of} is found in the next shard, too, as its first class", last, t.label + 1),
        ):
            more = c.q.copy()
            more[rows[there], other[there]] += (1.0 - t.smoothing) * t.label_weight[there]
            yield from _with_labels_part(c, "G92", sentence, more)
        place, own = np.arange(t.classes), (t.label // size)[:, None]
        others = (place // size != own) & t.kept[:, None]
        edge = np.where(place // size > own, place % size == 0, place % size == size - 1)
        for told, at in (
            ("the first logit", place % size == 0),
            ("the logit nearest to the label", edge),
            ("the logit at the label's place", place % size == (t.label % size)[:, None]),
        ):
            more = c.q + others * at * ((1.0 - t.smoothing) * t.label_weight)[:, None]
            sentence = f"{shards} shards: {told} of every other shard is added to the label's, it is not masked"
            yield from _with_labels_part(c, "G92", sentence, more)
        for sentence, there in (
            (f"the first label {of} is found in none", first),
            (f"the last label {of} is found in none", last),
        ):
            less = c.q.copy()
            less[rows[there], t.label[there]] -= (1.0 - t.smoothing) * t.label_weight[there]
            yield from _with_labels_part(c, "G92", sentence, less)


def _with_labels_part(c: Counterfactual, code: str, sentence: str, q: Array) -> Iterator[Mistake]:
    """lse sum(right q) - sum(q z), with or without the row's maximum subtracted from z; and its gradient."""
    top = c.z.max(1, initial=-np.inf)
    lse = top - c.softmax[1].max(1)
    mass = c.q.sum(1)
    with np.errstate(all="ignore"):
        plain = mass * lse - np.where(q != 0, q * c.z, 0.0).sum(1)
        shifted = mass * (lse - top) - np.where(q != 0, q * (c.z - top[:, None]), 0.0).sum(1)
    gradient = replace(c, q=q, row_mass=mass[:, None]).result("dC/dz")
    s = np.broadcast_to(c.upstream / c.denominator, mass.shape)
    through = (s * (q.sum(1) - mass))[:, None] * (c.z == top[:, None])
    for losses, slope in ((plain, gradient), (shifted, gradient + through)):
        rows = losses / c.denominator
        yield code, sentence, replace(c, given={"loss": rows, "cost": np.asarray(rows.sum()), "dC/dz": slope})


def _of_all_rows(c: Counterfactual) -> Mistake:
    """As `grad[:, labels] -= 1` does."""
    t = c.targets
    there = np.isin(np.arange(t.classes), t.label[t.kept])
    s = np.broadcast_to(c.upstream / c.denominator, t.kept.shape)[:, None]
    gradient = s * (c.softmax[0] - there)
    return (
        "F76",
        "in every row, 1 is subtracted at the labels of all rows: index by row and label",
        c.with_gradient(gradient),
    )


def _read(c: Counterfactual, sentence: str, label: Array, kept: Array) -> Iterator[Mistake]:
    """With the right denominator, and with that of these labels."""
    told = c.with_labels(np.where(kept, label, 0).astype(np.intp), kept)
    yield "F76", sentence, told
    if c.mean and (total := float(told.targets.label_weight.sum())) != c.denominator:
        yield "F76", sentence, replace(told, denominator=total)
