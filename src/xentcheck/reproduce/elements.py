"""The elements of results that use most of their bound, found block by block, without an array for each number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from xentcheck.judging.comparisons import Submission
from xentcheck.judging.metric import error_of
from xentcheck.judging.verdict import Judgement
from xentcheck.reference.bounds.contracts import Contract
from xentcheck.reference.bounds.gradient import GradientBounds
from xentcheck.reference.bounds.whole import formed
from xentcheck.reference.formats import Array
from xentcheck.reference.oracle import Pair
from xentcheck.reference.oracle.quantities import quantity_of
from xentcheck.reference.problem import Problem


@dataclass(frozen=True)
class Element:
    """One element: its index in its quantity, and got, exact, error and bound as float64."""

    index: tuple[int, ...]
    got: float
    exact: float
    error: float
    bound: float
    share: float


class _Worst(Judgement):
    """Judges one submission, and keeps its worst elements of each quantity by share."""

    def __init__(self, problem: Problem, quantities: Sequence[str], submission: Submission, show: int) -> None:
        super().__init__(problem, quantities, [submission])
        self.show = show
        self.seen = dict.fromkeys(quantities, 0)
        self.worst: dict[str, list[tuple[float, int, tuple[float, ...]]]] = {q: [] for q in quantities}

    def add(self, i: int, q: str, got: Array, exact: Pair, bounds: Mapping[Contract, Array | GradientBounds]) -> None:
        (limit,) = (formed(bounds[c]).reshape(-1) for c in self.submissions[0].contracts[q])
        x, hi, lo = (np.asarray(values, np.float64).reshape(-1) for values in (got, *exact))
        error = error_of(x, hi, lo)
        with np.errstate(all="ignore"):
            share = np.nan_to_num(np.where(error == 0, 0.0, error / limit), nan=np.inf)
        few = np.sort(np.argpartition(-share, self.show)[: self.show]) if share.size > self.show else range(share.size)
        numbers = ((share[k], self.seen[q] + k, (x[k], hi[k], error[k], limit[k])) for k in few)
        found = [*self.worst[q], *((float(s), int(k), tuple(map(float, row))) for s, k, row in numbers)]
        self.worst[q] = sorted(found, key=lambda one: (-one[0], one[1]))[: self.show]
        self.seen[q] += x.size


def worst_elements(
    problem: Problem, values: Mapping[str, Array], contracts: Mapping[str, Contract], show: int
) -> dict[str, list[Element]]:
    """The elements of each result by share of their bound, the worst first; of the right shape and dtype alone."""
    judge = _Worst(problem, tuple(values), Submission(values, contracts), show)
    judge.run()
    return {
        q: [
            Element(quantity_of(q, problem).index(problem, k), got, right, error, bound, share)
            for share, k, (got, right, error, bound) in judge.worst[q]
        ]
        for q in values
        if (0, q) not in judge.mismatches
    }
