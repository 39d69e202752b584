"""Values of options beside each other: what goes wrong for some of them only is found by the varied cases, alone."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from changed import Where, changed, seen, soft

from xentcheck import adapters
from xentcheck.cases.fields import IGNORE, SMOOTHING, SOFT, WEIGHTS
from xentcheck.cases.profiles.arrays.varied import SETS, SHAPES, VALUES, varied_cases
from xentcheck.cases.profiles.named import cases
from xentcheck.cases.profiles.reserved import reserved_for
from xentcheck.running.comparison import run_case
from xentcheck.running.subjects import subjects_of
from xentcheck.vocabulary import FAILING, OPTIONS, REDUCTIONS

Given = dict[str, Any]


def ignored(p: Given) -> Any:
    """Which rows are ignored."""
    return np.zeros(len(p["z"]), bool) if soft(p) else (p["y"] == p["ignore_index"]).ravel()


def has(p: Given, *options: str) -> bool:
    """Whether these options, and no others, are used."""
    used = {"weight": p["weight"] is not None, "smoothing": bool(p["label_smoothing"]), "ignored": ignored(p).any()}
    return {name for name, there in used.items() if there} == set(options)


def positive(p: Given) -> bool:
    """Whether the upstream gradient is one positive number, and not 1."""
    u = np.asarray(p["upstream"], np.float64)
    return bool(u.size and u.ravel()[0] > 0 and u.ravel()[0] != 1 and (u == u.ravel()[0]).all())


def label_weights(p: Given) -> float:
    """The sum of the weights of the labels that are kept."""
    kept = (p["y"] != p["ignore_index"]) & (p["y"] >= 0) & (p["y"] < p["z"].shape[1 if p["z"].ndim > 1 else 0])
    return float(np.sum(np.asarray(p["weight"], np.float64)[p["y"][kept]]))


UNWEIGHTED, UNSMOOTHED, ONES = {"weight": None}, {"label_smoothing": 0.0}, {"upstream": np.float32(1)}
ALL_COUNT = {"ignore_index": -(10**9)}
FAULTS: dict[str, tuple[Where, Given | None, Given | None]] = {
    "images-beside-two": (
        lambda p: p["z"].ndim > 2 and not soft(p) and has(p, "weight", "smoothing"),
        UNWEIGHTED,
        None,
    ),
    "smoothed-padding-of-a-sum": (
        lambda p: p["reduction"] == "sum" and has(p, "smoothing", "ignored"),
        UNSMOOTHED,
        None,
    ),
    "padding-of-many-weighted-rows": (lambda p: len(p["z"]) > 100 and has(p, "weight", "ignored"), UNWEIGHTED, None),
    "long-sequences": (lambda p: p["z"].shape[-1] == 70 and has(p, "smoothing"), UNSMOOTHED, None),
    "smoothing-of-a-fifth": (lambda p: 0.15 < p["label_smoothing"] < 0.25, {"label_smoothing": 0.1}, None),
    "smoothing-of-a-twentieth": (lambda p: 0.04 < p["label_smoothing"] < 0.06, {"label_smoothing": 0.1}, None),
    "weights-of-a-large-sum": (
        lambda p: p["reduction"] == "sum" and p["z"].shape[1:] == (401,) and has(p, "weight"),
        UNWEIGHTED,
        None,
    ),
    "small-weights": (
        lambda p: p["reduction"] == "mean" and has(p, "weight") and not soft(p) and 0 < label_weights(p) < 0.1,
        UNWEIGHTED,
        None,
    ),
    "whole-weights": (
        lambda p: p["weight"] is not None and p["weight"].max() == 5 and bool((p["weight"] % 1 == 0).all()),
        UNWEIGHTED,
        None,
    ),
    "first-row-of-a-sum": (
        lambda p: p["reduction"] == "sum" and ignored(p)[:1].any() and not ignored(p).all() and has(p, "ignored"),
        {"reduction": "mean"},
        None,
    ),
    "prompts": (
        lambda p: p["reduction"] == "mean" and has(p, "ignored") and bool(ignored(p)[: len(ignored(p)) // 2].all()),
        {"reduction": "sum"},
        None,
    ),
    "masks-of-images": (
        lambda p: p["z"].ndim == 4 and p["ignore_index"] == 255 and p["reduction"] == "mean" and has(p, "ignored"),
        {"reduction": "sum"},
        None,
    ),
    "pairs-of-a-batch": (
        lambda p: p["z"].shape == (9, 9) and not soft(p) and bool((p["y"] == np.arange(9)).all()),
        {"reduction": "sum"},
        None,
    ),
    "two-labels": (
        lambda p: (
            soft(p)
            and p["z"].ndim > 1
            and p["y"].size > 0
            and bool(((p["y"] == 1).sum(1) == 2).all())
            and not bool(p["y"][p["y"] != 1].any())
        ),
        {"label_smoothing": 0.5},
        None,
    ),
    "mixed-labels": (
        lambda p: soft(p) and p["z"].shape[1:] == (401,) and bool(((p["y"] == 0.5).sum(1) == 2).all()),
        {"label_smoothing": 0.5},
        None,
    ),
    "equal-upstream-of-rows": (lambda p: np.size(p["upstream"]) > 1 and positive(p), {}, ONES),
    "upstream-beside-an-option": (
        lambda p: p["reduction"] == "mean" and positive(p) and 1 < np.max(p["upstream"]) < 9 and has(p, "weight"),
        {},
        ONES,
    ),
}
"""Where a fault shows, and what the value and the gradient get there."""


@pytest.mark.parametrize("name", FAULTS)
def test_what_goes_wrong_beside_something_is_found_by_varied_cases(name: str) -> None:
    """By NumPy's own loss with other arguments there."""
    assert seen(FAULTS[name], varied_cases(0))


