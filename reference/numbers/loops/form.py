"""What compiled loops make bounds of, by numbers per row instead of an array."""

from __future__ import annotations

from typing import NamedTuple

from xentcheck.reference.formats import Array


class Form(NamedTuple):
    """What bounds of dC/dz (n, C) are made of, for loops that form them as they go (`GradientBounds.form`).

    d, e, q: (n, C), q (0, 0) for hard targets. rows: (n, len(COLUMNS)), `COLUMNS` per row. label: (n,), -1 for none.
    at_label: (n,) the whole bound there, nan where it is as elsewhere, with what is added to pivots. rounding, slack,
    largest: of a result, and the number that no bound reaches.
    """

    d: Array
    e: Array
    q: Array
    rows: Array
    label: Array
    at_label: Array
    rounding: float
    slack: float
    largest: float


COLUMNS = ("slope", "offset", "factor", "own", "kappa", "near", "pivot", "lost", "lost_softmax", "total", "underflow")
"""Of `Form.rows`: slope and offset of ((slope d + offset) e) factor; own times q; kappa times |g| and what there is so
far; pivot is added where d <= near; lost, and lost_softmax e/total; underflow, with the rounding of the result.
"""
