"""What a wrong gradient is made of: which part of a - y has another factor in each row, or what multiplies the whole.

Nothing is guessed: a part explains a gradient if what is left of every element, in every row, is within its bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from xentcheck.diagnosis.counterfactual import Counterfactual, wrong_elements
from xentcheck.diagnosis.sorts import sort_of
from xentcheck.reference.formats import Array

from .numbers import listed, named

OPEN = 0.005
"""Share of an element's error that may be left."""

FREE = 4
"""Wrong elements that there have to be more than numbers that were fitted."""

MOST = 2048
"""Rows among which that of an upstream gradient is looked for."""

FARTHEST = 1e6
"""A factor beyond it is none."""

ALIKE = 1e-20
"""Share of a part's squares that is its own beside another, below which the two are one part."""

Part = tuple[str, Array, Array]
"""Name, (m, C) of each row, and its factor (m,) in the right gradient."""


def part_of(c: Counterfactual, exact: Array, got: Array, bound: Array) -> str:
    """The sentence on the gradient of the logits; empty if no part explains all elements."""
    wrong = wrong_elements(exact, got, bound)
    if not (np.isfinite(got).all() and np.isfinite(exact).all() and np.isfinite(c.softmax[0]).all()):
        return ""
    limit = 2.0 * bound + OPEN * np.abs(got - exact)
    return _multiplied(c, exact, got, limit, wrong, bound) or _added(c, exact, got, limit, wrong)


def _multiplied(c: Counterfactual, exact: Array, got: Array, limit: Array, wrong: Array, bound: Array) -> str:
    """One factor for each row, alone or beside one for each class."""
    t = c.targets
    ones = np.ones(t.classes)
    per_class = [("", ones)]
    if t.weight is not None and (t.weight > 0).all():
        per_class += [
            ("its class's own weight, each element, and ", t.weight),
            ("1 / its class's own weight, each element, and ", 1 / t.weight),
        ]
    for told, factor in per_class:
        base = exact * factor
        size = (base * base).sum(1)
        ratio = np.where(size > 0, (got * base).sum(1) / np.where(size > 0, size, 1.0), 1.0)
        if not (np.abs(got - ratio[:, None] * base) <= limit).all():
            continue
        use = np.asarray(wrong.any(1) if factor is ones else size > 0)
        if np.count_nonzero(wrong) < np.count_nonzero(use) + FREE:
            continue
        near = (np.abs(base) * limit).sum(1) / np.where(size > 0, size, 1.0)
        tight = 2.0 * (np.abs(base) * bound).sum(1) / np.where(size > 0, size, 1.0)
        name = named(c, ratio, tight, use) or named(c, ratio, near, use)
        rest = _only(c, use, np.asarray((exact != 0).any(1))) if factor is ones else ""
        if name or told:
            factors = f"{told}{name or 'a number of the row'}"
            return f"B27: by {listed(ratio[use])}{rest}: each row of the gradient is multiplied by {factors}"
        if factor is ones and (told := _of_other_rows(c, ratio, tight, use)):
            return told
        if rest and _same(ratio[use]):
            return f"F79: {ratio[use][0]:.5g} times the right ones: {rest.removeprefix(', ')} are wrong"
        length = np.sqrt((got * got).sum(1))[use]
        if np.count_nonzero(use) > 2 and _same(length) and not _same(ratio[use]) and ((ratio > 0) & (ratio <= 1)).all():
            return f"E51: the gradient of each row is cut to the length {length[0]:.4g}"
        if np.count_nonzero(use) > 1 and (np.abs(ratio[use]) < FARTHEST).all():
            return f"B27: by {listed(ratio[use])}: each row of the gradient has a factor of its own"
    return ""


