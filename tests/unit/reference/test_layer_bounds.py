"""Bounds of linear layers: products, column sums and sums without rounding, in the order of summation that is worst."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from xentcheck.cases.randomness import Stream
from xentcheck.reference.bounds import bound
from xentcheck.reference.bounds.arithmetic import Arithmetic
from xentcheck.reference.bounds.contracts import CATALOGUE
from xentcheck.reference.bounds.layers import Uncertain, column_sum, exactly, product, sums_are_exact
from xentcheck.reference.formats import FORMATS
from xentcheck.reference.inputs import WIDE
from xentcheck.reference.oracle import Exact
from xentcheck.reference.problem import Problem

pytestmark = pytest.mark.parametrize("dtype", WIDE)


def arithmetic(dtype: str) -> Arithmetic:
    """Arithmetic without a rounding to storage."""
    return Arithmetic.of(CATALOGUE["fused"], dtype)


def sequential(a: Any, b: Any, dtype: str) -> Any:
    """a b with one rounded product and one rounded addition after the other."""
    out = np.zeros((len(a), b.shape[1]), dtype)
    for k in range(a.shape[1]):
        out = out + a[:, k : k + 1].astype(dtype) * b[k : k + 1].astype(dtype)
    return out.astype(np.float64)


@pytest.mark.parametrize("inner", [1, 2, 50, 1000])
def test_a_product_attains_its_bound_in_the_worst_order(inner: int, dtype: str) -> None:
    """1 + u + u + ... summed from the left loses every u: just within the bound, and more than a third of it."""
    fmt = FORMATS[dtype]
    a, b = np.full((1, inner), fmt.unit_roundoff), np.ones((inner, 1))
    a[0, 0] = 1.0
    lost = (inner - 1) * fmt.unit_roundoff
    assert sequential(a, b, dtype).item() == 1.0
    limit = product(exactly(a), exactly(b), arithmetic(dtype)).item()
    assert lost <= limit
    assert limit < 3.0 * max(lost, fmt.unit_roundoff)


def test_a_column_sum_attains_its_bound_in_the_worst_order(dtype: str) -> None:
    """The same for dC/db, a sum over rows without products; one row alone is exact."""
    fmt = FORMATS[dtype]
    g = np.full((100, 1), fmt.unit_roundoff)
    g[0] = 1.0
    limit = column_sum(exactly(g), arithmetic(dtype)).item()
    assert 99 * fmt.unit_roundoff <= limit < 100 * fmt.unit_roundoff
    assert column_sum(exactly(g[:1]), arithmetic(dtype)).item() == 0.0


def test_random_products_stay_within_their_bound(dtype: str) -> None:
    """Products of both signs, from the left and from the right, against exact sums of integers."""
    a, b = Stream("left").integers(-(2**20), 2**20, (7, 30)), Stream("right").integers(-(2**20), 2**20, (30, 5))
    exact = (a @ b).astype(np.float64)
    scale = 2.0**-20
    limit = product(exactly(a * scale), exactly(b * scale), arithmetic(dtype))
    for order in (slice(None), slice(None, None, -1)):
        got = sequential((a * scale)[:, order], (b * scale)[order], dtype)
        assert np.all(np.abs(got - exact * scale**2) <= limit)


def test_errors_of_the_factors_are_passed_on(dtype: str) -> None:
    """An error of one factor moves the product by that error times the other factor at least."""
    a, b = np.array([[2.0, -3.0]]), np.array([[5.0], [-7.0]])
    error = np.array([[0.5, 0.25]])
    plain = product(exactly(a), exactly(b), arithmetic(dtype))
    assert np.all(product(Uncertain(a, error), exactly(b), arithmetic(dtype)) >= plain + 0.5 * 5.0 + 0.25 * 7.0)
    assert np.all(product(exactly(a), Uncertain(b, error.T), arithmetic(dtype)) >= plain + 0.5 * 2.0 + 0.25 * 3.0)
    moved = product(Uncertain(a, error), Uncertain(b, error.T), arithmetic(dtype))
    assert np.all(np.abs((a + error) @ (b - error.T) - a @ b) <= moved)
    assert np.all(np.abs((a - error) @ (b - error.T) - a @ b) <= moved)


def test_sums_of_small_multiples_are_exact(dtype: str) -> None:
    """Multiples of one unit below 2^p of it never round; one bit more and they may."""
    fmt = FORMATS[dtype]
    half = 2.0 ** (fmt.precision - 1)
    w, b = np.array([[1.0, 1.0]]), np.zeros(1)
    assert sums_are_exact(np.array([[half, half - 1.0]]), w, b, fmt)
    assert not sums_are_exact(np.array([[half, half + 1.0]]), w, b, fmt)
    assert not sums_are_exact(np.array([[half, half - 1.0]]), w, np.array([0.5]), fmt)
    assert sums_are_exact(np.array([[0.25, 0.75]]), np.array([[0.5, -0.25]]), np.array([3.0]), fmt)


TARGETS: dict[str, tuple[int, dict[str, Any]]] = {
    "index": (1, {"target": np.array([1])}),
    "smoothed": (3, {"target": np.array([1]), "label_smoothing": 0.25}),
    "probabilities": (3, {"target": np.array([[0.5, 0.25, 0.25]])}),
}
"""Kind of target -> how many terms the loss has, and its arguments."""


@pytest.mark.parametrize("kind", TARGETS)
def test_results_may_be_flushed_to_zero(kind: str, dtype: str) -> None:
    """A weight of the smallest normal number pushes what it multiplies below it: each such result may become 0.

    That is 2 products in a term of the loss; in a gradient exp, its quotient, and 2 products; and no more than these:
    beside the smallest normal number rounding errors are 2^-20 of it.
    """
    terms, arguments = TARGETS[kind]
    tiny = FORMATS[dtype].smallest_normal
    if kind == "probabilities":
        arguments = {"target": arguments["target"].astype(dtype)}
    given: dict[str, Any] = {"logits": np.array([[0.0, 0.5, -1.0]], dtype), "weight": np.full(3, tiny, dtype)}
    p = Problem(**given, **arguments, reduction="none", upstream=np.ones(1, dtype))
    loss, gradient = bound("loss", p, "fused").item() / tiny, bound("dC/dz", p, "fused") / tiny
    assert 2.0 * terms <= loss <= 2.0 * terms * (1.0 + 2.0**-18)
    assert np.all((gradient >= 4.0) & (gradient <= 4.0 * (1.0 + 2.0**-18)))


@pytest.mark.parametrize("upstream", [2.0**-20, 1.0, 16.0, 2.0**20])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
def test_an_exponential_that_is_flushed_is_within_the_bound_whatever_multiplies_it(
    share: float, upstream: float, dtype: str
) -> None:
    """A gradient of 0 where a_i is below the smallest normal number, also where its product is not."""
    z = np.array([[0.0, np.log(share) + np.log(FORMATS[dtype].smallest_normal)]], dtype)
    p = Problem(logits=z, target=np.array([0]), reduction="sum", upstream=np.array(upstream, dtype))
    lost = Exact(p).evaluate(["dC/dz"])["dC/dz"][0][0, 1]
    for contract in CATALOGUE.values():
        assert 0.0 < lost <= bound("dC/dz", p, contract)[0, 1], contract.name
