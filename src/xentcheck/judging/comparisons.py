"""What is compared: the results that were handed in, the bounds of one contract, and the verdict on one quantity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from xentcheck.judging.power.measure import Power
from xentcheck.records.facts import Facts
from xentcheck.reference.bounds import Bounds
from xentcheck.reference.bounds.contracts import Contract
from xentcheck.reference.bounds.gradient import GradientBounds
from xentcheck.reference.bounds.whole import formed
from xentcheck.reference.formats import FORMATS, Array, name_of, wider
from xentcheck.reference.numbers.fast import kernels
from xentcheck.reference.oracle import Exact, Pair
from xentcheck.reference.oracle.quantities import WHOLE, quantity_of
from xentcheck.reference.problem import Problem

from .margins import Margin
from .metric import Tally, error_of, shape_and_dtype

AT_ONCE = 2**15
"""Elements that are compared together, so that they stay in the cache."""


@dataclass(frozen=True, eq=False)
class Submission:
    """One implementation's results, the contract they are judged by (or one per quantity), and more for the grade.

    storage: the dtype of the problem; a result in a wider one is judged by the mixed contract.
    """

    values: Mapping[str, Array]
    contract: Contract | Mapping[str, Contract]
    others: tuple[Contract, ...] = ()
    storage: str = "float64"

    @cached_property
    def contracts(self) -> dict[str, tuple[Contract, ...]]:
        """All contracts that each quantity is compared under; the first is the one that it is judged by."""
        found = {}
        for quantity in self.values:
            declared = self.contract if isinstance(self.contract, Contract) else self.contract[quantity]
            result = self.dtype_of(quantity)
            found[quantity] = tuple(dict.fromkeys(c.returning(result, self.storage) for c in (declared, *self.others)))
        return found

    def contract_for(self, quantity: str) -> Contract:
        """The contract that a quantity is judged by."""
        return self.contracts[quantity][0]

    def dtype_of(self, quantity: str) -> str:
        """The dtype of a result, where it may be judged: that of the problem, or a wider one."""
        found = name_of(np.asarray(self.values[quantity]).dtype)
        return found if found in wider(self.storage) else self.storage


@dataclass
class Verdict:
    """What was found for one quantity of one submission.

    mismatch: why the result could not be compared (shape, dtype). tally: under its own contract; shares: the largest
    share under each contract looked at. margins: [margin, relative error, relative bound] of dC/dz at the label.
    """

    tally: Tally
    power: Power
    mismatch: Facts | None = None
    shares: dict[str, float] = field(default_factory=dict)
    margins: list[Margin] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Whether every element is within its bound."""
        return not self.mismatch and self.tally.failing == 0


class Comparisons:
    """All submissions' results on one problem, beside the exact values and the bounds of every contract.

    quantities: those to judge, of `problem.quantities`. Every submission's results are compared for those that it has.
    rows: (M,), True for the rows that are compared, as `right_rows` gives it; None: all.
    """

    def __init__(
        self,
        problem: Problem,
        quantities: Sequence[str],
        submissions: Sequence[Submission],
        rows: Array | None = None,
    ) -> None:
        self.problem = problem
        self.quantities = tuple(quantities)
        self.submissions = [replace(s, storage=problem.dtype) for s in submissions]
        self.exact = Exact(problem, rows)
        results = [(s, q) for s in self.submissions for q in s.values]
        self.bounds = {c: Bounds(self.exact, c) for c in dict.fromkeys(c for s, q in results for c in s.contracts[q])}
        self.powers = {(q, s.contract_for(q)): Power() for s, q in results}
        """Of each quantity's comparisons under each contract that it is judged by."""
        self.tallies = {
            (i, q, c): Tally(FORMATS[s.dtype_of(q)])
            for i, s in enumerate(self.submissions)
            for q in s.values
            for c in s.contracts[q]
        }
        self.mismatches = self._mismatches()

    def _mismatches(self) -> dict[tuple[int, str], Facts]:
        p = self.problem
        found = {
            (i, q): shape_and_dtype(np.asarray(got), quantity_of(q, p).shape(p), p.dtype)
            for i, s in enumerate(self.submissions)
            for q, got in s.values.items()
        }
        return {key: facts for key, facts in found.items() if facts}

    def compared(self, quantity: str) -> Iterator[tuple[int, Array]]:
        """Subjects whose result for the quantity has the right shape and dtype, with it: by row, unless summed."""
        row = quantity_of(quantity, self.problem)
        for i, s in enumerate(self.submissions):
            if quantity in s.values and (i, quantity) not in self.mismatches:
                got = np.asarray(s.values[quantity])
                yield i, got if row.extent == WHOLE else row.in_rows(got)[self.exact.chosen]

    def add(self, i: int, q: str, got: Array, exact: Pair, bounds: Mapping[Contract, Array | GradientBounds]) -> None:
        """Compare elements of the i-th submission's result for a quantity, under each of its contracts.

        Bounds of dC/dz are formed on the way where they can be.
        """
        submission, limits = self.submissions[i], []
        for c in submission.contracts[q]:
            tally, bound, counts = self.tallies[i, q, c], bounds[c], c == submission.contract_for(q)
            form = bound.form if isinstance(bound, GradientBounds) and kernels(got.size) and not bound.formed else None
            if not form or not tally.add_by_form(got, *exact, form, counts=counts):
                limits.append((tally, formed(bound).reshape(-1), counts))
        flat = [x.reshape(-1) for x in (got, *exact)]
        shared = len(limits) > 1 and not kernels(got.size)  # a compiled loop finds errors faster anew
        for start in range(0, got.size if limits else 0, AT_ONCE):
            some = slice(start, start + AT_ONCE)
            x, hi, lo = (values[some] for values in flat)
            wide = x.astype(np.float64, copy=False)
            error = error_of(wide, hi, lo) if shared else None
            for tally, limit, counts in limits:
                tally.add(wide, hi, lo, limit[some], counts=counts, error=error)
