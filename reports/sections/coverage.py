"""Coverage: which pairs of option levels an implementation really met in the comparisons that were executed."""

from __future__ import annotations

from collections.abc import Iterable

from xentcheck.records.findings import Coverage

COLUMNS = ["implementation", "pairs met", "of", "share", "not met"]
SHOWN = 12


def coverage_table(found: Iterable[Coverage]) -> tuple[list[str], list[list[str]]]:
    """Column names and rows; of many gaps the first are named."""
    rows = []
    for c in sorted(found, key=lambda c: (c.adapter, c.variant, c.device)):
        gaps = ", ".join(c.gaps[:SHOWN]) + (f" and {len(c.gaps) - SHOWN} more" if len(c.gaps) > SHOWN else "")
        share = f"{c.met / c.possible:.1%}" if c.possible else "-"
        rows.append([f"{c.adapter} {c.variant} {c.device}", str(c.met), str(c.possible), share, gaps or "-"])
    return COLUMNS, rows
