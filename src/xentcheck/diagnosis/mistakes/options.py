"""Causes in the options of the loss: smoothing, class weights, rows of probabilities. Codes as in `mistakes`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from xentcheck.diagnosis.counterfactual import Counterfactual, Mistake
from xentcheck.reference.formats import Array
from xentcheck.reference.numbers.backends import FLOAT64

SMOOTHINGS = (0.05, 0.1, 0.2)
"""Label smoothings in use, which are left on."""


def options(c: Counterfactual) -> Iterator[Mistake]:
    """Every such mistake that could make a difference to this problem."""
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
        yield "D40", "the smoothed part has the wrong sign", replace(c, q=base - even)
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
            ("eps per class instead of eps/C, a sum in the place of a mean", t.smoothing),
        ):
            yield "D40", f"wrong smoothing mass: {sentence}", replace(c, q=base + kept * weight * mass)
            if t.probabilities is not None:
                continue
            spread = np.where(hot, labels * (1.0 - t.smoothing), kept * weight * mass)
            yield "D40", f"wrong smoothing mass: {sentence}, none at the label", replace(c, q=spread)
        place = np.arange(t.classes)
        for half in dict.fromkeys((t.classes // 2, -(-t.classes // 2))):
            for told, some in (("first", place < half), ("second", place >= half)):
                for share, times in (("eps/C", 1.0), ("2 eps/C", t.classes / max(int(some.sum()), 1))):
                    sentence = f"{share} for the {told} half of the classes: the smoothed part leaves out the others"
                    yield "D40", sentence, replace(c, q=base + even * some * times)
        for left in dict.fromkeys((0, t.classes - 1, c.problem.ignore_index % t.classes)):
            others = np.arange(t.classes) != left
            for share, q in (
                ("eps/C for the others", base + even * others),
                ("eps/(C - 1) for the others", base + even * others * t.classes / max(t.classes - 1, 1)),
            ):
                yield "D40", f"class {left}, {share}: the smoothed part leaves out one class", replace(c, q=q)
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
    if t.smoothing and t.probabilities is None:
        own = (1.0 - t.smoothing) * t.label_weight[:, None]
        kept = t.kept[:, None]
        for told, smoothed in (
            ("is left out", np.zeros_like(own)),
            ("has the factor eps, not eps times the mean class weight", t.smoothing * kept),
            ("has the factor eps/C", t.smoothing / t.classes * kept),
            ("has the factor eps times the label's class weight", t.smoothing * t.label_weight[:, None]),
            ("has the factor eps times the sum of all class weights", t.smoothing * weight.sum() * kept),
        ):
            sentence = f"in the gradient, the softmax of the smoothed part {told}"
            yield "D43" if t.weight is not None else "D40", sentence, replace(c, row_mass=own + smoothed)
    if t.weight is not None:
        total, largest = float(weight.sum()) or np.inf, float(weight.max()) or np.inf
        for told, scale in (
            ("the sum C", t.classes / total),
            ("the sum 1", 1.0 / total),
            ("the maximum 1", 1.0 / largest),
        ):
            sentence = f"class weights are normalised to {told}"
            probable = t.probabilities is not None
            yield (
                "D42",
                sentence + ("" if probable or not c.mean else ", but not in the denominator"),
                replace(c, q=c.q * scale),
            )
        s = np.broadcast_to(c.upstream / c.denominator, t.kept.shape)[:, None]
        even = _unweighted(c)
        columns = s * weight * (c.softmax[0] * even.sum(1, keepdims=True) - even)
        told = "in the gradient, each class has its own weight, not that of the row's label: w_j (a_j - y_j)"
        yield "D43", told, c.with_gradient(columns)
        yield "D43", "class weights reach y only: a - w y", replace(c, row_mass=t.kept[:, None] * 1.0)
        plain = replace(c, q=_unweighted(c))
        yield "D42", "class weights are left out of the terms", plain
        count = float(np.count_nonzero(t.kept)) if t.probabilities is None else float(len(t.kept))
        yield "D42", "class weights are left out", replace(plain, denominator=count if c.mean else 1.0)
    if not t.smoothing and t.probabilities is not None:
        yield from _smoothed(c)
    if t.weight is not None:
        yield from _other_weights(c)
    if t.probabilities is not None:
        clipped = replace(t, probabilities=np.clip(t.probabilities, 0.0, 1.0))
        yield "D44", "entries of target rows are clipped to 0 to 1", replace(c, q=np.asarray(clipped.terms(FLOAT64)))
        total = t.probabilities.sum(1, keepdims=True)
        scaled = replace(t, probabilities=t.probabilities / np.where(total != 0, total, 1.0))
        yield "D44", "target rows are divided by their sum", replace(c, q=np.asarray(scaled.terms(FLOAT64)))
        e = np.exp(t.probabilities - t.probabilities.max(1, keepdims=True))
        soft = replace(t, probabilities=e / e.sum(1, keepdims=True))
        yield "D44", "target rows go through a softmax", replace(c, q=np.asarray(soft.terms(FLOAT64)))
        positive = replace(t, probabilities=np.maximum(t.probabilities, 0.0))
        yield "D44", "entries of target rows below 0 do not count", replace(c, q=np.asarray(positive.terms(FLOAT64)))
        masked = np.where(t.probabilities < 0, 0.0, c.q)
        yield "D44", "entries of target rows below 0 do not count, smoothed or not", replace(c, q=masked)
        yield "D44", "rows of probabilities are taken to sum to 1: a - q", replace(c, row_mass=1.0)
        if t.smoothing and t.weight is not None:
            outside = t.probabilities * weight * (1.0 - t.smoothing) + t.smoothing / t.classes
            yield "D40", "rows of probabilities are weighted before they are smoothed", replace(c, q=outside)


def _smoothed(c: Counterfactual) -> Iterator[Mistake]:
    """A default of the implementation's own smooths rows of probabilities."""
    t = c.targets
    for eps in SMOOTHINGS:
        sentence = f"the labels are smoothed by {eps:g}, although no smoothing is asked for"
        even = t.kept[:, None] * (np.ones(t.classes) if t.weight is None else t.weight) * eps / t.classes
        yield "D40", sentence, replace(c, q=c.q * (1.0 - eps) + even)


