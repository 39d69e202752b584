"""Running cases: build the problem, let every subject compute it, judge them together, write down what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from xentcheck.adapters.base import Result, needed_options
from xentcheck.cases.build import build
from xentcheck.cases.case import Case, quantities_of
from xentcheck.diagnosis.suspects import EXAMINED, suspects, suspects_of_error
from xentcheck.errors import OracleError
from xentcheck.judging.comparisons import Submission, Verdict
from xentcheck.judging.conventions import seen
from xentcheck.judging.power.required import required
from xentcheck.judging.right_rows import RightRows, right_rows
from xentcheck.judging.verdict import Judgement
from xentcheck.records.failures import CHANGED, MISSING
from xentcheck.records.record import Record
from xentcheck.records.sizes import size_of
from xentcheck.reference.bounds import Bounds
from xentcheck.reference.formats import wider
from xentcheck.reference.oracle import Exact
from xentcheck.reference.problem import Problem, digest_of, index_of
from xentcheck.vocabulary import OVERWRITABLE

from .attempts import GIVEN_AS_ROWS, Attempt, attempt, given
from .subjects import Subject, contract_of, contracts_of
from .zeros import zeros_pass_from

MARGIN_POINTS = 32


def planned(cases: Sequence[Case], subjects: Sequence[Subject]) -> int:
    """How many records a run of these cases will have."""
    return sum(
        len(set(quantities_of(case)) & set(subject.adapter.capabilities.quantities))
        for case in cases
        for subject in subjects
        if subject.takes(case)
    )


def run_case(case: Case, subjects: Sequence[Subject]) -> list[Record]:
    """One record per subject that takes the case and per quantity; an `error` where the oracle has no exact value.

    Subjects that take no labels get, and are judged by, one-hot rows in their place.
    Raises CaseError if the case cannot be built.
    """
    takers = [s for s in subjects if s.takes(case)]
    if not takers:
        return []
    problem = build(case)
    records = _run_case(case, problem, [s for s in takers if s.adapter.capabilities.labels])
    for s in takers:
        if not s.adapter.capabilities.labels:
            rows = given(problem, s)
            notes = () if rows is problem else (GIVEN_AS_ROWS,)
            records += [replace(r, notes=(*r.notes, *notes)) for r in _run_case(case, rows, [s])]
    return records


def lost_case(case: Case, subjects: Sequence[Subject], reason: str) -> list[Record]:
    """One `crash` per subject that takes the case and per quantity: nobody knows whose it was."""
    problem = build(case)
    return [
        Record(
            **{**_base(problem, s, q, set()), "required": (), "replay": s.replay(case)},
            case=str(case),
            digest=digest_of(problem),
            outcome="crash",
            reason=reason,
        )
        for s in subjects
        if s.takes(case)
        for q in quantities_of(case)
        if q in s.adapter.capabilities.quantities
    ]


def _run_case(case: Case, problem: Problem, takers: Sequence[Subject]) -> list[Record]:
    if not takers:
        return []
    quantities = quantities_of(case)
    try:
        return run_problem(problem, str(case), quantities, [(s, s.replay(case)) for s in takers])
    except OracleError as error:
        return [
            Record(
                **{**_base(problem, s, q, set()), "required": (), "replay": s.replay(case)},
                case=str(case),
                digest=digest_of(problem),
                outcome="error",
                reason=f"OracleError: {error}",
            )
            for s in takers
            for q in quantities
            if q in s.adapter.capabilities.quantities
        ]


def run_problem(
    problem: Problem, name: str, quantities: Sequence[str], takers: Sequence[tuple[Subject, str]]
) -> list[Record]:
    """One record per subject and quantity; each subject comes with the line that runs the problem again.

    Raises OracleError if there is no exact value to judge by: no verdict on anybody.
    """
    alone = len(takers) == 1  # the call of another variant may write into what the one before has returned
    made = ((attempt(s, problem, quantities), replay) for s, replay in takers)
    attempts = [(a if alone else a.copied(), replay) for a, replay in made]
    judged = [a for a, _ in attempts if a.result is not None]
    right = {q: right_rows(problem, q) for q in quantities}
    verdicts = dict(zip(map(id, judged), _judge(problem, right, judged), strict=True))
    common = {"case": name, "digest": digest_of(problem)}
    records = []
    for a, replay in attempts:
        options = needed_options(problem) & a.subject.adapter.capabilities.options
        for q in a.quantities:
            own = {**_base(problem, a.subject, q, options), "warnings": a.warnings, "replay": replay}
            own["notes"] = _notes(a)
            own["result_dtype"] = _wider_result(problem, a, q)
            records.append(_record({**common, **own}, problem, right[q], a, q, verdicts.get(id(a), {}).get(q)))
    return records


def _judge(problem: Problem, right: dict[str, RightRows], attempts: Sequence[Attempt]) -> list[dict[str, Verdict]]:
    """Verdicts on each attempt; quantities of which the same rows are judged share an exact evaluation."""
    together: dict[bytes, list[str]] = {}
    for q, part in right.items():
        together.setdefault(b"" if part.rows is None else part.rows.tobytes(), []).append(q)
    found: list[dict[str, Verdict]] = [{} for _ in attempts]
    for quantities in together.values():
        subjects = []
        for a in attempts:
            assert a.result is not None
            values = {q: np.asarray(v) for q, v in a.result.values.items() if q in a.quantities and q in quantities}
            subjects.append(Submission(values, *contracts_of(a.subject, problem.dtype)))
        judgement = Judgement(problem, quantities, subjects, right[quantities[0]].rows)
        for mine, verdicts in zip(found, judgement.run(), strict=True):
            mine |= verdicts
    return found


def _base(problem: Problem, subject: Subject, quantity: str, options: set[str]) -> dict[str, Any]:
    adapter = subject.adapter
    place = (adapter.name, subject.variant, subject.device, problem.dtype)
    contract = contracts_of(subject, problem.dtype)[0][quantity].name
    size = problem.classes, int(np.prod(problem.loss_shape, dtype=np.int64))
    described = quantity, problem.target_kind, problem.reduction, options, problem.head, problem.dtype
    return {
        "adapter": adapter.name,
        "variant": subject.variant,
        "version": adapter.version(),
        "device": subject.device,
        "dtype": problem.dtype,
        "quantity": quantity,
        "group": "/".join((*place, quantity, problem.target_kind, problem.reduction)),
        "size": size_of(*size),
        "contract": contract,
        "required": required(*described, contract, size),
    }


def _wider_result(problem: Problem, a: Attempt, quantity: str) -> str:
    """The dtype of a result that is wider than the problem's, or an empty string."""
    if a.result is None or quantity not in a.result.values:
        return ""
    found = str(np.asarray(a.result.values[quantity]).dtype)
    return found if found in wider(problem.dtype) else ""


