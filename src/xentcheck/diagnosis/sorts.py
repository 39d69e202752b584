"""Sorts: in which places rows or columns are, and what just some rows or elements of a problem have."""

from __future__ import annotations

from collections.abc import Iterator
from math import comb

import numpy as np

from xentcheck.reference.formats import Array

from .counterfactual import Counterfactual

CHOICES = 2000
"""Ways to choose as many rows from which on a limit parts them by no chance."""


def placed(those: Array, told: Array, what: str) -> str:
    """Where rows or columns are, "from row 3 on", "in every 4th row"; empty if that is in no order, or everywhere.

    told: which of them tell, as they could be wrong; of the others nothing is known.
    """
    number, count = np.arange(len(those)), len(those)
    found = np.flatnonzero(those)
    if not len(found) or not (told & ~those).any():
        return ""
    first, last = int(found[0]), int(found[-1])
    if np.array_equal((number >= first) & told, those):
        return f"in the last {what}" if first == count - 1 else f"from {what} {first} on"
    if np.array_equal((number <= last) & told, those):
        return f"in the first {what}" if last == 0 else f"before {what} {last + 1}"
    for step in range(2, count if len(found) > 2 else 0):
        if np.array_equal((number % step == first % step) & told, those):
            return f"in every {step}. {what}, from {what} {first % step} on"
        if step == 2:
            continue
        if np.array_equal((number % step != number[told & ~those][0] % step) & told, those):
            return f"but in every {step}. {what}"
    if np.array_equal((number >= first) & (number <= last) & told, those):
        return f"in {what} {first}" if first == last else f"in {what}s {first} to {last}"
    return ""


def sort_of(c: Counterfactual, rows: Array, told: Array) -> str:
    """What just some rows have of those that tell; empty if nothing, or if one row alone has it.

    Numbers part rows where they could hardly do so by chance.
    """
    if rows.any() and np.array_equal(rows, ~c.targets.kept):
        return "that are ignored"
    if min(np.count_nonzero(rows), np.count_nonzero(told & ~rows)) < 2:
        return ""
    for sentence, those in _sorts(c):
        if np.array_equal(rows[told], those[told]):
            return sentence
    if comb(np.count_nonzero(told), np.count_nonzero(rows & told)) > CHOICES:
        for name, x in _numbers(c).items():
            inside, outside = x[rows & told], x[told & ~rows]
            for word, low, high in (("below", inside, outside), ("above", outside, inside)):
                if low.max() < high.min():
                    return f"with {name} {word} {0.5 * (low.max() + high.min()):.3g}"
    return ""


def _numbers(c: Counterfactual) -> dict[str, Array]:
    """Numbers of each row that a limit may part."""
    a, top = c.softmax[0], c.z.max(1)
    found = {
        "a loss": c.losses(),
        "a largest logit": top,
        "a largest probability": a.max(1),
        "a log of the sum of exponentials": top - c.softmax[1].max(1),
        "an upstream gradient": c.upstream,
        "an absolute upstream gradient": np.abs(c.upstream),
    }
    if c.targets.probabilities is None:
        found["a label's probability"] = a[np.arange(len(a)), c.targets.label]
        found["a label"] = c.targets.label.astype(np.float64)
    return {name: x for name, x in found.items() if np.isfinite(x).all()}


def _sorts(c: Counterfactual) -> list[tuple[str, Array]]:
    """Sorts of rows."""
    t, number = c.targets, np.arange(len(c.z))
    finite = np.isfinite(c.z).all(1)
    found = [
        ("that are kept", t.kept),
        ("with classes at -inf", ~finite),
        ("without classes at -inf", finite),
        ("of odd numbers", number % 2 == 1),
        ("of even numbers", number % 2 == 0),
        ("with an upstream gradient other than 1", c.upstream != 1),
        ("with a negative upstream gradient", c.upstream < 0),
        ("with two equal largest logits", (c.z == c.z.max(1, keepdims=True)).sum(1) > 1),
        ("whose logits are all negative", c.z.max(1) < 0),
        ("with a positive logit", c.z.max(1) > 0),
    ]
    if t.probabilities is None:
        at_label = c.z[number, t.label]
        found += [
            ("whose label has the largest logit", at_label == c.z.max(1)),
            ("whose label has not the largest logit", at_label != c.z.max(1)),
            ("whose label's logit is negative", at_label < 0),
            ("whose label's logit is positive", at_label > 0),
            ("whose label is in the first half of the classes", t.label < -(-t.classes // 2)),
            ("whose label is in the second half of the classes", t.label >= -(-t.classes // 2)),
        ]
        found += [(f"of class {k}", t.label == k) for k in dict.fromkeys((0, t.classes - 1, *t.label.tolist()[:64]))]
        if t.weight is not None:
            found += [
                ("whose label has the weight 0", t.label_weight == 0),
                ("whose label's weight is not 1", t.label_weight != 1),
            ]
    for first in np.flatnonzero(number)[:4096:1] if len(number) <= 256 else ():
        found += [(f"from {first} on", number >= first), (f"before {first}", number < first)]
    return found


def sorts_of_columns(c: Counterfactual) -> Iterator[tuple[str, Array]]:
    """Sorts of elements; (m, C), or (C,) for whole columns."""
    t = c.targets
    place = np.arange(t.classes)
    if t.probabilities is None:
        at = place == t.label[:, None]
        yield "at the label", at
        yield "beside the label", ~at
        yield "above the label", place > t.label[:, None]
        yield "below the label", place < t.label[:, None]
        used = np.isin(place, t.label[t.kept])
        yield "of classes that are labels of some row", used
        yield "of classes that are the label of no row", ~used
    top = place == c.z.argmax(1)[:, None]
    yield "at the largest logit", top
    yield "beside the largest logit", ~top
    yield "with a negative logit", c.z < 0
    yield "with a positive logit", c.z > 0
    if t.weight is not None:
        yield "of classes whose weight is not 1", t.weight != 1
    for start in dict.fromkeys(
        (1, *(2**k for k in range(1, 17)), *(t.classes // n for n in (2, 3, 4, 8)), t.classes - 1)
    ):
        if 0 < start < t.classes:
            yield f"from column {start} on", place >= start
            yield f"before column {start}", place < start
    for block in (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024):
        if block < t.classes and (tail := t.classes % block):
            yield f"of the last {tail} columns, the tail of blocks of {block}", place >= t.classes - tail
        if block < t.classes:
            yield f"of the first column of each block of {block}", place % block == 0
            yield f"of the last column of each block of {block}", place % block == block - 1
