"""Cases: the comparison that each cell of the map leads to, and the worst failures, each with numbers and a command."""

from __future__ import annotations

from urllib.parse import quote

from xentcheck.records.record import Place, Record, order_key, place_of
from xentcheck.records.run import RunFile
from xentcheck.records.words import decimal, printable, ulps_text
from xentcheck.reports.analysis.summary import Summary, severity_of
from xentcheck.vocabulary import FAILING

from .section import Column, Mark, Section, readable, short

FAILURES_SHOWN = 50
"""Failures that have a card, besides the worst of each cell and the smallest of each cause."""

CARDS = 400
"""Cards that a page has room for."""

CASES = (
    *(Column(title, "name") for title in ("outcome", "implementation", "quantity")),
    Column("case", "code"),
    *(Column(title) for title in ("index", "got", "exact", "bound")),
    *(Column(title, "number") for title in ("share", "ULP")),
    Column("most ULPs", "words"),
    Column("judged by"),
    Column("reason", "text"),
    Column("suspected", "text"),
    Column("replay", "command"),
)


def cases(run: RunFile, summary: Summary) -> Section:
    """The cards: failures first, the worst of them first, then the worst of each other cell."""
    chosen = chosen_of(summary)
    failing = sum(r.outcome in FAILING for r in chosen.values())
    prose = "The worst case of each cell of the map, failures first. The command repeats it with all its numbers."
    if failing < len(summary.failing):
        prose += f" {failing} of {len(summary.failing)} failures are shown; the run file has the rest."
    if left := len({case_id(r) for r in worst_of(summary).values()} - chosen.keys()):
        prose += f" {left} cells have no card: report.json has their worst cases."
    marks = tuple(Mark(id=name, outcomes=(r.outcome,)) for name, r in chosen.items())
    rows = tuple(map(_row, chosen.values()))
    return Section("Cases", CASES, rows, prose, opened=False, cards=True, marks=marks)


def case_id(r: Record) -> str:
    """Where a comparison stands on a page, the same in every run: implementation, quantity and case.

    >>> place = dict(adapter="my loss", variant="eager", device="cpu", dtype="float32", group="g", contract="c")
    >>> case_id(Record(**place, quantity="dC/dz", case="ties.1x10.f32", outcome="agree"))
    'case-my%20loss/eager/cpu/float32/dC/dz/ties.1x10.f32'
    """
    return "case-" + quote(readable("/".join((*place_of(r), r.quantity, r.case))))


def target_of(r: Record | None, shown: dict[str, Record]) -> str:
    """The id that leads to a comparison, or an empty string where it has no card."""
    return case_id(r) if r and case_id(r) in shown else ""


def worst_of(summary: Summary) -> dict[tuple[Place, str], Record]:
    """What a cell leads to: its worst failure, else the comparison of the largest share, known deviations last."""
    found = dict(summary.failures)
    for row in summary.rows:
        if largest := row.worst or row.known:
            found.setdefault((row.place, row.quantity), largest)
    return found


def chosen_of(summary: Summary) -> dict[str, Record]:
    """The comparisons that have a card, by their ids."""
    worst = worst_of(summary)
    first = [*summary.failures.values()]
    first += [*(cause.smallest for cause in summary.causes[:FAILURES_SHOWN]), *summary.failing[:FAILURES_SHOWN]]
    found: dict[str, Record] = {}
    for r in (*first, *sorted(worst.values(), key=order_key)):
        found.setdefault(case_id(r), r)
    kept = dict(list(found.items())[:CARDS])
    return dict(sorted(kept.items(), key=lambda item: _severity(item[1])))


def _severity(r: Record) -> tuple[object, ...]:
    """Failures first, in the order of a summary."""
    return (False, *severity_of(r), order_key(r)) if r.outcome in FAILING else (True,)


def _row(r: Record) -> tuple[str, ...]:
    index = str(list(r.index)) if r.index else "-"
    ulp = ulps_text(r.ulp_here) if r.expected else "-"
    numbers = (*map(decimal, (r.got, r.expected, r.bound)), short(r.share), ulp)
    suspects = "; or ".join(map(printable, r.suspects))
    names = (r.outcome, "/".join(place_of(r)), r.quantity)
    return (*names, r.case, index, *numbers, _farthest(r), r.judged_by, printable(r.reason), suspects, r.replay)


def _farthest(r: Record) -> str:
    """The element of the most ULPs, where that is another one than the worst of its bound."""
    if not r.farthest:
        return "-"
    got, exact, bound = map(decimal, (r.farthest.got, r.farthest.expected, r.farthest.bound))
    return f"{ulps_text(r.ulp)} at {list(r.farthest.index)}: got {got}, exact {exact}, bound {bound}"
