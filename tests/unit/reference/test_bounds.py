"""Error bounds: how they depend on format, contract and input; where they are 0, infinite, or a few ULPs."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from xentcheck import reference as ref
from xentcheck.cases import Case
from xentcheck.cases.build import build
from xentcheck.cases.families import FAMILIES
from xentcheck.cases.layer_families import LAYER_FAMILIES
from xentcheck.cases.profiles.sets import OPTION_SETS
from xentcheck.errors import AdapterError, ProblemError
from xentcheck.reference.bounds import Bounds, bound
from xentcheck.reference.bounds.arithmetic import SLACK
from xentcheck.reference.bounds.contracts import CATALOGUE, STAGES, Contract, get
from xentcheck.reference.bounds.whole import formed
from xentcheck.reference.formats import FORMATS
from xentcheck.reference.oracle import Exact
from xentcheck.reference.problem import Problem
from xentcheck.vocabulary import DTYPES, REDUCTIONS

FUSED = CATALOGUE["fused"]

WIDER = {
    "exp_ulps": replace(FUSED, exp_ulps=4.0),
    "log_ulps": replace(FUSED, log_ulps=4.0),
    "exp_slope": replace(FUSED, exp_slope=1.0),
    "shift_units": replace(FUSED, shift_units=1.0),
    "log_form": replace(FUSED, log_form="lse"),
    "gradient_form": replace(FUSED, gradient_form="exp"),
    "row_sum": replace(FUSED, row_sum="pivots"),
    "shifted": replace(FUSED, shifted=False),
    "margin": replace(FUSED, margin=True),
    "compensated": replace(FUSED, compensated=True),
    "log_of_softmax": replace(FUSED, log_of_softmax=True),
    "flushes_storage": replace(FUSED, flushes_storage=True),
    "rescales": replace(FUSED, rescales=4),
    "lanes": replace(FUSED, lanes=0),
    "flushes": replace(FUSED, flushes=True),
}

GROWN = {"flushes": ("float64", "float32", "bfloat16"), "flushes_storage": ("float16",)}
"""float16's smallest numbers are far above those of float32, so that only its own flushing is seen there."""

NARROWER: dict[str, Any] = {"lanes": 2, "flushes": False}
"""Fields that are at their weakest in `fused`."""


def narrowest(field: str) -> Contract:
    """The contract that is widened in a field."""
    return replace(FUSED, **{field: NARROWER[field]}) if field in NARROWER else FUSED


STORED = {stage: replace(FUSED, stored=(stage,)) for stage in STAGES}
STORED["row_sum"] = replace(STORED["row_sum"], row_sum="all")
"""One stage rounded to storage."""


def problem(family: str, dtype: str = "float32", **fields: Any) -> Problem:
    """A case's problem, by default of 5 rows and 10 classes."""
    return build(Case(family=family, dtype=dtype, **{"shape": (5, 10)} | fields))


def evaluate(p: Problem, contract: Contract) -> dict[str, Any]:
    """The bounds of all quantities of a problem."""
    return Bounds(Exact(p), contract).evaluate(p.quantities)


@cache
def limits_of(family: str, dtype: str, target: str, options: tuple[str, ...]) -> dict[Contract, dict[str, Any]]:
    """The bounds of a problem under all of these contracts, which look at the same exact values."""
    p = problem(family, dtype, target=target, options=options)
    exact = Exact(p)
    found: dict[Contract, dict[str, Any]] = {c: {} for c in (FUSED, *WIDER.values(), *map(narrowest, NARROWER))}
    with np.errstate(all="ignore"):
        for q, _, limits in exact.walk(p.quantities, [Bounds(exact, c) for c in found]):
            for of_one, limit in zip(found.values(), limits, strict=True):
                of_one[q.name] = formed(limit)
    return found


def as_float64(p: Problem) -> Problem:
    """The same numbers in float64."""
    arrays = {name: x.astype(np.float64) if x.dtype.kind == "f" else x for name, x in p.arrays().items()}
    return Problem(**arrays, label_smoothing=p.label_smoothing, ignore_index=p.ignore_index, reduction=p.reduction)


