"""How the error of dC/dz at the label grows with the margin by which its logit leads."""

from __future__ import annotations

import numpy as np

from xentcheck.reference.formats import Array
from xentcheck.reference.oracle import Block

Margin = tuple[float, float, float]
"""Margin, relative error and relative bound."""

POINTS = 32
"""Rows whose margin and error are kept."""


def margins_of(block: Block, got: Array, exact: tuple[Array, Array], bound: Array) -> list[Margin]:
    """One entry for each row of a block whose label leads all other classes, where dC/dz at the label is not 0.

    got: (n, C); exact: dC/dz as (hi, lo); bound: (n,), at the label.
    """
    leading = np.flatnonzero(block.targets.label == block.softmax.argmax)
    label = block.targets.label[leading]
    right, low, found = (x[leading, label].astype(np.float64) for x in (*exact, got))
    limit = bound[leading]
    others = block.softmax.backend.pair(block.softmax.t)[0][leading]
    others[np.arange(len(leading)), label] = -np.inf
    margin = -others.max(1, initial=-np.inf)
    use = np.isfinite(margin) & (margin > 0) & (right != 0) & np.isfinite(found)
    error = np.abs((found - right) - low)[use] / np.abs(right[use])
    points = zip(margin[use], error, limit[use] / np.abs(right[use]), strict=True)
    return [(float(m), float(e), float(b)) for m, e, b in points]
