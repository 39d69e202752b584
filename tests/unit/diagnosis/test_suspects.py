"""Suspects: the cause that a run names for a planted fault is the fault's own; where nothing fits, it is unsure."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import pytest
from samples import record

from xentcheck.cases import Case
from xentcheck.cases.build import build
from xentcheck.cases.profiles.named import cases
from xentcheck.diagnosis.counterfactual import Counterfactual
from xentcheck.diagnosis.knobs.rows import Rows
from xentcheck.diagnosis.knobs.terms import terms
from xentcheck.diagnosis.suspects import SOURCES, suspects, suspects_of, suspects_of_error
from xentcheck.reference.bounds import Bounds, bound
from xentcheck.reference.bounds.contracts import CATALOGUE
from xentcheck.reference.oracle import Exact
from xentcheck.reference.problem import Problem
from xentcheck.reference.rows import from_rows
from xentcheck.reports.analysis.causes.suspicion import suspicion
from xentcheck.vocabulary import UNSURE

LAYERS = [c for c in cases("quick") if c.inputs and not c.hidden]


def problem(case: str) -> Any:
    return build(Case.parse(case))


CASE = "gaussian.5x10.f64.index.w+ls+ign.mean.up-neg.contig.s0"
LAYER_CASE = next(str(c) for c in LAYERS if c.dtype == "float64" and c.inputs == c.classes and c.reduction == "none")


@lru_cache
def bounded(case: str, quantity: str) -> tuple[Any, Any, Any]:
    """The problem, what is right, and its bound."""
    p = problem(case)
    exact = Exact(p)
    bound = Bounds(exact, CATALOGUE["fused"]).evaluate([quantity])[quantity]
    return p, exact.evaluate([quantity])[quantity][0], bound


def judged(case: str, quantity: str, wrong: Any) -> tuple[str, ...]:
    """What is suspected of a result made from the right one."""
    p, right, bound = bounded(case, quantity)
    return suspects(p, quantity, np.asarray(wrong(right)), bound)


PLAIN_CASE = "gaussian.5x10.f32.index.plain.none.up-str.contig.s0"


def test_an_epsilon_that_one_row_shows_is_told() -> None:
    """log(a + 1e-7): one element is beyond its bound, by 20 times, which is too little to read a number off."""
    told = judged(PLAIN_CASE, "loss", lambda right: -np.log(np.exp(-right) + 1e-7))
    assert "A04: eps is added to probabilities before the logarithm, eps = 1e-07" in told


def test_a_loss_that_is_clamped_is_told_from_probabilities_that_are() -> None:
    """By the large losses, which it leaves as they are."""
    z = np.array([[20.0, 0, 1], [0, 20, 1], [1, 2, 3]])
    p = Problem(logits=z, target=np.array([0, 0, 1]), reduction="none", upstream=np.ones(3))
    exact = Exact(p)
    right, gradient = (exact.evaluate([q])[q][0] for q in ("loss", "dC/dz"))
    of_loss, of_gradient = (Bounds(exact, CATALOGUE["fused"]).evaluate([q])[q] for q in ("loss", "dC/dz"))
    clamped = "D47: each row's loss is clamped to at least 1e-05"
    assert clamped in suspects(p, "loss", np.maximum(right, 1e-5), of_loss)
    assert clamped in suspects(p, "dC/dz", np.where(right[:, None] > 1e-5, gradient, 0.0), of_gradient)
    told = suspects(p, "loss", -np.log(np.clip(np.exp(-right), 1e-5, 1 - 1e-5)), of_loss)
    assert "A04: probabilities are clipped at 1e-05 and at 1 - 1e-05" in told
    assert clamped not in told


@pytest.mark.parametrize("limit", [10.0, 50.0])
def test_a_loss_that_is_clamped_from_above_is_told(limit: float) -> None:
    """Beyond the limit no gradient flows."""
    z = np.array([[20.0, 0, 1], [0, 60, 1], [1, 2, 3]])
    p = Problem(logits=z, target=np.array([1, 0, 1]), reduction="none", upstream=np.ones(3))
    exact = Exact(p)
    right, gradient = (exact.evaluate([q])[q][0] for q in ("loss", "dC/dz"))
    of_loss, of_gradient = (Bounds(exact, CATALOGUE["fused"]).evaluate([q])[q] for q in ("loss", "dC/dz"))
    clamped = f"D47: each row's loss is clamped to at most {limit:g}"
    assert clamped in suspects(p, "loss", np.minimum(right, limit), of_loss)
    assert clamped in suspects(p, "dC/dz", np.where(right[:, None] < limit, gradient, 0.0), of_gradient)


def test_a_clamp_of_all_losses_takes_ignored_rows_along() -> None:
    """Whose loss was 0."""
    p = Problem(logits=np.array([[20.0, 0, 1], [0, 20, 1]]), target=np.array([1, -100]), reduction="sum")
    exact = Exact(p)
    bound = Bounds(exact, CATALOGUE["fused"]).evaluate(["cost"])["cost"]
    told = suspects(p, "cost", exact.evaluate(["cost"])["cost"][0] + 1e-5, bound)
    assert "D47: each row's loss is clamped to at least 1e-05, ignored rows too" in told
    assert "D47: each row's loss is clamped to at least 1e-05" not in told


def test_an_epsilon_in_the_logarithm_is_told_by_its_gradient() -> None:
    """-log(a_y + eps) scales the gradient of its row by a_y / (a_y + eps)."""
    z = np.array([[12.0, 0, 1], [0, 14, 1], [1, 2, 3]])
    p = Problem(logits=z, target=np.array([1, 0, 1]), reduction="none", upstream=np.ones(3))
    exact = Exact(p)
    a, gradient = (exact.evaluate([q])[q][0] for q in ("a", "dC/dz"))
    bound = Bounds(exact, CATALOGUE["fused"]).evaluate(["dC/dz"])["dC/dz"]
    at_label = a[np.arange(3), p.target][:, None]
    told = suspects(p, "dC/dz", gradient * at_label / (at_label + 1e-7), bound)
    assert "A04: eps is added to probabilities before the logarithm, eps = 1e-07" in told


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Which kinds of mistakes are made from now on, by their place among all."""
    made: list[int] = []

    def source(i: int) -> Any:
        return lambda c: (made.append(i), SOURCES[i](c))[1]

    sources = tuple(source(i) for i in range(len(SOURCES)))
    monkeypatch.setattr("xentcheck.diagnosis.suspects.SOURCES", sources)
    return made


