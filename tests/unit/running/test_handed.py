"""Values that are handed over: judged, or refused where nothing could have failed; nothing passes in silence."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import numpy as np
import pytest

import xentcheck
from xentcheck import adapters
from xentcheck.adapters.needs import needed_options
from xentcheck.cases import Case
from xentcheck.cases.build import build
from xentcheck.errors import CaseError, Disagreement, ProblemError, XentcheckError
from xentcheck.judging.undecided import rejects_zeros
from xentcheck.reference.bounds.contracts import CATALOGUE
from xentcheck.reference.oracle import Exact
from xentcheck.reference.problem import Problem, digest_of
from xentcheck.running.comparison import run_case
from xentcheck.running.subjects import subjects_of
from xentcheck.testing.given import HandedCase, marked_cases
from xentcheck.vocabulary import REDUCTIONS

LARGE = Case.parse("gaussian.4x1000.bf16.index.plain.mean.up-one.contig.s0")


def right(p: Problem, quantity: str) -> np.ndarray[Any, Any]:
    """The exact value, rounded once."""
    return Exact(p).evaluate([quantity])[quantity][0].astype(p.dtype)


@pytest.mark.parametrize("through", ["fixture", "function"])
@pytest.mark.parametrize("contract", [None, "stable", {"bfloat16": "storage-accumulate"}])
def test_zeros_and_huge_gradients_never_pass(contract: Any, through: str) -> None:
    """1000 classes in bfloat16, also under contracts that reject nothing there; a right one passes."""
    p = build(LARGE)
    handed = HandedCase(LARGE)

    def hand(gradient: Any) -> None:
        values = {"cost": right(p, "cost"), "dC/dz": gradient}
        if through == "fixture":
            handed.assert_agrees(values, contract=contract)
        else:
            xentcheck.assert_values_agree(p, values, contract=contract)

    gradient = right(p, "dC/dz")
    hand(gradient)
    with pytest.raises(xentcheck.Undecided if contract else xentcheck.Disagreement):
        hand(np.zeros_like(gradient))
    for factor in (1e30, -1.0, 0.5):
        with pytest.raises((xentcheck.Undecided, xentcheck.Disagreement)):
            hand((gradient.astype(np.float64) * factor).astype(p.dtype))


def test_the_error_says_what_would_decide() -> None:
    """Quantity, contract, dtype, classes, and the contracts that reject zeros there."""
    p = build(LARGE)
    with pytest.raises(xentcheck.Undecided) as caught:
        xentcheck.assert_values_agree(p, {"dC/dz": np.zeros_like(p.logits)}, contract="stable", name="mine")
    able = [name for name, contract in CATALOGUE.items() if rejects_zeros(p, "dC/dz", contract)]
    assert {"fused", "storage", "decisive"} <= set(able)
    assert str(caught.value) == (
        "mine dC/dz of problem: a result of zeros would pass as well under `stable` (bfloat16, 1000 classes): nothing "
        f"was decided; allowed: a contract that decides ({', '.join(able)})"
    )


def test_a_contract_by_dtype_is_taken() -> None:
    """The one of the problem's dtype; the others have the default."""
    p = build(LARGE)
    values = {"dC/dz": (right(p, "dC/dz").astype(np.float64) * 1.01).astype(p.dtype)}
    xentcheck.assert_values_agree(p, values, contract={"float32": "fused"})
    with pytest.raises(xentcheck.Disagreement, match=r"\(fused\)"):
        xentcheck.assert_values_agree(p, values, contract={"bfloat16": "fused"})
    with pytest.raises(xentcheck.XentcheckError, match="unknown contract 'swift'"):
        xentcheck.assert_values_agree(p, values, contract="swift")


