"""The map: implementations by quantities, each cell coloured by its worst share and leading to its worst case."""

from __future__ import annotations

from dataclasses import dataclass

from xentcheck.records.record import Place, Record, rank
from xentcheck.reports.analysis.rows import Row
from xentcheck.reports.analysis.summary import Summary
from xentcheck.vocabulary import FAILING, QUANTITIES

from .cases import chosen_of, target_of, worst_of
from .section import readable, short

STEPS = (0.125, 0.25, 0.5, 0.75, 1.0)
"""Shares at which the colour changes."""

FAILS, KNOWN, NONE = "✗", "◆", "○"
SYMBOLS = (
    (FAILS, "fails"),
    (KNOWN, "has known deviations, which are no part of the share"),
    (NONE, "was compared, and nothing in it is agreement"),
    ("-", "was not compared"),
)
"""What stands beside a share, so that no colour has to be told from another."""


@dataclass(frozen=True)
class Cell:
    """One quantity at one place. level: `fail`, `none`, or the step of the share; target: the id of its worst case."""

    text: str
    level: str
    told: str = ""
    target: str = ""


@dataclass(frozen=True)
class HeatMap:
    """quantities: the columns. rows: implementation, device and dtype, the outcomes in the row, and its cells."""

    quantities: tuple[str, ...]
    rows: tuple[tuple[tuple[str, str, str], tuple[str, ...], tuple[Cell, ...]], ...]


def heat_map(summary: Summary) -> HeatMap:
    """A row for each place at which something was compared, in canonical order."""
    found: dict[Place, dict[str, Row]] = {}
    for row in summary.rows:
        found.setdefault(row.place, {})[row.quantity] = row
    seen = {row.quantity for row in summary.rows}
    quantities = (*(q for q in QUANTITIES if q in seen), *sorted(seen - set(QUANTITIES)))
    worst, shown = worst_of(summary), chosen_of(summary)
    rows = []
    for place, by_quantity in found.items():
        adapter, variant, device, dtype = map(readable, place)
        outcomes = dict.fromkeys(o for row in by_quantity.values() for o in row.counts)
        cells = (_cell(by_quantity.get(q), worst.get((place, q)), shown) for q in quantities)
        rows.append(((f"{adapter} {variant}", device, dtype), tuple(outcomes), tuple(cells)))
    return HeatMap(tuple(map(readable, quantities)), tuple(rows))


def _cell(row: Row | None, worst: Record | None, shown: dict[str, Record]) -> Cell:
    if row is None:
        return Cell("-", "none")
    told = ", ".join(f"{n} {outcome}" for outcome, n in row.counts.items())
    if worst is None:
        return Cell("-", "none", told)
    known = f" {KNOWN}" if row.counts.get("deviation") else ""
    if known and row.known:
        told += f", deviations up to a share of {short(row.known.share)}"
    target = target_of(worst, shown)
    if row.failing:
        number = worst.outcome if worst.share is None else short(worst.share)
        return Cell(f"{FAILS} {number}{known}", "fail", told, target)
    if row.worst is None:
        return Cell(known.strip(), "none", told, target)
    share = rank(row.worst.share)
    if not share <= 1:
        return Cell(f"{FAILS} {short(row.worst.share)}{known}", "fail", told, target)
    level = str(sum(share > step for step in STEPS))
    nothing = "" if {"agree", *FAILING} & row.counts.keys() else f" {NONE}"
    return Cell(f"{short(share)}{known}{nothing}", level, told, target)
