"""Families and options: each produces the phenomenon that it is there for, in both dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from xentcheck.cases.build import build
from xentcheck.cases.case import Case
from xentcheck.cases.families import FAMILIES
from xentcheck.cases.fields import UPSTREAMS
from xentcheck.cases.layer_families import LAYER_FAMILIES
from xentcheck.cases.profiles.named import cases
from xentcheck.reference.bounds.arithmetic import Arithmetic
from xentcheck.reference.bounds.contracts import CATALOGUE
from xentcheck.reference.formats import FORMATS
from xentcheck.reference.problem import NO_IGNORE, Problem
from xentcheck.vocabulary import DTYPES

pytestmark = pytest.mark.parametrize("dtype", DTYPES)


def problem(family: str, dtype: str, **fields: Any) -> Problem:
    """A case's problem: 64 rows of 10 classes unless said otherwise."""
    return build(Case(family=family, dtype=dtype, **{"shape": (64, 10)} | fields))


def logits(p: Problem) -> Any:
    """The logits, which a problem of this head has."""
    assert p.logits is not None
    return p.logits


def margins(p: Problem) -> Any:
    """By how much each row's label leads."""
    z = logits(p).astype(np.float64)
    rows = np.arange(len(z))
    others = z.copy()
    others[rows, p.target] = -np.inf
    return z[rows, p.target] - others.max(1)


def wide(dtype: str) -> Any:
    """The format that a dtype's arithmetic is carried out in."""
    return Arithmetic.of(CATALOGUE["fused"], dtype).wide


def depths(p: Problem) -> Any:
    """Distances to the maximum."""
    z = logits(p).astype(np.float64)
    return z.max(1, keepdims=True) - z


@pytest.mark.parametrize("family", FAMILIES)
def test_every_row_has_a_finite_maximum_and_a_label_in_range(family: str, dtype: str) -> None:
    """Logits are numbers or -inf, no row is masked altogether, no label is masked, and the purpose is stated."""
    p = problem(family, dtype)
    z = logits(p)
    assert z.dtype == dtype
    assert not np.isnan(z).any()
    assert np.isfinite(z.max(1)).all()
    assert np.isfinite(z[np.arange(64), p.target]).all()
    assert len(np.unique(p.target)) > 5
    assert FAMILIES[family].purpose


@pytest.mark.parametrize("family", FAMILIES)
def test_seeds_draw_other_numbers(family: str, dtype: str) -> None:
    """Another seed, dtype or option is another draw of the same law."""
    z = logits(problem(family, dtype))
    assert not np.array_equal(z, logits(problem(family, dtype, seed=1)))
    assert np.array_equal(z, logits(problem(family, dtype)), equal_nan=True)


def test_gaussian_has_moderate_logits(dtype: str) -> None:
    """Mean near 0, standard deviation near 2, nothing beyond 12: within 6 standard errors of 640 draws."""
    z = logits(problem("gaussian", dtype)).astype(np.float64)
    assert abs(z.mean()) < 6 * 2.0 / np.sqrt(z.size)
    assert abs(z.std() - 2.0) < 6 * 2.0 / np.sqrt(2 * z.size)
    assert np.abs(z).max() <= 12.0


def test_ties_tie_at_the_maximum(dtype: str) -> None:
    """Most rows have several equal maxima, and labels both among them and elsewhere."""
    p = problem("ties", dtype)
    at_maximum = depths(p) == 0
    assert (at_maximum.sum(1) > 1).mean() > 0.5
    assert 0 < at_maximum[np.arange(64), p.target].sum() < 64


def test_deep_comes_near_underflow_without_reaching_it(dtype: str) -> None:
    """Gaps reach 90 % of where exp underflows, while every exponential stays a normal number."""
    d = depths(problem("deep", dtype))
    limit = -np.log(wide(dtype).smallest_normal)
    assert d.max() > 0.9 * limit
    assert (np.exp(-d) >= float(wide(dtype).smallest_normal)).all()
    assert ((d > 0) & (d < 2)).any(1).all()


