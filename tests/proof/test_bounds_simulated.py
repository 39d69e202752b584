"""Bounds against simulated arithmetic: each contract's own algorithm stays within it, and leaves the stronger ones."""

from __future__ import annotations

from collections import defaultdict
from functools import cache

import numpy as np
import pytest
from simulated import NUMPY_ULPS, algorithms, simulate

from xentcheck.cases import Case
from xentcheck.cases.build import build
from xentcheck.cases.families import FAMILIES
from xentcheck.cases.layer_families import LAYER_FAMILIES
from xentcheck.cases.profiles.named import cases
from xentcheck.judging.comparisons import Submission, Verdict
from xentcheck.judging.conventions import convention_of
from xentcheck.judging.verdict import Judgement
from xentcheck.reference.bounds.arithmetic import distinct
from xentcheck.reference.bounds.contracts import CATALOGUE, Contract
from xentcheck.reference.problem import Problem
from xentcheck.vocabulary import DTYPES

CONTRACTS = {name: contract.with_accuracy(*NUMPY_ULPS) for name, contract in CATALOGUE.items()}

WIDE = ("float64", "float32")
GRADED = ("float32", "bfloat16")
"""Where a test below asks for shares under all contracts; in float64, those of `EXCEEDED`."""

Shares = dict[tuple[str, str, str], float]
"""(algorithm, quantity, contract) -> largest error / bound."""


def judge(p: Problem, family: str) -> dict[str, dict[str, Verdict]]:
    """The verdicts of every algorithm, each under the contract it meets; with the shares that a test asks for."""
    found = algorithms(p.dtype)
    others: tuple[Contract, ...] = ()
    if p.head == "logits" and p.dtype in GRADED:
        others = distinct(tuple(CONTRACTS.values()), p.dtype)
    elif p.head == "logits" and p.dtype in WIDE:
        others = tuple(CONTRACTS[contract] for of, *_, contract in EXCEEDED.values() if of == family)
    subjects = [Submission(simulate(p, a), CONTRACTS[c], others) for a, c in found.items()]
    return dict(zip(found, Judgement(p, p.quantities, subjects).run(), strict=True))


LARGE = 4096
"""Cases of more classes take most of the time, and are judged nightly."""

FEW = 8
"""So many cases of a family are judged in the gate, and of the others each so many-th; all of them nightly."""

LONG = 1024
"""Cases of more classes are all judged in the gate: they tell trees of sums in storage from running sums."""


@cache
def chosen(family: str, dtype: str, head: str) -> tuple[list[Case], list[Case]]:
    """The quick cases of a family that the gate judges, and the others."""
    found = [
        case
        for case in cases("quick")
        if (case.family, case.dtype, bool(case.inputs)) == (family, dtype, head == "layer")
        and not (case.hidden or "dir" in case.options or len(case.shape) != 2 or case.shape[0] == 0)
    ]
    small = [case for case in found if case.classes <= LARGE]
    long = [case for case in small if case.classes > LONG]
    gate = list(dict.fromkeys((*small[:FEW], *small[FEW::FEW], *long)))
    return gate, [case for case in found if case not in set(gate)]


@cache
def measured(family: str, dtype: str, head: str, nightly: bool = False) -> tuple[Shares, dict[str, str]]:
    """Largest shares over cases of a family, and the comparisons that exceed their own contract."""
    shares: Shares = defaultdict(float)
    failures = {}
    for case in chosen(family, dtype, head)[nightly]:
        p = build(case)
        excused = {q for q in p.quantities if convention_of(p, q)}
        for algorithm, verdicts in judge(p, family).items():
            for q, v in verdicts.items():
                if q in excused:
                    continue
                if not v.agrees:
                    failures[f"{algorithm} {q} {case}"] = v.mismatch or f"share {v.tally.share}"
                for contract, share in v.shares.items():
                    shares[algorithm, q, contract] = max(shares[algorithm, q, contract], share)
    return shares, failures


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_algorithm_meets_its_contract(family: str, dtype: str) -> None:
    """No element of any quantity leaves the bound of the contract whose arithmetic produced it."""
    shares, failures = measured(family, dtype, "logits")
    assert {(a, q) for a, q, _ in shares} >= {(a, q) for a in algorithms(dtype) for q in ("a", "log_a", "dC/dz")}
    assert failures == {}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("family", LAYER_FAMILIES)
def test_every_algorithm_meets_its_contract_behind_a_layer(family: str, dtype: str) -> None:
    """The same for a layer that computes its logits itself: value, dC/db, dC/dw and dC/da_prev."""
    shares, failures = measured(family, dtype, "layer")
    assert {(a, q) for a, q, _ in shares} >= {
        (a, q) for a in algorithms(dtype) for q in ("cost", "dC/db", "dC/dw", "dC/da_prev")
    }
    assert failures == {}


