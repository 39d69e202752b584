"""Which labels a wrong result belongs to: read back from the gradient or the losses of all rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from xentcheck.diagnosis.counterfactual import Counterfactual, wrong_elements
from xentcheck.reference.formats import Array

MOST = 20_000
"""Logits among which one is looked for: of more, several are close to any number."""

TELLING = 1e-3
"""Share of the largest factor that something else has to differ by: less is noise."""

OPEN = 0.01
"""Share of an element's error that may be left."""


def labels_of(c: Counterfactual, quantity: str, exact: Array, got: Array, bound: Array) -> str:
    """The sentence on other labels that explain all rows; empty if some row fits none, or several."""
    t = c.targets
    plain = t.probabilities is None and not t.smoothing and t.weight is None and np.isfinite(c.z).all()
    wrong = wrong_elements(exact, got, bound)
    rows = np.asarray(wrong.reshape(len(wrong), -1).any(1))
    if not plain or np.count_nonzero(rows) < 2 or not np.isfinite(got).all() or len(rows) != len(c.z):
        return ""
    limit = 2.0 * bound + OPEN * np.abs(got - exact)
    fits = _fits_of_loss(c, got, limit) if quantity == "loss" else _fits_of_gradient(c, got, limit)
    if not fits[rows].any(1).all():
        return ""
    single = fits.sum(1) == 1
    if np.count_nonzero(rows & single) < (3 if quantity == "loss" else 2):
        return ""
    read = np.where(rows, fits.argmax(1), t.label)
    use = t.kept & (single | ~rows)
    for sentence, label in _readings(c):
        if np.array_equal(label[use], read[use]):
            return f"F76: {sentence}"
    some = np.flatnonzero(rows & single)[:4]
    pairs = ", ".join(f"{read[i]} for {t.label[i]}" for i in some)
    return f"F76: {pairs} in rows {', '.join(map(str, some))}: the result is right for other labels than those given"


def logits_of(c: Counterfactual, exact: Array, got: Array, bound: Array) -> str:
    """The sentence on losses lse - z of another element of the logits than the label's; the element of each row."""
    t = c.targets
    rows = wrong_elements(exact, got, bound)
    plain = t.probabilities is None and not t.smoothing and t.weight is None and np.isfinite(c.z).all()
    if not plain or np.count_nonzero(rows) < 4 or not np.isfinite(got).all() or c.z.size > MOST:
        return ""
    d = np.broadcast_to(c.denominator, got.shape)
    top = c.z.max(1)
    read = top - c.softmax[1].max(1) - got * d
    order = np.argsort(c.z, axis=None)
    near = np.sort(c.z, axis=None)
    limit = 2.0 * bound * np.abs(d)
    low, high = np.searchsorted(near, read - limit), np.searchsorted(near, read + limit, "right")
    single = rows & (high - low == 1)
    if (high == low)[rows].any() or np.count_nonzero(single) < 4:
        return ""
    number = np.flatnonzero(single)
    flat = order[low[number]]
    if np.array_equal((t.label * c.z.shape[1] + np.arange(len(c.z)))[number] % c.z.size, flat):
        return "F70: the label's logit of row n is read at row y, column n"
    for name, stride in (("N", len(c.z)), ("C + 1", c.z.shape[1] + 1), ("C - 1", c.z.shape[1] - 1)):
        if np.array_equal((number * stride + t.label[number]) % c.z.size, flat):
            return f"F70: the label's logit of row n is read at n S + y with S = {name}: it is n C + y"
    some = [
        f"row {n} that at [{i // c.z.shape[1]}, {i % c.z.shape[1]}]" for n, i in zip(number[:3], flat, strict=False)
    ]
    return f"F70: {', '.join(some)}: a logit of another place is taken for the label's"


