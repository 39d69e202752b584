"""Law results: properties that every right implementation has, whatever the exact values are."""

from __future__ import annotations

from collections.abc import Iterable

from xentcheck.records.findings import LawResult

COLUMNS = ["implementation", "dtype", "law", "kept", "share", "detail"]


def law_table(found: Iterable[LawResult]) -> tuple[list[str], list[list[str]]]:
    """Column names and rows, the broken ones first."""
    rows = [
        [f"{r.adapter} {r.variant} {r.device}", r.dtype, r.law, *_answer(r), r.detail]
        for r in sorted(found, key=lambda r: (r.kept, r.adapter, r.variant, r.device, r.dtype))
    ]
    return COLUMNS, rows


def _answer(r: LawResult) -> tuple[str, str]:
    """Kept and share."""
    return (r.unasked, "-") if r.unasked else ("yes" if r.kept else "no", f"{r.share:.3g}")
