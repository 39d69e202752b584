"""Causes in the labels and rows of probabilities: read as others, of other rows, or with their own entropy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from xentcheck.reference.formats import Array

from .counterfactual import Counterfactual, Mistake


def labels(c: Counterfactual) -> Iterator[Mistake]:
    """Every such mistake that could make a difference to this problem."""
    with np.errstate(all="ignore"):
        yield from _entropy(c)
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


def _of_probabilities(c: Counterfactual) -> Iterator[Mistake]:
    t = c.targets
    assert t.probabilities is not None
    if t.weight is not None:
        rows = t.probabilities * (1.0 - t.smoothing) + t.smoothing / t.classes
        weights = (rows * t.weight).sum(1, keepdims=True)
        yield "D43", "a row of probabilities has one weight q.w, not one per class", replace(c, q=rows * weights)
    sharp = np.arange(t.classes) == t.probabilities.argmax(1)[:, None]
    sentence = "a row of probabilities counts as its largest entry"
    yield "F76", sentence, replace(c, q=sharp * c.q.sum(1, keepdims=True))


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
    ):
        yield from _read(c, sentence, label, t.kept)
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


def _read(c: Counterfactual, sentence: str, label: Array, kept: Array) -> Iterator[Mistake]:
    """With the right denominator, and with that of these labels."""
    told = c.with_labels(np.where(kept, label, 0).astype(np.intp), kept)
    yield "F76", sentence, told
    if c.mean and (total := float(told.targets.label_weight.sum())) != c.denominator:
        yield "F76", sentence, replace(told, denominator=total)
