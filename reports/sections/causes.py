"""Causes: the failures put together by what explains them, each with its smallest case and what to do."""

from __future__ import annotations

from xentcheck.records.rules import rules
from xentcheck.records.run import RunFile
from xentcheck.reports.analysis.causes.found import Cause, where
from xentcheck.reports.analysis.summary import Summary

from .cases import chosen_of, target_of
from .section import Column, Mark, Section

SHOWN = 20

CAUSES = (
    Column("cause", "name"),
    Column("failures", "number"),
    Column("where", "text"),
    Column("when", "text"),
    Column("what to do", "text"),
    Column("what the code means", "folded"),
    Column("smallest case", "code"),
    Column("replay", "command"),
)


def causes(run: RunFile, summary: Summary) -> Section:
    """Every cause, that of most failures first."""
    n = len(summary.causes) - SHOWN
    hidden = f" {n} more causes are in the run file." if n > 0 else ""
    prose = f"Each failure has one cause; the command repeats the smallest case of it.{hidden}"
    shown = summary.causes[:SHOWN]
    cards = chosen_of(summary)
    marks = tuple(Mark(target=target_of(cause.smallest, cards)) for cause in shown)
    rows = tuple(map(_row, shown))
    return Section("Causes", CAUSES, rows, prose, cards=True, brief=True, leading=True, marks=marks)


def _row(cause: Cause) -> tuple[str, ...]:
    r = cause.smallest
    case = f"{r.case} {r.quantity}"
    told = (where(cause), cause.only or "-", cause.advice or "-", _meaning(cause.code))
    return (cause.title, str(len(cause.records)), *told, case, r.replay)


def _meaning(code: str) -> str:
    """What `xentcheck rule` says of a code, the mend apart: who reads the page has perhaps no network, and no shell."""
    found = rules().get(code)
    if found is None:
        return "-"
    seen = f" Reported in {', '.join(found.seen)}." if found.seen else ""
    return f"{found.code}, {found.title}. {found.what} How it looks: {found.looks}{seen}"
