"""Causes in the two halves of a - y, in the logits as they are read, and in terms that are added.

The newcomer's mistakes are among them. Codes as in `causes`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from xentcheck.reference.formats import Array
from xentcheck.reference.rows import to_rows
from xentcheck.vocabulary import VALUES

from .counterfactual import Counterfactual, Mistake

CAPS = (5.0, 10.0, 15.0, 20.0, 30.0, 50.0)
"""Soft caps in use: cap tanh(z/cap)."""

TEMPERATURES = (0.1, 0.5, 2.0, 4.0, 10.0)

PENALTIES = (1e-2, 1e-3, 1e-4, 1e-5)
"""Factors of lse^2 in use."""


def forgotten(c: Counterfactual) -> Iterator[Mistake]:
    """Every such mistake that could make a difference to this problem."""
    with np.errstate(all="ignore"):
        yield from _halves(c)
        yield from _logits(c)
        yield from _terms(c)
        yield from _focal(c)
        yield from _values(c)


def _scale(c: Counterfactual) -> Array:
    """(m, 1): upstream gradient over denominator."""
    return np.broadcast_to(c.upstream / c.denominator, c.z.shape[:1])[:, None]


def _halves(c: Counterfactual) -> Iterator[Mistake]:
    a, mass, s = c.softmax[0], c.q.sum(1, keepdims=True), _scale(c)
    right = s * (a * mass - c.q)
    flows = "no gradient flows through the log of the sum, as behind stop_gradient or detach"
    yield "E56", f"the gradient is -y alone: {flows}", replace(c, row_mass=0.0)
    yield "E56", "the gradient is a alone: y is not subtracted", _gradient(c, s * a * mass)
    yield "E56", "a gradient at the label only: every z_j is in the sum below a_y", _gradient(c, right * (c.q != 0))
    yield "E56", "no gradient at the label: a is right for the other classes only", _gradient(c, right * (c.q == 0))
    yield (
        "E56",
        "each class is taken for a logistic output: a (1 - a) in place of the Jacobian",
        _gradient(c, s * (a - c.q) * a * (1.0 - a)),
    )
    yield "E52", "the logits are returned as gradient", _gradient(c, c.z)
    yield "E52", "the logits are returned as gradient, times its factor", _gradient(c, s * c.z)
    yield "E52", "the softmax is returned as gradient", _gradient(c, a)


def _gradient(c: Counterfactual, values: Array) -> Counterfactual:
    return replace(c, given={"dC/dz": values})


def _logits(c: Counterfactual) -> Iterator[Mistake]:
    """Something is done to the logits on the way, or another function stands in the place of the softmax or of ln."""
    a, log_a = c.softmax
    for cap in CAPS:
        bent = np.tanh(c.z / cap)
        capped = replace(c, z=cap * bent)
        yield "A12", f"soft cap: the logits are {cap:g} tanh(z/{cap:g})", capped
        slope = capped.result("dC/dz") * (1.0 - bent**2)
        yield "A12", f"soft cap: the logits are {cap:g} tanh(z/{cap:g}), with its derivative", _gradient(c, slope)
        clamped = replace(c, z=np.clip(c.z, -cap, cap))
        yield "A12", f"the logits are clamped to -{cap:g} to {cap:g}", clamped
        inside = clamped.result("dC/dz") * (np.abs(c.z) < cap)
        yield "A12", f"the logits are clamped to -{cap:g} to {cap:g}, with its derivative", _gradient(c, inside)
    for t in TEMPERATURES:
        for factor in dict.fromkeys((1.0, t, t * t, 1.0 / t)):
            told = f"a temperature: z/{t:g} in the place of z" + (f", times {factor:g}" if factor != 1.0 else "")
            cold = replace(c, z=c.z / t)
            yield "A12", told, replace(cold, factor=factor)
            yield "A12", f"{told}, with its derivative", _derived(cold, factor, 1.0 / t)
    twice = replace(c, z=a)
    yield "A12", "softmax twice: probabilities are taken for logits", twice
    inner = twice.result("dC/dz")
    chained = a * (inner - np.where(a > 0, a * inner, 0.0).sum(1, keepdims=True))
    yield "A12", "softmax twice: probabilities are taken for logits, with its derivative", _gradient(c, chained)
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


def _derived(c: Counterfactual, factor: float, slope: float) -> Counterfactual:
    """Factor times a loss of slope z: each derivative brings the slope once more."""
    given = {name: factor * c.result(name) for name in VALUES if name != "cost" or c.problem.reduction != "none"}
    given["dC/dz"] = factor * slope * c.result("dC/dz")
    if c.problem.v is not None:
        given |= {"jvp": factor * slope * c.result("jvp"), "hvp": factor * slope**2 * c.result("hvp")}
    return replace(c, given=given)


def _terms(c: Counterfactual) -> Iterator[Mistake]:
    t = c.targets
    kept = t.kept.astype(np.float64)
    top = c.z.max(1, keepdims=True, initial=-np.inf)
    lse = (top + np.log(np.exp(c.z - top).sum(1, keepdims=True)))[:, 0]
    a, losses, right = c.softmax[0], c.losses(), _scale(c) * (c.softmax[0] * c.q.sum(1, keepdims=True) - c.q)
    for factor in PENALTIES:
        sentence = f"z-loss: {factor:g} lse^2 is added to each row"
        extra = kept * factor * lse**2
        more = {
            "loss": c.factor * (losses + extra) / c.denominator,
            "cost": np.asarray(c.factor * ((losses + extra) / c.denominator).sum()),
            "dC/dz": right + _scale(c) * (kept * 2.0 * factor * lse)[:, None] * a,
        }
        if c.problem.v is not None:
            v = to_rows(c.problem.v).astype(np.float64)
            mean = (a * v).sum(1, keepdims=True)
            scale = (kept * 2.0 * factor)[:, None]
            tangents = (scale * lse[:, None] * mean)[:, 0] / c.denominator
            more["jvp"] = c.result("jvp") + (tangents if c.problem.reduction == "none" else tangents.sum())
            more["hvp"] = c.result("hvp") + _scale(c) * scale * a * (mean + lse[:, None] * (v - mean))
        yield "D45", sentence, replace(c, given=more)


def _focal(c: Counterfactual) -> Iterator[Mistake]:
    """The factor (1 - a_y)^gamma of a focal loss, and its gradient, with the factor as a constant or not."""
    t = c.targets
    if t.probabilities is not None or t.smoothing:
        return
    rows = np.arange(len(c.z))
    p, log_p = c.softmax[0][rows, t.label], c.softmax[1][rows, t.label]
    right = _scale(c) * (c.softmax[0] * c.q.sum(1, keepdims=True) - c.q)
    for gamma in (1.0, 2.0, 5.0):
        factor = (1.0 - p) ** gamma
        losses = c.losses() * factor
        whole = factor - gamma * (1.0 - p) ** (gamma - 1.0) * p * log_p
        sentence = f"the factor (1 - a_y)^{gamma:g} of a focal loss is left on"
        values = {"loss": losses / c.denominator, "cost": np.asarray((losses / c.denominator).sum())}
        yield "A12", sentence, replace(c, given={**values, "dC/dz": right * factor[:, None]})
        yield "A12", f"{sentence}, with its derivative", _gradient(c, right * whole[:, None])


def _values(c: Counterfactual) -> Iterator[Mistake]:
    """Rows whose factors do not sum to 1: lse - q.z; and a smoothing that is corrected once too often."""
    t = c.targets
    top = c.z.max(1, keepdims=True, initial=-np.inf)
    lse = (top + np.log(np.exp(c.z - top).sum(1, keepdims=True)))[:, 0]
    with np.errstate(all="ignore"):
        dot = np.where(c.q != 0, c.q * c.z, 0.0).sum(1)
    one = np.where(t.kept, lse, 0.0) - dot
    given = {"loss": c.factor * one / c.denominator, "cost": np.asarray(c.factor * (one / c.denominator).sum())}
    yield "D44", "rows of probabilities are taken to sum to 1: lse - q.z", replace(c, given=given)
    if t.smoothing and t.probabilities is None and t.classes > 2:
        hot = (np.arange(t.classes) == t.label[:, None]) * t.label_weight[:, None]
        even = t.kept[:, None] * (np.ones(t.classes) if t.weight is None else t.weight) * t.smoothing / t.classes
        part = 1.0 - t.smoothing * t.classes / (t.classes - 1.0)
        yield "D40", "smoothing twice corrected: 1 - eps C/(C - 1) at the label", replace(c, q=hot * part + even)
        spread = even * t.classes / (t.classes - 1.0)
        yield (
            "D40",
            "smoothing twice corrected: 1 - eps at the label, eps/(C - 1) at all classes",
            replace(c, q=hot * (1.0 - t.smoothing) + spread),
        )
