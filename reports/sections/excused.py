"""What needs an explanation and is none of a bound's business: differences, known faults, conventions."""

from __future__ import annotations

from xentcheck.records.run import RunFile
from xentcheck.records.words import ulps_text
from xentcheck.reports.analysis.summary import Summary

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
    rows = tuple((d.kind, d.dtype, d.quantity, d.case, d.text, ulps_text(d.condition)) for d in summary.differences)
    prose = (
        "Where implementations differ: who is outside its bound; or that all are within and the input is "
        "ill-conditioned (its bound is many ULPs wide); or that all return the same number, far from the exact one "
        "(cancellation in a_y - 1)."
    )
    return Section("Who is wrong", DIFFERENCES, rows, prose)


def deviations(run: RunFile, summary: Summary) -> Section:
    """Known faults, with reason and link."""
    found = summary.remarks.deviations
    rows = tuple((*key, str(known.comparisons), known.first) for key, known in found.items())
    return Section("Deviations", DEVIATIONS, rows, "Known faults, with reason and link.")


def conventions(run: RunFile, summary: Summary) -> Section:
    """What was returned where libraries differ."""
    found = summary.remarks.conventions
    rows = tuple(
        (name, adapter, quantity, returned, str(n), link)
        for (name, returned, link, adapter, quantity), n in sorted(found.items())
    )
    prose = "Degenerate problems whose meaning differs between libraries: recorded, not judged."
    return Section("Conventions", CONVENTIONS, rows, prose)
