"""Conventions: which degenerate problems are recorded instead of judged, and which neighbours of theirs are judged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import xentcheck
from xentcheck import adapters
from xentcheck.adapters.wrap.handed import Handed
from xentcheck.cases.build import build
from xentcheck.cases.case import Case, quantities_of
from xentcheck.cases.profiles.named import cases
from xentcheck.errors import Disagreement
from xentcheck.judging.conventions import CONVENTIONS, convention_of, seen
from xentcheck.records.record import Record
from xentcheck.reference.oracle import Exact
from xentcheck.reference.problem import Problem
from xentcheck.running.comparison import run_case, run_problem
from xentcheck.running.subjects import Subject, subjects_of

Z = np.array([[1.0, 2.0, 3.0], [0.0, -1.0, 4.0]])
MASKED = np.array([[1.0, 2.0, -np.inf], [0.0, -1.0, 4.0]])
SOFT = np.array([[0.5, 0.5, 0.0], [0.25, 0.25, 0.5]])


def weights(*w: float) -> Any:
    """Class weights."""
    return np.array(w, float)


def layer(b: list[float]) -> dict[str, Any]:
    """A last layer with two examples and these biases."""
    return {"a_prev": np.ones((2, 2)), "w": np.ones((len(b), 2)), "b": np.array(b), "target": np.array([0, 0])}


HELD: dict[str, dict[str, dict[str, Any]]] = {
    "all-ignored": {
        "every row": {"logits": Z, "target": np.array([-100, -100])},
        "every row, weighted": {"logits": Z, "target": np.array([1, 1]), "ignore_index": 1, "weight": weights(1, 2, 3)},
    },
    "empty-batch": {"no row": {"logits": np.zeros((0, 3)), "target": np.zeros(0, int)}},
    "zero-weights": {
        "weights cancel": {"logits": Z, "target": np.array([0, 1]), "weight": weights(1, -1, 3)},
        "weights are 0": {"logits": Z, "target": np.array([0, 0]), "weight": weights(0, 1, 3)},
        "enclosure holds 0": {"logits": Z, "target": np.array([0, 1]), "weight": weights(1, -1 - 2.0**-52, 3)},
    },
    "zero-times-inf": {
        "probability 0": {"logits": MASKED, "target": SOFT},
        "weight 0 under smoothing": {
            "logits": MASKED,
            "target": np.array([0, 1]),
            "weight": weights(1, 1, 0),
            "label_smoothing": 0.1,
        },
    },
    "not-finite": {
        "+inf": {"logits": np.array([[np.inf, 0.0]]), "target": np.array([0])},
        "nan": {"logits": np.array([[np.nan, 0.0]]), "target": np.array([0])},
        "all masked": {"logits": np.array([[-np.inf, -np.inf]]), "target": np.array([0])},
        "all biases masked": layer([-np.inf, -np.inf]),
    },
}

JUDGED: dict[str, dict[str, dict[str, Any]]] = {
    "all-ignored": {
        "one row kept": {"logits": Z, "target": np.array([-100, 1])},
        "every row, summed": {"logits": Z, "target": np.array([-100, -100]), "reduction": "sum"},
        "probabilities": {"logits": Z, "target": SOFT},
    },
    "empty-batch": {"no row, summed": {"logits": np.zeros((0, 3)), "target": np.zeros(0, int), "reduction": "sum"}},
    "zero-weights": {
        "weights nearly cancel": {"logits": Z, "target": np.array([0, 1]), "weight": weights(1, -1 - 2.0**-49, 3)},
        "weights cancel, summed": {
            "logits": Z,
            "target": np.array([0, 1]),
            "weight": weights(1, -1, 3),
            "reduction": "sum",
        },
        "other labels": {"logits": Z, "target": np.array([0, 2]), "weight": weights(1, -1, 3)},
        "probabilities": {"logits": Z, "target": SOFT, "weight": weights(1, -1, 0)},
        "probabilities beside a weight of 0": {"logits": Z, "target": SOFT, "weight": weights(0, 1, 3)},
        "many rows in 8 bits": {
            "logits": np.zeros((4000, 3), "bfloat16"),
            "target": np.arange(4000) % 3,
            "weight": np.array([1, 2, 3], "bfloat16"),
        },
        "many rows of both signs in 8 bits": {
            "logits": np.zeros((4000, 3), "bfloat16"),
            "target": np.arange(4000) % 3,
            "weight": np.array([1, -0.5, 3], "bfloat16"),
        },
    },
    "zero-times-inf": {
        "index target": {"logits": MASKED, "target": np.array([0, 1])},
        "probability on the mask": {"logits": MASKED, "target": SOFT[:, ::-1].copy()},
        "smoothing without weights": {"logits": MASKED, "target": np.array([0, 1]), "label_smoothing": 0.1},
        "weight 0 without smoothing": {"logits": MASKED, "target": np.array([0, 1]), "weight": weights(1, 1, 0)},
        "nothing masked": {"logits": Z, "target": SOFT},
    },
    "not-finite": {
        "one class masked": {"logits": MASKED, "target": np.array([0, 1])},
        "one bias masked": layer([0.0, -np.inf]),
    },
}


def pairs(table: dict[str, dict[str, dict[str, Any]]]) -> list[Any]:
    """The examples of a table with readable ids."""
    found = [(i, name, fields) for i, examples in table.items() for name, fields in examples.items()]
    return [pytest.param(i, fields, id=f"{i}, {name}") for i, name, fields in found]


@pytest.mark.parametrize(("identifier", "fields"), pairs(HELD))
def test_degenerate_problems_fall_under_their_convention(identifier: str, fields: dict[str, Any]) -> None:
    """It is this convention that takes the value of the problem."""
    convention = convention_of(Problem(**fields), "cost")
    assert convention is not None
    assert convention.id == identifier


@pytest.mark.parametrize(("identifier", "fields"), pairs(JUDGED))
def test_their_neighbours_are_judged(identifier: str, fields: dict[str, Any]) -> None:
    """A problem that the signature defines is no convention, however near to one."""
    p = Problem(**fields)
    assert not np.any(next(c for c in CONVENTIONS if c.id == identifier).concerns(p))
    assert convention_of(p, "cost") is None


def test_every_convention_has_examples_and_says_what_was_seen() -> None:
    """The table above covers all of them; each has its own id and the results of libraries."""
    identifiers = [c.id for c in CONVENTIONS]
    assert set(HELD) == set(JUDGED) == set(identifiers)
    assert len(set(identifiers)) == len(identifiers)
    assert all(c.seen for c in CONVENTIONS)


def test_the_softmax_of_an_ignored_row_is_judged() -> None:
    """a and log a do not depend on targets; only rows that are not finite take them out."""
    ignored = Problem(logits=Z, target=np.array([-100, -100]))
    assert convention_of(ignored, "a") is None
    assert convention_of(ignored, "dC/dz") is not None
    infinite = Problem(logits=np.array([[np.inf, 0.0]]), target=np.array([0]))
    assert convention_of(infinite, "a") is not None


def test_gradients_of_a_masked_class_with_probability_0_are_judged() -> None:
    """0 * inf concerns the value only: the gradient of such a class is a sum(q) - q in every library."""
    p = Problem(logits=MASKED, target=SOFT)
    assert convention_of(p, "cost") is not None
    assert convention_of(p, "dC/dz") is None


@pytest.mark.parametrize(
    ("result", "word"),
    [
        (np.zeros(0), "empty"),
        (np.array(np.nan), "nan"),
        (np.array([0.0, -0.0]), "0"),
        (np.array([np.inf]), "inf"),
        (np.array([1.5]), "finite"),
        (np.array([np.nan, -np.inf, 0.0, 2.0]), "nan and inf and 0 and finite"),
    ],
    ids=["empty", "nan", "zero", "inf", "finite", "mixture"],
)
def test_results_are_recorded_in_a_word(result: Any, word: str) -> None:
    """What an implementation returned is told without numbers."""
    assert seen(result) == word


def test_a_convention_is_recorded_with_what_was_seen() -> None:
    """The record has the outcome `convention`, the id, the result and what other libraries return, and no share."""
    case = Case.parse("gaussian.5x10.f64.index.allign.mean.up-neg.contig.s0")
    records = {r.quantity: r for r in run_case(case, subjects_of(adapters.get("numpy")))}
    cost = records["cost"]
    assert (cost.outcome, cost.reason, cost.link) == ("convention", "all-ignored: nan", CONVENTIONS[0].seen)
    assert records["dC/dz"].reason == "all-ignored: 0"
    assert cost.share is None
    assert cost.required == ()


def test_few_of_the_quick_cases_are_conventions() -> None:
    """All but the value of masked probabilities and the degenerate cases is judged: under 3 % of the comparisons in
    float32, which this alone counts.
    """
    chosen = [(build(c), c) for c in cases("quick") if c.dtype == "float32"]
    found = [convention_of(p, q) for p, c in chosen for q in quantities_of(c)]
    held = [c.id for c in found if c is not None]
    assert {"all-ignored", "empty-batch", "zero-times-inf"} <= set(held)
    assert len(held) < 0.03 * len(found)


def pixels(*classes: Any) -> Any:
    """(2, 3, 2) logits or targets, of the classes of four pixels."""
    return np.moveaxis(np.array(classes, float).reshape(2, 2, 3), -1, 1)


CLEAN = ([1, 2, 3], [0, -1, 4], [2, 2, 1], [1, 0, 2])
MASKED_PIXELS = pixels([1, 2, -np.inf], *CLEAN[1:3], [0, -np.inf, -np.inf])
BROKEN_PIXELS = pixels([1, np.nan, 3], *CLEAN[1:3], [np.inf, 0, 0])
SOFT_PIXELS = pixels([0.5, 0.5, 0], [0.25, 0.25, 0.5], [0, 0, 1], [1, 0, 0])
LABELS = np.array([[0, 1], [2, 0]])

PARTLY: dict[str, tuple[str, dict[str, Any], dict[str, tuple[str, ...]]]] = {
    "probability 0": (
        "zero-times-inf",
        {"logits": MASKED_PIXELS, "target": SOFT_PIXELS},
        {"none": ("loss",)},
    ),
    "weight 0 under smoothing": (
        "zero-times-inf",
        {"logits": MASKED_PIXELS, "target": LABELS, "label_smoothing": 0.25, "weight": weights(1, 0, 0)},
        {"none": ("loss",)},
    ),
    "nan and inf": (
        "not-finite",
        {"logits": BROKEN_PIXELS, "target": LABELS, "v": pixels(*np.eye(3)[[0, 1, 2, 0]])},
        {
            "none": ("a", "log_a", "loss", "dC/dz", "jvp", "hvp"),
            **dict.fromkeys(("mean", "sum"), ("a", "log_a", "dC/dz", "hvp")),
        },
    ),
}
"""Problems whose first and last pixel is concerned: which convention, and which quantities under which reduction."""


def partly(fields: dict[str, Any], reduction: str) -> Problem:
    """One of these problems."""
    upstream = np.array([[1.0, -2.0], [0.5, 3.0]]) if reduction == "none" else np.array(1.0)
    return Problem(**fields, reduction=reduction, upstream=upstream)


def judged(problem: Problem, quantity: str, value: Any) -> Record:
    """The record of a value that is handed over."""
    subject = Subject(Handed({quantity: np.asarray(value)}, None, "handed"), "eager", "cpu", "")
    (record,) = run_problem(problem, "handed", [quantity], [(subject, "")])
    return record


def at_pixel(row: int, quantity: str) -> tuple[int, ...]:
    """The first element of a pixel."""
    n, d = divmod(row, 2)
    return (n, d) if quantity in ("loss", "jvp") else (n, 0, d)


@pytest.mark.parametrize(
    ("name", "reduction", "quantity"),
    [(name, r, q) for name, (_, _, by) in PARTLY.items() for r, quantities in by.items() for q in quantities],
)
def test_only_the_rows_concerned_are_excused(name: str, reduction: str, quantity: str) -> None:
    """Anything goes in the first pixel and the last; one wrong number between them is found where it is."""
    identifier, fields, _ = PARTLY[name]
    problem = partly(fields, reduction)
    right = np.array(Exact(problem).evaluate([quantity])[quantity][0])
    for anything in (np.nan, 0.0, 42.0):
        right[at_pixel(0, quantity)] = right[at_pixel(3, quantity)] = anything
        record = judged(problem, quantity, right)
        assert record.outcome == "agree"
        assert record.notes[0].startswith(f"convention {identifier}: 2 of 4 rows not judged, answer ")
        assert record.elements == right.size // 2
    xentcheck.assert_values_agree(problem, {quantity: right})
    for row in (1, 2):
        wrong = right.copy()
        wrong[at_pixel(row, quantity)] += 0.5
        record = judged(problem, quantity, wrong)
        assert (record.outcome, record.index) == ("disagree", at_pixel(row, quantity))
        with pytest.raises(Disagreement):
            xentcheck.assert_values_agree(problem, {quantity: wrong})


@pytest.mark.parametrize(
    ("name", "reduction", "quantity"),
    [
        *((name, r, "cost") for name in PARTLY for r in ("mean", "sum")),
        *(("nan and inf", r, "jvp") for r in ("mean", "sum")),
    ],
)
def test_a_sum_over_rows_is_excused_where_such_a_row_reaches_it(name: str, reduction: str, quantity: str) -> None:
    """Right code that follows another convention stays one."""
    identifier, fields, _ = PARTLY[name]
    record = judged(partly(fields, reduction), quantity, 42.0)
    assert (record.outcome, record.reason) == ("convention", f"{identifier}: finite")


@pytest.mark.parametrize("quantity", ["dC/db", "dC/dw", "dC/da_prev"])
def test_behind_biases_that_mask_every_class_nothing_is_judged(quantity: str) -> None:
    """All rows are concerned, and so is what adds over them."""
    problem = Problem(**HELD["not-finite"]["all biases masked"])
    assert judged(problem, quantity, np.full(problem.shapes[quantity], 42.0)).reason == "not-finite: finite"


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", ["nan and inf", "weight 0 under smoothing"])
def test_what_an_ignored_row_holds_does_not_reach_the_value(name: str, reduction: str) -> None:
    """It is left out: the value of the others is judged, and a nan from it is wrong."""
    fields = PARTLY[name][1] | {"target": np.array([[-100, 1], [0, -100]])}
    problem = partly(fields, reduction)
    quantity = "loss" if reduction == "none" else "cost"
    right = Exact(problem).evaluate([quantity])[quantity][0]
    assert judged(problem, quantity, right).outcome == "agree"
    assert judged(problem, quantity, right + 0.5).outcome == "disagree"
    assert judged(problem, quantity, right * np.nan).outcome == "disagree"


@pytest.mark.parametrize(("identifier", "fields"), pairs(HELD))
def test_quantities_that_a_convention_does_not_concern_are_judged(identifier: str, fields: dict[str, Any]) -> None:
    """A number that is off in the first element is found."""
    problem = Problem(**fields)
    for quantity, shape in problem.shapes.items():
        if convention_of(problem, quantity) is None and np.prod(shape):
            wrong = Exact(problem).evaluate([quantity])[quantity][0].copy()
            assert judged(problem, quantity, wrong).outcome in ("agree", "trivial")
            wrong.flat[0] += 0.5
            assert judged(problem, quantity, wrong).outcome == "disagree", f"{identifier}: {quantity}"


def test_a_row_of_a_layer_is_excused_by_itself() -> None:
    """With probabilities behind masked biases: the first row has the probability 0 at the mask, the second has not."""
    fields = layer([0.0, 1.0, -np.inf]) | {"target": np.array([[0.5, 0.5, 0.0], [0.5, 0.25, -0.25]])}
    problem = Problem(**fields, reduction="none", upstream=np.ones(2))
    right = Exact(problem).evaluate(["loss"])["loss"][0]
    assert np.isinf(right[1])
    assert judged(problem, "loss", [np.nan, right[1]]).outcome == "agree"
    assert judged(problem, "loss", [right[0], 42.0]).index == (1,)


def test_a_fault_beside_excused_rows_is_named() -> None:
    """What explains it is looked for in the judged rows alone."""
    problem = partly(PARTLY["nan and inf"][1], "none")
    right = Exact(problem).evaluate(["dC/dz"])["dC/dz"][0]
    (suspect,) = judged(problem, "dC/dz", -right).suspects
    assert suspect == "G90: the sign is wrong"


@pytest.mark.parametrize("framework", ["numpy", "torch", "jax"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", PARTLY)
def test_the_built_in_adapters_are_right_beside_such_rows(name: str, reduction: str, framework: str) -> None:
    """Whatever they return in the rows concerned."""
    if missing := adapters.get(framework).unavailable():
        pytest.skip(missing)
    problem = partly(PARTLY[name][1], reduction)
    subject = subjects_of(adapters.get(framework), ["cpu"])[0]
    records = run_problem(problem, name, problem.quantities, [(subject, "")])
    assert {r.outcome for r in records} <= {"agree", "convention"}


def misshapen(logits: Any, target: Any, **options: Any) -> Any:
    return np.float32(0), np.zeros((3, 3, 3), logits.dtype)


def narrowed(logits: Any, target: Any, **options: Any) -> Any:
    return np.float32(0), np.zeros(logits.shape, np.float16)


def overwriting(logits: Any, target: Any, **options: Any) -> Any:
    target[...] = 0
    return np.float32(0), np.zeros_like(logits)


@pytest.mark.parametrize(
    ("loss", "reason"),
    [
        (misshapen, "shape (3, 3, 3), expected (2, 3)"),
        (narrowed, "dtype float16, expected float32"),
        (overwriting, "the call changed its input target"),
    ],
)
def test_a_convention_excuses_values_only(loss: Any, reason: str) -> None:
    """Another shape or a narrower dtype, or labels that are written into, disagree where no value is judged, too."""
    problem = Problem(logits=Z.astype(np.float32), target=np.array([-100, -100]))
    assert convention_of(problem, "dC/dz")
    (subject,) = subjects_of(adapters.from_numpy(loss))
    (record,) = run_problem(problem, "all-ignored", ["dC/dz"], [(subject, "")])
    assert (record.outcome, record.reason) == ("disagree", reason)


@pytest.mark.parametrize(("weight", "vanish"), [(1e-40, True), (1.2e-38, False), (1.0, False), (0.0, True)])
def test_weights_that_may_be_flushed_may_vanish(weight: float, vanish: bool) -> None:
    """Of one sign, those below the normal range and no others: a sum of others is at least the largest."""
    p = Problem(logits=np.zeros((2, 3), np.float32), target=np.array([0, 1]), weight=np.full(3, weight, np.float32))
    assert (convention_of(p, "cost") is not None) == vanish
