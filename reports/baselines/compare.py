"""Comparing two baselines: what got worse or better, new and gone rows, changed answers and grades. Pure functions.

What the machine cannot reproduce is no change: a baseline of several runs holds the range of each row, and only what
leaves the range is told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xentcheck.records.record import rank
from xentcheck.records.sizes import NARROW
from xentcheck.reports.sections.section import Column, Section
from xentcheck.vocabulary import EXECUTED, FAILING

from .baseline import Baseline, Range, Span, counted

KINDS = ("failure", "gone", "fewer", "worse", "lower", "moved", "better", "new", "cases", "answer", "grade")
BAD = KINDS[:5]
"""What can change, and what makes the comparison fail: a comparison or the run as a whole that fails, a row that is
gone or compares less than before, a failure that is farther beyond its bound, a lower grade. A worst number that moved
within its bound, or a grade among forms that round alike, as another rounding may, is none of these.
"""

GRADE = "grade"
"""What is told of a grade that moved, beside worst numbers."""

NOT_MET = "perhaps not met: other cases"
"""What is known of a failure that is gone where the cases are not the same."""

COLUMNS = (*map(Column, ("change", "where", "what", "before", "after")), Column("again", "command"))


@dataclass(frozen=True)
class Change:
    """One difference between two runs: of which kind, where, and what was there before and after.

    again: the command that repeats the worst case, if there is one.
    """

    kind: str
    where: str
    what: str
    before: str
    after: str
    again: str = ""


@dataclass(frozen=True)
class Comparison:
    """All changes, the worst first, and the versions and settings that differ."""

    changes: tuple[Change, ...]
    versions: tuple[Change, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing got worse."""
        return not any(change.kind in BAD for change in self.changes)

    @property
    def verdict(self) -> str:
        """The comparison in one sentence."""
        if not self.changes:
            return "nothing changed"
        counts = [(kind, sum(c.kind == kind for c in self.changes)) for kind in KINDS]
        found = ", ".join(f"{n} {kind}" for kind, n in counts if n)
        return f"{'no worse' if self.ok else 'WORSE'}: {found}"

    @property
    def moved(self) -> bool:
        """Whether something moved within its bound."""
        return any(change.kind == "moved" for change in self.changes)

    @property
    def section(self) -> Section:
        """All of it as a table."""
        changes = (*self.versions, *self.changes)
        rows = tuple((c.kind, c.where, c.what, c.before, c.after, c.again) for c in changes)
        return Section("What changed", COLUMNS, rows)


def compare(base: Baseline, new: Baseline) -> Comparison:
    """What changed from one installation to another.

    >>> row = Span("1f2e", ({"agree": 3},), (0.2, 0.25), (1.0, 1.0))
    >>> moved = Span("1f2e", ({"agree": 3},), (0.3, 0.3), (1.0, 1.0))
    >>> found = compare(Baseline({}, {"jax/loss": row}), Baseline({}, {"jax/loss": moved}))
    >>> found.changes[0].after, found.verdict
    ('0.3 of the bound, 1 ULP', 'no worse: 1 moved')
    """
    changes = [*_failures(base, new), *_rows(base, new), *_texts("answer", base, new), *_grades(base, new)]
    order = {kind: i for i, kind in enumerate(KINDS)}
    return Comparison(
        tuple(sorted(changes, key=lambda c: (order[c.kind], c.where, c.what))),
        tuple(_settings({"": _setting(base)}, {"": _setting(new)})),
    )


PLAN = ("generator", "profile", "seed", "selection")
"""Of the header: what says which cases there are."""


def _rows(base: Baseline, new: Baseline) -> Iterator[Change]:
    same_plan = all(base.header.get(name) == new.header.get(name) for name in PLAN)
    failing = {change.where for change in _failures(base, new)}
    for name in sorted({*base.rows, *new.rows}):
        before, after = base.rows.get(name), new.rows.get(name)
        if before is None or after is None:
            kind = "new" if before is None else "gone"
            old, now = (counted(row.outcomes[0]) if row else "" for row in (before, after))
            yield Change(kind, name, "row", old, now, before.replay if before else "")
            continue
        outcomes = _either(map(counted, before.outcomes)), _either(map(counted, after.outcomes))
        if (same_plan or before.cases == after.cases) and executed(after)[1] < executed(before)[0]:
            yield Change("fewer", name, "outcomes", *outcomes, after.replay)
            continue
        moves = [_moved(before.share, after.share), _moved(before.ulp, after.ulp)]
        if any(moves):
            kind = next(move for move in moves if move)  # ULPs decide where shares stay: they are information
            if kind == "moved" and moves[0] and _fails(after):
                kind = "worse"
            what = f"worst, {after.case}" if after.case else "worst"
            yield Change(kind, name, what, _numbers(before), _numbers(after), after.replay)
        if before.cases != after.cases:
            yield Change("cases", name, "cases", *outcomes)
        elif name not in failing and not any(counts in after.outcomes for counts in before.outcomes):
            yield Change("answer", name, "outcomes", *outcomes)