def test_a_disagreement_by_the_default_names_a_weaker_contract() -> None:
    """As it is nothing declared; and what that contract lets pass."""
    p = build(LARGE)
    values = {"dC/dz": np.zeros_like(p.logits)}
    with pytest.raises(xentcheck.Disagreement) as caught:
        xentcheck.assert_values_agree(p, values)
    assert "within `storage-accumulate`, under which a zero gradient passes from 129 classes on; " in str(caught.value)
    with pytest.raises(xentcheck.Disagreement) as caught:
        xentcheck.assert_values_agree(p, values, contract="decisive")
    assert "within" not in str(caught.value)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_where_zero_is_right_it_passes(dtype: str) -> None:
    """One class: loss and gradient are 0, which is a fact, and anything else is not."""
    p = Problem(logits=np.ones((2, 1)).astype(dtype), target=np.zeros(2, int))
    nothing = np.zeros((), dtype), np.zeros((2, 1), dtype)
    xentcheck.assert_values_agree(p, dict(zip(("cost", "dC/dz"), nothing, strict=True)))
    with pytest.raises(xentcheck.Disagreement):
        xentcheck.assert_values_agree(p, {"dC/dz": np.ones((2, 1), dtype)})


SATURATED = Case.parse("confident.11.bf16.index.plain.mean.up-one.contig.s0")


def test_a_saturated_value_passes_beside_one_that_is_decided() -> None:
    """Rounding each step gives a loss of 0 there, so that 0 is no mistake, and no proof; the gradient is judged."""
    p = build(SATURATED)
    cost, gradient = np.zeros((), p.dtype), right(p, "dC/dz")
    assert right(p, "cost") != 0
    xentcheck.assert_values_agree(p, {"cost": cost, "dC/dz": gradient})
    with pytest.raises(xentcheck.Undecided, match="a result of zeros would pass as well under `decisive`"):
        xentcheck.assert_values_agree(p, {"cost": cost})
    handed = HandedCase(SATURATED)
    handed.assert_agrees({"cost": cost})
    assert handed.handed
    assert not handed.judged  # the plugin skips the test
    handed.assert_agrees({"dC/dz": gradient})
    assert handed.judged


def test_an_infinite_bound_is_no_free_pass() -> None:
    """Losses that overflow float16 when they are summed: the overflow, and what wide sums give, but no other number."""
    z = np.zeros((6, 2), np.float16)
    z[:, 0] = 6e4
    p = Problem(logits=z, target=np.ones(6, int))
    for value in (np.inf, right(p, "cost")):
        xentcheck.assert_values_agree(p, {"cost": np.float16(value)})
    for value in (42.0, 0.0, np.nan, -np.inf):
        with pytest.raises(AssertionError):
            xentcheck.assert_values_agree(p, {"cost": np.float16(value)})


def test_one_infinite_bound_beside_others_is_no_free_pass() -> None:
    """A logarithm that overflows float16 before its weight, in one row of two: 42 is not let through there."""
    z = np.array([[0.0, 1.0], [-4e4, 4e4]], np.float16)
    p = Problem(
        logits=z,
        target=np.zeros(2, int),
        weight=np.full(2, 0.25, np.float16),
        reduction="none",
        upstream=np.ones(2, np.float16),
    )
    loss = right(p, "loss").astype(np.float16)
    xentcheck.assert_values_agree(p, {"loss": loss})
    with pytest.raises(AssertionError):
        xentcheck.assert_values_agree(p, {"loss": np.array([loss[0], 42.0], np.float16)})


def test_nothing_to_judge_is_bad_input() -> None:
    """No array was handed over."""
    p = Problem(logits=np.zeros((1, 2)), target=np.array([0]))
    with pytest.raises(XentcheckError, match="nothing to judge"):
        xentcheck.assert_values_agree(p, {})


def test_an_overflow_has_the_sign_of_what_overflows() -> None:
    """Gaps beyond bfloat16's largest number: -inf in every element of a gradient, or for a loss, is none."""
    z = np.where(np.arange(24).reshape(4, 6) % 5 < 2, 3e38, -3e38).astype("bfloat16")
    p = Problem(logits=z, target=np.arange(4))
    for q in ("cost", "dC/dz"):
        with pytest.raises(AssertionError):
            xentcheck.assert_values_agree(p, {q: np.full(p.shapes[q], -np.inf, p.dtype)})
    xentcheck.assert_values_agree(p, {"cost": np.full((), np.inf, p.dtype)})