def test_mistakes_are_made_once_for_all_results_of_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    """And explain each as they would alone."""
    wrong = [(q, -np.asarray(right), bound) for q in ("cost", "dC/dz") for _, right, bound in [bounded(CASE, q)]]
    p = bounded(CASE, "cost")[0]
    alone = [suspects(p, *one) for one in wrong]
    made = counted(monkeypatch)
    assert suspects_of(p, wrong) == alone
    assert made == list(range(len(SOURCES)))
    assert all("G90: the sign is wrong" in told for told in alone)


def test_of_a_large_problem_no_kind_is_tried_after_one_that_explains_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loss with one mistake fails in all cases; the dear ones among them need not be searched to the end."""
    p, right, bound = bounded("gaussian.4100x5.f32.index.plain.mean.up-one.contig.s0", "cost")
    made = counted(monkeypatch)
    assert suspects(p, "cost", -np.asarray(right), bound) == ("G90: the sign is wrong",)
    assert made == [0, 1]


def test_nothing_known_is_said_to_be_unknown() -> None:
    """An arbitrary gradient is explained by nothing, nor is an arbitrary softmax."""
    noise = np.random.default_rng(3).normal(size=(5, 10))
    assert judged(CASE, "dC/dz", lambda right: noise) == (UNSURE,)
    assert judged(CASE, "a", lambda right: noise) == (UNSURE,)


ALONG = next(str(c) for c in cases("quick") if "dir" in c.options and c.dtype == "float64" and c.reduction == "mean")
SPREAD = lambda right: right * np.linspace(0.5, 1.5, right.size).reshape(right.shape)  # noqa: E731
LESS_KNOWN = [
    ("a", lambda right: right * 2, "B24"),
    ("log_a", lambda right: right / np.log(2.0), "A12"),
    ("hvp", lambda right: right * 0, "E57"),
    ("hvp", SPREAD, "unsure"),
    ("jvp", lambda right: right * 0, "E58"),
    ("jvp", lambda right: -right, "G90"),
]


@pytest.mark.parametrize(("quantity", "wrong", "code"), LESS_KNOWN)
def test_causes_are_looked_for_in_every_quantity(quantity: str, wrong: Any, code: str) -> None:
    """In the softmax, its logarithm and the derivatives along a direction; what is none of them is unknown."""
    found = judged(ALONG, quantity, wrong)
    assert code in {text.partition(":")[0] for text in found}


@pytest.mark.parametrize("quantity", ["a", "log_a", "jvp", "hvp"])
def test_what_is_right_is_right_in_the_counterfactual_too(quantity: str) -> None:
    """Each such quantity is what `stable` allows of float64 arithmetic in any order."""
    p = problem(ALONG)
    exact = Exact(p).evaluate([quantity])[quantity][0]
    found = Counterfactual.of(p).result(quantity).reshape(exact.shape)
    assert (np.abs(found - exact) <= bound(quantity, p, "stable")).all()


SOFT_CASE = "gaussian.5x10.f64.signed.w+ls.mean.up-neg.contig.s0"
ALL_CAUSES = [
    *product((CASE, SOFT_CASE), ("cost", "dC/dz")),
    *((LAYER_CASE, q) for q in ("loss", "dC/db", "dC/dw", "dC/da_prev")),
]


@pytest.mark.parametrize(("case", "quantity"), ALL_CAUSES)
def test_every_cause_is_recognised(case: str, quantity: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A result made by one cause is explained by it: alone this asks for each cause that there is.

    One in fifty is judged among all others, the rest by themselves: no cause rules out another.
    """
    right = Counterfactual.of(problem(case))
    recognised = 0
    for i, (code, text, wrong) in enumerate([mistake for source in SOURCES for mistake in source(right)]):
        with np.errstate(all="ignore"):
            made = wrong.result(quantity)
            same = np.array_equal(made, right.result(quantity))
        if not same and np.isfinite(made).all():
            with monkeypatch.context() as patched:
                if i % 50:
                    only = [(code, text, wrong)]
                    patched.setattr("xentcheck.diagnosis.suspects.SOURCES", (lambda _, only=only: only,))
                found = judged(case, quantity, lambda right, made=made: made.reshape(right.shape))
            assert f"{code}: {text}" in found
            recognised += 1
    assert recognised > 5


