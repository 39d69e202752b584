"""Running cases: build the problem, let every subject compute it, judge them together, write down what was found."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xentcheck.adapters.base import Result, needed_options
from xentcheck.reference.bounds import Bounds
from xentcheck.reference.contracts import CATALOGUE, Contract, distinct, get
from xentcheck.reference.formats import wider
from xentcheck.reference.oracle import Exact
from xentcheck.reference.problem import Problem
from xentcheck.reports.record import Record

from .attempts import Attempt, attempt
from .build import build
from .cases import Case
from .checks import CHANGED, MISSING
from .conventions import Convention, convention_of, seen
from .requirements import required
from .subjects import Subject
from .suspects import EXAMINED, suspects, suspects_of_error
from .verdict import Judgement, Verdict
from .verdict import Subject as Judged
from .vocabulary import DIRECTIONAL, OVERWRITABLE, QUANTITIES

Array = NDArray[Any]

MARGIN_POINTS = 32


def quantities_of(case: Case) -> tuple[str, ...]:
    """What is judged of a case: a and log_a do not depend on targets, so that the cases without options carry them."""
    value = "loss" if case.reduction == "none" else "cost"
    if "dir" in case.options:
        return DIRECTIONAL
    if case.inputs:
        return (value, "dC/db", "dC/dw", "dC/da_prev")
    plain = case.target == "index" and not case.options
    return (*(("a", "log_a") if plain else ()), value, "dC/dz")


def planned(cases: Sequence[Case], subjects: Sequence[Subject]) -> int:
    """How many records a run of these cases will have."""
    return sum(
        len(set(quantities_of(case)) & set(subject.adapter.capabilities.quantities))
        for case in cases
        for subject in subjects
        if subject.takes(case)
    )


def contracts_of(subject: Subject, dtype: str) -> tuple[dict[str, Contract], tuple[Contract, ...]]:
    """The contract that each quantity of a subject is judged by, and the catalogue for its grade."""
    adapter = subject.adapter
    catalogue, different = _catalogue(adapter.exp_ulps, adapter.log_ulps, dtype)
    declared = {q: catalogue[get(adapter.contract_for(subject.device, dtype, q)).name] for q in QUANTITIES}
    return declared, different


def contract_of(subject: Subject, dtype: str, quantity: str, result: Any) -> Contract:
    """The contract that one result of a subject is judged by, in whatever dtype it came."""
    return contracts_of(subject, dtype)[0][quantity].returning(str(np.asarray(result).dtype), dtype)


@cache
def _catalogue(exp_ulps: float, log_ulps: float, dtype: str) -> tuple[dict[str, Contract], tuple[Contract, ...]]:
    """The contracts by name for functions of such an accuracy, and those that differ in a dtype."""
    catalogue = {name: contract.with_accuracy(exp_ulps, log_ulps) for name, contract in CATALOGUE.items()}
    return catalogue, distinct(tuple(catalogue.values()), dtype)


def run_case(case: Case, subjects: Sequence[Subject]) -> list[Record]:
    """One record per subject that takes the case and per quantity.

    Raises CaseError if the case cannot be built.
    """
    takers = [s for s in subjects if s.takes(case)]
    if not takers:
        return []
    return run_problem(build(case), str(case), quantities_of(case), [(s, s.replay(case)) for s in takers])


def run_problem(
    problem: Problem, name: str, quantities: Sequence[str], takers: Sequence[tuple[Subject, str]]
) -> list[Record]:
    """One record per subject and quantity; each subject comes with the line that runs the problem again."""
    alone = len(takers) == 1  # the call of another variant may write into what the one before has returned
    made = ((attempt(s, problem, quantities), replay) for s, replay in takers)
    attempts = [(a if alone else a.copied(), replay) for a, replay in made]
    judged = [a for a, _ in attempts if a.result is not None]
    conventions = {q: convention_of(problem, q) for q in quantities}
    verdicts = dict(zip(map(id, judged), _judge(problem, quantities, judged), strict=True))
    common = {"case": name, "digest": digest_of(problem)}
    records = []
    for a, replay in attempts:
        options = needed_options(problem) & a.subject.adapter.capabilities.options
        for q in a.quantities:
            own = {**_base(problem, a.subject, q, options), "warnings": a.warnings, "replay": replay}
            own["notes"] = _notes(a)
            own["result_dtype"] = _wider_result(problem, a, q)
            records.append(_record({**common, **own}, problem, a, q, verdicts.get(id(a), {}).get(q), conventions[q]))
    return records


def _judge(problem: Problem, quantities: Sequence[str], attempts: Sequence[Attempt]) -> list[dict[str, Verdict]]:
    subjects = []
    for a in attempts:
        assert a.result is not None
        values = {q: np.asarray(v) for q, v in a.result.values.items() if q in a.quantities}
        subjects.append(Judged(values, *contracts_of(a.subject, problem.dtype)))
    return Judgement(problem, quantities, subjects).run()


def _base(problem: Problem, subject: Subject, quantity: str, options: set[str]) -> dict[str, Any]:
    adapter = subject.adapter
    place = (adapter.name, subject.variant, subject.device, problem.dtype)
    contract = contracts_of(subject, problem.dtype)[0][quantity].name
    described = quantity, problem.target_kind, problem.reduction, options, problem.head, problem.dtype
    return {
        "adapter": adapter.name,
        "variant": subject.variant,
        "version": adapter.version(),
        "device": subject.device,
        "dtype": problem.dtype,
        "quantity": quantity,
        "group": "/".join((*place, quantity, problem.target_kind, problem.reduction)),
        "contract": contract,
        "required": required(*described, contract),
    }


def _wider_result(problem: Problem, a: Attempt, quantity: str) -> str:
    """The dtype of a result that is wider than the problem's, or an empty string."""
    if a.result is None or quantity not in a.result.values:
        return ""
    found = str(np.asarray(a.result.values[quantity]).dtype)
    return found if found in wider(problem.dtype) else ""


