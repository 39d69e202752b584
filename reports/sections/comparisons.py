"""Comparisons: those that fail, all of them by quantity, and those that are no agreement."""

from __future__ import annotations

from collections import Counter

from xentcheck.records.record import Record, place_of
from xentcheck.records.run import RunFile
from xentcheck.records.words import decimal, printable, ulps_text
from xentcheck.reports.analysis.summary import Row, Summary
from xentcheck.vocabulary import FAILING

from .section import Column, Section, short

FAILURES_SHOWN = 50

PARTS = {
    2.0**-10: "below a thousandth",
    2.0**-7: "below a hundredth",
    2.0**-5: "below a thirtieth",
    2.0**-4: "below a sixteenth",
    2.0**-3: "below an eighth",
    0.25: "below a quarter",
    0.5: "below a half",
    1.0: "below the bound",
    float("inf"): "some beyond it",
}
"""What the edge of a bin of shares is called, which is no number that was measured."""

FAILURES = (
    *(Column(title, "name") for title in ("outcome", "implementation", "quantity")),
    Column("case", "code"),
    *(Column(title) for title in ("index", "got", "exact", "bound")),
    *(Column(title, "number") for title in ("share", "ULP")),
    Column("reason", "text"),
    Column("replay", "command"),
)

AGREEMENT = (
    *map(Column, ("adapter", "device", "dtype", "quantity")),
    Column("agree", "number"),
    Column("fail", "number", good="0"),
    Column("other", "words"),
    Column("median share", "number"),
    Column("99 % of the elements", "words"),
    *(Column(title, "number") for title in ("worst share", "largest ULP")),
    Column("worst case", "code"),
    Column("replay", "command"),
)

APART = (Column("outcome"), Column("adapter"), Column("reason", "text"), Column("comparisons", "number"))


def failures(run: RunFile, summary: Summary) -> Section:
    """The failing comparisons, the worst first, each with the command that repeats it."""
    n = len(summary.failing) - FAILURES_SHOWN
    hidden = f" {FAILURES_SHOWN} of {len(summary.failing)} are shown; the run file has the rest." if n > 0 else ""
    rows = tuple(map(_failure, summary.failing[:FAILURES_SHOWN]))
    prose = f"Worst first. The command repeats one check with all its numbers.{hidden}"
    return Section("Failures", FAILURES, rows, prose, opened=False, cards=True)


def _failure(r: Record) -> tuple[str, ...]:
    index = str(list(r.index)) if r.index else "-"
    numbers = (*map(decimal, (r.got, r.expected, r.bound)), short(r.share), short(r.ulp))
    return (r.outcome, "/".join(place_of(r)), r.quantity, r.case, index, *numbers, printable(r.reason), r.replay)


def agreement(run: RunFile, summary: Summary) -> Section:
    """All comparisons of one quantity at one place in a row."""
    prose = (
        "Every element is judged against an exact value and a derived bound; share is error over bound: the worst of a "
        "comparison's elements, and here the median and the worst of the comparisons. There is no tolerance to choose. "
        "ULP: errors in units in the last place of exact values in the normal range; a large one can be right, as near "
        "0 the bound is absolute. Known deviations have no part in these numbers."
    )
    return Section("Agreement", AGREEMENT, tuple(map(_row, summary.rows)), prose, plotted=True)


def _row(row: Row) -> tuple[str, ...]:
    adapter, variant, device, dtype = row.place
    other = ", ".join(f"{n} {o}" for o, n in row.counts.items() if o not in ("agree", *FAILING)) or "-"
    if row.known:
        other += f"; deviations up to a share of {short(row.known.share)}"
    worst = row.worst
    case, replay = (worst.case, worst.replay) if worst else ("-", "-")
    part = "-" if row.most is None else PARTS[row.most]
    numbers = (short(row.median), part, short(worst.share if worst else None), ulps_text(row.ulp) if worst else "-")
    agree = str(row.counts.get("agree", 0))
    place = (f"{adapter} {variant}", device, dtype, row.quantity)
    return (*place, agree, str(row.failing), other, *numbers, case, replay)


def apart(run: RunFile, summary: Summary) -> Section:
    """Comparisons that are no agreement: vacuous, trivial, unsupported, unavailable."""
    kinds = ("vacuous", "trivial", "unsupported", "unavailable")
    found: Counter[tuple[str, str, str]] = Counter(
        (r.outcome, r.adapter, printable(r.reason)) for r in run.records if r.outcome in kinds
    )
    prose = "No agreement: a result of zeros would pass (vacuous), zero is right (trivial), or nothing was compared."
    return Section("Counted apart", APART, tuple((*key, str(n)) for key, n in sorted(found.items())), prose)
