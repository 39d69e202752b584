"""What a run's records add up to: the verdict, counts, worst shares, power groups and grades. Pure functions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from xentcheck.records.file import changed, chosen, in_order
from xentcheck.records.record import Place, Record, place_of, rank
from xentcheck.records.run import RunFile
from xentcheck.records.words import describe, printable, several
from xentcheck.vocabulary import EXECUTED, FAILING, OUTCOMES, REPEATED

from .causes.found import Cause, causes_of
from .causes.shared import Agreements
from .causes.suspicion import suspicion
from .differences import Difference, Differences
from .grades import Grade, Grades
from .not_asked import NotAsked
from .power import Group, Power
from .remarks import Remarks
from .rows import Row, Rows, ordered
from .weaker import Weaker

Severity = tuple[bool, int, float]

ANOTHER_RESULT = "A15: the same call on the same data returns another result"
"""The cause of all failures where that law is broken."""


class Fold(Protocol):
    """Whoever is told the records of a run one after the other, and keeps what they add up to."""

    def add(self, r: Record, /) -> None:
        """The next record."""


@dataclass(frozen=True)
class Summary:
    """Everything that the verdict rests on, and observations: what is told beside it, and is no failure.

    failing: the failures, the worst first. failures: the worst of each quantity at each place, the worst first.
    decided: whether any comparison could have failed.
    """

    ok: bool
    verdict: str
    counts: dict[str, int]
    executed: int
    elements: int
    rows: tuple[Row, ...]
    groups: tuple[Group, ...]
    grades: tuple[Grade, ...]
    family_grades: tuple[Grade, ...]
    failing: Sequence[Record]
    reasons: tuple[str, ...]
    causes: tuple[Cause, ...] = ()
    weaker: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    observations: tuple[str, ...] = ()
    not_asked: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    decided: bool = False
    failures: Mapping[tuple[Place, str], Record] = field(default_factory=dict)
    remarks: Remarks = field(default_factory=Remarks, compare=False)
    agreements: Agreements = field(default_factory=Agreements, compare=False)

    @property
    def blind(self) -> tuple[Group, ...]:
        """Groups in which some wrong answer would have gone unnoticed, but those in which all would have."""
        return tuple(g for g in self.groups if g.blind and not g.undecided)

    @property
    def not_exercised(self) -> tuple[Group, ...]:
        """Groups in which some wrong answer never differed from the right one."""
        return tuple(g for g in self.groups if g.not_exercised)

    def explanation(self) -> str:
        """The verdict, the reasons and the worst failure with its replay, as lines of text."""
        lines = [self.verdict, *self.reasons]
        for r in self.failing[:1]:
            lines += [describe(r), f"  {r.replay}"]
        lines += [*self.weaker, *filter(None, [suspicion(self.failing)])]
        return "\n".join(lines)


def summarize(run: RunFile, *folds: Fold) -> Summary:
    """The summary of a run, whatever the order of its records; folds: who else is told each record, in canonical order.

    Not ok: a failing outcome, a failure of the run, fewer records than planned, nothing compared, an implementation of
    which nothing agrees beside its deviations, agreement beyond its bound, a group blind to a wrong answer that it must
    reject, a size of which nothing could have failed, or, in the profile `full`, a group with a wrong answer that its
    cases never exercise. A run of selected cases need not have the power of a profile: its verdict names the sizes that
    are undecided, and it fails only where nothing of a quantity could have failed.

    >>> from xentcheck.records.file import Header
    >>> plain = dict(version="1", generator=1, seed=0, profile="quick", catalogue=(), environment={}, host={})
    >>> summarize(RunFile(Header(**plain, planned=0), ())).reasons
    ('no comparison was executed',)
    """
    records = in_order(run.records)
    changing = {
        (law.adapter, law.variant, law.device, law.dtype) for law in run.laws if law.law == REPEATED and law.share > 1
    }
    if changing:
        records = changed(records, partial(_told_of_changes, changing))
    sums = _Sums(run.header.catalogue)
    for position, r in enumerate(records):
        sums.add(position, r)
        for fold in folds:
            fold.add(r)
    return sums.summary(run, records)


class _Sums:
    """Everything that a summary is made of, one record after the other."""

    def __init__(self, catalogue: Sequence[str]) -> None:
        self.counts: Counter[str] = Counter()
        self.places: dict[Place, Counter[str]] = defaultdict(Counter)
        self.elements = 0
        self.excesses: list[str] = []
        self.failing: list[tuple[Severity, int]] = []
        self.failures: dict[tuple[Place, str], tuple[Severity, int]] = {}
        self.rows, self.power, self.agreements = Rows(), Power(), Agreements()
        self.grades, self.family_grades = Grades(catalogue), Grades(catalogue, by_family=True)
        self.weaker, self.not_asked, self.remarks = Weaker(catalogue), NotAsked(), Remarks()
        self.differences = Differences()
        kept = (self.rows, self.power, self.agreements, self.grades, self.family_grades)
        self._folds: tuple[Fold, ...] = (*kept, self.weaker, self.not_asked, self.remarks)

    def add(self, position: int, r: Record) -> None:
        self.counts[r.outcome] += 1
        self.places[place_of(r)][r.outcome] += 1
        self.elements += r.elements
        if r.outcome in FAILING:
            severity = severity_of(r)
            self.failing.append((severity, position))
            cell = place_of(r), r.quantity
            self.failures[cell] = min((severity, position), self.failures.get(cell, (severity, position)))
        if excess := _excess(r):
            self.excesses.append(f"{'/'.join(place_of(r))} {r.quantity} of {r.case} is {r.outcome} {excess}")
        for fold in self._folds:
            fold.add(r)
        self.differences.add(position, r)

    def summary(self, run: RunFile, records: Sequence[Record]) -> Summary:
        counts, executed = ordered(self.counts), sum(self.counts[outcome] for outcome in EXECUTED)
        groups, unsure = self.power.groups(), self.power.undecided()
        failing = chosen(records, (position for _, position in sorted(self.failing)))
        reasons = [printable(text) for text in run.failures]
        if len(records) != run.header.planned:
            reasons.append(f"{len(records)} records of {run.header.planned} planned")
        if executed == 0:
            reasons.append("no comparison was executed")
        reasons += self.excesses
        whole = not (run.header.selection or run.header.shard)
        if whole:
            reasons += [
                f"{'/'.join(place)}: nothing agrees; {several(here['deviation'], 'recorded deviation')}"
                for place, here in self.places.items()
                if here["deviation"] and not here["agree"]
            ]
            reasons += [f"{g.name} is blind to {', '.join(g.blind)}" for g in groups if g.blind and not g.undecided]
            reasons += unsure
        else:
            reasons += self.power.undecided_altogether(part=bool(run.header.shard) and not run.header.selection)
        if whole and run.header.profile == "full":
            reasons += [f"{g.name} never exercises {', '.join(g.not_exercised)}" for g in groups if g.not_exercised]
        ok = not failing and not reasons
        worst = sorted((first, cell) for cell, first in self.failures.items())
        return Summary(
            ok=ok,
            verdict=_verdict(ok, counts, executed, len(failing), len(reasons)) + _undecided(unsure),
            counts=counts,
            executed=executed,
            elements=self.elements,
            rows=self.rows.rows(),
            groups=groups,
            grades=self.grades.grades(),
            family_grades=self.family_grades.grades(),
            failing=failing,
            reasons=tuple(reasons),
            causes=causes_of(self.agreements, failing),
            weaker=self.weaker.sentences(),
            undecided=unsure,
            observations=self.remarks.observations(),
            not_asked=self.not_asked.sentences(run.header.environment),
            differences=self.differences.worst(records),
            decided=self.power.decided,
            failures={cell: chosen(records, [position])[0] for (_, position), cell in worst},
            remarks=self.remarks,
            agreements=self.agreements,
        )


def _told_of_changes(changing: Collection[Place], r: Record) -> Record:
    """The record, with the one cause that there is where the same call returns another result."""
    return replace(r, suspects=(ANOTHER_RESULT,)) if r.suspects and place_of(r) in changing else r


def _excess(r: Record) -> str:
    """Why a comparison that passes as agreement is none, or an empty string; nan is no number within a bound."""
    if r.outcome not in ("agree", "vacuous", "trivial"):
        return ""
    if r.share is None:
        return "without a comparison" if r.outcome == "agree" else ""
    return "" if r.share <= 1 else f"at {r.share:.3g} of its bound"


def severity_of(r: Record) -> Severity:
    """Failures in order: worst outcome, then largest share; what was not even called comes last."""
    return (r.not_called, OUTCOMES.index(r.outcome), -rank(r.share))


def _verdict(ok: bool, counts: dict[str, int], executed: int, failing: int, reasons: int) -> str:
    rest = ", ".join(f"{n} {outcome}" for outcome, n in counts.items() if outcome not in ("agree", *FAILING))
    rest = f" ({rest})" if rest else ""
    if ok and not counts.get("agree") and counts.get("deviation"):
        return f"excused: none of {executed} comparisons agrees, and none fails beside recorded deviations{rest}"
    if ok:
        return f"agreed: {counts.get('agree', 0)} of {executed} comparisons within their derived bounds{rest}"
    bad = ", ".join(f"{counts[o]} {o}" for o in FAILING if counts.get(o))
    why = [bad] if failing else []
    if reasons:
        why.append(f"{several(reasons, 'failure')} of the run as a whole")
    return f"FAILED: {'; '.join(why)}; {counts.get('agree', 0)} of {executed} comparisons agree{rest}"


def _undecided(sentences: Sequence[str]) -> str:
    """What the verdict says of the sizes that nothing decided."""
    more = f" ({len(sentences) - 1} more like it)" if len(sentences) > 1 else ""
    return f"; undecided: {sentences[0]}{more}" if sentences else ""