def at_label(c: Counterfactual, exact: Array, got: Array, bound: Array) -> str:
    """The sentence on a gradient that is wrong at the labels alone, and is there another function of a_y than a_y - 1.

    That function, times one number, in all rows.
    """
    t = c.targets
    wrong = wrong_elements(exact, got, bound)
    s = np.broadcast_to(c.upstream / c.denominator, t.kept.shape) * (1.0 if t.weight is None else t.label_weight)
    use = t.kept & (s != 0)
    plain = t.probabilities is None and not t.smoothing and np.isfinite(c.z).all() and np.isfinite(got).all()
    label = np.arange(t.classes) == t.label[:, None]
    if not plain or (wrong & ~label).any() or np.count_nonzero(wrong) < 3 or wrong[~use].any():
        return ""
    scale = s[use]
    p, u = c.softmax[0][label][use], got[label][use] / scale
    limit = 2.0 * bound[label][use] / np.abs(scale) + OPEN * np.abs((got - exact)[label][use] / scale)
    for told, f in (
        ("a_y", p),
        ("1 - a_y", 1.0 - p),
        ("1", np.ones_like(p)),
        ("a_y (1 - a_y)", p * (1.0 - p)),
        ("(1 - a_y)^2", (1.0 - p) ** 2),
        ("a_y^2", p * p),
        ("-1/a_y", -1.0 / p),
        ("log a_y", c.softmax[1][label][use]),
    ):
        size = (f * f / limit**2).sum()
        factor = float((u * f / limit**2).sum() / size) if size > 0 and np.isfinite(size) else 0.0
        spread = np.ptp(np.abs(f)) > 0.1 * np.abs(f).max() or told == "1"
        if factor and spread and (np.abs(u - factor * f) <= limit).all():
            number = "" if abs(factor - 1.0) < 1e-4 else "-" if abs(factor + 1.0) < 1e-4 else f"{factor:.4g} times "
            return f"E60: at the label, the gradient is {number}{told}, where it is a_y - 1; beside it, it is right"
    return ""


def targets_of(c: Counterfactual, exact: Array, got: Array, bound: Array) -> str:
    """The sentence on a gradient that has the right a, from which something else than y is subtracted.

    In all rows most classes are right, and what is subtracted at the few others is told.
    """
    wrong = wrong_elements(exact, got, bound)
    s = np.broadcast_to(c.upstream / c.denominator, c.z.shape[:1])
    rows = np.asarray(wrong.any(1))
    few = wrong.sum(1) <= min(4, c.z.shape[1] // 2 - 1)
    if np.count_nonzero(rows) < 2 or not few.all() or not np.isfinite(got).all() or (s[rows] == 0).any():
        return ""
    if not np.isfinite(c.softmax[0]).all() or not (wrong & (c.q == 0)).any():
        return ""
    safe = np.where(s != 0, s, 1.0)[:, None]
    read = np.where(wrong, c.softmax[0] * c.q.sum(1, keepdims=True) - got / safe, c.q)
    if not (np.abs(read - c.q) > TELLING * np.abs(c.q).max()).any():
        return ""
    told = []
    for i in np.flatnonzero(rows)[:2]:
        there = np.flatnonzero(np.abs(read[i]) > 8.0 * bound[i] / np.abs(safe[i]))[:4]
        told.append(f"row {i}: " + (" and ".join(f"{read[i, j]:.6g} at {j}" for j in there) or "nothing"))
    labels = f", labels {', '.join(str(c.targets.label[i]) for i in np.flatnonzero(rows)[:2])}"
    given = labels if c.targets.probabilities is None else ""
    return f"E60: {'; '.join(told)}{given}: in the gradient a is right, and something else than y is subtracted from it"


def _fits_of_loss(c: Counterfactual, got: Array, limit: Array) -> Array:
    """(m, C): whether each class as label would give the row's loss."""
    losses = -c.softmax[1] / np.broadcast_to(c.denominator, got.shape)[:, None]
    return np.asarray((np.abs(losses - got[:, None]) <= limit[:, None]) & c.targets.kept[:, None])


def _fits_of_gradient(c: Counterfactual, got: Array, limit: Array) -> Array:
    """(m, C): whether each class as label would give the row's gradient."""
    a = c.softmax[0]
    s = np.broadcast_to(c.upstream / c.denominator, c.z.shape[:1])
    beside = np.abs(got - s[:, None] * a) <= limit
    at = np.abs(got - s[:, None] * (a - 1.0)) <= limit
    others = beside.sum(1, keepdims=True) - beside
    found = at & (others == c.z.shape[1] - 1) & c.targets.kept[:, None] & (s != 0)[:, None]
    return np.asarray(found)


def _readings(c: Counterfactual) -> Iterator[tuple[str, Array]]:
    """What labels may be read as."""
    t = c.targets
    for step in range(1, min(t.classes, 5)):
        yield f"labels are {step} too low, and wrap around: (y - {step}) mod C", (t.label - step) % t.classes
        yield f"labels are {step} too high, and wrap around: (y + {step}) mod C", (t.label + step) % t.classes
    yield "the labels of the rows in reverse order", t.label[::-1]
    yield "the labels of the rows sorted", np.sort(t.label)
    yield "every row has the first row's label", np.full_like(t.label, t.label[0])
    yield "the class with the largest logit is taken for the label", c.z.argmax(1)
    yield "the class with the smallest logit is taken for the label", c.z.argmin(1)
    yield "labels modulo half of the classes, as in one of two shards", t.label % max(-(-t.classes // 2), 1)
    for label in range(min(t.classes, 3)):
        yield f"every row has the label {label}", np.full_like(t.label, label)