@pytest.mark.nightly
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("family", "head"), [*((f, "logits") for f in FAMILIES), *((f, "layer") for f in LAYER_FAMILIES)]
)
def test_every_algorithm_meets_its_contract_in_all_cases(family: str, head: str, dtype: str) -> None:
    """The same in the cases that the gate leaves out, also those beyond 4096 classes, whose sums have bounds of their
    own.
    """
    assert measured(family, dtype, head, nightly=True)[1] == {}


EXCEEDED = {
    "log-sum-exp leaves fused in the loss, common-offset": ("common-offset", "fused-lse", "loss", "fused"),
    "log-sum-exp leaves fused in the loss, very-negative": ("very-negative", "fused-lse", "loss", "fused"),
    "log-sum-exp leaves stash in the loss": ("very-negative", "stash-lse", "loss", "stash"),
    "log-sum-exp leaves fused in log a": ("very-negative", "fused-lse", "log_a", "fused"),
    "exp of the stored log a leaves fused": ("deep", "stash", "dC/dz", "fused"),
    "exp of the stored log a leaves fused-lse": ("deep", "stash", "dC/dz", "fused-lse"),
    "exp(z - lse) leaves stash": ("very-negative", "stash-lse", "dC/dz", "stash"),
    "the row sum at the maximum leaves stash-lse": ("exact-ones", "autograd", "dC/dz", "stash-lse"),
}


@pytest.mark.parametrize("dtype", WIDE)
@pytest.mark.parametrize("name", EXCEEDED)
def test_weaker_arithmetic_leaves_the_stronger_contract(name: str, dtype: str) -> None:
    """Each step down the catalogue shows on the family that is there for it: a grade says something."""
    family, algorithm, quantity, contract = EXCEEDED[name]
    assert measured(family, dtype, "logits")[0][algorithm, quantity, contract] > 1.0


TIGHT = [
    ("a", "fused"),
    ("log_a", "fused"),
    ("loss", "fused"),
    ("dC/dz", "fused"),
    ("loss", "fused-lse"),
    ("dC/dz", "stash"),
]


@pytest.mark.parametrize("dtype", WIDE)
@pytest.mark.parametrize(("quantity", "algorithm"), TIGHT)
def test_bounds_are_tight(quantity: str, algorithm: str, dtype: str) -> None:
    """On some family the arithmetic uses at least half of its bound: the bounds are within a factor of 2."""
    contract = algorithms(dtype)[algorithm]
    found = [measured(family, dtype, "logits")[0][algorithm, quantity, contract] for family in FAMILIES]
    assert 0.5 <= max(found) <= 1.0


@pytest.mark.parametrize("dtype", GRADED)
def test_the_catalogue_grades_each_algorithm_as_itself(dtype: str) -> None:
    """The first contract that an algorithm meets on all families and quantities is the one it was written for.

    On logits in no order the maximum grows a few times only, which nobody notices of `online`.
    """
    grades = {}
    for algorithm in algorithms(dtype):
        worst: dict[str, float] = defaultdict(float)
        for family in FAMILIES:
            for (a, _, contract), share in measured(family, dtype, "logits")[0].items():
                if a == algorithm:
                    worst[contract] = max(worst[contract], share)
        grades[algorithm] = next(name for name in CATALOGUE if name in worst and worst[name] <= 1.0)
    assert grades == algorithms(dtype) | {"online": "stash-lse"}


@pytest.mark.parametrize(("dtype", "bits"), [("float64", 5), ("float32", 5), ("bfloat16", -2), ("float16", 2)])
def test_a_coarse_sum_exceeds_even_stable(dtype: str, bits: int) -> None:
    """Every contract of the catalogue rejects a sum of exponentials rounded to multiples of 2^-bits."""
    p = build(next(c for c in cases("quick") if c.family == "few-active" and c.dtype == dtype and c.shape == (5, 1003)))
    z = np.asarray(p.logits).astype(np.float64)
    e = np.exp(z - z.max(1, keepdims=True))
    total = np.ldexp(np.maximum(np.rint(np.ldexp(e.sum(1, keepdims=True), bits)), 1.0), -bits)
    subject = Submission({"a": (e / total).astype(dtype)}, CONTRACTS["stable"], tuple(CONTRACTS.values()))
    (verdicts,) = Judgement(p, ("a",), [subject]).run()
    assert min(verdicts["a"].shares.values()) > 1.0
