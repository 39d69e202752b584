"""Bounds of dC/dz at the label, which nobody needs the whole array for, and what they are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from xentcheck.reference.bounds import Bounds
from xentcheck.reference.bounds.contracts import CATALOGUE
from xentcheck.reference.bounds.gradient import GradientBounds
from xentcheck.reference.formats import FORMATS
from xentcheck.reference.oracle import Exact
from xentcheck.reference.problem import Problem


def gradient_of(dtype: str, contract: str, scale: float = 3.0, factor: float = 1.0, ignored: int = 7) -> GradientBounds:
    """Bounds of five rows of 70 weighted classes, of which the label 7 is ignored; factor: of upstream gradients."""
    rng = np.random.default_rng(0)
    p = Problem(
        logits=(scale * rng.standard_normal((5, 70))).astype(dtype),
        target=np.array([0, 7, 69, 7, 8]),
        weight=rng.uniform(0.5, 2.0, 70).astype(dtype),
        ignore_index=ignored,
        reduction="none",
        upstream=(factor * np.arange(1.0, 6.0)).astype(dtype),
    )
    bounds = Bounds(Exact(p), CATALOGUE[contract])
    with np.errstate(all="ignore"):
        (block,) = bounds.exact.blocks()
        return bounds.on(block).gradient


@pytest.mark.parametrize("contract", CATALOGUE)
def test_bounds_at_the_label_are_those_of_the_whole(contract: str) -> None:
    """Bit by bit, in ignored rows, below the normal range and beyond the largest number as well."""
    for dtype in FORMATS:
        for scale, factor in ((3.0, 1.0), (400.0, 1.0), (3.0, 1e-4), (3.0, FORMATS[dtype].largest / 5.0)):
            with np.errstate(all="ignore"):
                found = gradient_of(dtype, contract, scale, factor)
                at_label = found.at_label
                assert np.array_equal(at_label, found.whole[np.arange(5), found.targets.label])
            assert at_label[1] == at_label[3] == 0.0 < at_label[0]


@pytest.mark.parametrize(
    ("has_form", "given"),
    [
        (True, {}),
        (False, {"ignored": 7}),
        (False, {"scale": 400.0}),
        (False, {"factor": 1e-38}),
        (False, {"factor": FORMATS["float32"].largest / 5.0}),
    ],
    ids=str,
)
def test_what_is_too_small_too_large_or_not_finite_has_no_form(has_form: bool, given: dict[str, Any]) -> None:
    """And what is not has one: a loop that forms bounds knows neither flushing nor overflow, and no bound of 0."""
    with np.errstate(all="ignore"):
        assert (gradient_of("float32", "fused", **{"ignored": -100, **given}).form is not None) == has_form
