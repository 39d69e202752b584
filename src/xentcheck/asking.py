"""Asking an implementation about related problems, for checks that compare its answers with each other."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xentcheck.reference.bounds import Bounds
from xentcheck.reference.oracle import Exact
from xentcheck.reference.problem import Problem

from .runner import attempt, contracts_of
from .subjects import Subject

Array = NDArray[Any]

Deviation = tuple[Array, Array]
"""What should be 0, and how far from it rounding alone may bring it."""


@dataclass(frozen=True)
class Answer:
    """What an implementation returned for a problem, in float64, with the bounds of its contract."""

    problem: Problem
    raw: Mapping[str, Array]
    bounds: Mapping[str, Array]

    def __getitem__(self, quantity: str) -> Array:
        return np.asarray(self.raw[quantity]).astype(np.float64)


class Unanswered(Exception):
    """The implementation does not support the problem, or raises."""


class Asker:
    """Asks one implementation."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject

    def __call__(self, problem: Problem, *quantities: str, shared: bool = False, poisoned: bool = False) -> Answer:
        """Its answer, copied at once, unless what becomes of its own memory is the question (`shared`).

        poisoned: fresh memory holds nan during the call. Raises Unanswered if that, or an answer, cannot be had.
        """
        poison = self.subject.adapter.poisoned() if poisoned else nullcontext()
        if poison is None:
            raise Unanswered("fresh memory cannot be poisoned")
        with poison:
            done = attempt(self.subject, problem, quantities)
        if done.result is None or not set(quantities) <= set(done.result.values):
            raise Unanswered(done.reason)
        contracts = contracts_of(self.subject, problem.dtype)[0]
        exact = Exact(problem)
        bounds = {q: Bounds(exact, contracts[q]).evaluate([q])[q] for q in quantities}
        values = {q: np.asarray(x) if shared else np.array(x) for q, x in done.result.values.items()}
        return Answer(problem, values, bounds)


def compare(x: Answer, y: Answer, quantities: tuple[str, ...]) -> Deviation:
    """The differences of two answers that should be equal, and the sums of their bounds."""
    found = [(x[q] - y[q]).ravel() for q in quantities]
    return np.concatenate(found), np.concatenate([(x.bounds[q] + y.bounds[q]).ravel() for q in quantities])