def _record(
    base: dict[str, Any],
    problem: Problem,
    right: RightRows,
    a: Attempt,
    quantity: str,
    verdict: Verdict | None,
) -> Record:
    if a.result is None:
        guess = suspects_of_error(a.reason) if a.outcome == "error" else ()
        return Record(**{**base, "required": ()}, outcome=a.outcome, reason=a.reason, suspects=guess)
    if verdict is None:
        return Record(**base, outcome="error", reason=f"{MISSING} {quantity}")
    got = np.asarray(a.result.values[quantity])
    if right.excused and not verdict.mismatch and not _harmed(a.result):
        reason = f"{right.excused.id}: {seen(got)}"
        return Record(**{**base, "required": ()}, outcome="convention", reason=reason, link=right.excused.seen)
    if not verdict.mismatch:
        base["notes"] += right.note(got, quantity)
    outcome, reason = _outcome(a.result, verdict)
    t, p = verdict.tally, verdict.power
    suspected = _suspects(problem, right, a, quantity, verdict) if outcome == "disagree" else ()
    within = _within(a, quantity, problem.dtype, verdict) if outcome == "disagree" else {}
    worst: dict[str, Any] = {}
    if t.elements:
        worst = {
            "share": t.share,
            "ulp": t.ulp,
            "index": index_of(problem, quantity, right.position(t.position, quantity, problem.classes)),
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
        within=within,
        ulp_counts=tuple(int(n) for n in t.ulp_counts),
        share_counts=tuple(int(n) for n in t.share_counts),
        margins=tuple(verdict.margins[:MARGIN_POINTS]),
        suspects=suspected,
    )


def _within(a: Attempt, quantity: str, dtype: str, verdict: Verdict) -> dict[str, int]:
    """The other contracts that allow what disagrees by the default; from how many classes on zeros pass under each."""
    assert a.result is not None
    if _harmed(a.result) or a.subject.adapter.declared_for(a.subject.device, dtype, quantity):
        return {}
    met = [name for name, share in verdict.shares.items() if share <= 1]
    return {name: zeros_pass_from(name, dtype, quantity) for name in met}


def _suspects(problem: Problem, right: RightRows, a: Attempt, quantity: str, verdict: Verdict) -> tuple[str, ...]:
    """The known mistakes that explain a disagreement."""
    assert a.result is not None
    if harmed := _harmed(a.result):
        return (f"E53: writes into its input {', '.join(harmed)}",)
    if verdict.mismatch:
        return (f"B26: {verdict.mismatch}",)
    if quantity not in EXAMINED:
        return ()
    got = np.asarray(a.result.values[quantity])
    contract = contract_of(a.subject, problem.dtype, quantity, got)
    bound = Bounds(Exact(problem), contract).evaluate([quantity])[quantity]
    plain, got, bound = right.without_others(problem, quantity, got, bound)
    return suspects(plain, quantity, got, bound)


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


def _hex(x: float) -> str:
    return float(x).hex()
