"""Right rows: what of a result is judged where a convention takes out other rows, or the whole."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from xentcheck.reference.formats import Array
from xentcheck.reference.oracle.quantities import BY_CLASS, QUANTITIES, WHOLE, quantity_of
from xentcheck.reference.problem import Problem
from xentcheck.reference.rows import from_rows, to_rows

from .conventions import CONVENTIONS, Convention, seen


@dataclass(frozen=True)
class RightRows:
    """What is judged of a result: all of it (no convention), some rows, or nothing (no rows).

    convention: the first that takes anything out. rows: (M,), True for those that are judged.
    """

    convention: Convention | None = None
    rows: Array | None = None

    @property
    def excused(self) -> Convention | None:
        """The convention that takes the whole result."""
        return self.convention if self.rows is None else None

    def position(self, position: int, quantity: str, classes: int) -> int:
        """A flat position among these rows as one among all."""
        if self.rows is None:
            return position
        width = classes if QUANTITIES[quantity].extent == BY_CLASS else 1
        row, column = divmod(position, width)
        return int(np.flatnonzero(self.rows)[row]) * width + column

    def of(self, result: Array, quantity: str) -> Array:
        """The rows of a result that are judged, as (n, C) or (n,); all of it as it is."""
        return result if self.rows is None else QUANTITIES[quantity].in_rows(result)[self.rows]

    def note(self, result: Array, quantity: str) -> tuple[str, ...]:
        """What was returned in the other rows; nothing where there are none."""
        if self.convention is None or self.rows is None:
            return ()
        others = QUANTITIES[quantity].in_rows(result)[~self.rows]
        many = f"{len(others)} of {len(self.rows)} rows"
        return (f"convention {self.convention.id}: {many} not judged, answer {seen(others)}",)

    def without_others(self, p: Problem, quantity: str, got: Array, bound: Array) -> tuple[Problem, Array, Array]:
        """Problem, result and bound in which the other rows are plain, and right whatever they are."""
        if self.rows is None:
            return p, got, bound
        if p.logits is not None:
            z = np.where(self.rows[:, None], to_rows(p.logits), p.logits.dtype.type(0))
            p = replace(p, logits=from_rows(z, p.logits.shape))
        rows = self.rows.reshape(p.loss_shape)
        if QUANTITIES[quantity].extent == BY_CLASS:
            rows = np.broadcast_to(np.expand_dims(rows, min(1, rows.ndim)), p.logits_shape)
        return p, np.where(rows, got, got.dtype.type(0)), np.where(rows, bound, np.inf)


def right_rows(p: Problem, quantity: str) -> RightRows:
    """What is judged of a quantity: rows that no convention concerns; of a sum over rows all or nothing.

    >>> p = Problem(logits=np.array([[1.0, np.nan], [2.0, 3.0]]), target=np.array([0, 1]))
    >>> right_rows(p, "dC/dz").rows, right_rows(p, "cost").rows
    (array([False,  True]), None)
    """
    by_row = quantity_of(quantity, p).extent != WHOLE  # what is behind a layer is concerned as a whole
    taken = np.zeros(p.kept.size, bool)
    convention = None
    for c in CONVENTIONS:
        rows = c.rows(p, quantity)
        if np.any(rows):
            convention = convention or c
            taken |= rows if by_row else True
            if rows is True:
                return RightRows(convention)
    return RightRows(convention, None if convention is None or taken.all() else ~taken)