def _of_other_rows(c: Counterfactual, ratio: Array, near: Array, use: Array) -> str:
    """Whether each wrong row has the upstream gradient of another row."""
    up = c.upstream
    if np.count_nonzero(use) < 2 or len(up) > MOST or len(np.unique(up)) < 4 or (up[use] == 0).any():
        return ""
    limit = (near * np.abs(up))[use, None] + 1e-12 * np.abs(up)
    found = np.abs((ratio * up)[use, None] - up) <= limit
    if not (found.any(1) & (limit.max(1) < 1e-2 * np.abs(up[use]))).all():
        return ""
    first = zip(np.flatnonzero(use)[:3], found.argmax(1), strict=False)
    pairs = ", ".join(f"row {i} has that of row {j}" for i, j in first)
    return f"E50: {pairs}: rows have the upstream gradient of other rows"


def _only(c: Counterfactual, rows: Array, told: Array) -> str:
    """Which rows alone are wrong, if they are of one sort."""
    sort = sort_of(c, rows, told | rows)
    return f", just the rows {sort}" if sort else ""


def _same(x: Array) -> bool:
    return bool(np.ptp(x) <= 1e-2 * np.abs(x).max())


def _parts(c: Counterfactual) -> Iterator[Part]:
    t = c.targets
    s = np.broadcast_to(c.upstream / c.denominator, t.kept.shape)
    mass = c.q.sum(1)
    yield "a", c.softmax[0] * t.kept[:, None], s * mass
    weight = np.ones(t.classes) if t.weight is None else t.weight
    if t.probabilities is not None:
        yield "the target rows q", t.probabilities * weight, -s * (1.0 - t.smoothing)
    else:
        hot = np.asarray((np.arange(t.classes) == t.label[:, None]) & t.kept[:, None], np.float64)
        yield "y at the label", hot, -s * (1.0 - t.smoothing) * t.label_weight
    even = np.broadcast_to(weight, c.z.shape) * t.kept[:, None]
    smoothed = "the smoothed part, " if t.smoothing else ""
    same = "the same for every class" if t.weight is None else "as the class weights are"
    yield f"{smoothed}{same}", even, -s * t.smoothing / t.classes


def _strangers(c: Counterfactual) -> Iterator[Part]:
    """What is no part of the right gradient."""
    t, (a, log_a) = c.targets, c.softmax
    kept = t.kept[:, None].astype(np.float64)
    none = np.zeros(len(a))
    each = np.where(a > 0, -a * log_a, 0.0)
    place = np.arange(t.classes)
    yield "the gradient of the softmax's entropy", kept * (each - a * each.sum(1, keepdims=True)), none
    yield "a^2", kept * a * a, none
    yield "the logits", kept * c.z, none
    yield "1 at the largest logit", kept * (place == c.z.argmax(1)[:, None]), none
    yield "1 at class 0", kept * (place == 0), none
    yield "1 at the last class", kept * (place == t.classes - 1), none
    if t.weight is not None:
        yield "1 for every class", np.broadcast_to(kept, a.shape), none
    if t.probabilities is None:
        for told, label in (
            ("next", np.roll(t.label, -1)),
            ("previous", np.roll(t.label, 1)),
        ):
            yield f"y of the {told} row", kept * (place == label[:, None]), none
        yield "1 at the class after the label", kept * (place == (t.label + 1)[:, None] % t.classes), none
        yield "1 at the class before the label", kept * (place == (t.label - 1)[:, None] % t.classes), none
    yield "a of the next row", kept * np.roll(a, -1, 0), none
    yield "a of the previous row", kept * np.roll(a, 1, 0), none


