"""What laws ask about: numbers that stay exact where a law moves them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from xentcheck.reference.problem import Problem
from xentcheck.studies.asker import Answer, compare
from xentcheck.studies.laws import LAWS
from xentcheck.studies.related import SHAPE, SHIFT, base
from xentcheck.studies.ways.options import PIXELS, soft_rows, with_options, with_pixels
from xentcheck.vocabulary import DTYPES


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_shift_of_the_logits_is_exact(dtype: str) -> None:
    """They are multiples of so much that each dtype holds them beside 64, and of both signs, with several values."""
    p = base(dtype)
    for z in (np.asarray(p.logits), *(np.asarray(with_pixels(p, shape).logits) for shape in PIXELS)):
        moved = (z + np.asarray(SHIFT, dtype)).astype(dtype)
        assert np.array_equal(moved.astype(np.float64) - SHIFT, z.astype(np.float64))
        assert float(z.min()) < 0 < float(z.max())
        assert len(np.unique(z.astype(np.float64))) > 4
        assert float(np.abs(z.astype(np.float64)).max()) <= 4


def test_each_option_is_asked_alone_and_with_others() -> None:
    """Weights, smoothing, rows of probabilities and ignored rows, once each by themselves."""
    problems = with_options(base("float32"), labels=True)
    kinds = [
        (p.weight is not None, bool(p.label_smoothing), p.probabilities, not p.probabilities and not p.kept.all())
        for p in problems
    ]
    assert {sum(kind) for kind in kinds} == {0, 1, 2, 3}
    assert {kind.index(True) for kind in kinds if sum(kind) == 1} == {0, 1, 2, 3}
    rows = soft_rows(base("float32"))
    assert rows.shape == SHAPE
    assert np.array_equal(rows.sum(1), np.ones(SHAPE[0]))
    assert sorted(set(rows.ravel().tolist())) == [0.0, 0.5]


class Counting:
    """Answers with zeros, and counts the problems that it is asked about."""

    labels = ignores = logits = any_rows = True

    def __init__(self, *, compiles: bool) -> None:
        self.compiles = compiles
        self.asked: set[tuple[Any, ...]] = set()

    def __call__(self, problem: Problem, *quantities: str, **how: Any) -> Answer:
        options = problem.weight is not None, problem.label_smoothing, problem.ignore_index, problem.probabilities
        self.asked.add((problem.logits_shape, problem.reduction, *options, str(problem.target.dtype)))
        zeros = {q: np.zeros(problem.shapes[q]) for q in quantities}
        return Answer(problem, zeros, zeros)


def test_equal_infinities_differ_by_0_and_others_do_not() -> None:
    """A loss without a shift may be infinite with a gradient as without; beside a number, or the other sign, not."""
    p, limit = base("float32"), {"loss": np.zeros(4)}
    x = Answer(p, {"loss": np.array([np.inf, np.inf, np.inf, 1.0])}, limit)
    y = Answer(p, {"loss": np.array([np.inf, -np.inf, 1.0, 1.5])}, limit)
    assert compare(x, y, ("loss",))[0].tolist() == [0.0, np.inf, np.inf, -0.5]


THINNED = {
    "value-alone": (22, 15),
    "label-dtypes": (26, 16),
    "computed-inputs": (10, 9),
    "interleaved": (9, 9),
    "vmap": (9, 5),
    "gradient-of-target": (6, 2),
    "gradient-of-weight": (8, 2),
}
"""Law -> how many problems it asks about in float32, and how many of what compiles each of them."""


@pytest.mark.parametrize("law", THINNED)
def test_of_what_compiles_laws_ask_less(law: str) -> None:
    """A JIT is asked about fewer problems, and nobody else is: nothing else counts them."""
    found = []
    for compiles in (False, True):
        ask = Counting(compiles=compiles)
        LAWS[law][1](ask, base("float32"))  # type: ignore[arg-type]  # asked like an Asker
        found.append(len(ask.asked))
    assert tuple(found) == THINNED[law]
