"""Conventions: which degenerate problems are recorded instead of judged, and which neighbours of theirs are judged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from xentcheck import adapters
from xentcheck.cases.build import build
from xentcheck.cases.case import Case, quantities_of
from xentcheck.cases.profiles.named import cases
from xentcheck.judging.conventions import CONVENTIONS, convention_of, seen
from xentcheck.reference.problem import Problem
from xentcheck.running.comparison import run_case, run_problem
from xentcheck.running.subjects import subjects_of

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
    },
    "zero-times-inf": {
        "index target": {"logits": MASKED, "target": np.array([0, 1])},
        "probability on the mask": {"logits": MASKED, "target": SOFT[:, ::-1].copy()},
        "smoothing without weights": {"logits": MASKED, "target": np.array([0, 1]), "label_smoothing": 0.1},
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
    """The predicate holds, and it is this convention that takes the value of the problem."""
    p = Problem(**fields)
    convention = next(c for c in CONVENTIONS if c.id == identifier)
    assert convention.holds(p)
    assert convention_of(p, "cost") is convention


@pytest.mark.parametrize(("identifier", "fields"), pairs(JUDGED))
def test_their_neighbours_are_judged(identifier: str, fields: dict[str, Any]) -> None:
    """A problem that the signature defines is no convention, however near to one."""
    p = Problem(**fields)
    assert not next(c for c in CONVENTIONS if c.id == identifier).holds(p)
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
    """All but the value of masked probabilities and the degenerate cases is judged: under 3 % of the comparisons."""
    found = [convention_of(build(c), q) for c in cases("quick") if c.dtype == "float32" for q in quantities_of(c)]
    held = [c.id for c in found if c is not None]
    assert {"all-ignored", "empty-batch", "zero-times-inf"} <= set(held)
    assert len(held) < 0.03 * len(found)


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