@pytest.mark.parametrize("quantity", ["dC/db", "dC/dw", "dC/da_prev"])
def test_where_a_gradient_of_a_layer_is_wrongly_zero_is_said(quantity: str) -> None:
    """From a class or row on, or here and there."""

    def from_third(right: Any) -> Any:
        return np.where(np.arange(len(right)).reshape(-1, *[1] * (right.ndim - 1)) < 2, right, 0.0)

    def second_and_fourth(right: Any) -> Any:
        return np.where(np.isin(np.arange(len(right)), (1, 3)).reshape(-1, *[1] * (right.ndim - 1)), 0.0, right)

    lost, some = (judged(LAYER_CASE, quantity, wrong) for wrong in (from_third, second_and_fourth))
    if quantity == "dC/da_prev":
        assert {text.partition(":")[0] for text in (*lost, *some)} == {"F78"}
    else:
        assert lost == ("G94: no gradient from class 2 on: a lost shard or chunk",)
        assert some == ("E54: the wrong elements are all 0",)


def test_the_right_computation_is_the_oracles() -> None:
    """Without a mistake the counterfactual is what `stable` allows of float64 arithmetic in any order."""
    for case in (
        CASE,
        "ties.3x5x3.f64.prob.w.none.up-rand.contig.s0",
        "masked.5x10.f64.index.ign.mean.up-neg.contig.s0",
        LAYER_CASE,
    ):
        p = problem(case)
        for quantity in p.quantities[2:] if p.head == "logits" else p.quantities:
            hi = Exact(p).evaluate([quantity])[quantity][0]
            found = Counterfactual.of(p).result(quantity)
            if quantity == "dC/dz" and hi.ndim > 2:
                hi = np.moveaxis(hi, 1, -1).reshape(found.shape)
            limit = bound(quantity, p, "stable")
            if quantity == "dC/dz" and limit.ndim > 2:
                limit = np.moveaxis(limit, 1, -1)
            assert (np.abs(found - hi.reshape(found.shape)) <= limit.reshape(found.shape)).all()


@pytest.mark.parametrize(("quantity", "value"), [("loss", np.inf), ("dC/dz", np.nan)])
def test_an_overflow_is_among_what_explains_it(quantity: str, value: float) -> None:
    """Where exp overflows, whatever else does; where no exp overflows, the label's softmax of 0 alone."""
    for family in ("near-overflow", "saturated-miss"):
        case = f"{family}.5x1003.f32.index.plain.none.up-rand.contig.s0"
        codes = {text.partition(":")[0] for text in judged(case, quantity, lambda right: np.full(right.shape, value))}
        assert "A01" in codes if family == "near-overflow" else codes == {"A04"}, family


