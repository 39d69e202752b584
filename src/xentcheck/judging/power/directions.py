"""Power of jvp and hvp: the standard wrong derivatives along a direction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from xentcheck.reference.formats import Array
from xentcheck.reference.oracle import Block, Exact

from .gradients import last_column_dropped, other_upstream
from .measure import Power, note_deltas


def note_jvp(power: Power, exact: Exact, made: Any, right: Array, bound: Array) -> None:
    """Power of a comparison of jvp, whose wrong answers are multiples of the right one."""
    factors = {"zero": -1.0, "negated": -2.0, "doubled": 1.0, "times_1_001": 1e-3}
    if exact.problem.reduction == "mean":
        factors["not_divided"] = exact.divisor - 1.0
    note_deltas(power, exact, lambda right: ((name, factor * right) for name, factor in factors.items()), right, bound)


def hvp_deltas(exact: Exact, block: Block, right: Array) -> Iterator[tuple[str, Array]]:
    """Wrong answers for hvp; `rank_one_dropped` leaves out a (a.v), so that s Q a o v remains."""
    B, t = block.softmax.backend, block.targets
    for name, factor in (("zero", -1.0), ("negated", -2.0), ("doubled", 1.0), ("halved", -0.5)):
        yield name, factor * right
    a, v = B.pair(block.softmax.softmax())[0], block.of(block.problem.v)
    mass = t.label_weight if t.hard else B.pair(B.sum(t.terms(B)))[0]
    scale = (B.pair(block.factor)[0] * mass * t.kept)[:, None]
    yield "rank_one_dropped", scale * a * (a * v).sum(1, keepdims=True)
    yield "last_column_dropped", last_column_dropped(right)
    if t.reduction == "mean":
        yield "not_divided", right * (exact.divisor - 1.0)
    yield "upstream_ignored", right * other_upstream(t, 1.0)[:, None]
