"""What disagrees by the default, and meets a weaker contract, says so; and what that contract would let pass."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from samples import record, run

from xentcheck import adapters
from xentcheck.adapters import base
from xentcheck.cases import Case
from xentcheck.cases.build import build
from xentcheck.judging.undecided import doubt_of, rejects_zeros
from xentcheck.records.record import Record
from xentcheck.reference import cross_entropy, cross_entropy_grad
from xentcheck.reference.bounds import bound
from xentcheck.reference.bounds.contracts import CATALOGUE
from xentcheck.reference.oracle import Exact
from xentcheck.reference.problem import Problem
from xentcheck.reports.analysis.summary import summarize
from xentcheck.reports.analysis.weaker import weaker
from xentcheck.reports.formats.markdown import markdown
from xentcheck.reports.formats.terminal import print_summary
from xentcheck.reports.formats.write import to_json
from xentcheck.running.comparison import run_case
from xentcheck.running.comparison.zeros import CLASS_COUNTS, case_of, zeros_pass_from
from xentcheck.running.subjects import subjects_of

CASE = Case.parse("gaussian.5x10.bf16.index.plain.mean.up-one.contig.s0")
CONTRACTS = tuple(CATALOGUE)


def judged(function: Any, monkeypatch: pytest.MonkeyPatch, **declared: Any) -> Record:
    """The gradient's record, with `fused` as the default, so that the default is exceeded by little."""
    monkeypatch.setattr(base, "DEFAULT", "fused")
    adapter = adapters.from_numpy(function, reductions=["mean"], **declared)
    (found,) = (r for r in run_case(CASE, subjects_of(adapter)) if r.quantity == "dC/dz")
    return found


def stored(logits: Any, target: Any, **options: Any) -> Any:
    """log a is rounded to storage before its exponential is taken: beyond `fused`, within `stash`."""
    z = logits.astype(np.float32)
    z = z - z.max(1, keepdims=True)
    log_a = (z - np.log(np.exp(z).sum(1, keepdims=True))).astype(logits.dtype).astype(np.float32)
    gradient = (np.exp(log_a) - np.eye(z.shape[1])[target]) / len(z)
    return cross_entropy(logits, target), gradient.astype(logits.dtype)


def negated(logits: Any, target: Any, **options: Any) -> Any:
    return cross_entropy(logits, target), -cross_entropy_grad(logits, target)


def overwriting(logits: Any, target: Any, **options: Any) -> Any:
    found = stored(logits, target)
    target[...] = 0
    return found


def narrow(logits: Any, target: Any, **options: Any) -> Any:
    value, gradient = stored(logits, target)
    return value, gradient.astype(np.float16)


def test_a_record_names_the_contracts_that_allow_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those under which no element exceeds its bound, and how many classes they let zeros pass from."""
    found = judged(stored, monkeypatch)
    assert found.outcome == "disagree"
    assert {name for name, share in found.shares.items() if share <= 1} == set(found.within) > {"stash"}
    assert found.within["stash"] == 0
    assert found.within["storage-accumulate"] == 129
    assert Record.from_json(found.to_json()) == found


def test_what_exceeds_a_contract_by_half_is_not_within_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what is within a bound is allowed by it."""
    monkeypatch.setattr(base, "DEFAULT", "fused")
    case = Case.parse("gaussian.5x10.f32.index.plain.mean.up-one.contig.s0")
    p = build(case)
    wrong = Exact(p).evaluate(["dC/dz"])["dC/dz"][0] + 1.5 * bound("dC/dz", p, "stash")
    adapter = adapters.from_numpy(lambda z, y, **options: (cross_entropy(z, y), wrong.astype(z.dtype)), name="beyond")
    (found,) = (r for r in run_case(case, subjects_of(adapter)) if r.quantity == "dC/dz")
    assert found.outcome == "disagree"
    assert 1.0 < found.shares["stash"] < 2.0
    assert set(found.within) == {name for name, share in found.shares.items() if share <= 1}


