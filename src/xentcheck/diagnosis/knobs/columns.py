"""Classes side by side that are left out of the sum of exponentials, or count twice: which ones is read off a row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from xentcheck.diagnosis.counterfactual import Counterfactual, wrong_elements
from xentcheck.reference.formats import Array

MOST = 64
"""Places that are tried."""

WIDEST = 200
"""Classes beyond which a cost, which has no row to read it off, says nothing; of three times as many, in rows, only
the first or the last ones are looked for.
"""

SPARE = 3.0
"""Decimal digits that a result has to be right to beyond those that tell one place from all others."""


def columns_of_sum(c: Counterfactual, quantity: str, exact: Array, got: Array, bound: Array) -> tuple[str, ...]:
    """The classes whose exponentials are missing in the sum, or count twice, in the loss, the cost or dC/dz."""
    wrong, classes = wrong_elements(exact, got, bound), c.z.shape[1]
    if quantity not in ("loss", "cost", "dC/dz") or not wrong.any() or classes < 3:
        return ()
    if not all(np.isfinite(x).all() for x in (got, exact, c.z)) or (quantity == "cost" and classes > WIDEST):
        return ()
    digits = np.log10(np.maximum(np.abs(got - exact) / np.maximum(bound, 1e-300), 1.0))[wrong].sum()
    if digits < SPARE + 2.0 * np.log10(classes):
        return ()
    upto = np.concatenate([np.zeros((len(c.z), 1)), np.cumsum(c.softmax[0], 1)], 1)
    found = []
    for sign, told in ((-1.0, "classes are left out of the sum of exponentials"), (1.0, "classes are summed twice")):
        for first, last in _blocks(c, quantity, exact, got, bound, sign * upto):
            factor = 1.0 + sign * (upto[:, last] - upto[:, first])[:, None]
            if (factor > 0).all() and any(
                _explains(made, quantity, got, bound) for made in _made(c, factor, first, last)
            ):
                found.append(f"F74: {_place(first, last, classes)}: {told}")
                break
    return tuple(found)


def _place(first: int, last: int, classes: int) -> str:
    if first == 0:
        return f"the first {last} of {classes}"
    return f"the last {last - first} of {classes}" if last == classes else f"{first} to {last - 1} of {classes}"


def _made(c: Counterfactual, factor: Array, first: int, last: int) -> Iterator[Counterfactual]:
    """With the softmax of this sum, and without the classes that it lacks."""
    a, log_a = c.softmax
    wrong = replace(c, a=a / factor, log_a=log_a - np.log(factor))
    yield wrong
    place = np.arange(a.shape[1])
    lost = (place >= first) & (place < last)
    yield replace(wrong, a=np.where(lost, np.where(factor < 1.0, 0.0, 2.0), 1.0) * a / factor)


def _explains(made: Counterfactual, quantity: str, got: Array, bound: Array) -> bool:
    return bool((np.abs(np.atleast_1d(made.result(quantity)) - got) <= 2.0 * bound).all())


def _pairs(classes: int) -> Array:
    """From where to where, (n, 2)."""
    if classes <= 3 * WIDEST:
        return np.stack(np.triu_indices(classes + 1, 1), 1)
    place = np.arange(1, classes)
    return np.concatenate([np.stack([0 * place, place], 1), np.stack([place, 0 * place + classes], 1)])


def _blocks(
    c: Counterfactual, quantity: str, exact: Array, got: Array, bound: Array, upto: Array
) -> Iterator[tuple[int, int]]:
    """From which class to which the sum may be wrong, read off the row that tells most."""
    d = np.broadcast_to(c.denominator, c.z.shape[:1])
    mass, classes = c.q.sum(1), c.z.shape[1]
    every = _pairs(classes)
    if quantity == "cost":
        change = upto[:, every[:, 1]] - upto[:, every[:, 0]]
        costs = exact + (mass / d) @ np.log(np.maximum(1.0 + change, 1e-300))
        near = np.abs(costs - got) <= 2.0 * bound
    else:
        far = np.abs(got - exact) / np.maximum(bound, 1e-300)
        n = int(np.argmax(far.reshape(len(far), -1).max(1)))
        if quantity == "loss":
            wanted = np.exp((got[n] - exact[n]) * d[n] / mass[n]) - 1.0
            loose = 4.0 * (1.0 + wanted) * bound[n] * d[n] / np.abs(mass[n])
        else:
            s, a = c.upstream[n] / d[n], c.softmax[0][n]
            read = (got[n] / s + c.q[n]) / (mass[n] * a)
            loose = bound[n] / np.abs(s * mass[n] * a)
            j = int(np.argmin(np.where(read > 8.0 * loose, loose / read, np.inf)))
            wanted = 1.0 / read[j] - 1.0
            loose = 4.0 * (1.0 + wanted) * loose[j] / read[j]
        change = upto[n, every[:, 1]] - upto[n, every[:, 0]]
        near = np.abs(change - wanted) <= loose + 1e-12
    for first, last in every[near][:MOST]:
        if last - first < classes:
            yield int(first), int(last)
