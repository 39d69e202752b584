"""Reserved cases: each option is met alone, so that who supports it and little else is tested on it too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import xentcheck
from xentcheck import adapters
from xentcheck.adapters.base import needed_options
from xentcheck.build import build
from xentcheck.profiles import PROFILES, cases
from xentcheck.reference import cross_entropy, cross_entropy_grad
from xentcheck.reserved import RESERVED, alone_cases, reserved_for
from xentcheck.subjects import subjects_of
from xentcheck.vocabulary import OPTIONS, RARE_OPTIONS, REDUCTIONS

WITH = {"negative_weight": "weight", "wide_sentinel": "ignore_index"}
"""Options that make sense beside another one only."""


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("option", [o for o in OPTIONS if o not in (*RARE_OPTIONS, "upstream")])
def test_each_option_is_met_alone(option: str, reduction: str) -> None:
    """With every reduction; upstream gradients are among the cases for all."""
    allowed = {option, WITH.get(option, option)}
    needed = [needed_options(build(case)) for case in alone_cases(0) if case.reduction == reduction]
    assert any(option in options and options <= allowed for options in needed)


@pytest.mark.parametrize("profile", PROFILES[:2])
def test_every_profile_has_the_reserved_cases(profile: str) -> None:
    """And knows them again; the others are for all."""
    chosen = cases(profile)
    made = {name: set(function(0)) for name, (_, function) in RESERVED.items()}
    assert all(found <= set(chosen) for found in made.values())
    for case in chosen:
        kinds = [name for name, found in made.items() if case in found]
        assert [reserved_for(case)] == (kinds or [""])


def test_who_combines_all_options_does_not_take_them() -> None:
    """The built-in adapters' matrix does not grow; whoever lacks one of the options takes them."""
    (numpy,) = subjects_of(adapters.get("numpy"))
    assert not any(numpy.takes(case) for case in alone_cases(0))

    def loss(logits: Any, target: Any, upstream: Any = 1.0) -> None: ...

    (partial,) = subjects_of(adapters.from_numpy(loss, options=["upstream", "k_dims"]))
    assert all(partial.takes(case) for case in alone_cases(0))


def test_a_mistake_in_an_option_that_is_supported_alone_is_found() -> None:
    """(N, C, d) logits by a function that takes neither weights, nor smoothing, nor ignored labels."""

    def rolled(logits: Any, target: Any, reduction: str = "mean", upstream: Any = 1.0) -> Any:
        z = logits if logits.ndim < 3 or logits.shape[1] != 7 else np.roll(logits, 1, 1)
        loss = cross_entropy(z, target, reduction=reduction)
        return loss, cross_entropy_grad(logits, target, reduction=reduction, upstream=upstream)

    run = xentcheck.check(rolled, "numpy", dtypes=["float32"])
    assert {r.case.split(".")[1] for r in run.records if r.outcome == "disagree"} == {"3x7x2"}
