"""Largest errors found: what a directed search says of one quantity of one implementation."""

from __future__ import annotations

from collections.abc import Iterable

from xentcheck.records.findings import Accuracy
from xentcheck.records.run import RunFile
from xentcheck.reports.analysis.summary import Summary
from xentcheck.vocabulary import DTYPES, QUANTITIES

from .section import Column, Section

PROSE = (
    "The largest errors that a directed search found, climbing on the logits; the largest there are may be larger. "
    "Many ULPs are no fault where the exact value is near 0 by cancellation; the share says what the arithmetic allows."
)

COLUMNS = (
    Column("implementation"),
    Column("dtype"),
    Column("quantity"),
    Column("ULP", "number"),
    Column("share of bound", "number"),
    Column("worst input by ULP: logits, label", "code"),
)


def accuracy_section(found: Iterable[Accuracy]) -> Section:
    """A row for each quantity of each implementation, in canonical order."""
    rows = tuple(
        (f"{a.adapter} {a.variant} {a.device}", a.dtype, a.quantity, f"{a.ulp:.4g}", f"{a.share:.4g}", a.ulp_input)
        for a in sorted(found, key=_order)
    )
    return Section("Accuracy", COLUMNS, rows, PROSE, opened=False)


def accuracy(run: RunFile, summary: Summary) -> Section:
    """The section of a run."""
    return accuracy_section(run.accuracies)


def _order(a: Accuracy) -> tuple[object, ...]:
    return (a.adapter, a.variant, a.device, DTYPES.index(a.dtype), QUANTITIES.index(a.quantity))
