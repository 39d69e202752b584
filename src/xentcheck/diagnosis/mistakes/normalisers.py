"""Causes in the denominator and in ignored rows. Codes as in `mistakes`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from xentcheck.diagnosis.counterfactual import Counterfactual, Mistake

CHUNKS = (*range(2, 17), 32, 64, 128)


def normalisers(c: Counterfactual) -> Iterator[Mistake]:
    """Every such mistake that could make a difference to this problem."""
    yield from _denominators(c)
    yield from _ignored(c)
    yield from _ignored_classes(c)
    if c.mean:
        yield from _other_counts(c)


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
    if t.probabilities is not None:
        yield "B21", "divides by the sum of all factors q", _over(c, float(c.q.sum()))
    yield "B24", f"C = {t.classes}: divides by the classes, not by the rows", _over(c, float(t.classes))
    if t.weight is not None and t.probabilities is None:
        every = c.denominator + np.count_nonzero(~t.kept)
        yield "B21", "ignored rows count with the weight 1 in the denominator", _over(c, every)
    for more, told in ((1, "one row more than is kept"), (-1, "one row less than is kept")):
        if kept + more == rows:
            continue
        yield "B20", f"divides by {told}", _over(c, float(kept + more) or np.inf)
    shape = c.problem.logits_shape
    if len(shape) > 2:
        places = int(np.prod(shape[2:]))
        yield (
            "B20",
            f"N = {shape[0]}: divides by the examples of the batch, whatever their positions",
            _over(c, shape[0]),
        )
        yield (
            "B20",
            f"{places} positions: divides by the positions of an example, not by the examples",
            _over(c, float(places)),
        )
    yield "B24", "divides twice by the denominator", _over(c, c.denominator**2)
    yield from _means_of_means(c)


def _means_of_means(c: Counterfactual) -> Iterator[Mistake]:
    """Chunks of rows, the examples of a batch, or ranks have means of their own; a chunk without weight counts as 0."""
    t = c.targets
    rows = len(t.kept)
    share = np.where(t.kept, t.label_weight, 0.0) if t.probabilities is None else np.ones(rows)
    number = np.arange(rows)
    groups = [(f"chunks of {n} rows", "chunks", number // n) for n in CHUNKS if n < rows]
    groups += [(f"{n} chunks", "chunks", number // -(-rows // n)) for n in (2, 3, 4, 8) if n <= rows]
    groups += [("2 chunks", "chunks", (number >= rows // 2).astype(np.intp))] if rows > 1 else []
    groups += [(f"{n} ranks, rows dealt in turn", "ranks", number % n) for n in (2, 4, 8) if n < rows]
    shape = c.problem.logits_shape
    if len(shape) > 2 and 0 not in shape:
        places = int(np.prod(shape[2:]))
        groups.append((f"{shape[0]} examples", "examples", number // places))
        groups.append((f"{places} positions", "positions", number % places))
    for told, parts, group in groups:
        sums = np.bincount(group, share)
        per_row = np.where(sums == 0, np.inf, sums)[group]
        yield "B22", f"{told}: the mean over the {parts} of their means", _over(c, per_row * len(sums))
        yield "B22", f"{told}: the sum over the {parts} of their means", _over(c, per_row)
        members = np.bincount(group)[group]
        told_by_rows = f"{told}: the mean over the {parts} of their means, each by the number of its rows"
        yield "B22", told_by_rows, _over(c, per_row * rows / members)
        yield "B22", f"{told}: divides by the number of {parts}, not of rows", _over(c, float(len(sums)))
        full = np.count_nonzero(sums)
        if 0 < full < len(sums):
            yield (
                "B22",
                f"{told}: the mean over the {parts} of their means, empty ones left out",
                _over(c, per_row * full),
            )


def _other_counts(c: Counterfactual) -> Iterator[Mistake]:
    """Counts and sums that are near the right one, by which a mean may divide."""
    t = c.targets
    rows, kept = len(t.kept), int(np.count_nonzero(t.kept))
    if kept < rows:
        told = "the mean over all rows is multiplied by the share of kept rows"
        yield "B20", told, _over(c, c.denominator * (rows / kept) ** 2 if kept else np.inf)
        yield (
            "B20",
            f"{told}, as is a sum that is divided by the kept rows",
            _over(c, c.denominator * rows / kept if kept else np.inf),
        )
    for block in (8, 16, 32, 64, 128):
        if rows % block:
            yield "B20", f"divides by the rows padded to a multiple of {block}", _over(c, float(rows + -rows % block))
    if t.probabilities is not None:
        return
    for label in (0, t.classes - 1):
        count = t.kept & (t.label != label)
        told = f"rows of class {label} are not counted in the denominator, but summed"
        yield "B20", told, _over(c, float(t.label_weight[count].sum()) or np.inf)
    yield (
        "B20",
        "ignored rows and class 0 are not counted: labels > 0",
        _over(c, float((t.label[t.kept] > 0).sum() or 1)),
    )
    there = np.unique(t.label[t.kept])
    yield "B20", "divides by the number of different labels", _over(c, float(len(there)) or np.inf)
    if t.weight is not None:
        yield "B21", "the denominator sums each label's weight once", _over(c, float(t.weight[there].sum()))
        yield (
            "B21",
            "the denominator sums the squares of the labels' weights",
            _over(c, float((t.label_weight**2).sum())),
        )
        mean = c.denominator * float(t.weight.mean())
        yield "B21", "the mean is divided by the mean class weight once more", _over(c, mean)
        yield (
            "B21",
            "the mean is divided by the number of kept rows once more",
            _over(c, c.denominator * kept or np.inf),
        )


def _over(c: Counterfactual, denominator: Any) -> Counterfactual:
    return replace(c, denominator=denominator)


def _ignored(c: Counterfactual) -> Iterator[Mistake]:
    t, p = c.targets, c.problem
    if t.probabilities is None and t.smoothing:
        hot = (np.arange(t.classes) == t.label[:, None]) * (1.0 - t.smoothing) * t.label_weight[:, None]
        even = (~t.kept)[:, None] * (np.ones(t.classes) if t.weight is None else t.weight) * t.smoothing / t.classes
        yield "D42", "the smoothed part is left out, (1 - eps) of the label's part is there", replace(c, q=hot)
        sentence = "the mask is inverted in the smoothed part, which ignored rows alone have"
        yield "C36", sentence, replace(c, q=hot + even)
    if t.kept.all() or t.probabilities is not None:
        return
    ignored = ~t.kept
    everything = np.ones_like(t.kept)
    likely = c.with_labels(np.where(ignored, c.z.argmax(1), t.label), everything)
    sentence = "ignored rows count as rows of the class with their largest logit"
    yield "C34", f"{sentence}: ignore_index is not honoured", likely
    yield "C34", f"{sentence}, in the denominator too", _over(likely, float(likely.targets.label_weight.sum()) or 1.0)
    for label in dict.fromkeys((p.ignore_index % t.classes, t.classes - 1, 0)):
        told = c.with_labels(np.where(ignored, label, t.label), everything)
        sentence = f"ignored rows count as rows of class {label}"
        yield "C34", f"{sentence}: ignore_index is not honoured", told
        yield "C34", f"{sentence}, in the denominator too", _over(told, float(told.targets.label_weight.sum()) or 1.0)
        yield _of_ignored_logits(c, label)
    uniform = (np.ones(t.classes) if t.weight is None else t.weight) * t.smoothing / t.classes
    if t.smoothing:
        yield "C31", "ignored rows are smoothed", replace(c, q=np.where(ignored[:, None], uniform, c.q))
    top = c.z.max(1, initial=-np.inf)
    rows = (c.losses() + np.where(ignored, top - c.softmax[1].max(1, initial=-np.inf), 0.0)) / c.denominator
    mass = np.where(ignored, 1.0, c.q.sum(1))[:, None]
    yield "C30", "ignored rows keep their softmax in the gradient", replace(c, row_mass=mass)
    summed = replace(c, row_mass=mass, given={"loss": rows, "cost": np.asarray(rows.sum())})
    yield "C30", "ignored rows keep the log of their sum: only the label's logit is masked", summed
    labels = np.where(ignored, p.ignore_index % t.classes, t.label)
    yield "C36", "the mask is inverted: ignored rows count, kept ones do not", c.with_labels(labels, ignored)
    none = np.where(ignored[:, None], uniform, 0.0)
    yield "C36", "the mask is inverted: kept rows do not count", replace(c, q=none)
    if 0 <= p.ignore_index < t.classes:
        z = np.where(np.arange(t.classes) == p.ignore_index, -np.inf, c.z)
        yield "C34", "the class ignore_index leaves the softmax", replace(c, z=z)


def _of_ignored_logits(c: Counterfactual, label: int) -> Mistake:
    """The log of the sum is masked in ignored rows, what is subtracted from it is not."""
    ignored = ~c.targets.kept
    s = np.broadcast_to(c.upstream / c.denominator, ignored.shape)[:, None]
    hot = ignored[:, None] * (np.arange(c.targets.classes) == label)
    rows = (c.losses() - np.where(ignored, c.z[:, label], 0.0)) / c.denominator
    given = {"loss": rows, "cost": np.asarray(rows.sum()), "dC/dz": c.result("dC/dz") - s * hot}
    sentence = f"ignored rows have the logit of class {label} subtracted: only the log of the sum is masked there"
    return "C36", sentence, replace(c, given=given)


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
