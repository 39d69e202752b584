"""Double-double arithmetic: error limits certified by ball arithmetic, edges, and the same bits without vector units.

Limits of the four operations: Joldes, Muller and Popescu, "Tight and rigorous error bounds for basic building blocks of
double-word arithmetic" (2017), algorithms 6 (sum), 11 (product) and 17 (quotient), in u = 2^-53.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from bits import digests, digests_without_dispatch
from flint import arb, ctx

from xentcheck.randomness import Stream
from xentcheck.reference.backends import CHUNK, DOUBLE_DOUBLE, FLOAT64, backend_for
from xentcheck.reference.double_double import (
    DoubleDouble,
    dd_exp,
    dd_log1p,
    dd_matmul,
    dd_sum,
    fast_two_sum,
    split,
    two_prod,
    two_sum,
)

U = 2.0**-53
SUBNORMAL = 2.0**-1074
BITS = 400

PINNED = {
    "dd_exp": "11f8757d55826d959f644c38ae3fdcaf515a333de3e8c5b24bbcdb87b1e6ffe4",
    "dd_log1p": "471c4d5722e5e54c112235d9fabe6dfcd2e495e233f562c1d616cde6129fe62e",
    "oracle": "4e86a20ccfb0d5d630a0daad0d8b30d0b3c20bda01484b85d24b378b8a4b913b",
}

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
def test_exp_is_right_to_71_bits(span: str) -> None:
    """exp of negative numbers keeps the relative error that its docstring states."""
    x = numbers(f"exp {span}", *EXP_RANGES[span])
    right = np.exp(exact(x))
    assert largest_share(dd_exp(x), right, right * 2.0**-71) <= 1.0


def test_exp_is_right_on_every_step_of_its_table() -> None:
    """Both ends of every interval of the argument reduction keep the stated error."""
    middle = -np.arange(3 * 256) * float(np.log(2.0)) / 256
    x = DoubleDouble(np.concatenate([middle, middle - np.log(2.0) / 512, np.nextafter(middle, -1.0)]))
    right = np.exp(exact(x))
    assert largest_share(dd_exp(x), right, right * 2.0**-71) <= 1.0


def test_exp_loses_one_subnormal_ulp_at_most_where_it_underflows() -> None:
    """Results in or near the subnormal range, where the low part cannot be held, err by at most 2^-1074."""
    x = numbers("exp subnormal", -760.0, -660.0)
    right = np.exp(exact(x))
    got = dd_exp(x)
    assert largest_share(got, right, right * 2.0**-71 + arb(SUBNORMAL)) <= 1.0
    assert np.any((got.hi > 0) & (got.hi < 2.0**-1022))
    assert np.any(got.hi == 0)


def test_a_float64_exponential_fails_the_same_certification() -> None:
    """NumPy's exp of the leading part is far outside of the limit: the certification can fail."""
    x = numbers("exp normal", *EXP_RANGES["normal"])
    right = np.exp(exact(x))
    assert largest_share(DoubleDouble(np.exp(x.hi)), right, right * 2.0**-71) > 2.0**17


@pytest.mark.parametrize("x", [-np.inf, -1.0e5, -1.0e6, -1e300, np.nan], ids=str)
def test_exp_is_exactly_0_far_below(x: float) -> None:
    """Below -1e5, at -inf and for a nan that the caller masks, exp is 0 and no warning appears."""
    got = dd_exp(DoubleDouble([x]))
    assert got.hi.tolist() == [0.0]
    assert got.lo.tolist() == [0.0]


def test_exp_of_0_is_exactly_1() -> None:
    """A tie with the maximum contributes exactly 1, with either sign of zero."""
    got = dd_exp(DoubleDouble([0.0, -0.0]))
    assert got.hi.tolist() == [1.0, 1.0]
    assert got.lo.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("span", LOG_RANGES)
def test_log1p_is_right_to_70_bits(span: str) -> None:
    """log(1 + x) keeps the relative error that its docstring states, also where x is tiny."""
    x = numbers(f"log1p {span}", *LOG_RANGES[span])
    right = np.log(1 + exact(x))
    assert largest_share(dd_log1p(x), right, right * 2.0**-70) <= 1.0


def test_log1p_is_right_at_every_power_of_two_and_step() -> None:
    """Where the interval of the argument reduction changes, from 2^-1074 to 2^899, the stated error holds."""
    powers = np.ldexp(1.0, np.arange(-1074, 900))
    edges = (np.arange(0, 1024) + 0.5) / 256
    x = DoubleDouble(np.concatenate([powers, np.nextafter(powers, np.inf), np.nextafter(powers, 0), edges]))
    with ctx.workprec(3000):
        right = np.log(1 + exact(x))
        assert largest_share(dd_log1p(x), right, right * 2.0**-70 + arb(SUBNORMAL)) <= 1.0


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


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 1000, 1025])
def test_sum_is_right_to_n_units(n: int) -> None:
    """A sum of n terms of both signs errs by at most n 2^-105 of the sum of their magnitudes."""
    x = wide(f"sum {n}", (3, n))
    right = exact(x).sum(1) if n else exact(DoubleDouble(np.zeros(3)))
    limit = np.abs(exact(x)).sum(1) * n * 2.0**-105 if n else arb(0)
    assert largest_share(dd_sum(x), right, limit) <= 1.0


@pytest.mark.parametrize("inner", [0, 1, 5, 64])
def test_matrix_product_is_right_to_its_height(inner: int) -> None:
    """Each product adds 7u^2 and each of the k sums 3u^2 (1 + 4u) of the product of absolute values."""
    a, b = wide("matrix a", (4, inner)), wide("matrix b", (inner, 3))
    got = dd_matmul(a, b)
    assert got.shape == (4, 3)
    if inner:
        limit = (np.abs(exact(a)) @ np.abs(exact(b))) * arb((7 + 3 * inner) * U**2 * (1 + 2.0**-40))
        assert largest_share(got, exact(a) @ exact(b), limit) <= 1.0


def test_the_exponential_does_not_depend_on_its_chunks() -> None:
    """The backend's chunked exponential has the bits of one call."""
    x = numbers("chunks", -50.0, 0.0, (2, CHUNK + 7))
    whole, parts = dd_exp(x), DOUBLE_DOUBLE.exp(x)
    assert np.array_equal(whole.hi, parts.hi)
    assert np.array_equal(whole.lo, parts.lo)


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
    """float64 implementations are judged in double-double, float32 ones in float64."""
    assert backend_for("float64") is DOUBLE_DOUBLE
    assert backend_for("float32") is FLOAT64


@pytest.mark.parametrize("name", PINNED)
def test_bits_are_pinned(name: str) -> None:
    """exp, log1p and the double-double oracle return the same bits on every platform and in every version."""
    assert digests()[name] == PINNED[name]


def test_bits_do_not_depend_on_vector_units() -> None:
    """NumPy's baseline code, with every dispatched CPU feature disabled, returns the same bits."""
    found = digests_without_dispatch()
    assert found.pop("vector units") == ""
    assert found == {name: digest for name, digest in digests().items() if name != "vector units"}
