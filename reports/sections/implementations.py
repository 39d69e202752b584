"""Implementations: one row per implementation, device and dtype, for who has no time for more."""

from __future__ import annotations

from xentcheck.records.record import Place, rank
from xentcheck.records.run import RunFile
from xentcheck.reports.analysis.rows import Row
from xentcheck.reports.analysis.summary import Summary

from .section import Column, Section, short

IMPLEMENTATIONS = (
    *map(Column, ("implementation", "device", "dtype")),
    Column("agree", "number"),
    Column("fail", "number", good="0"),
    Column("apart", "number"),
    Column("worst share", "number"),
)


def implementations(run: RunFile, summary: Summary) -> Section:
    """All comparisons of one implementation in one dtype in a row."""
    places: dict[Place, list[Row]] = {}
    for row in summary.rows:
        places.setdefault(row.place, []).append(row)
    rows = tuple(_row(place, found) for place, found in places.items())
    prose = "share: error over bound; apart: conventions, vacuous, trivial, unsupported."
    return Section("Implementations", IMPLEMENTATIONS, rows, prose, brief=True)


def _row(place: Place, rows: list[Row]) -> tuple[str, ...]:
    adapter, variant, device, dtype = place
    agree = sum(row.counts.get("agree", 0) for row in rows)
    failing = sum(row.failing for row in rows)
    apart = sum(sum(row.counts.values()) for row in rows) - agree - failing
    worst = max((row.worst.share for row in rows if row.worst), key=rank, default=None)
    return (f"{adapter} {variant}", device, dtype, str(agree), str(failing), str(apart), short(worst))
