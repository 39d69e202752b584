"""What is written down of one comparison: its outcome, the facts that say why, its numbers, and suspected causes."""

from __future__ import annotations

from typing import Any

import numpy as np

from xentcheck.adapters.base import Result
from xentcheck.diagnosis.suspects import EXAMINED, suspects, suspects_of_error
from xentcheck.judging.comparisons import Verdict
from xentcheck.judging.conventions import Convention, seen
from xentcheck.judging.power.required import required
from xentcheck.judging.right_rows import RightRows
from xentcheck.records.facts import Facts, sentence
from xentcheck.records.record import Record
from xentcheck.records.sizes import size_of
from xentcheck.reference.bounds import Bounds
from xentcheck.reference.formats import wider
from xentcheck.reference.oracle import Exact
from xentcheck.reference.problem import Problem, index_of
from xentcheck.running.attempts import Attempt
from xentcheck.running.subjects import Subject, contract_of, contracts_of
from xentcheck.vocabulary import OVERWRITABLE

from .zeros import zeros_pass_from

MARGIN_POINTS = 32
"""Rows whose margin and error a record keeps."""


def described(problem: Problem, subject: Subject, quantity: str, options: set[str]) -> dict[str, Any]:
    """The fields of a record that are known before anything is computed: who is asked for what, and judged by what."""
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


def wider_result(problem: Problem, a: Attempt, quantity: str) -> str:
    """The dtype of a result that is wider than the problem's, or an empty string."""
    if a.result is None or quantity not in a.result.values:
        return ""
    found = str(np.asarray(a.result.values[quantity]).dtype)
    return found if found in wider(problem.dtype) else ""


def record_of(
    base: dict[str, Any],
    defined: RightRows,
    a: Attempt,
    quantity: str,
    verdict: Verdict | None,
    conv: Convention | None,
) -> Record:
    """The record of one quantity, from what was tried and the verdict on it."""
    problem = defined.problem
    if a.result is None:
        guess = suspects_of_error(a.told) if a.outcome == "error" else ()
        why = {**a.facts.given(), "reason": a.reason}
        return Record(**{**base, "required": ()}, **why, outcome=a.outcome, suspects=guess)
    if verdict is None:
        return Record(**base, outcome="error", **_why(Facts(check="present"), "error", quantity))
    if conv is not None and not verdict.mismatch and not _harmed(a.result):
        facts = Facts(convention=conv.id, returned=seen(np.asarray(a.result.values[quantity])))
        why = _why(facts, "convention", quantity)
        return Record(**{**base, "required": ()}, **why, outcome="convention", link=conv.seen)
    outcome, facts = _outcome(a.result, verdict, quantity)
    t, p = verdict.tally, verdict.power
    suspected = _suspects(defined, a, quantity, verdict) if outcome == "disagree" else ()
    within = _within(a, quantity, problem.dtype, verdict) if outcome == "disagree" else {}
    worst: dict[str, Any] = {}
    if t.elements:
        worst = {
            "share": t.share,
            "ulp": t.ulp,
            "index": defined.index(index_of(problem, quantity, t.position)),
            "got": _hex(t.got),
            "expected": _hex(t.expected),
            "bound": _hex(t.bound),
        }
    return Record(
        **base,
        **worst,
        **_why(facts, outcome, quantity, t.elements),
        outcome=outcome,
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


def _suspects(defined: RightRows, a: Attempt, quantity: str, verdict: Verdict) -> tuple[str, ...]:
    """The known mistakes that explain a disagreement."""
    assert a.result is not None
    if harmed := _harmed(a.result):
        return (f"E53: writes into its input {', '.join(harmed)}",)
    if verdict.mismatch:
        return (f"B26: {sentence(verdict.mismatch, 'disagree')}",)
    if quantity not in EXAMINED:
        return ()
    problem = defined.problem
    contract = contract_of(a.subject, problem.dtype, quantity, a.result.values[quantity])
    bound = Bounds(Exact(problem), contract).evaluate([quantity])[quantity]
    return suspects(problem, quantity, defined.of(np.asarray(a.result.values[quantity]), quantity), bound)


def _harmed(result: Result) -> list[str]:
    """The inputs that the call overwrote and must not."""
    return [name for name in result.changed_inputs if name not in OVERWRITABLE]


def notes_of(a: Attempt) -> tuple[str, ...]:
    """What is shown of a call beside its outcome."""
    found = [name for name in a.result.changed_inputs if name in OVERWRITABLE] if a.result else []
    said = a.subject.adapter.overwrites
    return tuple(f"overwrites its {name}, {'as' if name in said else 'which is not'} declared" for name in found)


def _outcome(result: Result, verdict: Verdict, quantity: str) -> tuple[str, Facts]:
    """Outcome and facts, by precedence: disagree, vacuous, trivial, agree."""
    if harmed := _harmed(result):
        return "disagree", Facts(check="inputs", changed=tuple(harmed))
    if verdict.mismatch:
        return "disagree", verdict.mismatch
    if not verdict.agrees:
        return "disagree", Facts(check=f"bound of {quantity}", failing=verdict.tally.failing)
    if "zero" in verdict.power.applicable:
        return ("agree" if "zero" in verdict.power.rejected else "vacuous"), Facts()
    return "trivial", Facts()


def _why(facts: Facts, outcome: str, quantity: str, elements: int = 0) -> dict[str, Any]:
    """The fields of a record that say why it has its outcome: the facts, and the sentence that they make."""
    return {**facts.given(), "reason": sentence(facts, outcome, quantity, elements=elements)}


def _hex(x: float) -> str:
    return float(x).hex()
