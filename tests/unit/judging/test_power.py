"""Power: closed-form deltas against the wrong answers themselves (`wrong_answers`), and what counts as rejected."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from wrong_answers import everything

from xentcheck import adapters
from xentcheck.cases import Case
from xentcheck.cases.build import build
from xentcheck.cases.profiles.sets import OPTION_SETS
from xentcheck.judging.comparisons import Submission
from xentcheck.judging.power.measure import NEGLIGIBLE, THRESHOLD, Power, largest, ratio
from xentcheck.judging.power.required import required
from xentcheck.judging.verdict import Judgement
from xentcheck.records.record import Record
from xentcheck.reference.bounds import bound
from xentcheck.reference.bounds.contracts import CATALOGUE
from xentcheck.reference.bounds.gradient import GradientBounds
from xentcheck.reference.oracle import Exact
from xentcheck.reference.problem import Problem
from xentcheck.reports.analysis.power import power_of
from xentcheck.running.comparison import run_case
from xentcheck.running.subjects import subjects_of
from xentcheck.vocabulary import DTYPES, QUANTITIES, REDUCTIONS

FUSED = CATALOGUE["fused"]
OPTIONS = (*OPTION_SETS, ("index", ("wn", "ls", "ign1")), ("index", ("wz", "ls")))
HEADS: dict[str, dict[str, int]] = {"logits": {}, "square-layer": {"inputs": 7}, "network": {"inputs": 4, "hidden": 3}}


def powers(p: Problem) -> dict[str, Power]:
    """The power of each quantity's comparison under `fused`."""
    values = {q: np.zeros(p.shapes[q], p.dtype) for q in p.quantities}
    judgement = Judgement(p, p.quantities, [Submission(values, FUSED, storage=p.dtype)])
    judgement.run()
    return {q: judgement.powers[q, FUSED] for q in p.quantities}


def problems(family: str, **fields: Any) -> Iterator[Problem]:
    """Every option set with every reduction."""
    for target, options in OPTIONS:
        for reduction in REDUCTIONS:
            upstream = "rand" if reduction == "none" else "neg"
            common = {"target": target, "options": options, "reduction": reduction, "upstream": upstream}
            yield build(Case(**{"family": family, "shape": (5, 7), "dtype": "float32"} | common | fields))


def ratio_of(right: Any, wrong: Any, limit: Any) -> tuple[float, float]:
    """Largest |wrong - right| / bound, and what the arrays' own rounding (below NEGLIGIBLE of them) makes of it."""
    with np.errstate(all="ignore"):
        delta = np.where((wrong == right) | np.isnan(right), 0.0, np.abs(wrong - right))
        delta = np.where(np.isnan(delta), np.inf, delta)
        exact = np.where(delta == 0, 0.0, delta / limit)
        slack = NEGLIGIBLE * (np.abs(wrong) + np.abs(right)) / limit
    return float(exact.max()), float(slack[np.isfinite(slack)].max(initial=0.0))


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("family", ["gaussian", "ties", "few-active", "common-offset", "masked"])
def test_deltas_are_wrong_minus_right(family: str, head: str) -> None:
    """For every standard wrong answer the closed form finds the array's largest |wrong - right| / bound."""
    if head != "logits" and family == "ties":
        family = "dyadic"
    for p in problems(family, **HEADS[head]):
        found, answers = powers(p), everything(p)
        for quantity in p.quantities:
            right, wrong = answers[quantity]
            limit = bound(quantity, p, FUSED)
            ratios = found[quantity].ratios
            assert set(ratios) <= set(wrong)
            for name, answer in wrong.items():
                if quantity in ("a", "log_a"):  # a masked class is not said to tell what is not finite
                    answer = np.where(np.isneginf(p.logits) & ~np.isfinite(answer), right, answer)
                expected, slack = ratio_of(right, answer, limit)
                got = ratios.get(name, 0.0)
                assert got == expected or abs(got - expected) <= slack, (quantity, name, p.target_kind, p.reduction)


