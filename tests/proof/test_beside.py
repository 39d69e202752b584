"""Sizes beside something else: what errs for many pixels, for classes of images, or for a scalar gradient alone."""

from __future__ import annotations

import numpy as np
import pytest
from changed import Given, Where, seen, soft

from xentcheck import adapters
from xentcheck.cases.build import build
from xentcheck.cases.fields import SCALARS
from xentcheck.cases.profiles.arrays.beside import SCALED, beside_cases, beside_with_options
from xentcheck.cases.profiles.named import cases
from xentcheck.running.subjects import subjects_of

SUM, UNWEIGHTED, UNSMOOTHED = {"reduction": "sum"}, {"weight": None}, {"label_smoothing": 0.0}
NEARLY_RIGHT = {"label_smoothing": 0.25}


def pixels(p: Given) -> int:
    """Pixels of an image, or places of a sequence; 0 of rows."""
    return int(np.prod(p["z"].shape[2:])) if p["z"].ndim > 2 else 0


def upstream(p: Given) -> float:
    """The upstream gradient of a mean or sum; 1 of losses per row."""
    return 1.0 if np.ndim(p["upstream"]) else abs(float(p["upstream"]))


FAULTS: dict[str, tuple[Where, Given, Given | None]] = {
    "many-pixels": (lambda p: pixels(p) > 128 and not soft(p), NEARLY_RIGHT, None),
    "more-pixels-than-a-block": (lambda p: pixels(p) > 1024, NEARLY_RIGHT, None),
    "classes-of-a-sequence": (lambda p: pixels(p) > 0 and p["z"].shape[1] > 1024, NEARLY_RIGHT, None),
    "vocabulary-of-a-sequence": (lambda p: pixels(p) > 0 and p["z"].shape[1] > 32768, NEARLY_RIGHT, None),
    "rows-of-probabilities": (
        lambda p: soft(p) and p["z"].ndim == 2 and 130 < len(p["z"]) < 5000,
        NEARLY_RIGHT,
        None,
    ),
    "a-hundredth": (lambda p: 0.005 < upstream(p) < 0.1, {}, {"upstream": 0.0}),
    "next-to-nothing": (lambda p: 0 < upstream(p) < 1e-20, {}, {"upstream": 0.0}),
    "nearly-one": (lambda p: upstream(p) == 1 + 2.0**-7, {}, {"upstream": 1.0}),
    "beyond-a-million": (lambda p: upstream(p) > 1e6, {}, {"upstream": 1e6}),
}
"""Where a fault shows, and what the value and the gradient get there."""

WITH_OPTIONS: dict[str, tuple[Where, Given, Given | None]] = {
    "images-of-one-column": (lambda p: p["z"].ndim == 4 and p["z"].shape[-1] == 1, NEARLY_RIGHT, None),
    "weights-of-many-rows": (
        lambda p: p["z"].ndim == 2 and len(p["z"]) > 1000 and p["weight"] is not None and p["reduction"] == "none",
        UNWEIGHTED,
        None,
    ),
    "smoothed-pixels": (lambda p: pixels(p) > 128 and not soft(p) and bool(p["label_smoothing"]), UNSMOOTHED, None),
    "weighted-pixels-of-a-sum": (
        lambda p: pixels(p) > 128 and soft(p) and p["reduction"] == "sum",
        UNWEIGHTED,
        None,
    ),
    "weights-of-a-long-sequence": (
        lambda p: p["z"].ndim == 3 and p["z"].shape[1] > 1024 and p["weight"] is not None,
        UNWEIGHTED,
        None,
    ),
    "probabilities-of-a-long-sequence": (
        lambda p: p["z"].ndim == 3 and p["z"].shape[1] > 1024 and soft(p),
        NEARLY_RIGHT,
        None,
    ),
    "images-of-one-row": (lambda p: p["z"].ndim == 4 and p["z"].shape[2] == 1, NEARLY_RIGHT, None),
    "weighted-column": (lambda p: p["z"].ndim == 4 and p["z"].shape[3] == 1 and soft(p), UNWEIGHTED, None),
    "smoothed-rows-of-probabilities": (
        lambda p: soft(p) and p["z"].ndim == 2 and len(p["z"]) > 130 and bool(p["label_smoothing"]),
        UNSMOOTHED,
        None,
    ),
    "weighted-rows-of-probabilities": (
        lambda p: soft(p) and p["z"].ndim == 2 and len(p["z"]) > 130 and p["weight"] is not None,
        UNWEIGHTED,
        None,
    ),
    "two-rows-with-both": (
        lambda p: (
            p["z"].shape[:1] == (2,)
            and p["z"].ndim == 2
            and p["weight"] is not None
            and bool(p["label_smoothing"])
            and not soft(p)
            and p["z"].shape[1] < 100
        ),
        UNSMOOTHED,
        None,
    ),
}
"""The same beside options, and of shapes that a JIT does not compile."""


@pytest.mark.parametrize("name", FAULTS)
def test_a_size_beside_something_is_met_by_all(name: str) -> None:
    """By NumPy's own loss with other arguments there; what compiles has these cases, too."""
    assert seen(FAULTS[name], beside_cases(0))


@pytest.mark.parametrize("name", WITH_OPTIONS)
def test_the_same_beside_options_is_met_by_what_compiles_nothing(name: str) -> None:
    """By NumPy's own loss with other arguments there."""
    assert seen(WITH_OPTIONS[name], beside_with_options(0))


@pytest.mark.nightly
@pytest.mark.parametrize("name", {**FAULTS, **WITH_OPTIONS})
def test_no_other_case_meets_it(name: str) -> None:
    """It is why these cases are there: no other of their dtype in `quick` sees the fault."""
    own = {*beside_cases(0), *beside_with_options(0)}
    others = [c for c in cases("quick") if c.dtype == "float32" and c not in own]
    assert not seen({**FAULTS, **WITH_OPTIONS}[name], others)


WHO = {"numpy": {True}, "torch": {True}, "jax": {False}}
"""Who takes the cases with options."""


def test_the_right_loss_agrees_with_all_of_them() -> None:
    """With no other argument anywhere."""
    assert not seen((lambda p: False, {}, None), [*beside_cases(0), *beside_with_options(0)])


def test_what_compiles_takes_those_for_all() -> None:
    """And leaves the others, each of which it would compile."""
    found = {name: subjects_of(adapters.get(name))[0] for name in WHO}
    assert all(subject.takes(c) for subject in found.values() for c in beside_cases(0))
    assert {name: {subject.takes(c) for c in beside_with_options(0)} for name, subject in found.items()} == WHO


def test_the_scalar_gradients_are_those_that_they_say() -> None:
    """Of means and sums alone."""
    chosen = [c for c in beside_cases(0) if c.upstream in SCALED]
    assert {c.reduction for c in chosen} == {"mean", "sum"}
    assert all(build(c).upstream == np.float32(SCALARS[c.upstream]) for c in chosen)
