"""Shrinking: from a problem that an implementation fails to the smallest one found that it still fails.

Greedy and deterministic: options are dropped, rows, classes and inputs are thrown out half by half and then one by one,
numbers are rounded, as long as the same quantity fails in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

import numpy as np

from xentcheck.adapters.process.adapter import ProcessAdapter
from xentcheck.adapters.scripting import Failure
from xentcheck.errors import OracleError, ProblemError
from xentcheck.judging.metric import overflows
from xentcheck.records.facts import FORMS
from xentcheck.reference.bounds import Bounds
from xentcheck.reference.formats import FORMATS
from xentcheck.reference.oracle import Exact
from xentcheck.reference.problem import Problem
from xentcheck.running.comparison import run_problem
from xentcheck.running.subjects import Subject, contracts_of
from xentcheck.vocabulary import DIRECTIONAL, FAILING

from .simplify import smaller_problems

SECONDS = 60.0
"""How long to go on; what is smallest then is given."""


def asked_with(problem: Problem, quantity: str) -> list[str]:
    """The quantities that a run asks for together with one: what a gradient needs is there or not for the value too."""
    if quantity in DIRECTIONAL:
        return list(DIRECTIONAL)
    kept = [q for q in problem.quantities if q not in DIRECTIONAL]
    return [q for q in kept if quantity in ("a", "log_a") or q not in ("a", "log_a")]


def failure_of(subject: Subject, problem: Problem, quantity: str) -> Failure | None:
    """How an implementation fails a problem, or None if it agrees, or is not judged."""
    if quantity not in problem.quantities:
        return None
    records = run_problem(problem, "shrunk", asked_with(problem, quantity), [(subject.outcomes_only(), "")])
    record = next((r for r in records if r.quantity == quantity), None)
    if record is None or record.outcome not in FAILING:
        return None
    exact = Exact(problem)
    contract = contracts_of(subject, problem.dtype)[0][quantity].returning(record.result_dtype, problem.dtype)
    hi = exact.evaluate([quantity])[quantity][0]
    bound = Bounds(exact, contract).evaluate([quantity])[quantity].reshape(hi.shape)
    signed = np.where(hi < 0, -np.inf, np.inf)
    return Failure(
        problem,
        quantity,
        record.outcome,
        record.raised,
        record.changed[0].removeprefix("beside_") if record.changed else "",
        record.check in FORMS,
        hi,
        np.where(overflows(signed, hi, bound, FORMATS[record.result_dtype or problem.dtype]), np.inf, bound),
    )


def shrink(subject: Subject, problem: Problem, quantity: str, seconds: float = SECONDS) -> Failure:
    """The smallest failure found. Raises ProblemError if the problem does not fail.

    >>> from xentcheck import adapters
    >>> from xentcheck.running.subjects import subjects_of
    >>> def zeros(logits, target, reduction="mean", **options):
    ...     shape = logits.shape[:1] if reduction == "none" else ()
    ...     return np.zeros(shape, logits.dtype), np.zeros_like(logits)
    >>> z = np.array([[0.3, 1.7, 0.1], [2.0, 0.5, 0.25]])
    >>> found = shrink(subjects_of(adapters.from_numpy(zeros))[0], Problem(logits=z, target=np.array([1, 0])), "cost")
    >>> found.problem.logits.tolist(), found.problem.target.tolist()
    ([[0.0, 0.0]], [0])
    """
    with _patient(subject):
        best = failure_of(subject, problem, quantity)
        if best is None:
            raise ProblemError(f"{quantity} of this problem does not fail: there is nothing to shrink")
        return _shrunk(subject, best, monotonic() + seconds)


@contextmanager
def _patient(subject: Subject) -> Iterator[None]:
    """A process may end as often as it likes."""
    if not isinstance(subject.adapter, ProcessAdapter):
        yield
        return
    patience, subject.adapter.patience = subject.adapter.patience, {}
    try:
        yield
    finally:
        subject.adapter.patience = patience


def _shrunk(subject: Subject, best: Failure, end: float) -> Failure:
    kind, quantity = (best.outcome, best.changed, best.form), best.quantity
    improved = True
    while improved:
        improved = False
        for smaller in smaller_problems(best.problem):
            if monotonic() > end:
                return best
            found = _try(subject, smaller, quantity)
            if found is not None and (found.outcome, found.changed, found.form) == kind:
                best, improved = found, True
                break
    return best


def _try(subject: Subject, make: Callable[[], Problem], quantity: str) -> Failure | None:
    try:
        return failure_of(subject, make(), quantity)
    except (ProblemError, OracleError):
        return None
