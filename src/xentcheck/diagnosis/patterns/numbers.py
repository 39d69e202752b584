"""Numbers of each row that a factor may be: what a row was multiplied by, or what was added to it, by its name."""

from __future__ import annotations

import numpy as np

from xentcheck.diagnosis.counterfactual import Counterfactual
from xentcheck.reference.formats import Array

EVIDENCE = 8.0
"""Decimal digits, over all rows together, in which numbers agree with what they are named after."""


def row_numbers(c: Counterfactual) -> dict[str, Array]:
    """What a factor of a row may come from, (m,) each."""
    t, rows = c.targets, len(c.z)
    a, log_a = c.softmax
    top = c.z.max(1, initial=-np.inf)
    kept = float(np.count_nonzero(t.kept))
    found: dict[str, Array | float] = {
        "the upstream gradient": c.upstream,
        "the number of classes": float(t.classes),
        "the number of rows": float(rows),
        "the number of kept rows": kept,
        "the denominator": np.broadcast_to(c.denominator, (rows,)),
        "the sum of the row's factors q": c.q.sum(1),
        "log(sum(exp(z)))": top - log_a.max(1),
        "the row's largest logit": top,
        "the largest probability": a.max(1),
        "the row's loss": c.losses(),
    }
    if t.smoothing:
        found |= {"1 - eps": 1.0 - t.smoothing, "eps": t.smoothing, "eps/C": t.smoothing / t.classes}
    if t.weight is not None:
        found |= {
            "the sum of all class weights": float(t.weight.sum()),
            "the mean of the class weights": float(t.weight.mean()),
            "the weight of the class with the largest logit": t.weight[c.z.argmax(1)],
            "the sum of the labels' weights": float(t.label_weight.sum()),
        }
    if t.probabilities is None:
        index = np.arange(rows), t.label
        found |= {
            "the class weight of the label": t.label_weight if t.weight is not None else 1.0,
            "the label's probability": a[index],
            "1 - the label's probability": 1.0 - a[index],
            "the label's logit": c.z[index],
            "the label": t.label.astype(np.float64),
        }
    first = ("the upstream gradient", "the class weight of the label")
    names = sorted(found, key=lambda name: name not in first)
    return {name: np.broadcast_to(np.asarray(found[name], np.float64), (rows,)) for name in names}


def named(c: Counterfactual, x: Array, limit: Array, use: Array) -> str:
    """The name of the numbers x (m,) in the rows of `use`, each known to within its limit; empty if they have none.

    A number alone, two of them as product or quotient, or one number times a constant that is told; the rows agree in
    more digits than a choice among so many names could make by chance.
    """
    numbers = {name: n[use] for name, n in row_numbers(c).items()}
    usable = {k: n for k, n in numbers.items() if np.isfinite(n).all() and (n != 0).all() and not (n == 1.0).all()}
    x, limit = x[use], np.maximum(limit[use], 1e-15 * np.abs(x[use]))
    digits = np.log10(np.maximum(np.abs(x), limit) / limit)
    if not len(x) or digits.max(initial=0.0) < 1.0:
        return ""
    steady = _constant(x, limit)
    one_number = digits.max() if steady else digits.sum()
    if one_number >= 3.0:
        for name, n in usable.items():
            for told, value in ((name, n), (f"1 / {name}", 1.0 / n), (f"the square of {name}", n * n)):
                if (np.abs(x - value) <= limit).all() and (steady or one_number >= EVIDENCE / 2.0):
                    return told
    if steady:
        return ""
    if one_number >= EVIDENCE:
        for first, n in usable.items():
            for second, o in usable.items():
                for told, value in ((f"{first} times {second}", n * o), (f"{first} / {second}", n / o)):
                    if first != second and (np.abs(x - value) <= limit).all():
                        return told
    if len(x) < 3 or digits.sum() - digits.max() < EVIDENCE:
        return ""
    for name, n in usable.items():
        for told, value in ((name, n), (f"1 / {name}", 1.0 / n), (f"the square of {name}", n * n)):
            if _constant(value, 1e-6 * np.abs(value)):
                continue
            ratio = float((x * value / limit**2).sum() / (value * value / limit**2).sum())
            if (np.abs(x - ratio * value) <= limit).all():
                return f"{ratio:.5g} times {told}"
    return _of_two(usable, x, limit, digits)


def _of_two(usable: dict[str, Array], x: Array, limit: Array, digits: Array) -> str:
    """A constant and a multiple of a number of each row."""
    if len(x) < 4 or np.sort(digits)[:-2].sum() < EVIDENCE / 2.0:
        return ""
    for name in ("the label's probability", "the class weight of the label"):
        n = usable.get(name)
        if n is not None and np.ptp(n) > 0.1 * np.abs(n).max():
            first, second = solved(np.stack([1.0 / limit, n / limit], 1), x / limit)
            if (np.abs(first + second * n - x) <= limit).all():
                return f"{first:.4g} + {second:.4g} times {name}"
    return ""


def solved(basis: Array, values: Array) -> Array:
    """The factors of the columns of a basis (n, k) that leave least of the values (n,); 0 where they are not finite."""
    if not (np.isfinite(basis).all() and np.isfinite(values).all()):
        return np.zeros(basis.shape[1])
    return np.asarray(np.linalg.lstsq(basis, values, rcond=None)[0])


def _constant(x: Array, limit: Array) -> bool:
    """Whether one number is within all limits."""
    return bool((x - limit).max() <= (x + limit).min())


def listed(x: Array) -> str:
    """The first few numbers, one where all are the same to six digits."""
    texts = list(dict.fromkeys(f"{v:.6g}" for v in x))
    return ", ".join(texts[:4]) + (" ..." if len(texts) > 4 else "")
