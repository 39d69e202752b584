"""Coverage: which pairs of option levels an implementation really met in the comparisons that were executed."""

from __future__ import annotations

from xentcheck.records.run import RunFile
from xentcheck.reports.analysis.summary import Summary

from .section import Column, Section

PROSE = (
    "Pairs of option levels (classes, rows, rank, dtype, target, weights, ignore_index, smoothing, reduction, "
    "upstream, layout, family) that an implementation was really compared on, of all that go together."
)

COLUMNS = (Column("implementation"), Column("pairs met"), Column("of"), Column("part"), Column("not met"))

GAPS_SHOWN = 12


def coverage(run: RunFile, summary: Summary) -> Section:
    """A row for each implementation; of many gaps the first are named."""
    rows = []
    for c in sorted(run.coverages, key=lambda c: (c.adapter, c.variant, c.device)):
        more = f" and {len(c.gaps) - GAPS_SHOWN} more" if len(c.gaps) > GAPS_SHOWN else ""
        gaps = ", ".join(c.gaps[:GAPS_SHOWN]) + more
        share = f"{c.met / c.possible:.1%}" if c.possible else "-"
        rows.append((f"{c.adapter} {c.variant} {c.device}", str(c.met), str(c.possible), share, gaps or "-"))
    return Section("Coverage", COLUMNS, tuple(rows), PROSE, opened=False)