def test_confident_labels_lead_by_2_to_20(dtype: str) -> None:
    """The label always leads, by margins over the whole range; some rows lose half of their digits in a_y - 1."""
    found = margins(problem("confident", dtype))
    assert found.min() >= 2.0 - 1e-3
    assert found.max() <= 20.0 + 1e-3
    assert found.max() - found.min() > 10.0


def test_saturated_hit_rounds_to_certainty(dtype: str) -> None:
    """The rest of the sum is lost next to 1 in every format, so that naive losses are exactly 0."""
    found = margins(problem("saturated-hit", dtype))
    assert found.min() > 100.0
    assert (1.0 + 9.0 * np.exp(-found) == 1.0).all()


def test_saturated_miss_underflows_at_the_label(dtype: str) -> None:
    """Another class leads by so much that the label's probability underflows in float32 and is clipped by 1e-12."""
    p = problem("saturated-miss", dtype)
    at_label = depths(p)[np.arange(64), p.target]
    assert at_label.min() > 104.0
    assert (np.exp(-at_label).astype(np.float32) == 0.0).all()


def test_common_offset_overflows_without_a_shift(dtype: str) -> None:
    """exp of the logits themselves overflows in float64, their differences stay ordinary."""
    p = problem("common-offset", dtype)
    with np.errstate(over="ignore"):
        assert np.isinf(np.exp(logits(p).astype(np.float64))).all()
    assert depths(p).max() < 24.0


def test_very_negative_underflows_without_a_shift(dtype: str) -> None:
    """exp of every logit is 0 in float64, rows differ in their offset by thousands, within a row they stay ordinary."""
    p = problem("very-negative", dtype)
    assert (np.exp(logits(p).astype(np.float64)) == 0.0).all()
    assert np.ptp(logits(p).max(1).astype(np.float64)) > 1000.0
    assert depths(p).max() < 24.0 + 1.0 + FORMATS[dtype].ulp(3e4)


def test_near_overflow_keeps_differences_finite_and_overflows_their_sum(dtype: str) -> None:
    """z - max is representable, while a sum of a few losses is not."""
    p = problem("near-overflow", dtype)
    z = logits(p)
    largest = FORMATS[dtype].largest
    assert np.isfinite(z - z.max(1, keepdims=True)).all()
    assert depths(p).max() > 0.5 * largest
    with np.errstate(over="ignore"):
        assert np.isinf(depths(p)[np.arange(64), p.target].sum().astype(dtype))


def test_masked_rows_hold_minus_inf_but_never_at_a_label(dtype: str) -> None:
    """About half of the classes are masked, also for probability targets, which put nothing on them."""
    p = problem("masked", dtype)
    masked = np.isneginf(logits(p))
    assert 0.3 < masked.mean() < 0.6
    assert not masked[np.arange(64), p.target].any()
    soft = problem("masked", dtype, target="prob")
    hidden = np.isneginf(logits(soft))
    assert hidden.any()
    assert not soft.target[hidden].any()
    assert (soft.target[~hidden] > 0).any()


@pytest.mark.parametrize("classes", [3, 10, 1003])
def test_few_active_has_8_classes_that_matter(classes: int, dtype: str) -> None:
    """Exactly 8 exponentials (or all, of fewer classes) are not 0, and the label is one of them."""
    p = problem("few-active", dtype, shape=(5, classes))
    active = np.exp(-depths(p)) > 0
    assert active.sum(1).tolist() == [min(8, classes)] * 5
    assert active[np.arange(5), p.target].all()


def test_exact_ones_have_exact_sums(dtype: str) -> None:
    """Logits are 0 or -inf: every exponential is 0 or 1, so that their sum is exact in any order."""
    z = logits(problem("exact-ones", dtype))
    assert set(np.exp(z).ravel().tolist()) == {0.0, 1.0}
    assert len(np.unique(np.exp(z).sum(1))) > 3


