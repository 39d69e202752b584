"""Double-double arithmetic: error limits certified by ball arithmetic, edges, and the same bits without vector units.

Limits of the four operations: Joldes, Muller and Popescu, "Tight and rigorous error bounds for basic building blocks of
double-word arithmetic" (2017), algorithms 6 (sum), 11 (product) and 17 (quotient), in u = 2^-53.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flint import arb, ctx

from xentcheck.cases.randomness import Stream
from xentcheck.reference.numbers import elementary
from xentcheck.reference.numbers.backends import DOUBLE_DOUBLE, FLOAT64, WIDE_RANGE
from xentcheck.reference.numbers.double_double import (
    CHUNK,
    DoubleDouble,
    dd_matmul,
    dd_sum,
    fast_two_sum,
    split,
    two_prod,
    two_sum,
)
from xentcheck.reference.numbers.elementary import dd_exp, dd_log1p
from xentcheck.reference.numbers.tables import STEPS, TAYLOR
from xentcheck.reference.oracle.ranges import backend_for
from xentcheck.reference.problem import Problem

U = 2.0**-53
SUBNORMAL = 2.0**-1074
BITS = 400

EXP_RANGES = {"near-0": (-1e-3, 0.0), "unit": (-1.0, 0.0), "normal": (-672.0, 0.0)}
LOG_RANGES = {"tiny": (0.0, 1e-12), "below-a-step": (0.0, 2.0**-8), "unit": (0.0, 4.0), "large": (0.0, 1e6)}


def numbers(name: str, low: float, high: float, shape: tuple[int, ...] = (4000,)) -> DoubleDouble:
    """Double-double numbers between two bounds, with random low parts."""
    hi = Stream(name).uniform(low, high, shape)
    return DoubleDouble(hi, Stream(f"{name} low").uniform(-1.0, 1.0, shape) * np.abs(np.spacing(hi)) / 2.0)


def wide(name: str, shape: tuple[int, ...] = (4000,)) -> DoubleDouble:
    """Double-double numbers of both signs from 2^-60 to 2^60."""
    x = numbers(name, 0.5, 1.0, shape)
    power = Stream(f"{name} power").integers(-60, 61, shape)
    sign = Stream(f"{name} sign").signs(shape)
    return DoubleDouble(np.ldexp(sign * x.hi, power), np.ldexp(sign * x.lo, power))


def exact(x: DoubleDouble) -> Any:
    """The numbers as an object array of balls."""
    pairs = zip(x.hi.ravel().tolist(), x.lo.ravel().tolist(), strict=True)
    return np.array([*(arb(h) + arb(low) for h, low in pairs), None], object)[:-1].reshape(x.shape)


def largest_share(got: DoubleDouble, right: Any, limit: Any) -> float:
    """Largest |got - right| / limit; a limit of 0 allows no error."""
    error = exact(got) - right
    pairs = zip(error.ravel(), np.broadcast_to(limit, error.shape).ravel(), strict=True)
    found = [float((e / b).abs_upper()) if b > 0 else 0.0 if e.is_zero() else np.inf for e, b in pairs]
    assert not np.isnan(found).any()
    return max(found)


@pytest.fixture(autouse=True)
def _precision() -> Any:
    with ctx.workprec(BITS):
        yield


@pytest.mark.parametrize("span", EXP_RANGES)
def test_exp_is_right_to_93_bits(span: str) -> None:
    """exp of negative numbers keeps the relative error that its docstring states."""
    x = numbers(f"exp {span}", *EXP_RANGES[span])
    right = np.exp(exact(x))
    assert largest_share(dd_exp(x), right, right * 2.0**-93) <= 1.0


def test_exp_is_right_on_every_step_of_its_table() -> None:
    """Both ends of every interval of the argument reduction keep the stated error."""
    step = float(np.log(2.0)) / STEPS
    middle = -np.arange(STEPS + 64) * step
    x = DoubleDouble(np.concatenate([middle, middle - step / 2, np.nextafter(middle, -1.0)]))
    right = np.exp(exact(x))
    assert largest_share(dd_exp(x), right, right * 2.0**-93) <= 1.0


def test_exp_loses_one_subnormal_ulp_at_most_where_it_underflows() -> None:
    """Results in or near the subnormal range, where the low part cannot be held, err by at most 2^-1074."""
    x = numbers("exp subnormal", -760.0, -660.0)
    right = np.exp(exact(x))
    got = dd_exp(x)
    assert largest_share(got, right, right * 2.0**-93 + arb(SUBNORMAL)) <= 1.0
    assert np.any((got.hi > 0) & (got.hi < 2.0**-1022))
    assert np.any(got.hi == 0)


def test_a_float64_exponential_fails_the_same_certification() -> None:
    """NumPy's exp of the leading part is far outside of the limit: the certification can fail."""
    x = numbers("exp normal", *EXP_RANGES["normal"])
    right = np.exp(exact(x))
    assert largest_share(DoubleDouble(np.exp(x.hi)), right, right * 2.0**-93) > 2.0**39