@pytest.mark.parametrize("family", [f for f in FAMILIES if f != "certain"])
def test_bounds_grow_with_the_unit_roundoff(family: str) -> None:
    """The same numbers in float32 instead of float64 have bounds about 2^29 times as large, element by element.

    Rows that are certain in float32 are the exception: there the bound is 1 - a, whatever the unit roundoff.
    """
    p = problem(family)
    narrow, wide = evaluate(p, FUSED), evaluate(as_float64(p), FUSED)
    for q in p.quantities:
        positive = narrow[q] > 4 * FORMATS["float32"].smallest_normal
        assert positive.any()
        assert np.all(wide[q][positive] < narrow[q][positive] * 2.0**-28)
        assert np.all(wide[q] <= narrow[q])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("field", WIDER)
def test_bounds_grow_with_every_field_of_a_contract(field: str, dtype: str) -> None:
    """A contract that promises less never has a smaller bound, and somewhere a larger one: alone this widens each."""
    grown = False
    for family in FAMILIES:
        for target, options in OPTION_SETS:
            limits = limits_of(family, dtype, target, options)
            base, wider = limits[narrowest(field)], limits[WIDER[field]]
            for q in base:
                assert np.all(wider[q] >= base[q]), (family, options, q)
                grown |= bool((wider[q] > base[q]).any())
    assert grown == (dtype in GROWN.get(field, DTYPES))


@pytest.mark.parametrize("stage", STORED)
def test_bounds_grow_with_every_stage_that_is_stored(stage: str) -> None:
    """In bfloat16 storing a stage never makes a bound smaller, and somewhere larger; in float32 it changes nothing."""
    contract = replace(STORED[stage], gradient_form="exp") if stage == "log_a" else STORED[stage]
    base = replace(contract, stored=())
    for dtype, changes in (("bfloat16", True), ("float32", False)):
        grown = False
        for target, options in OPTION_SETS:
            for inputs in (0, 10):
                p = problem("gaussian", dtype, target=target, options=options, inputs=inputs)
                plain, stored = evaluate(p, base), evaluate(p, contract)
                assert all(np.all(stored[q] >= plain[q]) for q in p.quantities)
                grown |= any(bool((stored[q] > plain[q]).any()) for q in p.quantities)
        assert grown == changes


@pytest.mark.parametrize(("inputs", "bits"), [("tf32", 11), ("bfloat16", 8)])
def test_inputs_of_products_may_be_rounded(inputs: str, bits: int) -> None:
    """Products have an error of 2^(1 - bits) of the sum of their terms more, and other quantities are as before."""
    p = problem("dyadic", inputs=10)
    plain, coarse = evaluate(p, FUSED), evaluate(p, replace(FUSED, product_inputs=inputs))
    assert p.a_prev is not None
    assert np.array_equal(plain["dC/db"], coarse["dC/db"])
    terms = np.abs(Exact(p).evaluate(["dC/dz"])["dC/dz"][0]).T @ np.abs(p.a_prev.astype(np.float64))
    assert np.all(coarse["dC/dw"] >= plain["dC/dw"] + 2.0 ** (1 - bits) * terms)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_outputs_are_rounded_once_under_every_contract(dtype: str) -> None:
    """Half a unit in the last place of storage is within each bound: a correctly rounded result agrees."""
    p = problem("gaussian", dtype)
    exact = Exact(p).evaluate(p.quantities)
    for contract in CATALOGUE.values():
        for q, limit in evaluate(p, contract).items():
            assert np.all(np.abs(exact[q][0].astype(dtype).astype(np.float64) - exact[q][0]) <= limit)


def test_a_sum_that_overflows_in_float16_leaves_no_bound() -> None:
    """65520 equal logits: S is stored as infinity where it is stored, and nowhere else."""
    for classes, infinite in ((64_000, False), (65_520, True)):
        p = Problem(logits=np.zeros((1, classes), np.float16), target=np.array([0]))
        assert np.isinf(bound("cost", p, "stash-sum")) == infinite
        assert np.isfinite(bound("cost", p, "stash"))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("stronger", "weaker"),
    [
        ("fused", "fused-lse"),
        ("fused", "stash"),
        ("stash", "stash-lse"),
        ("fused-lse", "stash-lse"),
        ("stash-lse", "online"),
        ("fused-lse", "online"),
        ("stash", "stash-sum"),
        ("stash", "storage"),
        ("storage", "storage-backsum"),
        ("storage-backsum", "storage-accumulate"),
        ("storage", "decisive"),
        ("decisive", "stable"),
        ("storage-backsum", "stable"),
    ],
)
def test_the_catalogue_is_ordered(stronger: str, weaker: str, dtype: str) -> None:
    """A stronger contract's bound is nowhere larger, behind layers as at the logits."""
    problems = [problem(f, dtype) for f in FAMILIES] + [problem(f, dtype, inputs=10) for f in LAYER_FAMILIES]
    for p in problems:
        strong, weak = evaluate(p, get(stronger)), evaluate(p, get(weaker))
        for q in p.quantities:
            assert np.all(strong[q] <= weak[q]), q


