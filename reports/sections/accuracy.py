"""Largest errors found: what a directed search says of one quantity of one implementation."""

from __future__ import annotations

from collections.abc import Iterable

from xentcheck.records.findings import Accuracy
from xentcheck.vocabulary import DTYPES, QUANTITIES

COLUMNS = ["implementation", "dtype", "quantity", "ULP", "share of bound", "worst input by ULP: logits, label"]


def accuracy_table(found: Iterable[Accuracy]) -> tuple[list[str], list[list[str]]]:
    """Column names and rows, in canonical order."""
    rows = [
        [f"{a.adapter} {a.variant} {a.device}", a.dtype, a.quantity, f"{a.ulp:.4g}", f"{a.share:.4g}", a.ulp_input]
        for a in sorted(found, key=_order)
    ]
    return COLUMNS, rows


def _order(a: Accuracy) -> tuple[object, ...]:
    return (a.adapter, a.variant, a.device, DTYPES.index(a.dtype), QUANTITIES.index(a.quantity))
