"""Remarks: what is told of a run beside its verdict, as warnings, conventions, known faults and what was not judged."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from xentcheck.records.record import Record, place_of
from xentcheck.records.words import printable, several
from xentcheck.vocabulary import EXECUTED, OBSERVED_LACKS

APART = ("vacuous", "trivial", "unsupported", "unavailable")
"""Outcomes that are no agreement, and nothing else."""


@dataclass(frozen=True)
class KnownFault:
    """Deviations of one quantity at one place with one reason."""

    comparisons: int
    first: str


class Remarks:
    """What is counted of records that come in canonical order."""

    def __init__(self) -> None:
        self.places: set[tuple[str, str, str]] = set()
        """Adapter, variant and device of what was executed."""
        self.apart: Counter[tuple[str, str, str]] = Counter()
        """Outcome, adapter and reason of comparisons that are no agreement."""
        self.conventions: Counter[tuple[str, str, str, str, str]] = Counter()
        """Convention, what was returned, link, adapter and quantity."""
        self.deviations: dict[tuple[str, str, str, str], KnownFault] = {}
        """Known faults by place, quantity, reason and link."""
        self.warned: Counter[tuple[str, str]] = Counter()
        """Adapter and warning."""
        self.refused: dict[str, dict[str, None]] = {}
        """By adapter what nobody declared and it does not take, with what says so."""
        self.unavailable: dict[str, str] = {}
        """By adapter why it is not there."""
        self._observed: Counter[str] = Counter()

    def add(self, r: Record) -> None:
        """The next record."""
        if r.outcome in EXECUTED:
            self.places.add((r.adapter, r.variant, r.device))
        if r.outcome in APART:
            self.apart[r.outcome, r.adapter, printable(r.reason)] += 1
        if r.outcome == "convention":
            self.conventions[r.convention, r.returned, r.link, r.adapter, r.quantity] += 1
        elif r.outcome == "deviation":
            key = "/".join(place_of(r)), r.quantity, printable(r.reason), r.link
            known = self.deviations.get(key, KnownFault(0, r.case))
            self.deviations[key] = KnownFault(known.comparisons + 1, known.first)
        elif r.outcome == "unavailable":
            self.unavailable[r.adapter] = printable(r.reason)
        for text in r.warnings:
            self.warned[r.adapter, text] += 1
        if r.notes or r.result_dtype or r.refused:
            self._observe(r)

    def _observe(self, r: Record) -> None:
        place = "/".join((r.adapter, r.variant, r.device))
        self._observed.update(f"{place} {printable(note)}" for note in r.notes)
        if r.result_dtype:
            self._observed[f"{place} returns {r.quantity} of {r.dtype} in {r.result_dtype}, and is judged as such"] += 1
        if r.refused and r.lacks[0] in OBSERVED_LACKS:
            self._observed[f"{place} is not judged on {printable(r.reason)}"] += 1
        elif r.refused:
            self.refused.setdefault(r.adapter, {})[f"{r.lacks[-1]}: {printable(r.refused)}"] = None

    def observations(self) -> tuple[str, ...]:
        """What implementations do, or refuse, that users may need to know; with the number of comparisons."""
        return tuple(f"{text} ({several(n, 'comparison')})" for text, n in self._observed.items())