def test_accuracy_of_exp_and_log_is_a_parameter_of_what_promises_some() -> None:
    """`with_accuracy` widens a contract; `decisive` and `stable` allow any up to their own and stay as they are."""
    assert get("fused").with_accuracy(5.0, 6.0) == replace(FUSED, exp_ulps=5.0, log_ulps=6.0)
    for name in ("decisive", "stable"):
        assert get(name).with_accuracy(5.0, 6.0) == get(name)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", REDUCTIONS[1:])
def test_the_sign_of_class_weights_does_not_matter(reduction: str, dtype: str) -> None:
    """Bounds are made of |w|: negative weights have those of their absolute values, never negative ones."""
    upstream = {"upstream": "rand"} if reduction == "none" else {}
    p = problem("gaussian", dtype, options=("wn",), reduction=reduction, **upstream)
    assert p.weight is not None
    assert (p.weight < 0).any()
    plain = Problem(**{**p.arrays(), "weight": np.abs(p.weight)}, reduction=reduction)
    signed, absolute = evaluate(p, FUSED), evaluate(plain, FUSED)
    for q in p.quantities:
        assert np.array_equal(signed[q], absolute[q])
        assert np.all(signed[q] >= 0)


@pytest.mark.parametrize("options", [("wn",), ("wn", "ls"), ("wz",), ("wz", "ls")], ids="+".join)
def test_weights_of_any_sign_keep_bounds_positive(options: tuple[str, ...]) -> None:
    """No bound is negative or nan with weights of both signs or of 0, for any reduction."""
    for reduction in REDUCTIONS:
        p = problem("gaussian", options=options, reduction=reduction)
        for q, limit in evaluate(p, FUSED).items():
            assert np.all(limit >= 0), (q, reduction)


def test_a_denominator_that_cancels_leaves_no_bound() -> None:
    """Weights that sum to nearly 0 let the weighted mean be anything; well away from 0 the bound is finite."""
    z, y = np.array([[1.0, 2.0], [3.0, 5.0]], np.float32), np.array([0, 1])
    near = np.float32(1.0) + np.finfo(np.float32).eps
    for weight, finite in ((-near, False), (np.float32(-0.5), True)):
        p = Problem(logits=z, target=y, weight=np.array([1.0, weight], np.float32))
        assert np.isfinite(bound("cost", p, "fused")) == finite
        assert np.isfinite(bound("dC/dz", p, "fused")).all() == finite


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("target", [np.array([1, 0]), np.full((2, 3), 0.25)], ids=["index", "probabilities"])
def test_a_row_whose_upstream_gradient_is_0_has_none_of_its_own(target: Any, dtype: str) -> None:
    """Nothing but flushed numbers may stand there, under whatever contract: C + 4 of them at most round up."""
    z = np.array([[0.0, 1.0, -2.0], [3.0, 1.0, 0.0]], dtype)
    target = target if target.dtype.kind == "i" else target.astype(dtype)
    p = Problem(logits=z, target=target, reduction="none", upstream=np.array([0.0, 1.0], dtype))
    for contract in CATALOGUE.values():
        found = bound("dC/dz", p, contract)
        assert np.all(found[0] <= 4.0 * (3 + 4) * FORMATS[dtype].smallest_normal), contract.name
        assert np.all(found[1] > 0)


