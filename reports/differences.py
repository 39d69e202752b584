"""Who is wrong, where implementations differ from each other or from the exact value, in words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from xentcheck.vocabulary import FAILING

from .record import Record, rank
from .words import decimal

NOTEWORTHY = 1024.0
"""ULPs: below that a difference needs no explanation."""

SHOWN = 5
"""Differences of each kind that are shown, worst first."""


@dataclass(frozen=True)
class Difference:
    """What several implementations returned for one quantity of a case, and which of them is to blame.

    kind: `outside` (some exceed their bound), `ill-conditioned` (all within, the input magnifies rounding errors) or
    `all far` (all return the same number, far from the exact one). condition: the largest bound in ULPs of the exact
    value, which is how much the input magnifies a rounding error.
    """

    kind: str
    dtype: str
    quantity: str
    case: str
    condition: float
    ulp: float
    text: str


def differences(records: Iterable[Record]) -> tuple[Difference, ...]:
    """The worst differences of each kind between two implementations or more of the same dtype."""
    found: dict[tuple[str, str, str], list[Record]] = defaultdict(list)
    for r in records:
        if r.share is not None and r.ulp is not None and r.outcome != "convention":
            found[r.dtype, r.quantity, r.case].append(r)
    kinds: dict[tuple[str, str], list[Difference]] = defaultdict(list)
    for (dtype, quantity, case), members in found.items():
        if len({r.adapter for r in members}) > 1 and (difference := _explained(dtype, quantity, case, members)):
            kinds[difference.kind, dtype].append(difference)
    worst = (sorted(group, key=lambda d: (-rank(d.ulp), d.case))[:SHOWN] for _, group in sorted(kinds.items()))
    return tuple(d for group in worst for d in group)


def _explained(dtype: str, quantity: str, case: str, members: Sequence[Record]) -> Difference | None:
    outside = [r for r in members if r.outcome in FAILING]
    ulp = max((r.ulp for r in members), key=rank) or 0.0
    condition = max(map(_condition, members), key=rank)
    names = ", ".join(_name(r) for r in members)
    if outside:
        within = ", ".join(_name(r) for r in members if r not in outside)
        wrong = ", ".join(f"{_name(r)} ({rank(r.share):.3g} of its bound)" for r in outside)
        text = f"outside its bound: {wrong}; within: {within or 'none'}"
        return Difference("outside", dtype, quantity, case, condition, ulp, text)
    if not ulp >= NOTEWORTHY:
        return None
    if len({(r.got, r.index) for r in members}) == 1:
        r = members[0]
        text = f"{names} all return {decimal(r.got)}, the exact value is {decimal(r.expected)}: {r.ulp:.3g} ULP"
        return Difference("all far", dtype, quantity, case, condition, ulp, text)
    errors = ", ".join(f"{_name(r)} {r.ulp:.3g}" for r in members)
    return Difference(
        "ill-conditioned", dtype, quantity, case, condition, ulp, f"all within their bounds; ULP: {errors}"
    )


def _name(r: Record) -> str:
    return f"{r.adapter} {r.variant} {r.device}"


def _condition(r: Record) -> float:
    """The bound in ULPs of the exact value, from the error in ULPs; 0 where the worst element has no error."""
    error = abs(float.fromhex(r.got) - float.fromhex(r.expected))
    return float.fromhex(r.bound) / error * (r.ulp or 0.0) if error > 0 else 0.0
