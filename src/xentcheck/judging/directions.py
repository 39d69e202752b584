"""Verdicts and power of jvp and hvp: the derivatives along a direction of the logits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from xentcheck.judging.power.directions import note_hvp, note_jvp
from xentcheck.judging.power.measure import largest
from xentcheck.reference.bounds.contracts import Contract
from xentcheck.reference.bounds.directions import DirectionalBounds, directional_bounds, jvp_bound, reduced_jvp_bound
from xentcheck.reference.bounds.rows import RowBounds
from xentcheck.reference.numbers.backends import Number
from xentcheck.reference.oracle import Block
from xentcheck.reference.oracle.directions import Directional
from xentcheck.reference.rows import to_rows

if TYPE_CHECKING:
    from .comparisons import Comparisons


class DirectionalJudge:
    """Judges jvp and hvp block by block; a reduced jvp at the end.

    `Comparisons` is passed to each call, not kept: two that keep each other hold their arrays until garbage is
    collected.
    """

    def __init__(self, comparisons: Comparisons) -> None:
        self.exact = comparisons.exact
        self.denominator = float(self.exact.backend.pair(self.exact.denominator)[0])
        self.wanted = {"jvp", "hvp"} & set(comparisons.quantities)
        self._values: list[Number] = []
        self._parts: dict[Contract, list[DirectionalBounds]] = {}
        self._rows: dict[Contract, RowBounds] = {}

    def block(self, j: Comparisons, block: Block, bounds: dict[Contract, RowBounds]) -> None:
        """One block of rows."""
        if not self.wanted:
            return
        B = self.exact.backend
        v = to_rows(np.asarray(j.problem.v))[self.exact.chosen][block.rows].astype(np.float64)
        right = Directional.of(block, v)
        found = {c: directional_bounds(rows, right, v) for c, rows in bounds.items()}
        if "hvp" in self.wanted:
            exact = B.pair(right.hvp)
            for i, got in j.compared("hvp"):
                j.add(i, "hvp", got[block.rows], exact, {c: b.hvp for c, b in found.items()})
            for c, power in j.powers("hvp"):
                note_hvp(power, block, right, found[c].hvp, v, self.denominator)
        exact = B.pair(right.jvp)
        self._values.append(right.jvp)
        for c, rows in bounds.items():
            self._parts.setdefault(c, []).append(found[c])
            self._rows[c] = rows
        if "jvp" in self.wanted and j.problem.reduction == "none":
            limits = {c: jvp_bound(rows, found[c], exact[0]) for c, rows in bounds.items()}
            for i, got in j.compared("jvp"):
                j.add(i, "jvp", got[block.rows], exact, limits)
            for c, power in j.powers("jvp"):
                note_jvp(power, exact[0], limits[c])

    def finish(self, j: Comparisons) -> None:
        """The reduced jvp, which needs all rows."""
        B = self.exact.backend
        if "jvp" not in self.wanted or j.problem.reduction == "none" or not self._values:
            return
        exact = B.pair(self.exact.jvp(self._values))
        values = np.concatenate([B.pair(value)[0] for value in self._values])
        limits = {
            c: reduced_jvp_bound(self._rows[c], parts, values, self.denominator) for c, parts in self._parts.items()
        }
        for i, got in j.compared("jvp"):
            j.add(i, "jvp", got, exact, limits)
        for c, power in j.powers("jvp"):
            note_jvp(power, exact[0], limits[c])
            if j.problem.reduction == "mean":
                power.note("not_divided", largest(exact[0] * (self.denominator - 1.0), limits[c]))
