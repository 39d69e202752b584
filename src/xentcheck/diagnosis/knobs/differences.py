"""Derivatives that are difference quotients of the loss, with a step that is read off."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from .rows import Family, Made, Rows, spread


def differences(r: Rows) -> Iterator[Family]:
    """Both quotients in use; the loss is right."""
    for formula, both in (("(C(z + h) - C(z - h))/2h", True), ("(C(z + h) - C(z))/h", False)):
        sentence = f"a difference quotient, {formula}, in the place of the derivative, h = {{}}"
        yield Family(
            "E61", sentence, partial(_quotient, both), spread(1e-9, 3.0, 19), beside="the loss is right", step=True
        )


def _quotient(both: bool, r: Rows, h: float) -> Made:
    """By one logit the log of the sum grows to log(1 + a (exp(h) - 1)) more."""
    a, mass = r.softmax[0], r.q.sum(1, keepdims=True)
    ahead = np.log1p(a * np.expm1(h))
    slope = (ahead - np.log1p(a * np.expm1(-h))) / (2.0 * h) if both else ahead / h
    return r.right[0], mass * slope - r.q
