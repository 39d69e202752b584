"""Bounds where a term is there for few inputs: each test fails if that term is left out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from xentcheck.reference.bounds import bound
from xentcheck.reference.bounds.arithmetic import Arithmetic
from xentcheck.reference.bounds.contracts import CATALOGUE
from xentcheck.reference.bounds.layers import logit_errors
from xentcheck.reference.bounds.sums.addends import LEAST
from xentcheck.reference.bounds.sums.scattered import scattered_height, share
from xentcheck.reference.problem import Problem

DECISIVE = CATALOGUE["decisive"]


def half(z: Any, **options: Any) -> Problem:
    """Logits in float16."""
    return Problem(logits=np.array(z, "float16"), **options)


def weights(*values: float) -> Any:
    """Class weights in float16."""
    return np.array(values, "float16")


def test_a_smoothed_mean_of_little_weight_may_overflow_before_the_division() -> None:
    """A sum of 80000 in float16, whatever it is divided by: by 1.5 it would fit."""
    z, y = [[17776.0, 0.0, 0.0, 0.0]], np.array([0])
    assert np.isinf(bound("cost", half(z, target=y, label_smoothing=0.1, weight=weights(1.5, 1.5, 1.5, 1.5)), DECISIVE))
    smaller = half([[11110.0, 0.0, 0.0, 0.0]], target=y, label_smoothing=0.1, weight=weights(1.5, 1.5, 1.5, 1.5))
    assert np.isfinite(bound("cost", smaller, DECISIVE))


def test_a_logarithm_that_overflows_leaves_no_bound_whatever_its_factor() -> None:
    """log a = -120000 in float16, times 0; of half that gap it is a number."""
    for top, finite in ((60000.0, False), (15000.0, True)):
        p = half([[top, -top]], target=weights(1.0, 0.0)[None])
        assert np.isfinite(bound("cost", p, DECISIVE)) == finite


def test_a_weighted_logarithm_that_overflows_leaves_no_bound_whatever_its_probability() -> None:
    """8 times 10000 in float16, before a probability of 2^-10 makes it small."""
    q = weights(1.0 - 2.0**-10, 2.0**-10)[None]
    for gap, finite in ((10000.0, False), (4000.0, True)):
        p = half([[gap, 0.0]], target=q, weight=weights(1.0, 8.0))
        assert np.isfinite(bound("cost", p, DECISIVE)) == finite


def test_an_inverse_of_little_weight_overflows_although_its_product_does_not() -> None:
    """1/2^-20 in float16, times an upstream gradient of 2^-6, and by a weight of 2^-20."""
    for weight, finite in ((2.0**-20, False), (2.0**-12, True)):
        p = half([[1.0, 0.0]], target=np.array([1]), weight=weights(weight, weight), upstream=weights(2.0**-6)[0])
        assert np.isfinite(bound("dC/dz", p, DECISIVE)).all() == finite


def test_classes_within_the_errors_of_shift_and_exponent_may_be_the_maximum() -> None:
    """2^20 and 1/4 less in float32: three times 2^-3 is the depth down to which a row's sum may be added."""
    z = np.array([[2.0**20, 2.0**20 - 0.25, 2.0**20 - 1.0]], np.float32)
    p = Problem(logits=z, target=np.array([0]), reduction="none", upstream=np.ones(1, np.float32))
    found, without = (bound("dC/dz", p, replace(DECISIVE, row_sum=kind))[0] for kind in ("pivots", "none"))
    assert (found > without).tolist() == [True, True, False]


def test_a_hundredth_of_very_many_terms_is_more_than_the_least_height() -> None:
    """200000 terms in a tree of 128: 1563 additions and 7, where 1024 are the least."""
    terms = 200_000
    height = scattered_height(np.array([[terms - 1.0]]), 1, np.zeros((7, 1)))[0, 0]
    assert height == terms // 128 + 1 + 7 > LEAST


def test_the_share_of_nothing_is_nothing() -> None:
    """0 of 0, and 1 of 2."""
    assert share(np.array([0.0, 1.0]), np.array([0.0, 2.0])).tolist() == [0.0, 0.5]


def test_long_products_of_rounded_inputs_leave_over_what_they_are_off_by() -> None:
    """Under TF32 each product is off by 2^-11 of itself, twice, so that a sum of 5000 may err as in any order."""
    rng = np.random.default_rng(0)
    a, w = (rng.uniform(0.5, 1.5, (rows, 5000)).astype(np.float32) for rows in (1, 2))
    p = Problem(a_prev=a, w=w, b=np.zeros(2, np.float32), target=np.array([0]))
    size, any_order = a @ w.T, 5000 * 2.0**-24
    rounded, plain = (
        logit_errors(p, Arithmetic.of(replace(CATALOGUE["fused"], product_inputs=of), "float32"))
        for of in ("tf32", "storage")
    )
    assert (rounded >= (any_order + 2.0 * 2.0**-11) * size).all()
    assert (plain <= 0.5 * any_order * size).all()
