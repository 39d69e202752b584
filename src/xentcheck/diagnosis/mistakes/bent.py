"""Causes in the logits as they are read, and in the functions of the softmax. Codes as in `mistakes`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from xentcheck.diagnosis.counterfactual import Counterfactual, Mistake
from xentcheck.reference.formats import Array
from xentcheck.reference.rows import to_rows
from xentcheck.vocabulary import VALUES

CAPS = (5.0, 10.0, 15.0, 20.0, 30.0, 50.0)
"""Soft caps in use: cap tanh(z/cap)."""

MARGINS = (0.1, 0.2, 0.35, 0.4, 0.5, 1.0)
"""Margins in use, by which the label's logit is lowered."""

SCALES = (1.0, 10.0, 16.0, 20.0, 30.0, 64.0)
"""Scales in use behind a division by the length."""

TEMPERATURES = (0.1, 0.5, 2.0, 4.0, 10.0)


def bent(c: Counterfactual) -> Iterator[Mistake]:
    """Every such mistake that could make a difference to this problem."""
    with np.errstate(all="ignore"):
        yield from _limited(c)
        yield from _other_functions(c)


def _limited(c: Counterfactual) -> Iterator[Mistake]:
    """Soft caps, clamps and temperatures."""
    for cap in CAPS:
        bent = np.tanh(c.z / cap)
        yield from _before(c, f"soft cap: the logits are {cap:g} tanh(z/{cap:g})", cap * bent, 1.0 - bent**2)
        inside = (np.abs(c.z) < cap) * 1.0
        yield from _before(c, f"the logits are clamped to -{cap:g} to {cap:g}", np.clip(c.z, -cap, cap), inside)
    for t in TEMPERATURES:
        for factor in dict.fromkeys((1.0, t, t * t, 1.0 / t)):
            told = f"a temperature: z/{t:g} in the place of z" + (f", times {factor:g}" if factor != 1.0 else "")
            cold = replace(c, z=c.z / t)
            yield "A12", told, replace(cold, factor=factor)
            yield "A12", f"{told}, with its derivative", _derived(cold, factor, 1.0 / t)


def _other_functions(c: Counterfactual) -> Iterator[Mistake]:
    """Another function stands in the place of the softmax or of ln, or is applied to the logits before."""
    a, log_a = c.softmax
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
    if c.targets.probabilities is None:
        hot = np.asarray(np.arange(c.targets.classes) == c.targets.label[:, None], np.float64)
        for margin in MARGINS:
            yield "A12", f"the label's logit is lowered by a margin of {margin:g}", replace(c, z=c.z - margin * hot)
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
