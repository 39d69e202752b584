"""What a run's records add up to: the verdict, counts, worst shares, power groups and grades. Pure functions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from xentcheck.records.record import SHARE_EDGES, Place, Record, order_key, place_of, rank
from xentcheck.records.run import RunFile
from xentcheck.records.words import describe, printable
from xentcheck.vocabulary import EXECUTED, FAILING, OBSERVED_LACKS, OUTCOMES

from .causes import Cause, causes_of
from .grades import Grade, grades
from .not_asked import not_asked
from .power import Group, power_groups, undecided, undecided_altogether
from .suspicion import suspicion
from .weaker import weaker


@dataclass(frozen=True)
class Row:
    """All comparisons of one quantity at one place; worst: the record of the largest share, known deviations apart.

    known: the deviation of the largest share. farthest: the record of the most units in the last place, deviations
    apart, None if every exact value is below the normal range. median: of the comparisons' shares. most: a limit that
    the shares of 99 % of the elements are below, an edge of a bin.
    """

    place: Place
    quantity: str
    counts: dict[str, int]
    elements: int
    worst: Record | None
    known: Record | None
    farthest: Record | None
    median: float | None
    most: float | None

    @property
    def ulp(self) -> float | None:
        """The largest error in units in the last place."""
        return self.farthest.ulp if self.farthest else None

    @property
    def failing(self) -> int:
        """Comparisons with a failing outcome."""
        return sum(self.counts.get(outcome, 0) for outcome in FAILING)


@dataclass(frozen=True)
class Summary:
    """Everything that the verdict rests on, and observations: what is told beside it, and is no failure."""

    ok: bool
    verdict: str
    counts: dict[str, int]
    executed: int
    elements: int
    rows: tuple[Row, ...]
    groups: tuple[Group, ...]
    grades: tuple[Grade, ...]
    family_grades: tuple[Grade, ...]
    failing: tuple[Record, ...]
    reasons: tuple[str, ...]
    causes: tuple[Cause, ...] = ()
    weaker: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    observations: tuple[str, ...] = ()
    not_asked: tuple[str, ...] = ()

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


def summarize(run: RunFile) -> Summary:
    """The summary of a run, whatever the order of its records.

    Not ok: a failing outcome, a failure of the run, fewer records than planned, nothing compared, agreement beyond its
    bound, a group blind to a wrong answer that it must reject, a size of which nothing could have failed, or, in the
    profile `full`, a group with a wrong answer that its cases never exercise. A run of selected cases need not have the
    power of a profile: its verdict names the sizes that are undecided, and it fails only where nothing of a quantity
    could have failed.

    >>> from xentcheck.records.file import Header
    >>> plain = dict(version="1", generator=1, seed=0, profile="quick", catalogue=(), environment={}, host={})
    >>> summarize(RunFile(Header(**plain, planned=0), ())).reasons
    ('no comparison was executed',)
    """
    records = in_order(run.records)
    counts = _counts(records)
    executed = sum(counts.get(outcome, 0) for outcome in EXECUTED)
    groups = power_groups(records)
    failing = tuple(sorted((r for r in records if r.outcome in FAILING), key=_severity))
    reasons = [printable(text) for text in run.failures]
    if len(records) != run.header.planned:
        reasons.append(f"{len(records)} records of {run.header.planned} planned")
    if executed == 0:
        reasons.append("no comparison was executed")
    for r in records:
        if excess := _excess(r):
            reasons.append(f"{'/'.join(place_of(r))} {r.quantity} of {r.case} is {r.outcome} {excess}")
    whole = not (run.header.selection or run.header.shard)
    unsure = undecided(records)
    if whole:
        reasons += [f"{g.name} is blind to {', '.join(g.blind)}" for g in groups if g.blind and not g.undecided]
        reasons += unsure
    else:
        reasons += undecided_altogether(records, part=bool(run.header.shard) and not run.header.selection)
    if whole and run.header.profile == "full":
        reasons += [f"{g.name} never exercises {', '.join(g.not_exercised)}" for g in groups if g.not_exercised]
    ok = not failing and not reasons
    return Summary(
        ok=ok,
        verdict=_verdict(ok, counts, executed, len(failing), len(reasons)) + _undecided(unsure),
        counts=counts,
        executed=executed,
        elements=sum(r.elements for r in records),
        rows=_rows(records),
        groups=groups,
        grades=grades(records, run.header.catalogue),
        family_grades=grades(records, run.header.catalogue, by_family=True),
        failing=failing,
        reasons=tuple(reasons),
        causes=causes_of(records, failing),
        weaker=weaker(records, run.header.catalogue),
        undecided=unsure,
        observations=_observations(records),
        not_asked=not_asked(records, run.header.environment),
    )


def in_order(records: Iterable[Record]) -> list[Record]:
    """The records in canonical order."""
    return sorted(records, key=order_key)


def _observations(records: Iterable[Record]) -> tuple[str, ...]:
    """What implementations do, or refuse, that users may need to know; with the number of comparisons."""
    found: Counter[str] = Counter()
    for r in records:
        place = "/".join((r.adapter, r.variant, r.device))
        found.update(f"{place} {printable(note)}" for note in r.notes)
        if r.result_dtype:
            found[f"{place} returns {r.quantity} of {r.dtype} in {r.result_dtype}, and is judged as such"] += 1
        if r.refused and r.lacks[0] in OBSERVED_LACKS:
            found[f"{place} is not judged on {printable(r.reason)}"] += 1
    return tuple(f"{text} ({n} comparison{'s' if n > 1 else ''})" for text, n in found.items())


def _excess(r: Record) -> str:
    """Why a comparison that passes as agreement is none, or an empty string; nan is no number within a bound."""
    if r.outcome not in ("agree", "vacuous", "trivial"):
        return ""
    if r.share is None:
        return "without a comparison" if r.outcome == "agree" else ""
    return "" if r.share <= 1 else f"at {r.share:.3g} of its bound"


def _counts(records: Iterable[Record]) -> dict[str, int]:
    found = Counter(r.outcome for r in records)
    return {outcome: found[outcome] for outcome in OUTCOMES if found[outcome]}


def _severity(r: Record) -> tuple[bool, int, float]:
    """Failures in order: worst outcome, then largest share; what was not even called comes last."""
    return (r.not_called, OUTCOMES.index(r.outcome), -rank(r.share))


def _verdict(ok: bool, counts: dict[str, int], executed: int, failing: int, reasons: int) -> str:
    rest = ", ".join(f"{n} {outcome}" for outcome, n in counts.items() if outcome not in ("agree", *FAILING))
    rest = f" ({rest})" if rest else ""
    if ok:
        return f"agreed: {counts.get('agree', 0)} of {executed} comparisons within their derived bounds{rest}"
    bad = ", ".join(f"{counts[o]} {o}" for o in FAILING if counts.get(o))
    why = [bad] if failing else []
    if reasons:
        why.append(f"{reasons} failure{'s' if reasons > 1 else ''} of the run as a whole")
    return f"FAILED: {'; '.join(why)}; {counts.get('agree', 0)} of {executed} comparisons agree{rest}"


def _undecided(sentences: Sequence[str]) -> str:
    """What the verdict says of the sizes that nothing decided."""
    more = f" ({len(sentences) - 1} more like it)" if len(sentences) > 1 else ""
    return f"; undecided: {sentences[0]}{more}" if sentences else ""


def _rows(records: Sequence[Record]) -> tuple[Row, ...]:
    found: dict[tuple[Place, str], list[Record]] = defaultdict(list)
    for r in records:
        found[place_of(r), r.quantity].append(r)
    rows = []
    for (place, quantity), members in found.items():
        compared = [r for r in members if r.share is not None]
        judged = [r for r in compared if r.outcome != "deviation"]
        rows.append(
            Row(
                place,
                quantity,
                _counts(members),
                sum(r.elements for r in members),
                worst=_worst(judged),
                known=_worst([r for r in compared if r.outcome == "deviation"]),
                farthest=max((r for r in judged if r.ulp is not None), key=lambda r: rank(r.ulp), default=None),
                median=median(rank(r.share) for r in judged) if judged else None,
                most=share_limit(judged, 0.99),
            )
        )
    return tuple(rows)


def _worst(records: Sequence[Record]) -> Record | None:
    return max(records, key=lambda r: rank(r.share), default=None)


def share_limit(records: Iterable[Record], part: float) -> float | None:
    """The smallest edge of a bin below which this part of all elements' shares lies; inf beyond 1."""
    total = [sum(column) for column in zip(*(r.share_counts for r in records if r.share_counts), strict=True)]
    below = 0
    for n, edge in zip(total, (*SHARE_EDGES[1:], float("inf")), strict=False):
        below += n
        if below >= part * sum(total):
            return edge
    return None
