"""What wrong losses are made of: a factor of each row, a part with another factor, or a term that is added."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from xentcheck.diagnosis.counterfactual import Counterfactual, wrong_elements
from xentcheck.reference.formats import Array

from .numbers import EVIDENCE, listed, named, solved

OPEN = 0.0005
"""Share of a row's error that may be left."""


def term_of(c: Counterfactual, exact: Array, got: Array, bound: Array) -> str:
    """The sentence on the losses of several rows; empty if nothing explains them all."""
    wrong = wrong_elements(exact, got, bound)
    if np.count_nonzero(wrong) < 3 or not (np.isfinite(got).all() and np.isfinite(exact).all()):
        return ""
    limit = np.maximum(2.0 * bound + OPEN * np.abs(got - exact), 1e-15 * np.abs(exact).max())
    return _added(c, exact, got, limit, wrong) or _factor(c, exact, got, limit, wrong)


def _factor(c: Counterfactual, exact: Array, got: Array, limit: Array, wrong: Array) -> str:
    if (exact[wrong] == 0).any():
        return ""
    safe = np.where(exact != 0, exact, 1.0)
    ratio = np.where(exact != 0, got / safe, 1.0)
    name = named(c, ratio, limit / np.abs(safe), wrong)
    return f"B27: by {listed(ratio[wrong])}: each row's loss is multiplied by {name}" if name else ""


def _terms(c: Counterfactual) -> tuple[dict[str, Array], dict[str, float]]:
    """Terms of a row, (m,) each, before the division; and the factor that a term has in the right loss."""
    t = c.targets
    kept = t.kept.astype(np.float64)
    a, log_a = c.softmax
    weight = np.ones(t.classes) if t.weight is None else t.weight
    top = c.z.max(1, initial=-np.inf)
    lse = top - log_a.max(1)
    even = (weight * -log_a).sum(1)
    found = {
        "1": kept,
        "log(sum(exp(z)))": kept * lse,
        "log(sum(exp(z)))^2": kept * lse**2,
        "log(sum(exp(z - m)))": kept * (lse - top),
        "the row's largest logit": kept * top,
        "the mean of the logits": kept * c.z.mean(1),
        "the entropy of the softmax": kept * np.where(a > 0, -a * log_a, 0.0).sum(1),
    }
    right: dict[str, float] = {}
    if t.probabilities is None:
        index = np.arange(len(c.z)), t.label
        found |= {
            "the label's part -log a_y": -log_a[index] * t.label_weight,
            "the label's logit": kept * c.z[index],
            "the label's probability": kept * a[index],
            "the label's weight": t.label_weight,
        }
        right["the label's part -log a_y"] = 1.0 - t.smoothing
    found["the mean of -log a over the classes" if t.weight is None else "the weighted mean of -log a"] = (
        kept * even / t.classes
    )
    right["the mean of -log a over the classes" if t.weight is None else "the weighted mean of -log a"] = t.smoothing
    ignored = (~t.kept).astype(np.float64)
    if ignored.any():
        found["the mean of -log a in ignored rows"] = ignored * even / t.classes
    return {name: term for name, term in found.items() if np.isfinite(term).all() and term.any()}, right


def _added(c: Counterfactual, exact: Array, got: Array, limit: Array, wrong: Array) -> str:
    terms, right = _terms(c)
    d = np.broadcast_to(c.denominator, exact.shape)
    error, limit = (got - exact) * d, limit * np.abs(d)
    digits = np.sort(np.log10(np.maximum(np.abs(error), limit) / limit)[wrong])[::-1]
    for count in (1, 2):
        if digits[count:].sum() < EVIDENCE or np.count_nonzero(wrong) < count + 2:
            return ""
        for chosen in combinations(terms, count):
            basis = np.stack([terms[name] for name in chosen], 1) / limit[:, None]
            x = solved(basis, error / limit)
            if not (np.abs(basis @ x - error / limit) <= 1.0).all():
                continue
            told = [_told(name, float(v), right.get(name, 0.0)) for name, v in zip(chosen, x, strict=True)]
            numbers = "; ".join(number for number, _ in told)
            return f"D47: {numbers}: in each row's loss, {' and '.join(sentence for _, sentence in told)}"
    return ""


def _told(name: str, x: float, right: float) -> tuple[str, str]:
    """The number, and the sentence without it."""
    if right:
        ratio = 1.0 + x / right
        if abs(ratio) < 1e-3:
            return f"{ratio:.3g} times {name}", f"{name} is left out"
        return f"{ratio:.6g} times {name}, where it has {right:.6g}", f"{name} has another factor"
    what = "1" if name == "1" else name
    if name == "1":
        return f"{x:.6g}", f"a constant, {x:.4g}, is added"
    return f"{x:.6g} times {what}", f"{what} times a factor is added"
