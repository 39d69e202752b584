"""Causes in the logits as they are read, and in the functions of the softmax. Codes as in `mistakes`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from xentcheck.diagnosis.counterfactual import Counterfactual, Mistake
from xentcheck.reference.formats import FORMATS, Array
from xentcheck.reference.rows import to_rows
from xentcheck.vocabulary import VALUES

CAPS = (5.0, 10.0, 15.0, 20.0, 30.0, 50.0)
"""Soft caps in use."""

SCALES = (1.0, 10.0, 16.0, 20.0, 30.0, 64.0)
"""Scales in use behind a division by the length."""


def bent(c: Counterfactual) -> Iterator[Mistake]:
    """Every such mistake that could make a difference to this problem."""
    with np.errstate(all="ignore"):
        yield from _other_functions(c)


def _other_functions(c: Counterfactual) -> Iterator[Mistake]:
    """Another function stands in the place of the softmax or of ln, or is applied to the logits before."""
    a, log_a = c.softmax
    yield from _left_out(c)
    yield from _shifted(c)
    losses = c.losses() / c.denominator
    for told, function, derivative in (
        ("exp", np.exp, np.exp),
        ("the square", np.square, lambda x: 2.0 * x),
        ("the square root", np.sqrt, lambda x: 0.5 / np.sqrt(x)),
    ):
        whole = np.asarray(function(losses.sum()))
        by = derivative(losses)[:, None] if c.problem.reduction == "none" else derivative(losses.sum())
        given = {"loss": function(losses), "cost": whole, "dC/dz": by * c.result("dC/dz")}
        if whole <= FORMATS[c.problem.dtype].largest:  # an infinity is no sign of it
            yield "A12", f"{told} of the loss is returned in its place", replace(c, given=given)
    twice = replace(c, z=a)
    yield "A12", "softmax twice: probabilities are taken for logits", twice
    inner = twice.result("dC/dz")
    chained = a * (inner - np.where(a > 0, a * inner, 0.0).sum(1, keepdims=True))
    yield "A12", "softmax twice: probabilities are taken for logits, with its derivative", c.with_gradient(chained)
    yield "A12", "2^z in the place of exp(z)", replace(c, z=c.z * np.log(2.0))
    logistic = 1.0 / (1.0 + np.exp(-c.z))
    yield (
        "A12",
        "the logistic function of each logit in the place of the softmax",
        replace(c, a=logistic, log_a=np.log(logistic)),
    )
    yield "A12", "the probability in the place of its logarithm", replace(c, log_a=a)
    yield "A12", "log(1 + a) in the place of ln a", replace(c, log_a=np.log1p(a))
    yield "A12", "the logit of the label alone: the sum of exponentials is left out", replace(c, log_a=c.z)
    yield "A12", "log2 in the place of ln", replace(c, log_a=log_a / np.log(2.0))
    total = np.exp(c.z - c.z.max(1, keepdims=True, initial=-np.inf)).sum(1, keepdims=True)
    for sentence, base in (("log2", 2.0), ("log10", 10.0)):
        wrong = log_a + np.log(total) * (1.0 - 1.0 / np.log(base))
        yield "A12", f"{sentence} in the place of ln, of the sum but not of the logits", replace(c, log_a=wrong)
        whole = c.z - (c.z - log_a) / np.log(base)
        yield "A12", f"{sentence} in the place of ln, of the whole sum but not of the logits", replace(c, log_a=whole)
    length = np.sqrt((c.z * c.z).sum(1, keepdims=True))
    for scale in SCALES:
        unit = c.z / length
        made = replace(c, z=scale * unit)
        inner = made.result("dC/dz")
        chained = scale / length * (inner - unit * (unit * inner).sum(1, keepdims=True))
        sentence = f"the logits are divided by their length, and multiplied by {scale:g}, with its derivative"
        yield "A12", sentence, replace(made, given={"dC/dz": chained})
    for sentence, z, slope in _bent(c.z):
        yield from _before(c, f"the logits go through {sentence} first", z, slope)


def _left_out(c: Counterfactual) -> Iterator[Mistake]:
    """The sum of exponentials lacks a class, which is left where the label's logit is looked up."""
    classes = c.z.shape[1]
    place = np.arange(classes)
    sorts = [("the first class", place == 0), ("the last class", place == classes - 1)]
    sorts.append(("the class with the largest logit", c.z == c.z.max(1, keepdims=True)))
    if c.targets.probabilities is None:
        sorts.append(("the label's own class", place == c.targets.label[:, None]))
        for shards in (2, 3, 4, 8):
            size = -(-classes // shards)
            if 1 < size < classes:
                other = place // size != (c.targets.label // size)[:, None]
                sorts.append((f"every class but those of the label's own one of {shards} shards", other))
    sorts += [("every class with a negative logit", c.z < 0), ("every class with a positive logit", c.z > 0)]
    order = np.sort(c.z, 1)[:, ::-1]
    for k in (1, 2, 3, 4, 5, 8, 10, 16, 20, 32, 50, 64, 100):
        if 1 < k + 1 < classes:
            sorts.append((f"every class but the {k} with the largest logits", c.z < order[:, k - 1 : k]))
    top = c.z.max(1, keepdims=True, initial=-np.inf)
    for name, those in sorts if classes > 1 and np.isfinite(c.z).all() else ():
        if np.broadcast_to(those, c.z.shape).all(1).any():  # an empty sum is no sum without a class
            continue
        e = np.where(those, 0.0, np.exp(c.z - top))
        total = e.sum(1, keepdims=True)
        wrong = replace(c, log_a=c.z - top - np.log(total), a=e / total)
        yield "F74", f"{name} is left out of the sum of exponentials", wrong
        e = np.exp(c.z - top)
        yield "F74", f"{name} is left out of the sum of exponentials", replace(wrong, a=e / total)
        e = np.where(those, 2.0, 1.0) * np.exp(c.z - top)
        total = e.sum(1, keepdims=True)
        wrong = replace(c, log_a=c.z - top - np.log(total), a=e / total)
        yield "F74", f"{name} is counted twice in the sum of exponentials", wrong


def _shifted(c: Counterfactual) -> Iterator[Mistake]:
    """The logits of a class are shifted by what they are over the rows, which the softmax does not forgive."""
    if len(c.z) < 2 or not np.isfinite(c.z).all():
        return
    for name, shift in (("maximum", c.z.max(0)), ("mean", c.z.mean(0))):
        yield "A01", f"each class's {name} over the rows is subtracted, not each row's own", replace(c, z=c.z - shift)
    right = c.result("dC/dz")
    for name, mean in (("over the rows", right.mean(0)), ("over the classes", right.mean(1, keepdims=True))):
        yield "E60", f"its mean {name} is subtracted from the gradient", c.with_gradient(right - mean)


def _before(c: Counterfactual, sentence: str, z: Array, slope: Array | None) -> Iterator[Mistake]:
    """With the slope in the gradient, if each element depends on its own logit only; and without it."""
    changed = replace(c, z=z)
    if slope is not None:
        given = {"dC/dz": changed.result("dC/dz") * slope}
        if c.problem.v is not None:
            along = to_rows(c.problem.v).astype(np.float64) * given["dC/dz"]
            scale = np.where(c.upstream != 0, c.upstream, np.nan)[:, None]
            tangents = (along / scale).sum(1)
            given["jvp"] = np.asarray(tangents if c.problem.reduction == "none" else tangents.sum())
        yield "A12", sentence, replace(changed, given=given)
    yield "A12", sentence if slope is None else f"{sentence}, without its derivative in the gradient", changed


def _bent(z: Array) -> Iterator[tuple[str, Array, Array | None]]:
    """Functions of each logit, or of each row, and their derivative where an element depends on its own logit only."""
    for cap in CAPS:
        t = np.tanh(z / cap)
        yield f"z tanh(z/{cap:g})", z * t, t + z / cap * (1.0 - t * t)
        yield f"tanh(z/{cap:g}), without the factor {cap:g}", t, (1.0 - t * t) / cap
    yield "max(z, 0)", np.maximum(z, 0.0), (z > 0) * 1.0
    yield "|z|", np.abs(z), np.sign(z)
    yield "-z", -z, -np.ones_like(z)
    yield "the logistic function", 1.0 / (1.0 + np.exp(-z)), 1.0 / (2.0 + np.exp(z) + np.exp(-z))
    classes = z.shape[1]
    yield "a division by the square root of C", z / np.sqrt(classes), np.full_like(z, classes**-0.5)
    yield "a division by their length", z / np.sqrt((z * z).sum(1, keepdims=True)), None
    yield "a division by their largest absolute value", z / np.abs(z).max(1, keepdims=True), None
    centred = z - z.mean(1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(1, keepdims=True))
    yield "a division by their standard deviation", centred / deviation, None


def _derived(c: Counterfactual, factor: float, slope: float) -> Counterfactual:
    """Factor times a loss of slope z: each derivative brings the slope once more."""
    given = {name: factor * c.result(name) for name in VALUES if name != "cost" or c.problem.reduction != "none"}
    given["dC/dz"] = factor * slope * c.result("dC/dz")
    if c.problem.v is not None:
        given |= {"jvp": factor * slope * c.result("jvp"), "hvp": factor * slope**2 * c.result("hvp")}
    return replace(c, given=given)
