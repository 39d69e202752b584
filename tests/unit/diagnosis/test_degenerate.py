"""Degenerate problems: whatever is asked of them, nothing that makes or looks for a cause raises an exception."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from xentcheck.diagnosis.counterfactual import Counterfactual
from xentcheck.diagnosis.knobs.rows import Rows
from xentcheck.diagnosis.knobs.solve import ASKED, FAMILIES
from xentcheck.diagnosis.mistakes.forgotten import along
from xentcheck.diagnosis.patterns.first import patterns_of
from xentcheck.diagnosis.suspects import EXAMINED, SOURCES, suspects
from xentcheck.reference.problem import Problem
from xentcheck.reference.rows import from_rows
from xentcheck.vocabulary import DIRECTIONAL, LAYER_GRADIENTS

SMALL = np.random.default_rng(7)
Z = SMALL.normal(size=(4, 5))
Y = np.array([1, 0, 4, 1])
IGNORED = np.full(4, -100)
DEGENERATE: dict[str, dict[str, Any]] = {
    "all rows ignored": {"logits": Z, "target": IGNORED},
    "all rows ignored, weights": {"logits": Z, "target": IGNORED, "weight": np.arange(5.0)},
    "all rows ignored, smoothing": {"logits": Z, "target": IGNORED, "label_smoothing": 0.1},
    "all rows ignored, positions": {"logits": Z[:, :, None], "target": IGNORED[:, None]},
    "no row": {"logits": Z[:0], "target": Y[:0]},
    "no row of probabilities": {"logits": Z[:0], "target": Z[:0]},
    "no position": {"logits": np.zeros((2, 5, 0)), "target": np.zeros((2, 0), np.int64)},
    "one class": {"logits": Z[:, :1], "target": Y * 0},
    "one class, smoothing": {"logits": Z[:, :1], "target": Y * 0, "label_smoothing": 0.1, "weight": np.ones(1)},
    "two classes": {"logits": Z[:, :2], "target": Y % 2, "label_smoothing": 1.0},
    "one row": {"logits": Z[:1], "target": Y[:1]},
    "unbatched": {"logits": Z[0], "target": Y[0]},
    "no weight": {"logits": Z, "target": Y, "weight": np.zeros(5)},
    "no weight, smoothing": {"logits": Z, "target": Y, "weight": np.zeros(5), "label_smoothing": 0.1},
    "weights that cancel": {"logits": Z, "target": Y, "weight": np.array([1.0, -1.0, 0.0, 0.0, 1.0])},
    "no upstream": {"logits": Z, "target": Y, "upstream": np.array(0.0)},
    "no probability": {"logits": Z, "target": np.zeros((4, 5))},
    "equal logits": {"logits": np.zeros((4, 5)), "target": Y},
    "all masked": {"logits": np.full((4, 5), -np.inf), "target": Y},
    "nan": {"logits": np.full((4, 5), np.nan), "target": Y},
    "infinite": {"logits": np.full((4, 5), np.inf), "target": Y, "label_smoothing": 0.1},
    "far": {"logits": np.full((4, 5), -1e300), "target": Y, "weight": np.arange(5.0)},
    "a layer, all rows ignored": {"a_prev": Z, "w": np.ones((3, 5)), "b": np.zeros(3), "target": IGNORED},
    "a layer without a row": {"a_prev": Z[:0], "w": np.ones((3, 5)), "b": np.zeros(3), "target": Y[:0]},
    "a layer of one class": {"a_prev": Z, "w": np.ones((1, 5)), "b": np.zeros(1), "target": Y * 0},
    "a direction": {"logits": Z, "target": IGNORED, "v": np.zeros((4, 5))},
    "two calls": {"logits": Z, "target": IGNORED, "backwards": 2},
    "narrow": {"logits": Z.astype("float16"), "target": IGNORED, "weight": np.zeros(5, "float16")},
}
EVERY = [(name, r) for i, name in enumerate(DEGENERATE) for r in ("mean", ("none", "sum")[i % 2])]


def problem(name: str, reduction: str) -> Problem:
    given = dict(DEGENERATE[name])
    shape = np.shape(given["target"]) if np.asarray(given["target"]).dtype.kind == "i" else (len(given["target"]),)
    if reduction == "none":
        given["upstream"] = (
            np.zeros(shape) if "upstream" in given else SMALL.normal(size=shape).astype(given.get("logits", Z).dtype)
        )
    return Problem(**given, reduction=reduction)


def asked(p: Problem) -> list[str]:
    wanted = [q for q in EXAMINED if (q in DIRECTIONAL) <= (p.v is not None)]
    return [q for q in wanted if (q in LAYER_GRADIENTS) <= (p.head == "layer")]


@pytest.mark.parametrize(("name", "reduction"), EVERY)
def test_a_degenerate_problem_raises_nothing(name: str, reduction: str) -> None:
    """Neither do its mistakes and knobs, one by one; alone this makes each of them for each such problem."""
    p = problem(name, reduction)
    right = Counterfactual.of(p)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        mistakes = [wrong for source in (*SOURCES, along) for _, _, wrong in source(right)]
        for quantity in asked(p):
            exact = right.result(quantity)
            for wrong in mistakes:
                assert np.size(wrong.result(quantity)) == np.size(exact)
            rows = Rows.of(right)
            for family in (f for source in FAMILIES for f in source(rows)) if quantity in ASKED else ():
                assert np.size(rows.quantity(quantity, family.made(rows, 0.5))) == np.size(exact)


RESULTS: dict[str, Any] = {
    "one nan": lambda exact: np.where(np.arange(exact.size).reshape(exact.shape) == exact.size - 1, np.nan, exact),
    "other numbers": lambda exact: exact * 2.1 + 0.1,
}
SOME = [(name, ("mean", "none", "sum")[i % 3]) for i, name in enumerate(DEGENERATE)]


@pytest.mark.parametrize(("name", "reduction"), SOME)
def test_no_result_of_it_raises_anything(name: str, reduction: str) -> None:
    """nan and other numbers: alone this asks for the causes and patterns of each."""
    p = problem(name, reduction)
    right = Counterfactual.of(p)
    for quantity in asked(p):
        with np.errstate(all="ignore"):
            exact = np.atleast_1d(right.result(quantity))
        shaped = quantity in ("a", "log_a", "dC/dz", "hvp")
        for made in RESULTS.values():
            with np.errstate(all="ignore"):
                got = made(np.where(np.isfinite(exact), exact, 0.5))
                if got.size:
                    assert isinstance(patterns_of(right, quantity, exact, got, np.zeros_like(got)), tuple)
            given = from_rows(got, p.logits_shape) if shaped else got
            assert isinstance(suspects(p, quantity, given, np.full(given.shape, 1e-9)), tuple)