@pytest.mark.parametrize("contract", CATALOGUE)
def test_a_bound_is_0_only_where_the_result_is_exactly_0(contract: str) -> None:
    """Ignored rows and masked classes: their results are exact zeros; everything else has a positive bound."""
    zeros = 0
    for family in FAMILIES:
        for target, options in OPTION_SETS:
            p = problem(family, target=target, options=options, reduction="none", upstream="rand")
            exact, limits = Exact(p).evaluate(p.quantities), evaluate(p, get(contract))
            for q in ("a", "loss", "dC/dz"):
                nothing = limits[q] == 0
                zeros += int(nothing.sum())
                assert not exact[q][0][nothing].any(), (family, options, q)
                assert not exact[q][1][nothing].any(), (family, options, q)
            if not p.probabilities:
                assert not limits["dC/dz"][~p.kept].any()
                assert not limits["loss"][~p.kept].any()
    assert zeros > 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_sum_that_overflows_before_the_division_has_no_bound(dtype: str) -> None:
    """The mean may be computed as sum/N: where the sum exceeds the format the bound is infinite, and only there."""
    top = FORMATS[dtype].largest
    z = np.array([[0.0, -0.4 * top]] * 4, dtype)
    p = Problem(logits=z, target=np.array([1, 1, 1, 1]))
    assert np.isinf(bound("cost", p, "stash"))
    assert np.isfinite(bound("loss", replace_reduction(p, "none"), "stash")).all()
    smaller = Problem(logits=(z / 2).astype(dtype), target=p.target)
    assert np.isfinite(bound("cost", smaller, "stash"))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_weighted_term_that_overflows_has_no_bound(dtype: str) -> None:
    """A loss times its class weight, and a sum over classes under smoothing, may leave the format in single rows."""
    top = FORMATS[dtype].largest
    z = np.array([[0.0, -0.6 * top, -0.6 * top], [0.0, -1.0, -2.0]], dtype)
    y = np.array([1, 1])
    ones = np.ones(2, dtype)
    weighted = Problem(logits=z, target=y, weight=np.array([2.0, 2.0, 2.0], dtype), reduction="none", upstream=ones)
    smoothed = Problem(logits=z, target=y, label_smoothing=0.25, reduction="none", upstream=ones)
    for p in (weighted, smoothed):
        assert np.isinf(bound("loss", p, "stash")).tolist() == [True, False]
        assert np.isfinite(bound("dC/dz", p, "fused")).all()


def replace_reduction(p: Problem, reduction: str) -> Problem:
    """The same problem with another reduction and upstream gradients of 1."""
    assert p.logits is not None
    return Problem(logits=p.logits, target=p.target, reduction=reduction, upstream=np.ones(p.loss_shape, p.dtype))


@pytest.mark.parametrize("classes", [10, 1003, 32003, 128256])
def test_few_active_classes_keep_the_bound_small(classes: int) -> None:
    """With 8 classes that matter the bounds of a and loss are below 20 ULPs for every vocabulary."""
    p = problem("few-active", shape=(5, classes), reduction="none")
    exact = Exact(p).evaluate(("a", "loss"))
    limits = evaluate(p, FUSED)
    ulp = FORMATS["float32"].ulp
    active = exact["a"][0] > 0
    assert active.sum() == 5 * 8
    assert np.median(limits["a"][active] / ulp(exact["a"][0][active])) < 20.0
    assert np.median(limits["loss"] / ulp(exact["loss"][0])) < 20.0


def test_many_active_classes_do_not() -> None:
    """Ordinary logits of the same size have a bound that grows with C in any order: the family keeps it small."""
    p = problem("gaussian", shape=(5, 32003), reduction="none")
    exact = Exact(p).evaluate(("a",))["a"][0]
    limit = bound("a", p, replace(FUSED, running_sums=0))
    assert np.median(limit / FORMATS["float32"].ulp(exact)) > 20000.0


@pytest.mark.parametrize("head", ["logits", "layer", "network"])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_the_public_function_knows_every_quantity(head: str, reduction: str) -> None:
    """Every quantity of every head has a finite, positive bound of its own shape, by name or by contract object."""
    sizes = {"logits": {}, "layer": {"inputs": 4}, "network": {"inputs": 4, "hidden": 3}}[head]
    p = problem("gaussian", "float64", reduction=reduction, **sizes)
    assert p.head == head
    for q in p.quantities:
        limit = ref.bounds.bound(q, p, "stash")
        assert limit.shape == p.shapes[q]
        assert np.isfinite(limit).all()
        assert (limit > 0).any()
        assert np.array_equal(limit, bound(q, p, get("stash")))


def test_an_empty_batch_has_empty_bounds() -> None:
    """No rows: bounds of shape (0, C), and sums of exactly 0, of the cost and along a direction."""
    p = Problem(logits=np.zeros((0, 3)), target=np.zeros(0, int), reduction="sum", v=np.zeros((0, 3)))
    assert bound("dC/dz", p, "fused").shape == bound("hvp", p, "fused").shape == (0, 3)
    assert bound("cost", p, "fused") == bound("jvp", p, "fused") == 0.0


