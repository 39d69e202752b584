"""Causes in the options of the loss: smoothing, class weights, rows of probabilities. Codes as in `mistakes`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from xentcheck.diagnosis.counterfactual import Counterfactual, Mistake
from xentcheck.reference.formats import Array
from xentcheck.reference.numbers.backends import FLOAT64


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
        total = float(weight.sum())
        for told, scale in (
            ("the sum C", t.classes / total),
            ("the sum 1", 1.0 / total),
            ("the maximum 1", 1.0 / weight.max()),
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
