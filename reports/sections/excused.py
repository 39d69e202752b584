"""What needs an explanation and is none of a bound's business: differences, known faults, conventions."""

from __future__ import annotations

from collections import Counter, defaultdict

from xentcheck.records.record import Record, place_of
from xentcheck.records.run import RunFile
from xentcheck.records.words import printable, ulps_text
from xentcheck.reports.analysis.differences import differences
from xentcheck.reports.analysis.summary import Summary, in_order

from .section import Column, Section

DIFFERENCES = (
    *map(Column, ("kind", "dtype", "quantity")),
    Column("case", "code"),
    Column("who", "text"),
    Column("bound in ULP"),
)

DEVIATIONS = (
    *map(Column, ("implementation", "quantity")),
    Column("reason", "text"),
    Column("link", "link"),
    Column("comparisons", "number"),
    Column("first case", "code"),
)

CONVENTIONS = (
    *map(Column, ("convention", "adapter", "quantity", "returned here")),
    Column("comparisons", "number"),
    Column("returned elsewhere"),
)


def who_is_wrong(run: RunFile, summary: Summary) -> Section:
    """Differences between implementations, and who is to blame."""
    found = differences(in_order(run.records))
    rows = tuple((d.kind, d.dtype, d.quantity, d.case, d.text, ulps_text(d.condition)) for d in found)
    prose = (
        "Where implementations differ: who is outside its bound; or that all are within and the input is "
        "ill-conditioned (its bound is many ULPs wide); or that all return the same number, far from the exact one "
        "(cancellation in a_y - 1)."
    )
    return Section("Who is wrong", DIFFERENCES, rows, prose)


def deviations(run: RunFile, summary: Summary) -> Section:
    """Known faults, with reason and link."""
    found: dict[tuple[str, ...], list[Record]] = defaultdict(list)
    for r in in_order(r for r in run.records if r.outcome == "deviation"):
        found["/".join(place_of(r)), r.quantity, printable(r.reason), r.link].append(r)
    rows = tuple((*key, str(len(members)), members[0].case) for key, members in found.items())
    return Section("Deviations", DEVIATIONS, rows, "Known faults, with reason and link.")


def conventions(run: RunFile, summary: Summary) -> Section:
    """What was returned where libraries differ."""
    found = Counter(
        (r.convention, r.returned, r.link, r.adapter, r.quantity) for r in run.records if r.outcome == "convention"
    )
    rows = tuple(
        (name, adapter, quantity, returned, str(n), link)
        for (name, returned, link, adapter, quantity), n in sorted(found.items())
    )
    prose = "Degenerate problems whose meaning differs between libraries: recorded, not judged."
    return Section("Conventions", CONVENTIONS, rows, prose)
