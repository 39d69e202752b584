"""Power of jvp and hvp: the standard wrong derivatives along a direction."""

from __future__ import annotations

import numpy as np

from xentcheck.reference.formats import Array
from xentcheck.reference.oracle import Block
from xentcheck.reference.oracle.directions import Directional

from .measure import Power, largest


def note_jvp(power: Power, exact: Array, bound: Array) -> None:
    """Power of a comparison of jvp."""
    for name, factor in (("zero", -1.0), ("negated", -2.0), ("doubled", 1.0), ("times_1_001", 1e-3)):
        power.note(name, largest(factor * exact, bound))
    power.count_blind(exact, bound)


def note_hvp(power: Power, block: Block, right: Directional, bound: Array, v: Array, denominator: float) -> None:
    """Power of a comparison of hvp; `rank_one_dropped` leaves out a (a.v), so that s Q a o v remains."""
    B, t = block.softmax.backend, block.targets
    exact = B.pair(right.hvp)[0]
    for name, factor in (("zero", -1.0), ("negated", -2.0), ("doubled", 1.0), ("halved", -0.5)):
        power.note(name, largest(factor * exact, bound))
    a = B.pair(block.softmax.softmax())[0]
    mass = t.label_weight if t.hard else B.pair(B.sum(t.terms(B)))[0]
    scale = (B.pair(block.factor)[0] * mass * t.kept)[:, None]
    power.note("rank_one_dropped", largest(scale * a * (a * v).sum(1, keepdims=True), bound))
    last = np.zeros_like(exact)
    last[:, -1] = -exact[:, -1]
    power.note("last_column_dropped", largest(last, bound))
    if t.reduction == "mean":
        power.note("not_divided", largest(exact * (denominator - 1.0), bound))
    with np.errstate(all="ignore"):
        inverse = np.where(t.upstream != 0, 1.0 / t.upstream, 1.0)[:, None]
    power.note("upstream_ignored", largest(exact * (inverse - 1.0), bound))
    power.count_blind(exact, bound)
