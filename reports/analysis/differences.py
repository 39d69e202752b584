"""Who is wrong, where implementations differ from each other or from the exact value, in words."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from typing import NamedTuple

from xentcheck.records.file import chosen
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


class Differences:
    """The worst differences of each kind between two implementations or more of the same dtype.

    The records come in canonical order. Of each case is kept what says which kind of difference it has, and how large;
    those that are shown are read again.
    """

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], dict[str, _Seen]] = defaultdict(dict)
        self._cases: dict[str, str] = {}

    def add(self, position: int, r: Record) -> None:
        """The record at a position."""
        if r.share is None or r.outcome == "convention" or r.dtype not in DIGITS:
            return
        found, error = self._found[r.dtype, r.quantity], r.ulp_here
        far = None if rank(error) < NOTEWORTHY else (r.adapter, r.got, r.index)
        seen = _Seen((position,), r.adapter, r.outcome in FAILING, error, far)
        if before := found.get(r.case):
            seen = before.and_(seen)
        found[self._cases.setdefault(r.case, r.case)] = seen

    def worst(self, records: Sequence[Record]) -> tuple[Difference, ...]:
        """The differences of the records, which have the positions that were told."""
        kinds: dict[tuple[str, str], list[tuple[float, str, int, str, _Seen]]] = defaultdict(list)
        for (dtype, quantity), cases in self._found.items():
            for case, seen in cases.items():
                if kind := seen.kind:
                    kinds[kind, dtype].append((-rank(seen.error), case, seen.positions[0], quantity, seen))
        differences = []
        for (kind, dtype), group in sorted(kinds.items(), key=lambda item: item[0]):
            for _, case, _, quantity, seen in nsmallest(SHOWN, group, key=lambda found: found[:3]):
                members = chosen(records, seen.positions)
                differences.append(_explained(kind, dtype, quantity, case, seen.error, tuple(members)))
        return tuple(differences)


MIXED = ("several",)
"""Stands for the answers of several implementations that are not the same."""


class _Seen(NamedTuple):
    """What is known of a case in one dtype and quantity. adapter: empty if there are several.

    far: of those that are far from the exact value the adapter (empty of several) and their one answer, or MIXED.
    """

    positions: tuple[int, ...]
    adapter: str
    failing: bool
    error: float | None
    far: tuple[object, ...] | None

    def and_(self, other: _Seen) -> _Seen:
        far = self.far or other.far
        if self.far and other.far:
            same = self.far[1:] == other.far[1:]
            far = (self.far[0] if self.far[0] == other.far[0] else "", *self.far[1:]) if same else MIXED
        return _Seen(
            self.positions + other.positions,
            self.adapter if self.adapter == other.adapter else "",
            self.failing or other.failing,
            other.error if rank(other.error) > rank(self.error) else self.error,
            far,
        )

    @property
    def kind(self) -> str:
        """The kind of difference; empty where there is none to tell of."""
        if self.adapter:
            return ""
        if self.failing:
            return "outside"
        if self.error is None or not NOTEWORTHY <= self.error < math.inf:
            return ""
        return "all far" if self.far and self.far[0] == "" else "ill-conditioned"


def _near(r: Record) -> bool:
    """Whether a result is so near to the exact one that nothing needs an explanation."""
    return rank(r.ulp_here) < NOTEWORTHY


def _explained(
    kind: str, dtype: str, quantity: str, case: str, error: float | None, members: Sequence[Record]
) -> Difference:
    bounds = (ulps_of(float.fromhex(r.bound), float.fromhex(r.expected), r.result_dtype or dtype) for r in members)
    condition = max(bounds, key=rank)
    if kind == "outside":
        outside = [r for r in members if r.outcome in FAILING]
        within = ", ".join(_name(r) for r in members if r.outcome not in FAILING)
        wrong = ", ".join(f"{_name(r)} ({rank(r.share):.3g} of its bound)" for r in outside)
        text = f"outside its bound: {wrong}; within: {within or 'none'}"
    elif kind == "all far":
        far = [r for r in members if not _near(r)]
        close = ", ".join(_name(r) for r in members if _near(r))
        text = f"{', '.join(map(_name, far))} all return {decimal(far[0].got)}, the exact value is "
        text += decimal(far[0].expected) + (f"; near it: {close}" if close else "")
    else:
        errors = ", ".join(f"{_name(r)} {ulps_text(r.ulp_here)}" for r in members)
        text = f"all within; in ULP: {errors}"
    return Difference(kind, dtype, quantity, case, condition, error, text)


def _name(r: Record) -> str:
    return f"{r.adapter} {r.variant} {r.device}"


def differences(records: Iterable[Record]) -> tuple[Difference, ...]:
    """The worst differences of records in canonical order."""
    found, members = Differences(), tuple(records)
    for position, r in enumerate(members):
        found.add(position, r)
    return found.worst(members)