def test_a_record_that_nothing_weaker_excuses_names_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong gradient, overwritten labels, another dtype; and whatever is declared, if only the same contract."""
    for function in (negated, overwriting, narrow):
        found = judged(function, monkeypatch)
        assert found.outcome == "disagree"
        assert not found.within
    declared = judged(stored, monkeypatch, contract="fused")
    assert declared.outcome == "disagree"
    assert not declared.within


def bad(case: str, within: dict[str, int], **more: Any) -> Record:
    """A comparison that disagrees by `fused`, and does not under the contracts named."""
    shares = {"fused": 2.0} | {name: 0.5 if name in within else 2.0 for name in CONTRACTS[1:]}
    given: dict[str, Any] = {"outcome": "disagree", "dtype": "bfloat16", "quantity": "dC/dz", "contract": "fused"}
    given |= {"case": case, "within": within, "shares": shares, "share": 2.0}
    return replace(record(), **{**given, **more})


BOTH = {"storage": 0, "storage-accumulate": 129}


def test_the_summary_says_what_to_declare() -> None:
    """The first contract that allows every comparison there; on the terminal, in Markdown and in JSON."""
    records = bad("x", BOTH), bad("y", {"storage-accumulate": 129})
    (found,) = weaker(records, CONTRACTS)
    assert found.endswith(
        "bfloat16 gradient: 2 disagreements are within `storage-accumulate`, under which a zero gradient passes from "
        "129 classes on; declare it if that is meant: --contract bfloat16=storage-accumulate"
    )
    plain = run(*records)
    whole = replace(plain, header=replace(plain.header, catalogue=CONTRACTS))
    assert summarize(whole).weaker == (found,)
    assert not summarize(whole).ok
    assert found in summarize(whole).explanation()
    console = Console(file=io.StringIO(), width=100)
    print_summary(whole, console)
    assert found in console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO
    assert found.partition(": ")[2].partition("`")[0] in markdown(whole)
    assert "--contract bfloat16=storage-accumulate" in to_json(whole)
    (one,) = weaker([bad("x", BOTH)], CONTRACTS)
    assert "1 disagreement is within `storage`, under which a zero gradient does not pass; declare it " in one
    (value,) = weaker([bad("x", BOTH, quantity="cost")], ["storage-accumulate"])
    assert "loss: 1 disagreement is within `storage-accumulate`, under which cost of zeros passes from 129 " in value
    (first,) = weaker([bad("x", BOTH, quantity="cost"), bad("y", BOTH, quantity="loss")], ["storage-accumulate"])
    assert "under which cost of zeros passes from 129 " in first


@pytest.mark.parametrize(
    "other",
    [
        bad("y", {}),
        bad("y", {"fused-lse": 0}),
        replace(bad("y", {}), outcome="agree", share=0.5),
        replace(bad("y", {}), shares={}),
        bad("y", BOTH, outcome="disagree", shares={"fused": 2.0}),
    ],
    ids=["beyond all", "within another", "agrees by this alone", "of another shape", "not tried"],
)
def test_one_comparison_beyond_it_ends_the_advice(other: Record) -> None:
    """What would still disagree is no other arithmetic; elsewhere it makes no difference."""
    assert weaker([bad("x", BOTH), other], CONTRACTS) == ()
    for away in ({"dtype": "float16"}, {"quantity": "cost"}, {"device": "cuda"}, {"variant": "jit"}):
        assert len(weaker([bad("x", BOTH), replace(other, **away)], CONTRACTS)) >= 1


def test_agreement_and_deviations_need_no_advice() -> None:
    """Nothing disagrees."""
    right = replace(bad("y", {}), outcome="agree", share=0.5)
    assert weaker([right, replace(bad("x", BOTH), outcome="deviation")], CONTRACTS) == ()
    assert len(weaker([bad("x", BOTH), replace(bad("y", {}), outcome="deviation")], CONTRACTS)) == 1


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_the_number_of_classes_is_where_zeros_begin_to_pass(dtype: str) -> None:
    """Computed: on the step before it zeros are rejected, on it and on all that follow they pass."""
    contract = CATALOGUE["storage-accumulate"]
    first = zeros_pass_from(contract.name, dtype, "dC/dz")
    at = CLASS_COUNTS.index(first)
    found = [rejects_zeros(build(case_of(n, dtype, "dC/dz")), "dC/dz", contract) for n in CLASS_COUNTS[at - 1 : at + 3]]
    assert found == [True, False, False, False]
    assert first == {"bfloat16": 129, "float16": 1025}[dtype]  # a sum of so many terms in storage errs by its size


def test_contracts_that_decide_at_every_size_say_so() -> None:
    """0: a zero is noticed up to the largest number of classes; wide dtypes lose nothing by storing."""
    for contract, dtype in (("fused", "bfloat16"), ("storage", "float16"), ("storage-accumulate", "float64")):
        assert zeros_pass_from(contract, dtype, "dC/dz") == 0


def test_a_loss_that_overflows_decides_nothing_of_others() -> None:
    """Infinity is right for the first row, and for the second zeros would pass: that is told all the same."""
    z = np.array([[6e4, -6e4], [200.0, 0.0]], np.float16)
    p = Problem(logits=z, target=np.array([1, 0]), reduction="none", upstream=np.ones(2, np.float16))
    doubt = doubt_of(p, "loss", np.array([np.inf, 0.0], np.float16), CATALOGUE["stable"], vacuous=True)
    assert doubt is not None
    assert doubt.reason.startswith("a result of zeros would pass as well under `stable` (float16, 2 classes): ")
