"""Law results: properties that every right implementation has, whatever the exact values are."""

from __future__ import annotations

from collections.abc import Iterable

from xentcheck.records.findings import LawResult
from xentcheck.records.run import RunFile
from xentcheck.reports.analysis.summary import Summary

from .section import Column, Section

PROSE = (
    "Properties of every right implementation, compared without exact values; share is the deviation over what the "
    "bounds of both sides allow."
)

COLUMNS = tuple(map(Column, ("implementation", "dtype", "law", "kept", "share", "detail")))


def law_section(found: Iterable[LawResult]) -> Section:
    """A row for each law on each implementation, the broken ones first."""
    rows = tuple(
        (f"{r.adapter} {r.variant} {r.device}", r.dtype, r.law, *_answer(r), r.detail)
        for r in sorted(found, key=lambda r: (r.kept, r.adapter, r.variant, r.device, r.dtype))
    )
    return Section("Laws", COLUMNS, rows, PROSE, opened=False)


def laws(run: RunFile, summary: Summary) -> Section:
    """The section of a run."""
    return law_section(run.laws)


def _answer(r: LawResult) -> tuple[str, str]:
    """Kept and share."""
    return (r.unasked, "-") if r.unasked else ("yes" if r.kept else "no", f"{r.share:.3g}")
