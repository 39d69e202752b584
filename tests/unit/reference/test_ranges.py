"""The oracle near the largest and smallest numbers: exact, or refused in one line; never a nan or inf of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from balls import balls, error_share, factors, logits_of, shares
from flint import arb, ctx

import xentcheck
from xentcheck import adapters
from xentcheck.cases import Case
from xentcheck.errors import OracleError
from xentcheck.reference import cross_entropy
from xentcheck.reference.bounds import bound
from xentcheck.reference.numbers.backends import DOUBLE_DOUBLE, WIDE_RANGE
from xentcheck.reference.numbers.double_double import DoubleDouble
from xentcheck.reference.numbers.wide_range import WideDouble
from xentcheck.reference.oracle import Exact, rows
from xentcheck.reference.oracle.leaving import leave
from xentcheck.reference.problem import Problem
from xentcheck.running.comparison import run_case
from xentcheck.running.subjects import subjects_of
from xentcheck.testing.given import assert_values_agree
from xentcheck.vocabulary import DIRECTIONAL, REDUCTIONS

MAX = float(np.finfo(np.float64).max)
TINY = 5e-324
Z = np.array([[0.0, 1.0, -2.0], [3.0, -900.0, 1.0], [1e-3, 30.0, 2.0]])
Y = np.array([0, 1, 2])
SOFT = np.array([[0.5, 0.0, 0.75], [1.0, -0.25, 0.5], [0.0, 2.0, -2.0]])

EXTREME: dict[str, dict[str, Any]] = {
    "upstream": {"upstream": np.array(-MAX)},
    "upstream 0, tiny and large": {"reduction": "none", "upstream": np.array([0.0, 1e-320, MAX])},
    "weight": {"weight": np.array([1e305, 1.0, MAX])},
    "weights whose sum overflows": {"weight": np.full(3, MAX), "label_smoothing": 0.5},
    "weights that cancel": {"weight": np.array([MAX, -MAX, 1e300]), "label_smoothing": 0.25},
    "tiny weights": {"weight": np.array([1e-300, TINY, 1e-310]), "upstream": np.array(1e300)},
    "weights and upstream": {"weight": np.array([1e300, 1e-300, -1e300]), "upstream": np.array(1e-300)},
    "gap": {"logits": np.array([[-MAX, MAX, 0.0], [MAX, -MAX, -MAX]]), "target": Y[:2], "weight": np.full(3, 0.25)},
    "gap under smoothing": {
        "logits": np.array([[-MAX, MAX, 0.0], [MAX, 1e308, -1e308]]),
        "target": Y[:2],
        "weight": np.array([0.125, 0.25, -0.25]),
        "label_smoothing": 0.5,
    },
    "gap with large weights": {"logits": np.array([[-1e308, 7e307, 0.0]]), "target": Y[:1], "weight": np.full(3, 1e50)},
    "targets": {"target": SOFT * 8e307},
    "targets and weights that make 1": {"target": SOFT * 1e300, "weight": np.array([1e-300, 1e-299, -1e-301])},
    "targets that cancel": {"target": np.array([[MAX, -MAX, 1.0]] * 3), "label_smoothing": 0.25},
    "tiny targets": {"target": SOFT * 1e-320, "upstream": np.array(1e300)},
    "deep under large factors": {
        "logits": np.array([[0.0, -1400.0, -2100.0], [0.0, -40.0, -1e300]]),
        "target": np.array([0, 0]),
        "weight": np.array([1e308, 1.0, 1.0]),
        "upstream": np.array(MAX),
        "reduction": "sum",
    },
    "layer": {
        "logits": None,
        "a_prev": np.array([[1e200, 1e-200], [-1e200, 3e-200]]),
        "w": np.array([[1e-200, 1e200], [1.5e-200, 1e199], [0.0, -1e200]]),
        "b": np.array([0.0, 1.0, 0.5]),
        "target": Y[:2],
        "weight": np.array([1e100, 1e101, 1.0]),
    },
    "network": {
        "logits": None,
        "a_prev": np.array([[1e200, 1e-200], [-1e200, 3e-200]]),
        "hidden_w": np.array([[1e-200, 1e200], [2e-200, -1e200]]),
        "hidden_b": np.array([0.25, -0.5]),
        "w": np.array([[1e300, -1e300], [1e300, -9e299], [0.0, 2.0]]),
        "b": np.array([0.0, 1.0, 0.5]),
        "target": Y[:2],
    },
}
"""Changes of a problem with logits Z and labels Y, in float64."""


def problem(changes: dict[str, Any], reduction: str) -> Problem:
    given = {"logits": Z.copy(), "target": Y, "reduction": reduction, **changes}
    rows = len(given["target"])
    upstream = np.asarray(given.pop("upstream", 1.0))
    scalar = given["reduction"] != "none"
    return Problem(**given, upstream=upstream if scalar or upstream.ndim else np.full(rows, upstream))


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", EXTREME)
def test_extremes_are_certified(name: str, reduction: str) -> None:
    """Every quantity, against balls with as many bits as it takes; infinite exactly where float64 ends."""
    p = problem(EXTREME[name], reduction)
    exact = Exact(p)
    assert exact.backend is WIDE_RANGE
    found = shares(p, exact.evaluate(p.quantities))
    assert {q: share for q, share in found.items() if not share <= 1.0} == {}


DIRECTED = [name for name, changes in EXTREME.items() if {"a_prev", "reduction"}.isdisjoint(changes)]


@pytest.mark.parametrize("factor", [1.0, 1e300, 1e-300])
@pytest.mark.parametrize("name", DIRECTED)
def test_directions_at_extremes_are_certified(name: str, factor: float) -> None:
    """jvp and hvp, against power series of balls."""
    p = problem(EXTREME[name], "mean")
    v = factor * np.array([[0.5, -1.0, 0.0], [2.0, 0.25, -0.5], [1.0, 0.0, -2.0]])[: len(p.target)]
    p = replace(p, v=v)
    found = Exact(p).evaluate(DIRECTIONAL)
    with ctx.workprec(8192):
        e, v_balls, (q, size, factor) = np.exp(logits_of(p)[0]), balls(p.v), factors(p)
        a = e / e.sum(1, keepdims=True)
        mean, mass, reach = (a * v_balls).sum(1), q.sum(1), 4.0 * arb(np.abs(v).max())
        jvp = (mass * mean - (q * v_balls).sum(1)).sum() * factor[0] / arb(float(p.upstream.ravel()[0]))
        hvp = (factor * mass)[:, None] * a * (v_balls - mean[:, None])
        scale = np.abs(factor)[:, None] * size.sum(1, keepdims=True) * a * reach
        terms = size.sum() * reach * abs(factor[0] / arb(float(p.upstream.ravel()[0])))
        pairs = [(jvp, terms, *(float(x) for x in found["jvp"]))]
        pairs += zip(hvp.ravel(), scale.ravel(), *(x.ravel().tolist() for x in found["hvp"]), strict=True)
        shares_found = [error_share(*pair, "float64") for pair in pairs]
    assert all(decided for _, decided in shares_found)
    assert max(share for share, _ in shares_found) <= 1.0


def test_the_instances_that_were_seen() -> None:
    """A large upstream gradient and weight, and a logit gap beyond float64 with a weight of 1/4."""
    z, y = np.array([[0.0, 1.0, 2.0]]), np.array([0])
    large = Problem(logits=z, target=y, upstream=np.array(1e305), weight=np.full(3, 1e302))
    hi, _ = Exact(large).evaluate(["dC/dz"])["dC/dz"]
    assert np.isfinite(hi).all()
    right = xentcheck.reference.oracle.cross_entropy_grad(z, y)[0] * 1e305
    u = 2.0**-53  # three roundings: of either exact gradient to its leading part, and of the product (Higham's gamma_3)
    assert np.all(np.abs(hi - right) <= 3.0 * u / (1.0 - 3.0 * u) * np.abs(right))
    gap = Problem(logits=np.array([[-9e307, 9e307]]), target=y, weight=np.full(2, 0.25), reduction="sum")
    assert Exact(gap).evaluate(["cost"])["cost"][0] == 4.5e307


def test_zeros_nan_and_42_are_no_gradient() -> None:
    """With an upstream gradient of 1e305 nothing but the right value agrees."""
    p = Problem(logits=np.array([[0.0, 1.0, 2.0]]), target=np.array([0]), upstream=np.array(1e305))
    right = Exact(p).evaluate(["dC/dz"])["dC/dz"][0]
    assert_values_agree(p, {"dC/dz": right})
    for wrong in (np.full((1, 3), 42.0), np.full((1, 3), np.nan), np.zeros((1, 3)), right * np.inf):
        with pytest.raises(xentcheck.Disagreement):
            assert_values_agree(p, {"dC/dz": wrong})


def test_where_a_logarithm_overflows_before_its_weight_nothing_is_promised() -> None:
    """log a beyond the format, times 1/4, may be infinite or finite; without that weight it has to be infinite."""
    for dtype, top in (("float64", 9e307), ("float32", 3e38), ("float16", 4e4)):
        z, y = np.array([[-top, top]], dtype), np.array([0])
        quarter = Problem(logits=z, target=y, weight=np.full(2, 0.25, dtype), reduction="sum")
        assert np.isinf(bound("cost", quarter, "stash"))
        finite = Problem(logits=z / 4, target=y, weight=np.full(2, 0.25, dtype), reduction="sum")
        assert np.isfinite(bound("cost", finite, "stash"))


def test_logits_of_a_layer_beyond_float64_are_refused() -> None:
    """One line, and no verdict."""
    p = problem({**EXTREME["layer"], "w": np.array([[1e200, 0.0], [1e-200, 0.0], [0.0, 0.0]])}, "mean")
    with pytest.raises(OracleError, match=r"^the exact logits of the layer exceed float64; allowed: .*$"):
        Exact(p).evaluate(p.quantities)


def defect(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the oracle's steps returns nan, or overflows, for the first row."""

    def spoiled(make: Any, value: float) -> Any:
        def wrong(*args: Any) -> Any:
            found = make(*args)
            hi, lo = (np.array(x) for x in DOUBLE_DOUBLE.pair(found))
            hi[:1] = value
            return DoubleDouble(hi, lo)

        return wrong

    if place == "loss":
        right: Any = rows.RowSoftmax.loss
        monkeypatch.setattr(rows.RowSoftmax, "loss", lambda *a: (spoiled(lambda: right(*a)[0], np.nan)(), right(*a)[1]))
    elif place == "gradient":
        monkeypatch.setattr(rows.RowSoftmax, "gradient", spoiled(rows.RowSoftmax.gradient, np.inf))
    else:
        monkeypatch.setattr(rows.RowSoftmax, place, spoiled(getattr(rows.RowSoftmax, place), np.nan))