def test_an_unknown_contract_is_refused() -> None:
    """The error names those allowed, on one line."""
    p = problem("gaussian")
    with pytest.raises(AdapterError, match=r"^unknown contract 'exact'; allowed: accurate, fused, .*, stable$"):
        bound("a", p, "exact")


def test_a_quantity_that_the_problem_does_not_have_is_refused() -> None:
    """Logits have no weights in front of them."""
    with pytest.raises(ProblemError, match=r"^the problem has no dC/dw; allowed: a, log_a, cost, dC/dz$"):
        bound("dC/dw", problem("gaussian"), "fused")


@pytest.mark.parametrize("dtype", DTYPES)
def test_formats_agree_with_numpy(dtype: str) -> None:
    """Unit roundoff, range and ULP are those of the dtype, in every binade and below the normal range."""
    fmt, info = FORMATS[dtype], ml_dtypes.finfo(dtype)
    found = fmt.unit_roundoff * 2, fmt.smallest_normal, fmt.smallest_subnormal, fmt.largest
    assert found == tuple(map(float, (info.eps, info.smallest_normal, info.smallest_subnormal, info.max)))
    x = np.array([0.0, info.smallest_subnormal, info.smallest_normal, 1.0, 1.5, -3.0, 1e4, float(info.max) / 2], dtype)
    assert np.array_equal(fmt.ulp(x), np.abs(np.spacing(x)).astype(np.float64))
    largest, zero = np.array(info.max, dtype), np.array(0, dtype)
    assert fmt.ulp(largest) == float(largest) - float(np.nextafter(largest, zero))
    assert fmt.ulp(np.inf) == fmt.ulp(1.0)


def test_underflow_is_allowed_only_where_exp_can_be_nonzero() -> None:
    """One subnormal number at 745.5, whose exp rounds to 0; none at 748, and none at a masked class."""
    p = Problem(logits=np.array([[0.0, -745.5, -748.0, -np.inf]]), target=np.array([0]))
    found = bound("dC/dz", p, "fused")[0]
    assert found[1] > 0
    assert found[2:].tolist() == [0.0, 0.0]


def test_a_mean_that_overflows_has_to_be_infinite_without_smoothing() -> None:
    """Only smoothing has a quotient before its last factor: else a small denominator leaves the bound finite."""
    logits = np.array([[-30000.0, 30000.0], [-30000.0, 30000.0]], "float16")
    plain = Problem(logits=logits, target=np.array([0, 1]), weight=np.array([1.0, -0.5], "float16"))
    assert np.isfinite(bound("cost", plain, "stash-sum"))
    assert np.isinf(bound("cost", replace(plain, label_smoothing=0.125), "stash-sum"))


def test_a_softmax_below_the_normal_range_may_lose_its_last_bit() -> None:
    """exp(z - m) is a normal number, and a = exp(z - m)/S, in a sum of 1000, is none: off by half of the least one."""
    z = np.zeros((1, 1001), np.float32)
    z[0, -1] = -85.0
    problem = Problem(logits=z, target=np.array([0]), reduction="none", upstream=np.ones(1, np.float32))
    assert math.exp(-85.0) / 1000.0 < 2.0**-126 < math.exp(-85.0) / 4.0
    assert bound("dC/dz", problem, "fused")[0, -1] >= 2.0**-150


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_masked_class_is_no_pivot_of_the_row_sum(dtype: str) -> None:
    """Its logit is never the maximum, so that a gradient there is an error; a tie of the maximum is one."""
    z = np.array([[-np.inf, 0.0, 1.0, 1.0, -2.0]]).astype(np.float32)
    problem = Problem(logits=z.astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype), target=np.array([1]))
    limit = bound("dC/dz", problem, get("decisive"))[0]
    assert limit[0] == 0.0
    assert min(limit[2], limit[3]) > 3 * limit[4]


