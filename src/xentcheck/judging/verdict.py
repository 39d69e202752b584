"""Verdicts: every implementation's results on one problem, judged together against one exact evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from xentcheck.judging.power.measure import Power
from xentcheck.judging.power.table import WRONG, WrongAnswers
from xentcheck.records.facts import Facts
from xentcheck.reference.bounds import Bounds
from xentcheck.reference.bounds.contracts import Contract
from xentcheck.reference.bounds.gradient import GradientBounds
from xentcheck.reference.bounds.whole import formed
from xentcheck.reference.formats import FORMATS, Array
from xentcheck.reference.numbers.arrays import Place, as_array, at_once, here, home
from xentcheck.reference.numbers.fast import kernels
from xentcheck.reference.oracle import Exact, Pair
from xentcheck.reference.oracle.quantities import BY_CLASS, WHOLE, Part, Side, quantity_of
from xentcheck.reference.problem import Problem

from .comparisons import Submission, Verdict
from .margins import POINTS, Margin, margins_of
from .metric import Tally, error_of, settled, shape_and_dtype, shares

AT_ONCE = 2**15
"""Elements that are compared together, so that they stay in the cache."""


class Judgement:
    """Judges submissions on one problem, a row block at a time.

    quantities: those to judge. Every submission's results are compared for those that it has. rows: (M,), True for the
    rows that are compared, as `right_rows` gives it; None: all.
    """

    def __init__(
        self,
        problem: Problem,
        quantities: Sequence[str],
        submissions: Sequence[Submission],
        rows: Array | None = None,
    ) -> None:
        self.problem, self.quantities, self.rows = problem, quantities, rows
        self.submissions = [replace(s, storage=problem.dtype) for s in submissions]
        self.exact = Exact(problem, rows, self._place())
        results = [(i, s, q) for i, s in enumerate(self.submissions) for q in s.values]
        self.wanted = [q for q in quantities if any(q in s.values for s in self.submissions)]
        contracts = dict.fromkeys(c for _, s, q in results for c in s.contracts[q])
        self.bounds = {c: Bounds(self.exact, c) for c in contracts}
        self.powers = {(q, s.contract_for(q)): Power() for _, s, q in results if q in quantities}
        """Of each quantity's comparisons under each contract that it is judged by."""
        self.tallies = {(i, q, c): Tally(FORMATS[s.dtype_of(q)]) for i, s, q in results for c in s.contracts[q]}
        self.margins: list[list[Margin]] = [[] for _ in submissions]
        self.mismatches: dict[tuple[int, str], Facts] = {}
        for i, s, q in results:
            shape = quantity_of(q, problem).shape(problem)
            if facts := shape_and_dtype(as_array(s.values[q]), shape, problem.dtype):
                self.mismatches[i, q] = facts

    def run(self, told: Callable[[int], object] = lambda rows: None) -> list[dict[str, Verdict]]:
        """One verdict per submission and quantity; told: called with the number of rows of each block that is done."""
        if self.submissions:
            sides: list[Side] = [self.exact, WrongAnswers(self.exact), *self.bounds.values()]
            with np.errstate(all="ignore"):
                for part in self.exact.walk(self.wanted, sides, told):
                    self._judge(part)
                    del part  # what was seen of a block goes before the next one comes
        return [self._verdicts(i, s) for i, s in enumerate(self.submissions)]

    def at_home(self) -> Judgement:
        """The same of results in this machine's memory."""
        return Judgement(self.problem, self.quantities, [s.at_home() for s in self.submissions], self.rows)

    def _place(self) -> Place:
        """Where results lie: on the device of the first that is on one."""
        found = (as_array(x) for s in self.submissions for x in s.values.values())
        elsewhere: Any = next((x for x in found if not here(x)), None)
        return home if elsewhere is None else elsewhere.place

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

    def compared(self, quantity: str) -> Iterator[tuple[int, Array]]:
        """Subjects whose result for the quantity has the right shape and dtype, with it: by row, unless summed."""
        row = quantity_of(quantity, self.problem)
        for i, s in enumerate(self.submissions):
            if quantity in s.values and (i, quantity) not in self.mismatches:
                got = as_array(s.values[quantity])
                place = self.exact.place if row.extent == BY_CLASS else home
                yield i, place(got if row.extent == WHOLE else row.in_rows(got)[self.exact.chosen])

    def add(self, i: int, q: str, got: Array, exact: Pair, bounds: Mapping[Contract, Array | GradientBounds]) -> None:
        """Compare elements of the i-th submission's result for a quantity, under each of its contracts.

        Bounds of dC/dz are formed on the way where they can be.
        """
        submission, limits = self.submissions[i], []
        for c in submission.contracts[q]:
            tally, bound, counts = self.tallies[i, q, c], bounds[c], c == submission.contract_for(q)
            form = bound.form if isinstance(bound, GradientBounds) and kernels(got) and not bound.formed else None
            if not form or not tally.add_by_form(got, *exact, form, counts=counts):
                limits.append((tally, formed(bound).reshape(-1), counts))
        flat = [x.reshape(-1) for x in (got, *exact)]
        shared = len(limits) > 1 and not kernels(got)  # a compiled loop finds errors faster anew
        others = [(tally, limit) for tally, limit, counts in limits if shared and here(got) and not counts]
        step = at_once(got, AT_ONCE)
        for start in range(0, got.size if limits else 0, step):
            some = slice(start, start + step)
            x, hi, lo = (values[some] for values in flat)
            wide = x.astype(np.float64, copy=False)
            error = error_of(wide, hi, lo) if shared else None
            for tally, limit, counts in limits:
                if counts or not others:
                    tally.add(wide, hi, lo, limit[some], counts=counts, error=error)
            if error is not None and others:
                limit = np.stack([limit[some] for _, limit in others])
                largest = shares(settled(error, wide, hi, limit, others[0][0].format), limit).max(1, initial=0.0)
                for (tally, _), share in zip(others, largest.tolist(), strict=True):
                    tally.share = max(tally.share, share)

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