@pytest.mark.parametrize("power", [4, 5, 6])
def test_each_term_of_the_polynomial_is_needed(power: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without s^4/24, s^5/120 or s^6/720 the certification of exp fails."""
    monkeypatch.setattr(elementary, "TAYLOR", tuple(0.0 if 6 - i == power else c for i, c in enumerate(TAYLOR)))
    x = numbers("exp unit", *EXP_RANGES["unit"])
    right = np.exp(exact(x))
    assert largest_share(dd_exp(x), right, right * 2.0**-93) > 2.0


def test_the_low_parts_of_an_argument_and_of_the_tables_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """exp of the leading part alone, and log1p by a table in float64, are outside of the limits."""
    x = numbers("exp normal", *EXP_RANGES["normal"])
    right = np.exp(exact(x))
    assert largest_share(dd_exp(DoubleDouble(x.hi)), right, right * 2.0**-93) > 2.0**30
    table = elementary.logarithms()
    monkeypatch.setattr(elementary, "logarithms", lambda: table * np.array([[1.0], [0.0]]))
    x = numbers("log1p unit", *LOG_RANGES["unit"])
    right = np.log(1 + exact(x))
    assert largest_share(dd_log1p(x), right, right * 2.0**-93) > 2.0**30


@pytest.mark.parametrize("exponent", [-512, 512, 1000])
def test_exp_times_a_power_of_two_is_rounded_once(exponent: int) -> None:
    """2^n exp(x) keeps its relative error where exp(x) alone is subnormal or 0."""
    x = numbers("exp far", -1100.0, -300.0)
    right = np.exp(exact(x)) * arb(2) ** exponent
    assert largest_share(dd_exp(x, exponent), right, right * 2.0**-93 + arb(SUBNORMAL)) <= 1.0


@pytest.mark.parametrize("x", [-np.inf, -1.0e5, -1.0e6, -1e300, np.nan], ids=str)
def test_exp_is_exactly_0_far_below(x: float) -> None:
    """Below -1400, at -inf and for a nan that the caller masks, exp is 0 and no warning appears."""
    got = dd_exp(DoubleDouble([x]))
    assert got.hi.tolist() == [0.0]
    assert got.lo.tolist() == [0.0]


def test_exp_of_0_is_exactly_1() -> None:
    """A tie with the maximum contributes exactly 1, with either sign of zero."""
    got = dd_exp(DoubleDouble([0.0, -0.0]))
    assert got.hi.tolist() == [1.0, 1.0]
    assert got.lo.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("span", LOG_RANGES)
def test_log1p_is_right_to_93_bits(span: str) -> None:
    """log(1 + x) keeps the relative error that its docstring states, also where x is tiny."""
    x = numbers(f"log1p {span}", *LOG_RANGES[span])
    right = np.log(1 + exact(x))
    assert largest_share(dd_log1p(x), right, right * 2.0**-93) <= 1.0


def test_log1p_is_right_at_every_power_of_two_and_step() -> None:
    """Where the interval of the argument reduction changes, from 2^-1074 to 2^899, the stated error holds."""
    powers = np.ldexp(1.0, np.arange(-1074, 900))
    edges = (np.arange(0, 1024) + 0.5) / 256
    x = DoubleDouble(np.concatenate([powers, np.nextafter(powers, np.inf), np.nextafter(powers, 0), edges]))
    with ctx.workprec(3000):
        right = np.log(1 + exact(x))
        assert largest_share(dd_log1p(x), right, right * 2.0**-93 + arb(SUBNORMAL)) <= 1.0


def test_log1p_of_0_is_exactly_0() -> None:
    """A row without other classes has log S = 0."""
    got = dd_log1p(DoubleDouble([0.0]))
    assert (got.hi.tolist(), got.lo.tolist()) == ([0.0], [0.0])


@pytest.mark.parametrize(
    ("operation", "limit"),
    [
        (lambda a, b: a + b, 3 * U**2 / (1 - 4 * U)),
        (lambda a, b: a - b, 3 * U**2 / (1 - 4 * U)),
        (lambda a, b: a * b, 7 * U**2),
        (lambda a, b: a / b, 15 * U**2 + 56 * U**3),
    ],
    ids=["add", "subtract", "multiply", "divide"],
)
def test_operations_keep_their_published_limits(operation: Callable[[Any, Any], Any], limit: float) -> None:
    """+ - * / have the relative errors proved for their algorithms, also where a sum cancels."""
    a, b = wide("left"), wide("right")
    near = DoubleDouble(a.hi * (1.0 + 2.0**-40), a.lo)
    for other in (b, near):
        right = operation(exact(a), exact(other))
        assert largest_share(operation(a, other), right, np.abs(right) * limit) <= 1.0


def test_operations_take_floats_on_either_side() -> None:
    """A plain number on the left or on the right means the same."""
    x = DoubleDouble([3.0])
    assert [(1.0 + x).hi[0], (1.0 - x).hi[0], (2.0 * x).hi[0], (6.0 / x).hi[0]] == [4.0, -2.0, 6.0, 2.0]
    assert (x - np.array([1.0])).hi.tolist() == [2.0]
    assert (np.array([1.0]) * x).hi.tolist() == [3.0]


@pytest.mark.parametrize("transformation", [two_sum, two_prod], ids=["two_sum", "two_prod"])
def test_transformations_are_free_of_error(transformation: Callable[[Any, Any], Any]) -> None:
    """s + e is exactly the sum, p + e exactly the product."""
    a, b = wide("a").hi, wide("b").hi
    right = exact(DoubleDouble(a)) + exact(DoubleDouble(b))
    if transformation is two_prod:
        right = exact(DoubleDouble(a)) * exact(DoubleDouble(b))
    assert largest_share(DoubleDouble(*transformation(a, b)), right, arb(0)) == 0.0


def test_fast_two_sum_and_split_are_free_of_error() -> None:
    """Dekker's sum of ordered numbers, and Veltkamp's halves with at most 26 bits."""
    x = wide("ordered")
    s, e = fast_two_sum(x.hi, x.lo)
    assert largest_share(DoubleDouble(s, e), exact(x), arb(0)) == 0.0
    high, low = split(x.hi)
    assert np.array_equal(high + low, x.hi)
    for half in (high, low):
        mantissa = np.frexp(half)[0]
        assert np.array_equal(np.ldexp(mantissa, 26), np.rint(np.ldexp(mantissa, 26)))


def sum_limit(x: DoubleDouble) -> Any:
    """(D^2 + 5D) u^2 of the sum of magnitudes, D = ceil(log2 n)."""
    depth = (x.shape[-1] - 1).bit_length()
    return np.abs(exact(x)).sum(1) * (depth**2 + 5 * depth) * U**2


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 1000, 1025, 9001])
def test_sum_keeps_the_limit_of_its_depth(n: int) -> None:
    """A sum of n terms of both signs errs by at most (D^2 + 5D) u^2 of the sum of their magnitudes."""
    x = wide(f"sum {n}", (3, n))
    right = exact(x).sum(1) if n else exact(DoubleDouble(np.zeros(3)))
    assert largest_share(dd_sum(x), right, sum_limit(x) if n else arb(0)) <= 1.0


def test_a_float64_sum_fails_the_same_certification() -> None:
    """NumPy's sum of the leading parts is far outside of the limit."""
    x = wide("sum 1000", (3, 1000))
    assert largest_share(DoubleDouble(x.hi.sum(1)), exact(x).sum(1), sum_limit(x)) > 2.0**30


@pytest.mark.parametrize("inner", [0, 1, 5, 64])
def test_matrix_product_is_right_to_its_height(inner: int) -> None:
    """Each product adds 7u^2 and each of the k sums 3u^2 (1 + 4u) of the product of absolute values."""
    a, b = wide("matrix a", (4, inner)), wide("matrix b", (inner, 3))
    got = dd_matmul(a, b)
    assert got.shape == (4, 3)
    if inner:
        limit = (np.abs(exact(a)) @ np.abs(exact(b))) * arb((7 + 3 * inner) * U**2 * (1 + 2.0**-40))
        assert largest_share(got, exact(a) @ exact(b), limit) <= 1.0


@pytest.mark.parametrize("shape", [(2, CHUNK + 7), (5, CHUNK // 2)], ids=["wide", "tall"])
def test_results_do_not_depend_on_the_parts(shape: tuple[int, int]) -> None:
    """Elementwise operations on arrays larger than a part have the bits of each element's own result."""
    x = numbers("chunks", -50.0, 0.0, shape)
    row = x[:, :1]
    part = np.s_[:, -9:]
    for operation in (dd_exp, lambda v: v + row, lambda v: v * row, lambda v: v / row):
        whole, alone = operation(x), operation(x[part])
        assert np.array_equal(whole.hi[part], alone.hi)
        assert np.array_equal(whole.lo[part], alone.lo)


def test_differences_of_logits_are_exact() -> None:
    """Distances to the maximum lose nothing, an infinite one has no nan in its low part."""
    z = np.array([1e16, 1.0, -np.inf, 1e-300])
    with np.errstate(invalid="ignore"):
        t = DOUBLE_DOUBLE.difference(z, np.full(4, 3.0))
    assert np.isneginf(t.hi[2])
    assert t.lo[2] == 0.0
    finite = np.array([0, 1, 3])
    with ctx.workprec(2000):
        assert largest_share(t[finite], exact(DoubleDouble(z[finite])) - 3, arb(0)) == 0.0


def test_the_storage_dtype_decides_the_backend() -> None:
    """float64 implementations are judged in double-double, float32 ones in float64; large factors need exponents."""
    z, y = np.array([[0.0, 1.0]]), np.array([0])
    assert backend_for(Problem(logits=z, target=y)) is DOUBLE_DOUBLE
    assert backend_for(Problem(logits=z * 8e307, target=y)) is DOUBLE_DOUBLE
    assert backend_for(Problem(logits=np.array([[-1e308, 1e308]]), target=y)) is WIDE_RANGE
    for large in (2.0**61, 2.0**-251):
        for given in ({"weight": np.full(2, large)}, {"upstream": np.array(large)}, {"v": np.full((1, 2), large)}):
            assert backend_for(Problem(logits=z, target=y, **given)) is WIDE_RANGE
        assert backend_for(Problem(logits=z, target=np.full((1, 2), large))) is WIDE_RANGE
    for dtype, factor in (("float32", 2.0**127), ("bfloat16", 2.0**127), ("float16", 65504.0)):
        given = {"logits": z.astype(dtype), "weight": np.full(2, factor, dtype)}
        assert backend_for(Problem(target=y, **given)) is FLOAT64


def test_scaling_reaches_every_number_and_empty_rows_sum_to_0_each() -> None:
    """By exponents of which some are 0; three rows without a number have three sums."""
    for backend in (FLOAT64, DOUBLE_DOUBLE):
        scaled = backend.pair(backend.scale(backend.array(np.ones(3)), np.array([0, 5, 0])))[0]
        assert scaled.tolist() == [1.0, 32.0, 1.0]
    assert dd_sum(DoubleDouble(np.zeros((3, 0)))).hi.tolist() == [0.0, 0.0, 0.0]