@pytest.mark.parametrize(("dtype", "contract"), [("float32", "fused"), ("bfloat16", "stash"), ("float16", "stash")])
def test_forming_a_smoothed_probability_costs_three_roundings(dtype: str, contract: str) -> None:
    """(1 - u - u_b)^-3 - 1 of each term of the loss, and of s (Q a_i + |q_i|) in its gradient; 0 of given rows.

    2 (nu + eta) C/eps more where the product or eps/C is below the normal range. Between the limits lie the errors of
    log a and of a, which these roundings multiply, and what the bounds are rounded up by.
    """
    z = np.array([[0.0, 1.0, -1.0, 0.5]], dtype)
    q = np.array([[0.5, 0.0, 1.0, -0.25]], dtype)
    ones = np.ones(1, dtype)
    smoothed = Problem(logits=z, target=q, label_smoothing=0.5, reduction="none", upstream=ones)
    sizes = (np.abs(q) * 0.5 + 0.125).astype(dtype)
    given = Problem(logits=z, target=sizes, reduction="none", upstream=ones)
    a = np.exp(z.astype(float)) / np.exp(z.astype(float)).sum()
    fmt = FORMATS["float32"]
    each = fmt.unit_roundoff + (FORMATS[dtype].unit_roundoff if contract == "stash" else 0.0)
    lost = fmt.smallest_normal + (FORMATS[dtype].smallest_subnormal if contract == "stash" else 0.0)
    rounding = float(np.expm1(-3.0 * np.log1p(-each))) + 2.0 * lost * 4.0 / 0.5
    u, u_b = fmt.unit_roundoff, each - fmt.unit_roundoff
    others = (1.0 + u) ** 3 * (1.0 - u) ** -6 * (1.0 - u_b) ** -5  # of the sum and of a term, which this one multiplies
    loss = bound("loss", smoothed, contract) - bound("loss", given, contract)
    terms = float((sizes.astype(float) * -np.log(a)).sum())
    stored = 1.0 + (FORMATS[dtype].unit_roundoff if dtype != "float32" else 0.0)
    of_log = float((sizes.astype(float) * bound("log_a", given, contract)).sum())
    expected = rounding * others * terms * stored
    most = expected + rounding * others * of_log * stored + (SLACK - 1.0) * bound("loss", smoothed, contract)[0]
    assert expected <= loss[0] <= most
    if dtype == "float32":
        g = [Exact(p).evaluate(["dC/dz"])["dC/dz"][0] for p in (smoothed, given)]
        kappa = ((1.0 - u) ** -4 - 1.0) * (np.abs(g[0]) - np.abs(g[1]))
        limits = [bound("dC/dz", p, contract) for p in (smoothed, given)]
        extra = limits[0] - limits[1] - kappa
        least = rounding * (sizes.sum() * a + sizes)
        others = (1.0 + u) ** 3 * (1.0 - u) ** -9 * (1.0 + (bound("a", given, contract) / a).max())
        assert np.all(least <= extra)
        assert np.all(extra <= least * others + (SLACK - 1.0) * limits[0])


BESIDE: dict[str, dict[str, Any]] = {
    "labels": {},
    "smoothed, with weights": {"weight": np.linspace(0.5, 2.0, 100), "label_smoothing": 0.125},
    "probabilities": {"target": np.eye(4, 100) / 2 + 1 / 200},
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("options", BESIDE)
def test_the_bounds_of_a_row_are_those_of_the_row_alone(options: str, dtype: str) -> None:
    """Beside rows of large numbers, whose logarithm of the sum may err by more than 1, a row has no wider bounds."""
    z = np.random.default_rng(0).normal(size=(4, 100))
    z[0, 5] = -1000.0
    z[1] *= 10000.0
    z[2] = np.where(np.arange(100) == 3, 60000.0, -60000.0)
    z[3] *= 0.0
    given = {"logits": z, "target": np.arange(4), "upstream": np.ones(4), **BESIDE[options]}
    for name in {"logits", "upstream", "weight", "target"} & given.keys():
        given[name] = given[name] if given[name].dtype.kind == "i" else given[name].astype(dtype)
    rows = {name: x for name, x in given.items() if name not in ("weight", "label_smoothing")}
    whole = Problem(**given, reduction="none")
    alone = [Problem(**{**given, **{n: x[i : i + 1] for n, x in rows.items()}}, reduction="none") for i in range(4)]
    for contract, q in product(CATALOGUE, ("a", "log_a", "loss", "dC/dz")):
        of_all = bound(q, whole, contract)
        for i, p in enumerate(alone):
            assert np.array_equal(bound(q, p, contract), of_all[i : i + 1], equal_nan=True), (contract, q, i)