def test_errors_speak_for_themselves() -> None:
    """A refused shape, an index out of range, and what says nothing."""
    assert suspects_of_error("AdapterError: f returned a loss of shape (); allowed: (5,)")[0].startswith("B26")
    assert suspects_of_error("IndexError: index -100 is out of bounds for axis 0 with size 10")[0].startswith("C32")
    assert suspects_of_error("IndexError: Target 7 is out of bounds.")[0].startswith("C32")
    assert suspects_of_error("IndexError: Dimension out of range (expected to be in range of [-1, 0], but got 1)") == ()
    assert suspects_of_error("IndexError: list index out of range") == ()
    assert suspects_of_error("RuntimeError: out of registers") == ()
    assert suspects_of_error("IndexError: shape mismatch: indexing tensors could not be broadcast together") == ()


def test_the_share_is_that_of_the_mistake_told() -> None:
    """Two mistakes of one code are two; the numbers in a sentence do not make it another one."""
    twice, half = ("B24: twice the right result",), ("B24: half of the right result",)
    found = [record(outcome="disagree", suspects=s) for s in (twice, twice, twice, half, half)]
    assert suspicion(found) == "suspected: twice the right result [B24], which explains 3 of 5 failures examined"
    numbers = [
        record(outcome="disagree", suspects=(f"B20: off by the factor {n}/5: divides by all rows",)) for n in (3, 4)
    ]
    assert suspicion(numbers) == "suspected: divides by all rows [B20], which explains 2 of 2 failures examined"


@pytest.mark.parametrize("quantity", ["loss", "dC/db", "dC/da_prev"])
def test_nan_beside_a_masked_class_is_just_that(quantity: str) -> None:
    """Any mistake that gives nan would explain it."""
    case = next(str(c) for c in LAYERS if c.family == "masked" and c.reduction == "none" and c.dtype == "float64")
    found = judged(case, quantity, lambda right: np.full_like(right, np.nan))
    assert found == ("A05: nan beside classes at -inf: 0 * inf, or inf - inf",)


def test_a_few_wrong_elements_are_no_low_precision() -> None:
    """Two elements off by a percent are unknown; the same two, as bfloat16 has them, went through bfloat16."""

    def some(right: Any, wrong: Any) -> Any:
        found = np.array(right)
        found.flat[[0, -1]] = wrong(found.flat[[0, -1]])
        return found

    off = judged(CASE, "dC/dz", lambda right: some(right, lambda x: x * np.array([1.011, 0.992])))
    assert off == (UNSURE,)
    narrow = judged(CASE, "dC/dz", lambda right: some(right, lambda x: x.astype("bfloat16").astype(float)))
    assert {text.partition(":")[0] for text in narrow} == {"A10"}


@pytest.mark.parametrize(("ratio", "code"), [(0.731, "B24"), (3e50, "unsure")])
def test_a_ratio_is_a_factor_up_to_a_million(ratio: float, code: str) -> None:
    """Beyond it nobody forgot a factor."""
    assert judged(CASE, "dC/dz", lambda right: right * ratio)[0].startswith(code)


def test_what_a_mistake_makes_infinite_is_expected_to_be() -> None:
    """Twice a loss near the largest number is inf in float32; an infinity beside it is not explained."""
    p = problem("near-overflow.3x31.f32.index.w+ign.none.up-str.contig.s0")
    right = np.asarray(Exact(p).evaluate(["loss"])["loss"][0])
    with np.errstate(all="ignore"):
        doubled = (2.0 * right).astype(np.float32)
    assert np.isinf(doubled).any()
    assert "B24: twice the right result" in suspects(p, "loss", doubled, np.abs(right) * 1e-6)
    beside = np.where(np.arange(len(right)) == np.argmin(np.abs(right)), np.inf, doubled)
    assert "B24: twice the right result" not in suspects(p, "loss", beside, np.abs(right) * 1e-6)


