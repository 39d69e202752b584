"""What is written down of one comparison: who was asked, what it is worth, why it is wrong, and the record of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xentcheck.adapters.base import Result
from xentcheck.adapters.needs import needed_options
from xentcheck.diagnosis.suspects import EXAMINED, suspects_of, suspects_of_error
from xentcheck.judging.comparisons import Verdict
from xentcheck.judging.conventions import seen
from xentcheck.judging.metric import Spot
from xentcheck.judging.power.required import required
from xentcheck.judging.right_rows import RightRows
from xentcheck.records.facts import Facts, sentence
from xentcheck.records.record import Element, Record
from xentcheck.records.sizes import size_of
from xentcheck.reference.bounds import Bounds
from xentcheck.reference.bounds.contracts import Contract
from xentcheck.reference.formats import Array, wider
from xentcheck.reference.numbers.arrays import as_array
from xentcheck.reference.oracle import Exact
from xentcheck.reference.oracle.quantities import quantity_of
from xentcheck.reference.problem import Problem
from xentcheck.running.attempts import Attempt
from xentcheck.running.subjects import Subject, contracts_of
from xentcheck.vocabulary import OVERWRITABLE

from .zeros import zeros_pass_from


@dataclass(frozen=True)
class Asked:
    """What a subject says of itself, as far as a problem is concerned: contracts by quantity, and those for its grade.

    options: those that the problem makes use of, and it supports. declared: quantities whose contract is its own.
    """

    subject: Subject
    version: str
    options: frozenset[str]
    contracts: dict[str, Contract]
    others: tuple[Contract, ...]
    declared: frozenset[str]

    @classmethod
    def of(cls, problem: Problem, subject: Subject) -> Asked:
        """Asks its adapter."""
        adapter = subject.adapter
        options = frozenset(needed_options(problem) & adapter.capabilities.options)
        contracts, others = contracts_of(subject, problem.dtype)
        declared = (q for q in contracts if adapter.declared_for(subject.device, problem.dtype, q))
        others = others if subject.graded else ()
        return cls(subject, adapter.version(), options, contracts, others, frozenset(declared))


@dataclass(frozen=True)
class Found:
    """What the judge finds: the outcome, the facts that say why, and the fields of a record that follow.

    wrong: what disagrees, to be explained: problem, result and bound, plain in the rows that are not judged.
    """

    outcome: str
    facts: Facts
    fields: dict[str, Any]
    notes: tuple[str, ...] = ()
    wrong: tuple[Problem, Array, Array] | None = None


def described(problem: Problem, asked: Asked, quantity: str) -> dict[str, Any]:
    """The fields of a record that are known before anything is computed: who is asked for what, and judged by what."""
    subject, contract = asked.subject, asked.contracts[quantity].name
    adapter = subject.adapter
    place = (adapter.name, subject.variant, subject.device, problem.dtype)
    size = problem.classes, int(np.prod(problem.loss_shape, dtype=np.int64))
    described = quantity, problem.target_kind, problem.reduction, asked.options, problem.head, problem.dtype
    return {
        "adapter": adapter.name,
        "variant": subject.variant,
        "version": asked.version,
        "device": subject.device,
        "dtype": problem.dtype,
        "quantity": quantity,
        "group": "/".join((*place, quantity, problem.target_kind, problem.reduction)),
        "size": size_of(*size, problem.dtype),
        "contract": contract,
        "required": required(*described, contract, size),
    }


def wider_result(problem: Problem, a: Attempt, quantity: str) -> str:
    """The dtype of a result that is wider than the problem's, or an empty string."""
    if a.result is None or quantity not in a.result.values:
        return ""
    found = str(as_array(a.result.values[quantity]).dtype)
    return found if found in wider(problem.dtype) else ""