def executed(row: Span) -> tuple[int, int]:
    """How many comparisons of a row compared numbers, at least and at most in a run.

    >>> executed(Span("1f2e", ({"convention": 2, "vacuous": 10, "agree": 70}, {"convention": 3, "agree": 79})))
    (79, 80)
    """
    found = [sum(counts.get(outcome, 0) for outcome in EXECUTED) for counts in row.outcomes]
    return min(found), max(found)


def _fails(row: Span) -> bool:
    """Whether the worst share of a row is beyond its bound, and nobody excused it."""
    beyond = row.share is not None and not row.share[1] <= 1
    return beyond and any(outcome in FAILING for counts in row.outcomes for outcome in counts)


def _moved(before: Range | None, after: Range | None) -> str:
    """`moved` (upwards) or `better` if the ranges do not meet."""
    if before is None or after is None:
        return ""
    if rank(after[0]) > rank(before[1]):
        return "moved"
    return "better" if rank(after[1]) < rank(before[0]) else ""


def _numbers(row: Span) -> str:
    return ", ".join(f"{_told(x)} {unit}" for x, unit in ((row.share, "of the bound"), (row.ulp, "ULP")) if x)


def _told(x: Range) -> str:
    return f"{x[0]:.6g}" if x[0] == x[1] else f"{x[0]:.6g} to {x[1]:.6g}"


def _failures(base: Baseline, new: Baseline) -> Iterator[Change]:
    """Comparisons that fail on one side only, and what is wrong with a run as a whole.

    Those of one row that fail in the same way, or failed in it and do not any more, are told once.
    """
    before, after = (side.texts.get("failing", {}) for side in (base, new))
    alike: dict[tuple[str, str, str, str], list[str]] = defaultdict(list)
    for name in sorted({*before, *after}):
        where, _, case = name.partition(" of ")
        if name not in before:
            alike["failure", where, "", _either(after[name])].append(case)
        elif name not in after:
            rows = base.rows.get(where), new.rows.get(where)
            met = rows[0] is not None and rows[1] is not None and rows[0].cases == rows[1].cases
            alike["better" if met else "cases", where, _either(before[name]), "" if met else NOT_MET].append(case)
    for (kind, where, old, now), cases in alike.items():
        case, again = _worst_of(cases, new.rows.get(where)) if kind == "failure" else (cases[0], "")
        more = f" and {len(cases) - 1} more" if len(cases) > 1 else ""
        yield Change(kind, where, f"{case}{more}", old, now, again)
    whole = base.texts.get("failure", {}), new.texts.get("failure", {})
    for text in sorted(set(whole[1]) - set(whole[0])):
        yield Change("failure", "run", "", "", text)
    for text in sorted(set(whole[0]) - set(whole[1])):
        yield Change("better", "run", "", text, "")


def _worst_of(cases: Sequence[str], row: Span | None) -> tuple[str, str]:
    """The worst case of a row, or the first of some where it is none of these, and the command that repeats it."""
    if row is None or not row.case:
        return cases[0], ""
    case = row.case if row.case in cases else cases[0]
    return case, row.replay.replace(row.case, case)


def _grades(base: Baseline, new: Baseline) -> Iterator[Change]:
    """Grades that no run before gave: lower where the contract is weaker; "none" is the weakest.

    In a wide dtype all contracts but the weakest round alike, and differ in the form of the formula, as exp2 in the
    place of exp: another one of them has moved.
    """
    names = [*(new.header.get("catalogue") or base.header.get("catalogue") or ()), "none"]
    height = {name: i for i, name in enumerate(names)}
    for change in _texts(GRADE, base, new):
        old, now = (max(height.get(name, -1) for name in text.split(" or ")) for text in (change.before, change.after))
        if min(old, now) < 0 or now <= old:
            yield change
        else:
            again = max(
                (row for name, row in new.rows.items() if name.startswith(f"{change.where}/")),
                key=lambda row: rank(row.share[1] if row.share else None),
                default=Span("", ()),
            ).replay
            form = change.where.rpartition("/")[2] not in NARROW and now < len(names) - 2
            yield Change("moved" if form else "lower", change.where, GRADE, names[old], names[now], again)


def _texts(kind: str, base: Baseline, new: Baseline) -> Iterator[Change]:
    """Answers or grades that no run before gave, of what is on both sides."""
    before, after = base.texts.get(kind, {}), new.texts.get(kind, {})
    for name in sorted(set(before) & set(after)):
        if not set(before[name]) & set(after[name]):
            yield Change(kind, name, kind, _either(before[name]), _either(after[name]))


def _either(texts: Iterable[str]) -> str:
    return " or ".join(texts)


def _setting(side: Baseline) -> Mapping[str, Any]:
    """The header without the names of the contracts, which a new version may have more of."""
    return {name: value for name, value in side.header.items() if name != "catalogue"}


def _settings(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = "") -> Iterator[Change]:
    """Versions and settings that differ."""
    for name in sorted({*before, *after}):
        old, new = before.get(name, ""), after.get(name, "")
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _settings(old, new, f"{prefix} {name}".strip())
        elif old != new:
            yield Change("setting", "run", f"{prefix} {name}".strip(), str(old), str(new))