def test_a_chunk_that_overwrites_the_others_is_named() -> None:
    """The weight's gradient of the last of three chunks; that of the rows before it is another mistake."""
    c = Counterfactual.of(problem(LAYER_CASE))
    delta, a_prev = c.result("dC/dz"), c.layer[0]
    size = -(-len(delta) // 3)
    last = slice((len(delta) - 1) // size * size, None)
    for some, named in ((last, True), (slice(1, last.start), False)):
        told = judged(LAYER_CASE, "dC/dw", lambda right, some=some: delta[some].T @ a_prev[some])
        assert any("the last chunk of rows only" in text for text in told) == named


@pytest.mark.parametrize(("quantity", "power"), [("jvp", 1), ("hvp", 2)])
def test_a_temperature_follows_its_derivatives(quantity: str, power: int) -> None:
    """Of f(z/2), each derivative brings 1/2 once more."""
    p = problem(ALONG)
    c = Counterfactual.of(p)
    cold = replace(c, z=c.z / 2.0).result(quantity) * 0.5**power
    shape = np.shape(Exact(p).evaluate([quantity])[quantity][0])
    told = judged(ALONG, quantity, lambda right: np.reshape(cold, shape))
    assert "A12: a temperature, z/T in the place of z, T = 2" in told


def test_a_product_in_bfloat16_is_named() -> None:
    """With operands and result rounded, as autocast does; the right product of float32 is no failure to explain."""
    p = problem(LAYER_CASE.replace(".f64.", ".f32."))
    x, w, b = (np.asarray(v).astype(np.float64) for v in (p.a_prev, p.w, p.b))
    narrow = lambda v: v.astype("bfloat16").astype(np.float64)  # noqa: E731
    z = narrow(narrow(x) @ narrow(w).T) + b
    loss = replace(Counterfactual.of(p), z=z).result("loss")
    told = suspects(p, "loss", loss.reshape(np.shape(p.upstream)), np.full(np.shape(p.upstream), 1e-6))
    assert "A10: the layer is multiplied in bfloat16, as autocast does" in told


OTHERS = [
    ("gaussian.5x10.f64.index.w.mean.up-one.contig.s0", "the class with the largest logit", ("cost", "dC/dz")),
    ("gaussian.4x7x4.f64.index.ign.mean.up-one.contig.s0", "by the examples of the batch", ("cost", "dC/dz")),
    ("gaussian.5x10.f64.index.plain.none.up-rand.contig.s0", "is rescaled by exp(new - old)", ("loss", "dC/dz")),
    ("gaussian.5x10.f64.index.plain.none.up-rand.contig.s0", "sum over the rows of what reaches", ("dC/dz",)),
    ("gaussian.5x10.f64.index.plain.none.up-rand.contig.s0", "exponentials is that of the previous", ("dC/dz",)),
    ("gaussian.64x10.f64.index.plain.none.up-rand.contig.s0", "only the 70% of the rows", ("loss", "dC/dz")),
    ("gaussian.5x10.f64.index.ign.none.up-rand.contig.s0", "have the logit of class 0 sub", ("loss", "dC/dz")),
    ("gaussian.5x10.f64.index.plain.none.up-rand.contig.s0", "and multiplied by 16", ("loss", "dC/dz")),
    ("gaussian.5x10.f64.index.plain.mean.up-one.contig.s0", "rows dealt in turn", ("cost", "dC/dz")),
    ("gaussian.5x10.f64.index.w+ign.mean.up-one.contig.s0", "count with the weight 1 in the", ("cost", "dC/dz")),
]


@pytest.mark.parametrize(("case", "words", "quantities"), OTHERS)
def test_a_mistake_explains_each_of_its_quantities(case: str, words: str, quantities: tuple[str, ...]) -> None:
    """The value and the gradient made by one mistake have it in common."""
    right = Counterfactual.of(problem(case))
    wrong = next(w for source in SOURCES for _, text, w in source(right) if words in text)
    for quantity in quantities:
        found = judged(case, quantity, lambda right, q=quantity: np.reshape(_shaped(wrong, q), right.shape))
        assert any(words in text for text in found), quantity


def _shaped(wrong: Counterfactual, quantity: str) -> Any:
    made, p = wrong.result(quantity), wrong.problem
    return from_rows(made, p.logits_shape) if quantity == "dC/dz" else made


def test_the_derivatives_of_a_regulariser_are_those_of_differences() -> None:
    """jvp and hvp of a loss with an entropy in it, which nothing else compares with values of that loss."""
    p = problem(ALONG)
    step = 1e-5

    def made(times: float, quantity: str) -> Any:
        rows = Rows.of(Counterfactual.of(replace(p, logits=p.logits + times * step * p.v)))
        family = next(f for f in terms(rows) if f.sentence.startswith("the entropy"))
        if quantity == "hvp":
            return rows.along(lambda moved: family.made(moved, 0.1))
        return rows.quantity(quantity, family.made(rows, 0.1))

    slope = (made(1.0, "cost") - made(-1.0, "cost")) / (2.0 * step)
    assert made(0.0, "jvp") == pytest.approx(slope, rel=1e-6)
    bend = (made(1.0, "dC/dz") - made(-1.0, "dC/dz")) / (2.0 * step)
    np.testing.assert_allclose(made(0.0, "hvp"), bend, rtol=1e-5, atol=1e-8)
