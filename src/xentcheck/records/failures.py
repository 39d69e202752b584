"""Checks: the separate ways in which a run can find an implementation wrong, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xentcheck.vocabulary import FAILING

if TYPE_CHECKING:
    from .record import Record

CHANGED = "the call changed its input"
MISSING = "the implementation returned no"
"""How the reasons of their records start, as those of shapes and dtypes start with these words."""

FORMS = {CHANGED: "inputs", MISSING: "present", "shape": "shape", "dtype": "dtype"}


def check_of(record: Record) -> str:
    """The check that a record fails, or an empty string: `raises`, one of FORMS, or the bound of a quantity.

    Laws and blind groups are checks of the run as a whole.

    >>> from xentcheck import check
    >>> {check_of(record) for record in check("numpy", dtypes=["float32"]).records}
    {''}
    """
    if record.outcome not in FAILING:
        return ""
    for start, name in FORMS.items():
        if record.reason.startswith(start):
            return name
    return f"bound of {record.quantity}" if record.outcome == "disagree" else "raises"