def _other_weights(c: Counterfactual) -> Iterator[Mistake]:
    """Powers of the class weights, and rows with the weight of another class than the label's."""
    t = c.targets
    assert t.weight is not None
    for sentence, powered in (
        ("class weights are squared, as two places that apply them do", t.weight**2),
        ("the square root of class weights is used", np.sqrt(t.weight)),
        ("the inverse of class weights is used", 1.0 / t.weight),
        ("class weights are read one class too high", np.roll(t.weight, -1)),
        ("class weights are read one class too low", np.roll(t.weight, 1)),
        ("class weights are read in reverse order", t.weight[::-1]),
    ):
        if np.isfinite(powered).all():
            other = replace(t, weight=powered)
            wrong = replace(c, q=np.asarray(FLOAT64.pair(other.terms(FLOAT64))[0]))
            yield "D42", sentence, wrong
            if c.mean:
                total = float(FLOAT64.pair(other.denominator(FLOAT64))[0])
                yield "D42", f"{sentence}, in the denominator too", replace(wrong, denominator=total)
    plain = _unweighted(c)
    if (t.weight >= 0).all():  # a class of weight 0 is left at -inf
        for beside, q in (("", plain), (" as well", c.q)):
            for d in _denominators(c):
                moved = replace(c, q=q, z=c.z + np.log(t.weight), denominator=d)
                yield "D42", f"the log of the class weights is added to the logits{beside}", moved
                slope = replace(c, q=q, z=c.z * t.weight, denominator=d)
                given = {"dC/dz": slope.result("dC/dz") * t.weight}
                yield "D42", f"the class weights multiply the logits{beside}", replace(slope, given=given)
    places = [
        ("of the class with the largest logit", c.z.argmax(1)),
        ("of the class with the smallest logit", c.z.argmin(1)),
        ("of class 0", np.zeros_like(t.label)),
        ("of the last class", np.full_like(t.label, t.classes - 1)),
        ("with the number of the row", np.arange(len(t.label)) % t.classes),
    ]
    if t.probabilities is None:
        places += [
            ("of the next class", (t.label + 1) % t.classes),
            ("of the class before", (t.label - 1) % t.classes),
            ("of the next row's label", np.roll(t.label, -1)),
            ("of the previous row's label", np.roll(t.label, 1)),
        ]
        even = t.kept[:, None] * t.weight * t.smoothing / t.classes
        hot = (np.arange(t.classes) == t.label[:, None]) * (1.0 - t.smoothing)
    for sentence, classes in places:
        own = t.kept * t.weight[classes]
        told = f"each row has the weight {sentence}, not its own"
        qs = [plain * own[:, None]]
        if t.smoothing and t.probabilities is None:
            qs.append(hot * own[:, None] + even)
        for q in qs:
            wrong = replace(c, q=q)
            yield "D43", told, wrong
            if c.mean:
                yield "D43", f"{told}, in the denominator too", replace(wrong, denominator=float(own.sum()))


def _denominators(c: Counterfactual) -> tuple[float, ...]:
    """That of the weighted mean, and the number of rows that are kept."""
    count = float(np.count_nonzero(c.targets.kept))
    return (c.denominator, count) if c.mean and c.targets.probabilities is None and count else (c.denominator,)


def _unweighted(c: Counterfactual) -> Array:
    t = c.targets
    if t.probabilities is not None:
        return np.asarray(replace(t, weight=None).terms(FLOAT64))
    hot = (np.arange(t.classes) == t.label[:, None]) * (1.0 - t.smoothing) + t.smoothing / t.classes
    return np.asarray(hot * t.kept[:, None])
