"""Causes in the two halves of a - y, and in terms that are added.

The newcomer's mistakes are among them. Codes as in `causes`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from xentcheck.diagnosis.counterfactual import Counterfactual, Mistake
from xentcheck.reference.formats import Array
from xentcheck.reference.rows import to_rows

LIMITS = (5.0, 10.0, 20.0, 30.0, 50.0, 100.0)
"""Limits of a loss in use."""

PENALTIES = (1e-2, 1e-3, 1e-4, 1e-5)
"""Factors of lse^2 in use."""


def forgotten(c: Counterfactual) -> Iterator[Mistake]:
    """Every such mistake that could make a difference to this problem."""
    with np.errstate(all="ignore"):
        yield from _halves(c)
        yield from _terms(c)
        yield from _focal(c)
        yield from _capped(c)
        yield from _values(c)


def _scale(c: Counterfactual) -> Array:
    """(m, 1): upstream gradient over denominator."""
    return np.broadcast_to(c.upstream / c.denominator, c.z.shape[:1])[:, None]


def _halves(c: Counterfactual) -> Iterator[Mistake]:
    a, mass, s = c.softmax[0], c.q.sum(1, keepdims=True), _scale(c)
    right = s * (a * mass - c.q)
    flows = "no gradient flows through the log of the sum, as behind stop_gradient or detach"
    yield "E56", f"the gradient is -y alone: {flows}", replace(c, row_mass=0.0)
    yield "E56", "the gradient is a alone: y is not subtracted", c.with_gradient(s * a * mass)
    yield "E56", "a gradient at the label only: every z_j is in the sum below a_y", c.with_gradient(right * (c.q != 0))
    yield "E56", "no gradient at the label: a is right for the other classes only", c.with_gradient(right * (c.q == 0))
    yield (
        "E56",
        "each class is taken for a logistic output: a (1 - a) in place of the Jacobian",
        c.with_gradient(s * (a - c.q) * a * (1.0 - a)),
    )
    yield "E52", "the logits are returned as gradient", c.with_gradient(c.z)
    yield "E52", "the logits are returned as gradient, times its factor", c.with_gradient(s * c.z)
    yield "E52", "the softmax is returned as gradient", c.with_gradient(a)


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


def _capped(c: Counterfactual) -> Iterator[Mistake]:
    """Losses above a limit are set to it, and have no gradient."""
    losses, t = c.losses(), c.targets
    weight = t.label_weight if t.probabilities is None else np.ones(len(losses))
    for limit in LIMITS:
        above = losses > limit
        if not above.any():
            continue
        for most in dict.fromkeys((1.0, *([] if t.weight is None else [0.0]))):
            high = limit if most else limit * weight
            over = losses > high
            rows = np.where(over, high, losses) / c.denominator
            given = {"loss": rows, "cost": np.asarray(rows.sum()), "dC/dz": c.result("dC/dz") * ~over[:, None]}
            yield "D47", f"losses above {limit:g} are set to {limit:g}", replace(c, given=given)


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
        yield "A12", f"{sentence}, with its derivative", c.with_gradient(right * whole[:, None])


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