@pytest.mark.parametrize("family", sorted(set(LAYER_FAMILIES) - {"gaussian"}))
def test_dyadic_layers_have_exact_logits(family: str, dtype: str) -> None:
    """The logits come out the same in float32 and float64, forwards and backwards: no order of summation rounds."""
    p = problem(family, dtype, shape=(5, 10), inputs=10)
    a, w, b = (np.asarray(x) for x in (p.a_prev, p.w, p.b))
    narrow = [np.float32(0) + a.astype(np.float32) @ w.T.astype(np.float32) + b.astype(np.float32)]
    narrow.append(a[:, ::-1].astype(np.float32) @ w[:, ::-1].T.astype(np.float32) + b.astype(np.float32))
    wide = a.astype(np.float64) @ w.T.astype(np.float64) + b.astype(np.float64)
    assert all(np.array_equal(z.astype(np.float64), wide) for z in narrow)


def test_layer_families_show_their_phenomenon(dtype: str) -> None:
    """A masked layer masks by its bias, never a label; few-active leaves 8 classes; the offset is common to all."""
    few, offset = (problem(f, dtype, inputs=4) for f in ("few-active", "common-offset"))
    quick = [c for c in cases("quick") if c.inputs and c.family == "masked" and c.dtype == dtype]
    masked = [build(c) for c in quick if c.target == "index"]
    assert np.mean([np.isneginf(np.asarray(p.b)).any() for p in masked]) > 0.5
    assert not any(np.isneginf(np.asarray(p.b)[p.target[p.kept]]).any() for p in masked)
    active = np.asarray(few.b) > -1000.0
    assert active.sum() == 8
    assert active[few.target].all()
    assert (np.asarray(offset.b) > 1000.0).all()


def test_ignored_rows_occur_and_the_last_row_is_kept(dtype: str) -> None:
    """About a third of the rows, never the first nor the last, whatever the number of rows."""
    for rows in (3, 4, 5, 6, 64):
        kept = problem("gaussian", dtype, shape=(rows, 10), options=("ign",)).kept
        assert not kept.all()
        assert kept[0]
        assert kept[-1]
    assert problem("gaussian", dtype, options=("ign",)).ignore_index == NO_IGNORE


def test_a_sentinel_can_be_a_class(dtype: str) -> None:
    """ignore_index 1 lies inside [0, C): those rows, and only those, carry the label 1."""
    p = problem("gaussian", dtype, options=("ign1",))
    assert p.ignore_index == 1
    assert np.array_equal(p.target == 1, ~p.kept)
    assert 0 < (~p.kept).sum() < 64
    assert not problem("gaussian", dtype, options=("allign",)).kept.any()


def test_probability_rows_do_not_sum_to_1(dtype: str) -> None:
    """Rows sum to 3/4 or 5/4, so that a gradient a - q instead of a sum(q) - q is found; zeros occur."""
    sums = [problem("gaussian", dtype, target="prob", shape=(64, c)).target.astype(np.float64).sum(1) for c in (2, 10)]
    total = np.concatenate(sums)
    error = 20 * FORMATS[dtype].unit_roundoff
    assert np.all((np.abs(total - 0.75) <= error) | (np.abs(total - 1.25) <= error))
    assert set(np.rint(4 * total)) == {3.0, 5.0}
    assert (problem("gaussian", dtype, target="prob").target == 0).any()


def test_weights_are_of_the_sign_that_the_option_says(dtype: str) -> None:
    """Positive, of both signs, and with a zero at the first row's label."""
    plain, signed, zero = (problem("gaussian", dtype, options=(o,)) for o in ("w", "wn", "wz"))
    for p in (plain, signed, zero):
        assert p.weight is not None
        assert p.weight.dtype == dtype
        assert len(np.unique(p.weight)) >= 9
    assert np.all(np.asarray(plain.weight) > 0)
    assert set(np.sign(np.asarray(signed.weight))) == {-1.0, 1.0}
    assert np.asarray(zero.weight)[zero.target[0]] == 0.0