@pytest.mark.parametrize("head", HEADS)
def test_every_required_wrong_answer_is_built(head: str) -> None:
    """The arrays of the test above cover all that a group may be required to reject."""
    for p in problems("gaussian", **HEADS[head]):
        answers = everything(p)
        options = {"weight"} if p.weight is not None else set()
        options |= {"label_smoothing"} if p.label_smoothing else set()
        options |= {"ignore_index"} if not p.kept.all() else set()
        for quantity in p.quantities:
            needed = set(required(quantity, p.target_kind, p.reduction, options | {"upstream"}, head, p.dtype))
            assert needed - {"transposed"} <= set(answers[quantity][1])


COINCIDING = {
    "upstream_ignored, upstream is 1": ("mean", "one", (5, 7), "dC/dz", "upstream_ignored"),
    "first_upstream, all upstreams are equal": ("none", "neg", (5, 7), "dC/dz", "first_upstream"),
    "not_divided, one row": ("mean", "one", (1, 7), "dC/dz", "not_divided"),
    "not_divided, one row's cost": ("mean", "one", (1, 7), "cost", "not_divided"),
    "divided_by_n, nothing ignored": ("mean", "one", (5, 7), "dC/dz", "divided_by_n"),
    "divided_by_n, nothing ignored in the cost": ("mean", "one", (5, 7), "cost", "divided_by_n"),
    "zero gradient, one class": ("mean", "one", (5, 1), "dC/dz", "zero"),
    "zero cost, one class": ("mean", "one", (5, 1), "cost", "zero"),
}


@pytest.mark.parametrize("name", COINCIDING)
def test_wrong_answers_that_coincide_are_not_applicable(name: str) -> None:
    """Where the fault changes nothing, delta is exactly 0 and the comparison is not said to tell it."""
    reduction, upstream, shape, quantity, wrong = COINCIDING[name]
    p = build(Case(family="gaussian", shape=shape, dtype="float64", reduction=reduction, upstream=upstream))
    assert wrong not in powers(p)[quantity].applicable
    other = {"first_upstream": "rand", "upstream_ignored": "neg"}.get(wrong, upstream)
    options = ("ign",) if wrong == "divided_by_n" else ()
    apart = Case(family="gaussian", shape=(5, 7), dtype="float64", reduction=reduction, upstream=other, options=options)
    assert wrong in powers(build(apart))[quantity].rejected


