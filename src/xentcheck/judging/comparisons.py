"""What is compared: the results that were handed in, the bounds of one contract, and the verdict on one quantity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from xentcheck.judging.power.measure import Power
from xentcheck.records.facts import Facts
from xentcheck.reference.bounds import Bounds
from xentcheck.reference.bounds.base import RowBase
from xentcheck.reference.bounds.contracts import Contract
from xentcheck.reference.bounds.gradient import GradientBounds
from xentcheck.reference.bounds.rows import RowBounds
from xentcheck.reference.formats import FORMATS, Array, name_of, wider
from xentcheck.reference.numbers.fast import kernels
from xentcheck.reference.oracle import Block, Exact
from xentcheck.reference.problem import Problem

from .margins import Margin
from .metric import Tally, error_of, shape_and_dtype
from .right_rows import by_row, in_rows

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


class ContractBounds:
    """The bounds and the power of one contract on the problem."""

    def __init__(self, exact: Exact, contract: Contract, quantities: Iterable[str], judged: bool) -> None:
        self.contract = contract
        self.bounds = Bounds(exact, contract)
        with np.errstate(all="ignore"):
            self.zeta = self.bounds.zeta()
        self.powers = {q: Power() for q in quantities} if judged else {}

    def rows(self, block: Block, shared: RowBase | None) -> RowBounds:
        """Bounds of a block; the base is shared by all contracts, but for logits whose own errors depend on them."""
        return self.bounds.rows(block, shared or RowBase.of(block.softmax, self.bounds.arithmetic.wide, self.zeta))


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
        contracts = {c: False for s, q in results for c in s.contracts[q]}
        contracts |= {s.contract_for(q): True for s, q in results}
        self.views = {c: ContractBounds(self.exact, c, quantities, judged) for c, judged in contracts.items()}
        self.tallies = {
            (i, q, c): Tally(FORMATS[s.dtype_of(q)])
            for i, s in enumerate(self.submissions)
            for q in s.values
            for c in s.contracts[q]
        }
        self.mismatches = self._mismatches()

    def _mismatches(self) -> dict[tuple[int, str], Facts]:
        shapes = self.problem.shapes
        found = {
            (i, q): shape_and_dtype(np.asarray(got), shapes[q], self.problem.dtype)
            for i, s in enumerate(self.submissions)
            for q, got in s.values.items()
        }
        return {key: facts for key, facts in found.items() if facts}

    def compared(self, quantity: str) -> Iterator[tuple[int, Array]]:
        """Subjects whose result for the quantity has the right shape and dtype, with it: by row, unless summed."""
        for i, s in enumerate(self.submissions):
            if quantity in s.values and (i, quantity) not in self.mismatches:
                got = np.asarray(s.values[quantity])
                whole = not by_row(self.problem, quantity)
                yield i, got if whole else in_rows(got, quantity)[self.exact.chosen]

    def powers(self, quantity: str) -> Iterator[tuple[Contract, Power]]:
        """The power of the quantity's comparisons under each contract that is judged by."""
        for c, view in self.views.items():
            if view.powers:
                yield c, view.powers[quantity]

    def add_gradient(
        self, i: int, got: Array, exact: tuple[Array, Array], bounds: dict[Contract, GradientBounds]
    ) -> None:
        """Compare elements of the i-th submission's dC/dz, by bounds that are formed on the way where they can be."""
        left = {}
        for c in self.submissions[i].contracts["dC/dz"]:
            form = bounds[c].form if kernels(got.size) and not bounds[c].formed else None
            counts = c == self.submissions[i].contract_for("dC/dz")
            if not form or not self.tallies[i, "dC/dz", c].add_by_form(got, *exact, form, counts=counts):
                left[c] = bounds[c].whole
        if left:
            self.add(i, "dC/dz", got, exact, left)

    def add(self, i: int, q: str, got: Array, exact: tuple[Array, Array], bounds: dict[Contract, Array]) -> None:
        """Compare elements of the i-th submission's result for a quantity, under each of its contracts in `bounds`."""
        submission = self.submissions[i]
        flat = [x.reshape(-1) for x in (got, *exact)]
        limits = [(c, bounds[c].reshape(-1)) for c in submission.contracts[q] if c in bounds]
        shared = len(limits) > 1 and not kernels(got.size)  # a compiled loop finds errors faster anew
        for start in range(0, got.size, AT_ONCE):
            some = slice(start, start + AT_ONCE)
            x, hi, lo = (values[some] for values in flat)
            wide = x.astype(np.float64, copy=False)
            error = error_of(wide, hi, lo) if shared else None
            for c, limit in limits:
                self.tallies[i, q, c].add(
                    wide, hi, lo, limit[some], counts=c == submission.contract_for(q), error=error
                )
