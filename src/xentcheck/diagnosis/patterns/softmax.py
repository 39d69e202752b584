"""Which softmax a wrong gradient was made of: read back from its elements, with y as it should be."""

from __future__ import annotations

import numpy as np

from xentcheck.diagnosis.counterfactual import Counterfactual, wrong_elements
from xentcheck.reference.formats import Array

OPEN = 0.005
"""Share of an element's error that may be left."""

TELLING = 1e-3
"""Probability that another softmax has to differ by somewhere: less is noise."""

FEWEST = 5
"""Classes of which a row of other numbers is no softmax by chance. What smoothing lacks looks like a mixed one."""


def softmax_of(c: Counterfactual, exact: Array, got: Array, bound: Array) -> str:
    """The sentence on a gradient s (a' M - q) whose a' is another softmax; empty if a' is none.

    If log a' is log a times one number in all rows, up to a number of the row, the logits were multiplied by it.
    """
    s = np.broadcast_to(c.upstream / c.denominator, c.z.shape[:1])
    mass = c.q.sum(1)
    use = (s != 0) & (mass != 0) & np.isfinite(c.z).all(1)
    if wrong_elements(exact, got, bound)[~use].any():
        return ""
    if c.targets.smoothing or np.count_nonzero(use) < 2 or c.z.shape[1] < FEWEST or not np.isfinite(got).all():
        return ""
    scale = (s * mass)[use, None]
    read = (got[use] + s[use, None] * c.q[use]) / scale
    near = 2.0 * bound[use] / np.abs(scale)
    sums = np.abs(read.sum(1) - 1.0) <= near.sum(1) + 1e-12
    if not ((read > -near).all() and sums.all()):
        return ""
    sure = read > 8.0 * near
    if np.count_nonzero(sure) < 2 * len(sure) + 3:
        return ""
    z = c.z[use]
    centre = np.where(sure, z, 0.0).sum(1, keepdims=True) / np.maximum(sure.sum(1, keepdims=True), 1)
    x = np.where(sure, z - centre, 0.0)
    slope = float((x * np.log(np.where(sure, read, 1.0))).sum() / max(float((x * x).sum()), 1e-300))
    e = np.exp(slope * (z - z.max(1, keepdims=True)))
    made = c.softmax[0].copy()
    made[use] = e / e.sum(1, keepdims=True)
    expected = s[:, None] * (made * mass[:, None] - c.q)
    limit = (2.0 * bound + OPEN * np.abs(got - exact))[use]
    if (np.abs(expected - got)[use] <= limit).all():
        return f"A12: in the gradient, z/{1.0 / slope:.6g} in the place of z, y is right: a temperature"
    worst = np.unravel_index(np.argmax(np.abs(read - c.softmax[0][use])), read.shape)
    row = np.flatnonzero(use)[worst[0]]
    if not abs(read[worst] - c.softmax[0][row, worst[1]]) > TELLING:
        return ""
    there = f"{read[worst]:.6g} for {c.softmax[0][row, worst[1]]:.6g} at [{row}, {worst[1]}]"
    return f"A12: {there}: the gradient is a - y, and its a, which sums to 1, is another softmax; y is right"
