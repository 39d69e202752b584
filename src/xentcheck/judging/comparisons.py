"""What is compared: the results that one implementation handed in; and what is found of one quantity of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from xentcheck.judging.power.measure import Power
from xentcheck.records.facts import Facts
from xentcheck.reference.bounds.contracts import Contract
from xentcheck.reference.formats import Array, name_of, wider
from xentcheck.reference.numbers.arrays import as_array, home

from .margins import Margin
from .metric import Tally


@dataclass(frozen=True, eq=False)
class Submission:
    """One implementation's results, the contract they are judged by (or one per quantity), and more for the grade.

    storage: the dtype of the problem; a result in a wider one is judged by the mixed contract.
    """

    values: Mapping[str, Array]
    contract: Contract | Mapping[str, Contract]
    others: tuple[Contract, ...] = ()
    storage: str = "float64"

    def at_home(self) -> Submission:
        """The same with results in this machine's memory."""
        return replace(self, values={q: home(x) for q, x in self.values.items()})

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
        found = name_of(as_array(self.values[quantity]).dtype)
        return found if found in wider(self.storage) else self.storage


@dataclass
class Verdict:
    """What was found for one quantity of one submission.

    mismatch: why the result could not be compared (shape, dtype). tally: under its own contract; shares: the largest
    share under each contract looked at. margins: [margin, relative error, relative bound] of dC/dz at the label.
    note: what there is to say of the judging itself.
    """

    tally: Tally
    power: Power
    mismatch: Facts | None = None
    shares: dict[str, float] = field(default_factory=dict)
    margins: list[Margin] = field(default_factory=list)
    note: str = ""

    @property
    def agrees(self) -> bool:
        """Whether every element is within its bound."""
        return not self.mismatch and self.tally.failing == 0
