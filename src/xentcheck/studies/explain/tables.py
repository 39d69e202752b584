"""The steps of an explanation as tables: a column for each framework, and its largest error."""

from __future__ import annotations

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from xentcheck.records.words import ulps_text

from .steps import COLUMNS, Explanation, Step

ROWS = 16
"""Most elements of one step that are printed."""


def render(explanation: Explanation, console: Console) -> None:
    """Print one table per step; 76 columns are enough for any number.

    >>> from rich.console import Console
    >>> from xentcheck.studies.explain.steps import explain
    >>> render(explain([1.0, 2.0], 0, [1.0]), Console(quiet=True))
    """
    y, dtype = explanation.target, explanation.dtype
    head = f"One example in {dtype}, y = {y} (classes count from 0); values to 9 digits."
    console.print(Text(head, style="bold"))
    console.print(Text("exact: the exact value, rounded to float64. [j = i]: 1 if j = i, else 0."))
    console.print(Text(f"max ULP: the largest error, in gaps between neighbouring {dtype} numbers."))
    for step in explanation.steps:
        console.print()
        console.print(Text(f"{step.name}: {step.text}  {step.equation}", style="bold"))
        console.print(_table(step, explanation))
        if (more := len(step.exact) - ROWS) > 0:
            console.print(Text(f"... and {more} more, all of them counted in the largest error."))
    console.print()
    for column, reason in explanation.missing.items():
        console.print(Text(f"{column}: {reason}."))


def _table(step: Step, explanation: Explanation) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=0, show_footer=bool(step.ulp))
    table.add_column("index", "max ULP", no_wrap=True)
    table.add_column("exact", no_wrap=True, justify="right", min_width=16)
    columns = list(COLUMNS.values()) if step.values else []
    for column in columns:
        footer = ulps_text(step.ulp[column]) if column in step.ulp else "-"
        table.add_column(column, footer, no_wrap=True, justify="right", min_width=16)
    for flat, exact in list(enumerate(step.exact))[:ROWS]:
        cells = [f"{step.values[c][flat]:.9g}" if c in step.values else _absent(c, explanation) for c in columns]
        index = ",".join(str(i) for i in np.unravel_index(flat, step.shape))
        table.add_row(index, f"{exact + 0.0:.9g}", *cells)
    return table


def _absent(column: str, explanation: Explanation) -> str:
    return "not installed" if explanation.missing[column].endswith("not installed") else "cannot start"