@pytest.mark.nightly
@pytest.mark.parametrize("name", FAULTS)
def test_no_other_case_of_its_dtype_finds_it(name: str) -> None:
    """So that without the varied cases `quick` would be green: all others in float32, which take 20 CPU seconds."""
    assert not seen(FAULTS[name], [c for c in cases("quick") if c.dtype == "float32" and reserved_for(c) != "varied"])


def test_the_loss_that_they_are_planted_in_agrees() -> None:
    """With no other argument anywhere, on each fifth case."""
    (subject,) = subjects_of(adapters.from_numpy(changed(lambda p: False), options=sorted(OPTIONS[:8])))
    found = [r.outcome for c in varied_cases(0)[::5] for r in run_case(c, [subject.outcomes_only()])]
    assert "agree" in found
    assert not set(found) & set(FAILING)


def test_each_set_of_options_meets_each_shape_and_each_value_in_each_reduction() -> None:
    """No value, shape or set is left out by the way in which they go round: each value is beside each other option."""
    chosen = varied_cases(0)

    for (targets, options), reduction in product(SETS, REDUCTIONS):
        among = [c for c in chosen if c.reduction == reduction and c.target in targets]
        beside = [c for c in among if len(c.options) == len(options)]
        for kind in (kind for kinds in options for kind in kinds):
            assert any(all(set(c.options) & {kind, *o} for o in options) and kind in c.options for c in beside), kind
    sets = {
        (c.target in SOFT, *(bool(set(c.options) & set(o)) for o in (WEIGHTS, SMOOTHING, IGNORE)), c.reduction, c.shape)
        for c in chosen
    }
    assert len(sets) == len(SETS) * len(REDUCTIONS) * len(SHAPES)
    assert {c.target for c in chosen} == {*SOFT, "index", "low", "top", "diag"}
    assert len(chosen) >= len(SETS) * len(REDUCTIONS) * VALUES


def test_what_compiles_takes_none_of_them() -> None:
    """Each shape would be compiled with each set of options; all other subjects take all."""
    taken = {name: {s.takes(c) for s in subjects_of(adapters.get(name)) for c in varied_cases(0)} for name in WHO}
    assert taken == WHO


WHO = {"numpy": {True}, "torch": {True}, "jax": {False}}


def test_no_other_case_has_their_shapes() -> None:
    """So that no case of others is taken for one of them."""
    others = [c for c in cases("full") if c not in set(varied_cases(0)) and not c.inputs]
    assert not {c.shape for c in others} & set(SHAPES)
    assert {reserved_for(c) for c in varied_cases(3)} == {"varied"}