def found_of(
    problem: Problem, right: RightRows, a: Attempt, asked: Asked, quantity: str, verdict: Verdict | None
) -> Found:
    """What is found of one quantity, from what was tried and the verdict on it."""
    if a.result is None:
        return Found(a.outcome, a.facts, {"required": ()})
    if verdict is None:
        return Found("error", Facts(check="present"), {})
    got = as_array(a.result.values[quantity])
    if right.excused and not verdict.mismatch and not _harmed(a.result):
        facts = Facts(convention=right.excused.id, returned=seen(got))
        return Found("convention", facts, {"required": (), "link": right.excused.seen})
    notes = () if verdict.mismatch else right.note(got, quantity)
    notes += (verdict.note,) if verdict.note else ()
    outcome, facts = _outcome(a.result, verdict, quantity)
    t, p = verdict.tally, verdict.power
    fields: dict[str, Any] = {
        "elements": t.elements,
        "applicable": p.applicable,
        "rejected": p.rejected,
        "blind_fraction": p.blind_fraction,
        "shares": verdict.shares,
        "ulp_counts": tuple(int(n) for n in t.ulp_counts),
        "share_counts": tuple(int(n) for n in t.share_counts),
        "margins": tuple(verdict.margins),
    }
    if t.elements:
        worst, farthest = (_element(problem, right, quantity, spot) for spot in (t.worst, t.farthest))
        fields |= {"share": t.share, "ulp": t.ulp, **worst}
        if t.ulp and farthest["index"] != worst["index"]:
            fields["farthest"] = farthest
    if outcome != "disagree":
        return Found(outcome, facts, fields, notes)
    fields["within"] = _within(a.result, asked, quantity, problem.dtype, verdict)
    if facts.changed or facts.form or quantity not in EXAMINED or not asked.subject.explained:
        return Found(outcome, facts, fields, notes)
    contract = asked.contracts[quantity].returning(str(got.dtype), problem.dtype)
    bound = Bounds(Exact(problem), contract).evaluate([quantity])[quantity]
    return Found(outcome, facts, fields, notes, right.without_others(problem, quantity, np.asarray(got), bound))


def _element(problem: Problem, right: RightRows, quantity: str, spot: Spot) -> dict[str, Any]:
    """The fields of an element."""
    position = right.position(spot.position, quantity, problem.classes)
    index = quantity_of(quantity, problem).index(problem, position)
    return {"index": index, "got": _hex(spot.got), "expected": _hex(spot.expected), "bound": _hex(spot.bound)}


def _within(result: Result, asked: Asked, quantity: str, dtype: str, verdict: Verdict) -> dict[str, int]:
    """The other contracts that allow what disagrees by the default; from how many classes on zeros pass under each."""
    if _harmed(result) or quantity in asked.declared:
        return {}
    met = [name for name, share in verdict.shares.items() if share <= 1]
    return {name: zeros_pass_from(name, dtype, quantity) for name in met}


def suspected(attempts: Sequence[Attempt], quantities: Sequence[str], found: Sequence[Found]) -> list[tuple[str, ...]]:
    """The known mistakes that explain each failure; those of failures of the same problem are made once.

    attempts, quantities, found: one for each comparison.
    """
    told: list[tuple[str, ...]] = [_by_itself(a, one) for a, one in zip(attempts, found, strict=True)]
    together: dict[int, tuple[Problem, list[int], list[tuple[str, Array, Array]]]] = {}
    for i, (quantity, one) in enumerate(zip(quantities, found, strict=True)):
        if one.wrong is not None and not told[i]:
            problem, got, bound = one.wrong
            _, places, failures = together.setdefault(id(problem), (problem, [], []))
            places.append(i)
            failures.append((quantity, got, bound))
    for problem, places, failures in together.values():
        for i, causes in zip(places, suspects_of(problem, failures), strict=True):
            told[i] = causes
    return told


def _by_itself(a: Attempt, found: Found) -> tuple[str, ...]:
    """What needs no look at the numbers."""
    if a.result is None and found.outcome == "error":
        return suspects_of_error(a.told)
    if found.facts.changed:
        return (f"E53: writes into its input {', '.join(found.facts.changed)}",)
    if found.facts.form:
        return (f"B26: {sentence(found.facts, found.outcome)}",)
    return ()


def record_of(base: dict[str, Any], found: Found, told: str, causes: tuple[str, ...]) -> Record:
    """The record, whose reason is written from the facts; told: what the implementation says where it has no result."""
    elements = found.fields.get("elements", 0)
    reason = sentence(found.facts, found.outcome, base["quantity"], elements=elements, told=told)
    known = {**base, **found.fields, **found.facts.given()}
    if farthest := found.fields.get("farthest"):
        known["farthest"] = Element(**farthest)
    return Record(**known, outcome=found.outcome, reason=reason, suspects=causes)


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


def _hex(x: float) -> str:
    return float(x).hex()