def _record(
    base: dict[str, Any], problem: Problem, a: Attempt, quantity: str, verdict: Verdict | None, conv: Convention | None
) -> Record:
    if a.result is None:
        guess = suspects_of_error(a.reason) if a.outcome == "error" else ()
        return Record(**{**base, "required": ()}, outcome=a.outcome, reason=a.reason, suspects=guess)
    if verdict is None:
        return Record(**base, outcome="error", reason=f"{MISSING} {quantity}")
    if conv is not None and not verdict.mismatch and not _harmed(a.result):
        result = seen(np.asarray(a.result.values[quantity]))
        return Record(**{**base, "required": ()}, outcome="convention", reason=f"{conv.id}: {result}", link=conv.seen)
    outcome, reason = _outcome(a.result, verdict)
    t, p = verdict.tally, verdict.power
    suspected = _suspects(problem, a, quantity, verdict) if outcome == "disagree" else ()
    worst: dict[str, Any] = {}
    if t.elements:
        worst = {
            "share": t.share,
            "ulp": t.ulp,
            "index": index_of(problem, quantity, t.position),
            "got": _hex(t.got),
            "expected": _hex(t.expected),
            "bound": _hex(t.bound),
        }
    return Record(
        **base,
        **worst,
        outcome=outcome,
        reason=reason,
        elements=t.elements,
        applicable=p.applicable,
        rejected=p.rejected,
        blind_fraction=p.blind_fraction,
        shares=verdict.shares,
        ulp_counts=tuple(int(n) for n in t.ulp_counts),
        share_counts=tuple(int(n) for n in t.share_counts),
        margins=tuple(verdict.margins[:MARGIN_POINTS]),
        suspects=suspected,
    )


def _suspects(problem: Problem, a: Attempt, quantity: str, verdict: Verdict) -> tuple[str, ...]:
    """The known mistakes that explain a disagreement."""
    assert a.result is not None
    if harmed := _harmed(a.result):
        return (f"E53: writes into its input {', '.join(harmed)}",)
    if verdict.mismatch:
        return (f"B26: {verdict.mismatch}",)
    if quantity not in EXAMINED:
        return ()
    contract = contract_of(a.subject, problem.dtype, quantity, a.result.values[quantity])
    bound = Bounds(Exact(problem), contract).evaluate([quantity])[quantity]
    return suspects(problem, quantity, np.asarray(a.result.values[quantity]), bound)


def _harmed(result: Result) -> list[str]:
    """The inputs that the call overwrote and must not."""
    return [name for name in result.changed_inputs if name not in OVERWRITABLE]


def _notes(a: Attempt) -> tuple[str, ...]:
    """What is shown of a call beside its outcome."""
    found = [name for name in a.result.changed_inputs if name in OVERWRITABLE] if a.result else []
    said = a.subject.adapter.overwrites
    return tuple(f"overwrites its {name}, {'as' if name in said else 'which is not'} declared" for name in found)


def _outcome(result: Result, verdict: Verdict) -> tuple[str, str]:
    """Outcome and reason, by precedence: disagree, vacuous, trivial, agree."""
    if harmed := _harmed(result):
        return "disagree", f"{CHANGED} {', '.join(harmed)}"
    if verdict.mismatch:
        return "disagree", verdict.mismatch
    if not verdict.agrees:
        return "disagree", f"{verdict.tally.failing} of {verdict.tally.elements} elements exceed their bound"
    if "zero" in verdict.power.applicable:
        if "zero" in verdict.power.rejected:
            return "agree", ""
        return "vacuous", "a result of zeros would pass as well"
    return "trivial", "the exact result is zero, or has no elements"


def index_of(problem: Problem, quantity: str, position: int) -> tuple[int, ...]:
    """The index, in the quantity's own shape, of a position in row form."""
    shape = problem.shapes[quantity]
    if quantity in ("a", "log_a", "dC/dz", "hvp"):
        row, label = divmod(position, problem.classes)
        where = [int(i) for i in np.unravel_index(row, problem.loss_shape)] if problem.loss_shape else []
        return (*where[:1], label, *where[1:])
    return tuple(int(i) for i in np.unravel_index(position, shape)) if shape else ()


def _hex(x: float) -> str:
    return float(x).hex()


def digest_of(problem: Problem) -> str:
    """SHA-256 of the problem's values and options, whatever their layout in memory."""
    sha = hashlib.sha256()
    for name, array in problem.arrays().items():
        sha.update(f"{name}{array.shape}{array.dtype}".encode())
        sha.update(np.ascontiguousarray(array).tobytes())
    sha.update(f"{problem.ignore_index}/{problem.label_smoothing}/{problem.reduction}".encode())
    return sha.hexdigest()[:16]
