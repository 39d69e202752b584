"""Verdicts: every implementation's results on one problem, judged together against one exact evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from xentcheck.judging.power.table import WRONG, WrongAnswers
from xentcheck.reference.formats import Array
from xentcheck.reference.oracle.quantities import Part, Side
from xentcheck.reference.problem import Problem

from .comparisons import Comparisons, Submission, Verdict
from .margins import POINTS, Margin, margins_of


class Judgement(Comparisons):
    """Judges submissions on one problem, a row block at a time."""

    def __init__(
        self,
        problem: Problem,
        quantities: Sequence[str],
        submissions: Sequence[Submission],
        rows: Array | None = None,
    ) -> None:
        super().__init__(problem, quantities, submissions, rows)
        self.margins: list[list[Margin]] = [[] for _ in submissions]

    def run(self, told: Callable[[int], object] = lambda rows: None) -> list[dict[str, Verdict]]:
        """One verdict per submission and quantity; told: called with the number of rows of each block that is done."""
        if self.submissions:
            wanted = [q for q in self.quantities if any(q in s.values for s in self.submissions)]
            sides: list[Side] = [self.exact, WrongAnswers(self.exact), *self.bounds.values()]
            with np.errstate(all="ignore"):
                for part in self.exact.walk(wanted, sides, told):
                    self._judge(part)
                    del part  # what was seen of a block goes before the next one comes
        return [self._verdicts(i, s) for i, s in enumerate(self.submissions)]

    def _judge(self, part: Part) -> None:
        q, (number, wrong, *limits) = part.quantity.name, part.found
        exact, bounds = self.exact.backend.pair(number), dict(zip(self.bounds, limits, strict=True))
        for (of, c), power in self.powers.items():
            if of == q:
                WRONG[q].note(power, self.exact, wrong, exact[0], bounds[c])
        for i, found in self.compared(q):
            got = found[part.rows]
            self.add(i, q, got, exact, bounds)
            if q == "dC/dz" and part.block and part.block.targets.hard and len(self.margins[i]) < POINTS:
                limit = bounds[self.submissions[i].contract_for(q)].at_label
                self.margins[i] += margins_of(part.block, got, exact, limit)

    def _verdicts(self, i: int, submission: Submission) -> dict[str, Verdict]:
        out = {}
        for q in submission.values:
            judged_by = submission.contract_for(q)
            shares = {c.name: self.tallies[i, q, c].share for c in submission.contracts[q]}
            mismatch = self.mismatches.get((i, q))
            margins = self.margins[i][:POINTS] if q == "dC/dz" else []
            tally = self.tallies[i, q, judged_by]
            out[q] = Verdict(tally, self.powers[q, judged_by], mismatch, {} if mismatch else shares, margins)
        return out