def test_upstream_gradients_are_what_their_names_say(dtype: str) -> None:
    """Ones, a negative scalar, random signed per row; strided ones with poison between them, expanded ones."""
    up = {name: problem("gaussian", dtype, reduction="none", upstream=name).upstream for name in UPSTREAMS}
    assert np.all(up["one"] == 1)
    assert len(np.unique(up["neg"])) == 1
    assert up["neg"][0] < 0
    for name in ("rand", "str"):
        assert set(np.sign(up[name])) == {-1.0, 1.0}
        assert len(np.unique(up[name].astype(np.float64))) >= 50
    assert up["exp"].strides == (0,)
    assert up["str"].strides == (2 * up["str"].itemsize,)
    assert np.isnan(gaps(up["str"])).all()


def gaps(x: Any) -> Any:
    """What lies between the elements of a strided array."""
    buffer = x.base
    while buffer.base is not None:
        buffer = buffer.base
    return buffer[..., ::2]


def test_layouts_keep_the_values_and_poison_the_gaps(dtype: str) -> None:
    """Transposed logits have swapped strides; sliced logits and strided targets have poison between their elements."""
    transposed = logits(problem("gaussian", dtype, layout=("trans",)))
    assert not transposed.flags.c_contiguous
    assert transposed.T.flags.c_contiguous
    sliced = logits(problem("gaussian", dtype, layout=("sliced",)))
    assert not sliced.flags.c_contiguous
    assert np.isnan(gaps(sliced)).all()
    p = problem("gaussian", dtype, layout=("tstr",))
    assert np.all(gaps(p.target) >= p.classes)
    assert problem("gaussian", dtype, layout=("twice",)).backwards == 2
    assert logits(problem("gaussian", dtype)).flags.c_contiguous


def test_underflow_reaches_subnormal_exponentials_and_zero(dtype: str) -> None:
    """Some exponentials are subnormal in the arithmetic's format, some round to 0, and some are ordinary."""
    d = depths(problem("underflow", dtype))
    with np.errstate(under="ignore"):
        e = np.exp(-d).astype(np.float64)
    low, least = float(wide(dtype).smallest_normal), float(wide(dtype).smallest_subnormal)
    assert ((e > least) & (e < low)).any()
    assert (d > -np.log(low)).mean() > 0.2
    assert ((d > 0) & (d < 2)).any(1).all()


def test_certain_labels_lead_until_a_rounds_to_1(dtype: str) -> None:
    """The label always leads; in some rows 1 - a_y is below the unit roundoff, in others above it."""
    p = problem("certain", dtype)
    z = logits(p).astype(np.float64)
    rest = np.exp(z - z.max(1, keepdims=True))
    rest[np.arange(64), p.target] = 0.0
    assert (margins(p) > 0).all()
    assert (rest.sum(1) < FORMATS[dtype].unit_roundoff).any()
    assert (rest.sum(1) > FORMATS[dtype].unit_roundoff).any()


def test_equal_huge_loses_the_loss_if_the_offset_is_added_back(dtype: str) -> None:
    """Half of the rows are all equal; m + log S rounds to m, so that the loss by log-sum-exp is off by log S."""
    p = problem("equal-huge", dtype)
    z = logits(p).astype(np.float64)
    equal = (depths(p) == 0).all(1)
    assert 0.2 < equal.mean() < 0.8
    assert ((depths(p) > 0).any(1) == ~equal).all()
    lse = (z.max(1) + np.log(10.0)).astype(dtype).astype(np.float64)
    if dtype != "float64":
        assert (lse[equal] == z[equal].max(1)).all()