def test_power_does_not_depend_on_the_row_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ratios found a row at a time are those found at once (but for softmax columns, which need all rows)."""
    for p in problems("gaussian"):
        whole = powers(p)
        monkeypatch.setattr("xentcheck.reference.oracle.exact.BLOCK", 7)
        parts = powers(p)
        monkeypatch.undo()
        for quantity in set(p.quantities) - {"a", "log_a"}:
            assert parts[quantity].applicable == whole[quantity].applicable
            for name, value in whole[quantity].ratios.items():
                other = parts[quantity].ratios[name]
                assert other == value or abs(other - value) <= NEGLIGIBLE * value
            assert (parts[quantity].blind, parts[quantity].nonzero) == (whole[quantity].blind, whole[quantity].nonzero)


@pytest.mark.parametrize(
    ("delta", "limit", "applicable", "rejected"),
    [
        (0.0, 1.0, False, False),
        (1.0, 1.0, True, False),
        (2.0, 1.0, True, False),
        (np.nextafter(2.0, 3.0), 1.0, True, True),
        (1e-300, 0.0, True, True),
        (0.0, 0.0, False, False),
        (1e300, np.inf, True, False),
        (np.inf, 1.0, True, True),
        (np.inf, np.inf, True, False),
    ],
    ids=["same", "at-bound", "twice", "beyond-twice", "bound-0", "0/0", "bound-inf", "delta-inf", "inf/inf"],
)
def test_rejected_means_beyond_twice_the_bound(delta: float, limit: float, applicable: bool, rejected: bool) -> None:
    """A wrong answer is told iff delta is not 0, rejected iff |delta| > 2 bound; an infinite bound rejects nothing."""
    assert THRESHOLD == 2.0
    power = Power()
    power.note("wrong", largest(np.array([0.0, -delta]), np.array([1.0, limit])))
    assert bool(power.applicable) == applicable
    assert bool(power.rejected) == rejected


def test_ratios_of_no_elements_are_0() -> None:
    """An empty comparison tells nothing."""
    assert largest(np.zeros((0, 3)), np.zeros((0, 3))) == 0.0
    assert ratio(np.array([3.0]), np.array([2.0])).tolist() == [1.5]


def test_the_blind_fraction_runs_over_elements_that_are_not_0() -> None:
    """Elements whose exact value is 0 do not count; those that are at most their bound could be zeroed unnoticed."""
    power = Power()
    assert power.blind_fraction is None
    power.count_blind(np.array([0.0, 1.0, 1.0, -4.0, np.inf]), np.array([1.0, 1.0, 0.5, np.inf, 1.0]))
    assert (power.nonzero, power.blind, power.blind_fraction) == (3, 2, 2 / 3)


def test_an_inflated_bound_is_blind() -> None:
    """The same comparison with a bound that was weakened too far rejects nothing: power notices a useless check."""
    p = build(Case(family="gaussian", shape=(5, 7), dtype="float32"))
    right, wrong = everything(p)["dC/dz"]
    limit = bound("dC/dz", p, FUSED)
    for scale, rejects in ((1.0, True), (1e9, False)):
        power = Power()
        for name, answer in wrong.items():
            power.note(name, largest(answer - right, scale * limit))
        assert bool(power.rejected) == rejects
        assert "zero" in power.applicable


def outcome(case: str, quantity: str) -> Record:
    """The record of one comparison of the NumPy adapter."""
    records = run_case(Case.parse(case), subjects_of(adapters.get("numpy")))
    return next(r for r in records if r.quantity == quantity)


@pytest.mark.parametrize(
    ("case", "quantity", "expected"),
    [
        ("gaussian.5x10.f32.index.plain.mean.up-one.contig.s0", "dC/dz", "agree"),
        ("saturated-hit.5x10.f32.index.plain.mean.up-one.contig.s0", "cost", "vacuous"),
        ("saturated-hit.5x10.f32.index.plain.mean.up-one.contig.s0", "dC/dz", "vacuous"),
        ("near-overflow.64x10.f32.index.plain.sum.up-one.contig.s0", "cost", "vacuous"),
        ("gaussian.5x1.f32.index.plain.mean.up-one.contig.s0", "dC/dz", "trivial"),
        ("gaussian.5x1.f32.index.plain.mean.up-one.contig.s0", "cost", "trivial"),
        ("gaussian.0x10.f32.index.plain.sum.up-one.contig.s0", "dC/dz", "trivial"),
    ],
)
def test_zero_is_vacuous_where_wrong_and_trivial_where_right(case: str, quantity: str, expected: str) -> None:
    """Saturated answers and infinite bounds are vacuous, one class and no rows trivial; neither counts as agreement."""
    record = outcome(case, quantity)
    assert record.outcome == expected
    assert ("zero" in record.applicable) == (expected != "trivial")
    assert ("zero" in record.rejected) == (expected == "agree")


GRADIENT = ("zero", "negated", "doubled", "halved", "onehot_dropped", "last_column_dropped", "last_row_dropped")
VALUE = ("zero", "negated", "times_1_001", "without_largest_term")
SECOND = ("zero", "negated", "doubled", "halved", "rank_one_dropped", "last_column_dropped")
EVERY = ("weight", "label_smoothing", "ignore_index", "upstream")
OWN = ("weights_left_out", "smoothing_left_out")
TABLE: dict[str, tuple[tuple[str, str, str, tuple[str, ...], str], tuple[str, ...]]] = {
    "a": (("a", "index", "mean", EVERY, "logits"), ("zero", "unnormalised", "wrong_axis", "shifted", "times_1_001")),
    "log_a": (
        ("log_a", "index", "mean", EVERY, "logits"),
        ("zero", "negated", "unnormalised", "wrong_axis", "shifted"),
    ),
    "gradient-plain-sum": (("dC/dz", "index", "sum", (), "logits"), (*GRADIENT, "offtarget_zeroed")),
    "gradient-all-mean": (
        ("dC/dz", "smoothed", "mean", EVERY, "logits"),
        (*GRADIENT, "offtarget_zeroed", "not_divided", "divided_by_n", *OWN, "ignored_rows_leak", "upstream_ignored"),
    ),
    "gradient-all-none": (
        ("dC/dz", "smoothed", "none", EVERY, "logits"),
        (*GRADIENT, "offtarget_zeroed", *OWN, "ignored_rows_leak", "upstream_ignored", "first_upstream"),
    ),
    "gradient-probabilities": (
        ("dC/dz", "probabilities", "mean", ("weight",), "logits"),
        (*GRADIENT, "not_divided", "weights_left_out"),
    ),
    "dC/dw-layer": (("dC/dw", "index", "sum", (), "layer"), (*GRADIENT, "offtarget_zeroed", "transposed")),
    "dC/dw-network": (("dC/dw", "index", "sum", (), "network"), (*GRADIENT, "offtarget_zeroed")),
    "dC/db-layer": (("dC/db", "index", "sum", (), "layer"), (*GRADIENT, "offtarget_zeroed")),
    "cost-all": (
        ("cost", "smoothed", "mean", EVERY, "logits"),
        (*VALUE, "not_divided", "divided_by_n", *OWN, "ignored_rows_counted"),
    ),
    "cost-plain": (("cost", "index", "mean", (), "logits"), (*VALUE, "not_divided")),
    "cost-ignored": (
        ("cost", "index", "mean", ("ignore_index",), "logits"),
        (*VALUE, "not_divided", "divided_by_n", "ignored_rows_counted"),
    ),
    "gradient-ignored": (
        ("dC/dz", "index", "mean", ("ignore_index",), "logits"),
        (*GRADIENT, "offtarget_zeroed", "not_divided", "divided_by_n", "ignored_rows_leak"),
    ),
    "loss": (("loss", "index", "none", ("upstream",), "logits"), (*VALUE, "last_row_dropped")),
    "hvp": (
        ("hvp", "index", "mean", EVERY, "logits"),
        (*SECOND, "not_divided", "upstream_ignored"),
    ),
    "hvp-plain": (("hvp", "probabilities", "sum", ("weight",), "logits"), SECOND),
}


@pytest.mark.parametrize("name", TABLE)
def test_the_table_of_requirements(name: str) -> None:
    """What a group must reject is this static table, whatever cases were drawn."""
    arguments, expected = TABLE[name]
    assert sorted(required(*arguments, "float32")) == sorted(expected)
    coarse = ["times_1_25" if name == "times_1_001" else name for name in expected]
    assert sorted(required(*arguments, "bfloat16")) == sorted(coarse)


def excused(quantity: str, kind: str, dtype: str, contract: str, classes: int, rows: int) -> dict[str, str]:
    """What need not be rejected, and what has to be in its place: these and nothing else."""
    found = excused_by_contract(quantity, dtype, contract, classes, rows)
    terms = {"loss": classes, "cost": classes * rows}.get(quantity, 0) if kind == "probabilities" else 0
    return found | ({"without_largest_term": ""} if terms > 4096 and dtype in ("bfloat16", "float16") else {})


def excused_by_contract(quantity: str, dtype: str, contract: str, classes: int, rows: int) -> dict[str, str]:
    """The same for targets of any kind."""
    if (quantity, dtype, contract) == ("hvp", "bfloat16", "stable"):
        return {"halved": ""}
    if (quantity, dtype) == ("cost", "bfloat16") and rows > 100:
        in_storage = contract in ("stash-sum", "decisive", "storage-accumulate", "stable")
        return {"times_1_25": "times_1_5"} if in_storage else {}
    overflows = quantity in ("loss", "cost") and dtype == "float16" and classes > 30000
    return {"smoothing_left_out": ""} if overflows else {}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("contract", CATALOGUE)
def test_nothing_else_is_excused_by_its_contract_or_size(contract: str, dtype: str) -> None:
    """A wrong answer that no group need reject is one that nobody looks for."""
    for quantity, kind, reduction in product(QUANTITIES, ("index", "smoothed", "probabilities"), REDUCTIONS):
        given = quantity, kind, reduction, EVERY, "logits", dtype
        for size in product((2, 30, 30000, 30001), (1, 100, 101, 4097)):
            but_for = excused(quantity, kind, dtype, contract, *size)
            expected = [but_for.get(name, name) for name in required(*given)]
            assert list(required(*given, contract, size)) == list(filter(None, expected)), (given, size)


def test_a_blind_group_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """With bounds of dC/dz that are 1e12 times too large the group is blind to all that it must reject, and only it."""
    case = Case(family="few-active", shape=(5, 10), dtype="float32", reduction="none", upstream="rand")
    subjects = subjects_of(adapters.get("numpy"))
    assert [g.name for g in power_of(run_case(case, subjects)).groups() if g.blind] == []
    added = GradientBounds._with_what_is_added
    monkeypatch.setattr(GradientBounds, "_with_what_is_added", lambda *given: 1e12 * added(*given))
    blind = [g for g in power_of(run_case(case, subjects)).groups() if g.blind]
    assert len(blind) == 2  # its kind, and its size
    assert all("/dC/dz/" in g.name and {"zero", "negated", "offtarget_zeroed"} <= set(g.blind) for g in blind)
    assert [g.undecided for g in blind].count(True) == 1


def test_wrong_derivatives_are_multiples_of_the_right_one() -> None:
    """Along a direction, half of it is half as far from it as zeros are, and the negative twice as far."""
    rng = np.random.default_rng(0)
    z, v = rng.standard_normal((2, 4, 7)).astype(np.float32)
    p = Problem(logits=z, target=np.array([0, 3, 6, 3]), v=v)
    found, exact = powers(p), Exact(p).evaluate(("jvp", "hvp"))
    for quantity in ("jvp", "hvp"):
        ratios = found[quantity].ratios
        largest = np.max(np.abs(exact[quantity][0]) / bound(quantity, p, "fused"))
        assert ratios["zero"] == pytest.approx(largest)
        assert 0 < ratios["zero"] == ratios["doubled"] == ratios["negated"] / 2
    assert found["hvp"].ratios["halved"] == found["hvp"].ratios["zero"] / 2
    assert found["jvp"].ratios["times_1_001"] == pytest.approx(found["jvp"].ratios["zero"] / 1000)
    for quantity in ("jvp", "hvp"):
        assert found[quantity].ratios["not_divided"] == pytest.approx(3 * found[quantity].ratios["zero"])
        assert "not_divided" not in powers(replace(p, reduction="sum"))[quantity].ratios


@pytest.mark.parametrize("soft", [False, True])
def test_the_rank_one_term_of_a_hessian_product_has_the_rows_mass(soft: bool) -> None:
    """s Q a (a.v): with rows of probabilities that add up to 5/4, and with labels, whose weight it is."""
    rng = np.random.default_rng(1)
    z, v = rng.standard_normal((2, 3, 4))
    weight = np.array([0.5, 2.0, 1.0, 4.0])
    rows, labels = np.full((3, 4), 5 / 16), np.array([0, 3, 1])
    p = Problem(logits=z, target=rows if soft else labels, weight=weight, v=v, reduction="sum")
    a = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    mass = (rows * weight).sum(1) if soft else weight[labels]
    lost = mass[:, None] * a * (a * v).sum(1, keepdims=True)
    expected = np.max(np.abs(lost) / bound("hvp", p, "fused"))
    assert powers(p)["hvp"].ratios["rank_one_dropped"] == pytest.approx(expected)
