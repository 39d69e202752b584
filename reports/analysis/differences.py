"""Who is wrong, where implementations differ from each other or from the exact value, in words."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from xentcheck.records.record import DIGITS, Record, rank, ulps_of
from xentcheck.records.words import decimal, ulps_text
from xentcheck.vocabulary import FAILING

NOTEWORTHY = 1024.0
"""ULPs: below that a difference needs no explanation."""

SHOWN = 5
"""Differences of each kind that are shown, worst first."""


@dataclass(frozen=True)
class Difference:
    """What several implementations returned for one quantity of a case, and which of them is to blame.

    kind: `outside` (some exceed their bound), `ill-conditioned` (all within, the input magnifies rounding), or
    `all far` (several return the same number, far from the exact one). error, condition: error and bound of the element
    with the largest share, in ULPs of the exact value, None below the normal range; the latter says how much the input
    magnifies a rounding error.
    """

    kind: str
    dtype: str
    quantity: str
    case: str
    condition: float | None
    error: float | None
    text: str


def differences(records: Iterable[Record]) -> tuple[Difference, ...]:
    """The worst differences of each kind between two implementations or more of the same dtype."""
    found: dict[tuple[str, str, str], list[Record]] = defaultdict(list)
    for r in records:
        if r.share is not None and r.outcome != "convention" and r.dtype in DIGITS:
            found[r.dtype, r.quantity, r.case].append(r)
    kinds: dict[tuple[str, str], list[Difference]] = defaultdict(list)
    for (dtype, quantity, case), members in found.items():
        if len({r.adapter for r in members}) > 1 and (difference := _explained(dtype, quantity, case, members)):
            kinds[difference.kind, dtype].append(difference)
    worst = (sorted(group, key=lambda d: (-rank(d.error), d.case))[:SHOWN] for _, group in sorted(kinds.items()))
    return tuple(d for group in worst for d in group)


def _explained(dtype: str, quantity: str, case: str, members: Sequence[Record]) -> Difference | None:
    error = max((r.ulp_here for r in members), key=rank)
    bounds = (ulps_of(float.fromhex(r.bound), float.fromhex(r.expected), r.result_dtype or dtype) for r in members)
    condition = max(bounds, key=rank)
    outside = [r for r in members if r.outcome in FAILING]
    if outside:
        within = ", ".join(_name(r) for r in members if r not in outside)
        wrong = ", ".join(f"{_name(r)} ({rank(r.share):.3g} of its bound)" for r in outside)
        text = f"outside its bound: {wrong}; within: {within or 'none'}"
        return Difference("outside", dtype, quantity, case, condition, error, text)
    if error is None or not NOTEWORTHY <= error < math.inf:
        return None
    far = [r for r in members if not rank(r.ulp_here) < NOTEWORTHY]
    if len({r.adapter for r in far}) > 1 and len({(r.got, r.index) for r in far}) == 1:
        near = ", ".join(_name(r) for r in members if r not in far)
        text = f"{', '.join(map(_name, far))} all return {decimal(far[0].got)}, the exact value is "
        text += decimal(far[0].expected) + (f"; near it: {near}" if near else "")
        return Difference("all far", dtype, quantity, case, condition, error, text)
    errors = ", ".join(f"{_name(r)} {ulps_text(r.ulp_here)}" for r in members)
    return Difference("ill-conditioned", dtype, quantity, case, condition, error, f"all within; in ULP: {errors}")


def _name(r: Record) -> str:
    return f"{r.adapter} {r.variant} {r.device}"