SPOILED = {"loss": ("loss", "cost"), "gradient": ("dC/dz",), "softmax": ("a",), "log_softmax": ("log_a",)}


@pytest.mark.parametrize("place", SPOILED)
def test_a_nan_of_the_oracle_is_its_error(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Raised where exact values leave, naming the quantity and the place; an `error` in a run, never an agreement."""
    defect(place, monkeypatch)
    case = Case(family="gaussian", shape=(3, 4), dtype="float64")
    records = run_case(case, subjects_of(adapters.get("numpy")))
    assert {r.outcome for r in records} == {"error"}
    assert len(records) == len({(r.quantity, r.variant) for r in records})
    assert all("an error of xentcheck, not of the implementation" in r.reason for r in records)
    p = Problem(logits=Z, target=Y, reduction="none", upstream=np.ones(3))
    for quantity in SPOILED[place]:
        if quantity in p.quantities:
            shape = p.shapes[quantity]
            with pytest.raises(OracleError, match=rf"^the exact {quantity}\[0"):
                assert_values_agree(p, {quantity: np.full(shape, np.nan)})


def test_a_nan_of_the_sum_over_rows_is_an_error_of_the_oracle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of finite losses and a denominator that is not 0."""
    exact = Exact(problem({}, "mean"))
    monkeypatch.setattr(type(exact.backend), "sum", lambda self, x: DoubleDouble(np.array(np.nan)))
    with pytest.raises(OracleError, match=r"^the exact cost\[\] came out as nan, though it is finite; "):
        exact.cost([(DoubleDouble(np.ones(3)), np.zeros(3, int))])


def test_what_mathematics_leaves_undefined_passes() -> None:
    """Rows without a maximum, labels at -inf, a mean over no row, weights that sum to 0."""
    z = np.array([[0.0, -np.inf, 1.0], [np.nan, 0.0, 1.0], [np.inf, 0.0, 1.0], [-np.inf] * 3])
    y = np.array([1, 0, 1, 2])
    p = Problem(logits=z, target=y, reduction="none", upstream=np.ones(4))
    exact = Exact(p).evaluate(p.quantities)
    assert exact["loss"][0].tolist()[0] == np.inf
    assert np.isnan(exact["loss"][0][1:]).all()
    assert np.isneginf(exact["log_a"][0][0, 1])
    zero = Problem(logits=Z, target=Y, weight=np.array([1.0, 1.0, -2.0]))
    assert np.isnan(Exact(zero).evaluate(["cost"])["cost"][0])
    negative = Problem(logits=z[:1], target=y[:1], weight=-np.ones(3))
    assert Exact(negative).evaluate(["cost"])["cost"][0] == np.inf  # -inf / -1
    none = Problem(logits=Z, target=np.full(3, -100))
    assert np.isnan(Exact(none).evaluate(["cost"])["cost"][0])
    assert np.isnan(cross_entropy(Z, np.full(3, -100)))


def test_only_what_is_named_may_be_undefined() -> None:
    """The door itself: inf beside an undefined row is an error, and so is a low part of nan."""
    with pytest.raises(OracleError, match=r"^the exact loss\[1\] came out as inf, though it is finite; "):
        leave(DOUBLE_DOUBLE, "loss", DoubleDouble(np.array([1.0, np.inf])), np.array([True, False]))
    with pytest.raises(OracleError, match=r"^the exact a\[0\] came out as nan"):
        leave(DOUBLE_DOUBLE, "a", DoubleDouble(np.array([1.0]), np.array([np.nan])), False)
    beyond = WideDouble.of(np.array([MAX])) * 4.0
    assert leave(WIDE_RANGE, "cost", beyond, False) is beyond
    assert WIDE_RANGE.pair(beyond)[0].tolist() == [np.inf]


@pytest.mark.parametrize("x", [-1e-3, -354.0, -355.0, -700.0, -1400.0, -5000.0, -30000.0, -44000.0])
def test_exp_with_exponents_is_accurate_down_to_e_to_the_minus_45000(x: float) -> None:
    """Relative error below 2^-92; 0 below."""
    found = WIDE_RANGE.exp(WideDouble.of(np.array([x])))
    with ctx.workprec(400):
        got = (arb(float(found.hi[0])) + arb(float(found.lo[0]))) * arb(2) ** int(found.k[0])
        assert abs(got / arb(x).exp() - 1) < arb(2) ** -92
    assert WIDE_RANGE.exp(WideDouble.of(np.array([-46000.0]))).hi == 0


@pytest.mark.parametrize("n", [1, 2, 3, 42, 118])
def test_exp_with_exponents_is_accurate_where_its_steps_end(n: int) -> None:
    """At the float64 next to -512 n ln 2, and at its neighbours: one of them is above it by less than a rounding."""
    end = -512.0 * n * np.log(2.0)
    for x in (end, np.nextafter(end, 0.0), np.nextafter(end, -np.inf)):
        found = WIDE_RANGE.exp(WideDouble.of(np.array([x])))
        with ctx.workprec(400):
            got = (arb(float(found.hi[0])) + arb(float(found.lo[0]))) * arb(2) ** int(found.k[0])
            assert abs(got / arb(float(x)).exp() - 1) < arb(2) ** -90


def test_numbers_with_exponents_beyond_float64_keep_their_accuracy() -> None:
    """log1p of 2^-1500 is that number; scaled by 2^3 a number is eight times as large, and 0 and inf are as before."""
    tiny = WideDouble.of(np.array([2.0**-900])) * 2.0**-600
    found = WIDE_RANGE.log1p(tiny)
    assert (found.hi[0], found.lo[0], int(found.k[0])) == (tiny.hi[0], 0.0, int(tiny.k[0]))
    scaled = WIDE_RANGE.scale(WideDouble.of(np.array([1.5, 0.0, np.inf])), 3)
    assert WIDE_RANGE.pair(scaled)[0].tolist() == [12.0, 0.0, np.inf]


@pytest.mark.parametrize("name", ["upstream", "upstream 0, tiny and large"])
def test_the_reference_takes_one_large_factor(name: str) -> None:
    """Without another one there is no nan and no inf but where the exact value is beyond the format."""
    p = problem(EXTREME[name], "none")
    exact = Exact(p).evaluate(p.quantities)
    found = adapters.get("numpy").compute(p, p.quantities, device="cpu", variant="eager").values
    for quantity, value in found.items():
        assert np.array_equal(np.isfinite(value), np.isfinite(exact[quantity][0]))


@pytest.mark.parametrize(
    ("exponent", "backend"), [(-250, DOUBLE_DOUBLE), (-251, WIDE_RANGE), (60, DOUBLE_DOUBLE), (61, WIDE_RANGE)]
)
def test_factors_beyond_double_double_take_the_wide_range(exponent: int, backend: Any) -> None:
    """From the next power of two on: the error terms of smaller products vanish, larger ones beside a gap overflow."""
    p = Problem(logits=np.zeros((2, 3)), target=np.array([0, 1]), upstream=np.array(2.0**exponent))
    assert Exact(p).backend is backend


@pytest.mark.parametrize(("top", "backend"), [(2.0**1023, WIDE_RANGE), (2.0**1023 * (1.0 - 2.0**-50), DOUBLE_DOUBLE)])
def test_a_gap_that_float64_does_not_hold_takes_the_wide_range(top: float, backend: Any) -> None:
    """2^1024 is the first number beyond it."""
    p = Problem(logits=np.array([[-(2.0**1023), top]]), target=np.array([0]), weight=np.full(2, 0.25), reduction="sum")
    assert Exact(p).backend is backend
    assert Exact(p).evaluate(["cost"])["cost"][0] == 2.0**1021 + top / 4.0