def test_a_wider_result_is_decided_by_its_own_bound() -> None:
    """1.1e-7 is as good as 0 in float16, and not in float32: there `accurate` tells it from zeros."""
    p = Problem(logits=np.array([[16.0, 0.0]], np.float16), target=np.array([0]))
    cost = Exact(p).evaluate(["cost"])["cost"][0]
    xentcheck.assert_values_agree(p, {"cost": np.float32(cost)})
    for undecided in (np.float32(0.0), np.float16(cost)):
        with pytest.raises(xentcheck.Undecided):
            xentcheck.assert_values_agree(p, {"cost": undecided})


@pytest.mark.parametrize("quantity", ["cost", "dC/dz"])
def test_an_exact_value_that_is_no_number_decides_nothing(quantity: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both nan is no agreement; nor is one nan among elements that agree."""
    p = build(Case.parse("gaussian.5x10.f32.index.plain.mean.up-one.contig.s0"))
    value, (hi, lo) = right(p, quantity), Exact(p).evaluate([quantity])[quantity]
    one = np.where(np.arange(hi.size).reshape(hi.shape) == 0, np.nan, hi)
    monkeypatch.setattr(Exact, "evaluate", lambda self, names: {quantity: (one, lo)})
    with pytest.raises(xentcheck.Undecided, match="the exact value is not a number"):
        xentcheck.assert_values_agree(p, {quantity: value})


@pytest.mark.parametrize("through", ["fixture", "function"])
@pytest.mark.parametrize("name", ["logits", "target"])
def test_a_problem_that_was_written_into_is_not_judged(name: str, through: str) -> None:
    """What an implementation made of its inputs in place would be judged against the exact value of just that."""
    case = Case.parse("gaussian.5x10.f32.index.plain.mean.up-one.contig.s0")
    handed = HandedCase(case)
    problem = handed.problem if through == "fixture" else build(case)
    assert problem.changed() == ()
    array = problem.arrays()[name]
    array.flags.writeable = True
    array[0] = 0
    array.flags.writeable = False
    judge = handed.assert_agrees if through == "fixture" else partial(xentcheck.assert_values_agree, problem)
    values = {"cost": right(problem, "cost")}
    with pytest.raises(ProblemError, match=rf": its {name} changed after it was made; allowed: copies"):
        judge(values)


def test_no_change_of_large_problems_is_noticed() -> None:
    """Beyond `CHECKED` bytes; up to them it is."""
    small, large = (Problem(logits=np.zeros((n, 1024)), target=np.zeros(n, int)) for n in (500, 600))
    for problem, seen in ((small, ("logits",)), (large, ())):
        assert problem.logits is not None
        problem.logits.flags.writeable = True
        problem.logits[0] = 1.0
        assert problem.changed() == seen


def test_conventions_and_empty_arrays_alone_decide_nothing() -> None:
    """A test that hands over nothing else compares nothing; beside something that is judged they are let through."""
    ignored = Problem(logits=np.ones((2, 3), np.float32), target=np.full(2, -100))
    with pytest.raises(xentcheck.Undecided, match="handed cost of problem: all-ignored"):
        xentcheck.assert_values_agree(ignored, {"cost": np.float32(np.nan)})
    empty = Problem(
        logits=np.ones((0, 3), np.float32), target=np.zeros(0, int), reduction="none", upstream=np.ones(0, np.float32)
    )
    with pytest.raises(xentcheck.Undecided, match="there are no elements"):
        xentcheck.assert_values_agree(empty, {"loss": np.zeros(0, np.float32), "dC/dz": np.zeros((0, 3), np.float32)})


@pytest.mark.parametrize(
    ("problem", "values", "text"),
    [
        (True, None, "problem: values are of type NoneType; allowed: a dict of array by a, log_a, cost, dC/dz"),
        (True, [1.0], "problem: values are of type list; allowed: a dict of array by a, log_a, cost, dC/dz"),
        (
            True,
            {"dC/dz": [[1.0], [1.0, 2.0]]},
            "dC/dz is no array: its rows differ in length; allowed: an array, or equal",
        ),
        (False, {"cost": 1.0}, "problem is of type NoneType; allowed: a Problem, as of `xentcheck.build`"),
    ],
)
def test_what_is_no_problem_and_no_values_is_refused(problem: bool, values: Any, text: str) -> None:
    """In one line of the project."""
    with pytest.raises(XentcheckError) as caught:
        xentcheck.assert_values_agree(build(LARGE) if problem else None, values)  # type: ignore[arg-type]  # the mistake
    assert str(caught.value).startswith(text)


def test_a_name_is_a_text() -> None:
    """Otherwise a wrong value ends in a TypeError, in place of the sentence that says so."""
    problem = build(LARGE)
    with pytest.raises(XentcheckError, match=r"^problem: name is of type int; allowed: a text$"):
        xentcheck.assert_values_agree(problem, {"cost": right(problem, "cost")}, name=5)  # type: ignore[arg-type]


def test_the_order_of_bytes_is_no_error() -> None:
    """The same numbers in the other order agree, of a problem and of a call; wrong ones do not."""
    case = Case.parse("gaussian.5x3.f32.index.plain.mean.up-one.contig.s0")
    p = build(case)
    values = {q: right(p, q) for q in ("cost", "dC/dz")}
    swapped = {q: value.astype(value.dtype.newbyteorder()) for q, value in values.items()}
    assert {value.dtype.isnative for value in swapped.values()} == {False}
    xentcheck.assert_values_agree(p, swapped)
    with pytest.raises(Disagreement):
        xentcheck.assert_values_agree(p, {"cost": 2 * swapped["cost"]})
    adapter = adapters.from_numpy(lambda logits, target, **options: tuple(swapped.values()), name="swapped")
    assert {(r.quantity, r.outcome) for r in run_case(case, subjects_of(adapter))} == {
        ("cost", "agree"),
        ("dC/dz", "agree"),
    }
    assert digest_of(Problem(**{**p.arrays(), "logits": p.logits.astype(">f4")})) == digest_of(p)


def test_hypothesis_draws_another_example() -> None:
    """An undecided one is rejected; a test that decides nothing does not pass; a wrong one still fails."""
    hypothesis = pytest.importorskip("hypothesis")
    from hypothesis import strategies as st

    p = build(Case.parse("gaussian.1x65.bf16.index.plain.mean.up-one.contig.s0"))
    zeros = {"dC/dz": np.zeros_like(p.logits)}
    settings = hypothesis.settings(database=None, deadline=None)

    @settings
    @hypothesis.given(st.none())
    def never(nothing: None) -> None:
        xentcheck.assert_values_agree(p, zeros, contract="stable")

    with pytest.raises((hypothesis.errors.Unsatisfiable, hypothesis.errors.FailedHealthCheck)):
        never()

    @settings
    @hypothesis.given(st.none())
    def wrong(nothing: None) -> None:
        xentcheck.assert_values_agree(p, zeros, contract="fused")

    with pytest.raises(xentcheck.Disagreement):
        wrong()


def test_the_line_that_repeats_a_handed_case_runs() -> None:
    """The printed call gives the inputs, as often as it is made, and also for a case in place of its id."""
    case = HandedCase(Case.parse("gaussian.2x3.f32.index.plain.mean.up-one.contig.s0"))
    with pytest.raises(Disagreement) as caught:
        case.assert_agrees({"cost": np.float32(1.0), "dC/dz": np.zeros((2, 3), np.float32)})
    (call,) = {*re.findall(r"xentcheck\.build\(\"[^\"]+\"\)", str(caught.value))}
    for _ in range(2):
        assert np.array_equal(eval(call, {"xentcheck": xentcheck}).logits, case.problem.logits)
    assert np.array_equal(xentcheck.build(case.case).logits, case.problem.logits)
    with pytest.raises(CaseError):
        xentcheck.build("no-such-case")


def test_a_marker_chooses_cases_by_each_of_its_words() -> None:
    """Each word alone changes what is chosen, and all that is chosen keeps it."""

    def chosen(**given: Any) -> list[Case]:
        return marked_cases("here", {"dtypes": "float32", "cases": "*.5x10.*", **given})

    quick = chosen()
    assert {case.seed for case in quick} == {0}
    assert {case.reduction for case in quick} == set(REDUCTIONS)
    assert {case.seed for case in chosen(seed=3)} == {3}
    assert set(quick) < set(chosen(profile="full"))
    assert chosen(reductions="sum") == [case for case in quick if case.reduction == "sum"]
    plain = chosen(options=())
    assert plain == [case for case in quick if not needed_options(build(case))] != quick