def _added(c: Counterfactual, exact: Array, got: Array, limit: Array, wrong: Array) -> str:
    """One or two of a, y and what smoothing spreads, with other factors than the right ones."""
    parts = list(_parts(c))
    strange = [part for part in _strangers(c) if np.isfinite(part[1]).all()]
    strangers = {name for name, _, _ in strange}
    error = got - exact
    beside = [(part, other) for part in strange for other in parts[:2]]
    for chosen in (*combinations(parts, 1), *combinations(parts, 2), *combinations(strange, 1), *beside):
        found = _fitted(error, [part for _, part, _ in chosen])
        left = error - sum(x[:, None] * part for x, (_, part, _) in zip(found, chosen, strict=True))
        if not (np.abs(left) <= limit).all():
            continue
        use = np.asarray(wrong.any(1))
        alone = len(chosen) == 1 and chosen[0][0] == "y at the label"
        if np.count_nonzero(use) < 2 or (
            np.count_nonzero(wrong) < len(chosen) * np.count_nonzero(use) + FREE and not alone
        ):
            continue
        name, part, _ = chosen[0]
        if name in strangers and not _accounted(c, found[0], part, limit, use):
            continue
        return "E60: " + _told(c, chosen, found, limit, use)
    return ""


def _accounted(c: Counterfactual, x: Array, part: Array, limit: Array, use: Array) -> bool:
    """Whether the factors of a part are one number, or have a name: with a number for each row anything would fit."""
    size = (part * part).sum(1)
    s = np.broadcast_to(c.upstream / c.denominator, x.shape)
    use = use & (s != 0) & (size > 0)
    if not use.any():
        return False
    factor = x[use] / s[use]
    near = (np.abs(part) * limit).sum(1)[use] / size[use] / np.abs(s[use])
    sure = bool((np.abs(factor) > near).all())
    whole, scale = np.zeros_like(x), np.ones_like(x)
    whole[use], scale[use] = factor, near
    return sure and ((factor - near).max() <= (factor + near).min() or bool(named(c, whole, scale, use)))


def _fitted(error: Array, parts: list[Array]) -> list[Array]:
    """The factors (m,) of the parts that leave the least of each row's error."""
    if len(parts) == 1:
        return [_along(error, parts[0])]
    first, second = parts
    shared = _along(second, first)
    own = second - shared[:, None] * first
    own = own - _along(own, first)[:, None] * first
    alike = (own * own).sum(1) <= ALIKE * (second * second).sum(1)
    x = np.where(alike, 0.0, _along(error, own))
    return [_along(error, first) - x * shared, x]


def _along(values: Array, part: Array) -> Array:
    """(m,): the multiple of each row of a part that leaves least of the values."""
    size = (part * part).sum(1)
    return np.where(size > 0, (values * part).sum(1) / np.where(size > 0, size, 1.0), 0.0)


def _told(c: Counterfactual, chosen: tuple[Part, ...], found: list[Array], limit: Array, use: Array) -> str:
    numbers, sentences = [], []
    for x, (name, part, right) in zip(found, chosen, strict=True):
        size = (part * part).sum(1)
        near = (np.abs(part) * limit).sum(1) / np.where(size > 0, size, 1.0)
        if (right[use] != 0).all():
            ratio, near = 1.0 + x / np.where(right != 0, right, 1.0), near / np.abs(np.where(right != 0, right, 1.0))
            lost = (np.abs(ratio[use]) <= near[use]).all()
            known = "" if lost else named(c, ratio, near, use)
            what = "is left out" if lost else f"is multiplied by {known}" if known else "has another factor"
            numbers.append(f"{listed(ratio[use])} times the right {name}")
            sentences.append(f"{name} {what}")
        else:
            s = np.broadcast_to(c.upstream / c.denominator, x.shape)
            scale = np.where(s != 0, s, 1.0)
            known = named(c, x / scale, near / np.abs(scale), use)
            numbers.append(f"{listed(x[use] / scale[use])} times {name} is added")
            sentences.append(f"{known} times {name} is added" if known else f"a multiple of {name} is added")
    others = [name for name in ("a", "y") if not any(n.startswith(name) for n, _, _ in chosen)]
    rest = f", {' and '.join(others)} is right" if others else ""
    only = _only(c, use, (c.q != 0).any(1))
    return f"{'; '.join(numbers)}{only}: in the gradient, {' and '.join(sentences)}{rest}"
