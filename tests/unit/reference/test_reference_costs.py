"""The book's costs against ball arithmetic, their gradients against power series of them, and their exercises."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import exact
import numpy as np
import pytest
from balls import Balls, balls
from flint import ctx

from xentcheck import reference as ref
from xentcheck.errors import DtypeError, ShapeError, TargetError

DTYPES = [np.float64, np.float32]
RANDOM = np.random.default_rng(1)
Z = {
    "gaussian": 2 * RANDOM.normal(size=(4, 3)),
    "saturated": np.array([[60.0, -60.0, 0.5], [85.0, -85.0, -17.0]]),
    "one-output": np.array([[0.3], [-5.0], [20.0]]),
    "empty": np.zeros((0, 3)),
}
TARGETS = ["fractions", "zeros-and-ones"]


@pytest.fixture(autouse=True)
def precision() -> Iterator[None]:
    """Ball arithmetic with enough bits for every input here."""
    with ctx.workprec(exact.PRECISION):
        yield


def targets(kind: str, z: Any) -> Any:
    """y of the shape and dtype of z."""
    y = np.random.default_rng(2).random(z.shape)
    return (y if kind == "fractions" else np.round(y)).astype(z.dtype)


def certify(got: Any, right: Balls, roundings: Any, scale: Any, dtype: Any) -> None:
    """got has the dtype and is within that many roundings of the scale."""
    assert np.asarray(got).dtype == dtype
    assert exact.worst(got, right, exact.gamma(roundings, dtype) * scale + exact.tiny(dtype, 8)) <= 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("name", Z)
def test_quadratic_cost_is_equation_27(name: str, kind: str, dtype: Any) -> None:
    """(27) and its gradient a - y: a difference, a square (3 roundings), K - 1 additions."""
    a = Z[name].astype(dtype)
    y = targets(kind, a)
    right = exact.quadratic(balls(a), balls(y))
    certify(ref.quadratic_cost(a, y), right, a.shape[1] + 2, exact.floats(right), dtype)
    slope = exact.per_row(exact.quadratic, balls(a), balls(y))
    certify(ref.quadratic_grad_a(a, y), slope, 1, np.abs(exact.floats(slope)), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("name", Z)
def test_quadratic_delta_is_the_derivative_of_its_cost(name: str, kind: str, dtype: Any) -> None:
    """(30), (56) and (55), (65), T4: power series of (27) at sigma(z), for z and for one weight per input."""
    z = Z[name].astype(dtype)
    y = targets(kind, z)
    a_prev = np.random.default_rng(3).normal(size=(len(z), 2)).astype(dtype)
    right = exact.per_row(lambda x, t: exact.quadratic(exact.sigmoid(x), t), balls(z), balls(y))
    scale = error_scale(z, y) * slopes(z)
    n = exact.SIGMOID_ERROR + exact.SIGMOID_PRIME + 1
    certify(ref.quadratic_delta(z, y), right, n, scale, dtype)
    weight = right[:, :, None] * balls(a_prev)[:, None, :]
    certify(ref.quadratic_grad_w(z, y, a_prev), weight, n + 1, scale[:, :, None] * np.abs(a_prev)[:, None], dtype)


def error_scale(z: Any, y: Any) -> Any:
    """The two terms of sigma(z) - y, (1 - y) sigma(z) + y sigma(-z)."""
    z, y = z.astype(np.float64), y.astype(np.float64)
    return (1 - y) * ref.sigmoid(z) + y * ref.sigmoid(-z)


def slopes(z: Any) -> Any:
    """sigma'(z), certified by the tests of the activations."""
    return ref.sigmoid_prime(z.astype(np.float64))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("name", Z)
def test_cross_entropy_is_equation_63(name: str, kind: str, dtype: Any) -> None:
    """(57), (63), evaluated as it stands; all terms are >= 0, so their roundings are relative to the cost."""
    z = Z[name].astype(dtype)
    y = targets(kind, z)
    right = exact.cross_entropy(balls(z), balls(y))
    certify(ref.sigmoid_cross_entropy(z, y), right, exact.SOFTPLUS + 2 + z.shape[1], exact.floats(right), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("name", Z)
def test_cross_entropy_gradients_are_its_derivatives(name: str, kind: str, dtype: Any) -> None:
    """(58), (66) = (62), (67) = (61), T4: power series of (63) in a, in z, and times the input."""
    z = Z[name].astype(dtype)
    y = targets(kind, z)
    a_prev = np.random.default_rng(3).normal(size=(len(z), 2)).astype(dtype)
    right = exact.per_row(exact.cross_entropy, balls(z), balls(y))
    scale = error_scale(z, y)
    certify(ref.sigmoid_cross_entropy_delta(z, y), right, exact.SIGMOID_ERROR, scale, dtype)
    weight = right[:, :, None] * balls(a_prev)[:, None, :]
    scales = scale[:, :, None] * np.abs(a_prev)[:, None]
    certify(ref.sigmoid_cross_entropy_grad_w(z, y, a_prev), weight, exact.SIGMOID_ERROR + 1, scales, dtype)
    outside = exact.per_row(of_activations, exact.sigmoid(balls(z)), balls(y))
    terms = (1 - y.astype(np.float64)) / ref.sigmoid(-z.astype(np.float64)) + y / ref.sigmoid(z.astype(np.float64))
    certify(ref.sigmoid_cross_entropy_grad_a(z, y), outside, exact.SIGMOID + 4, terms, dtype)


def of_activations(a: Balls, y: Balls) -> Any:
    """(63) per example as a function of the activations."""
    return -(y * np.log(a) + (1 - y) * np.log(1 - a)).sum(-1)


def test_cancelled_and_uncancelled_forms_of_the_gradient_agree() -> None:
    """(60): sigma'/(sigma (1 - sigma)) (sigma - y), and (58) times sigma' (59), are (61) where nothing saturates."""
    z = Z["gaussian"]
    y = targets("fractions", z)
    right = exact.per_row(exact.cross_entropy, balls(z), balls(y))
    a, slope = ref.sigmoid(z), ref.sigmoid_prime(z)
    rest = ref.sigmoid(-z)
    roundings = exact.SIGMOID_PRIME + 3 * exact.SIGMOID + 4
    certify(slope / (a * rest) * (a - y), right, roundings, a + y, z.dtype)
    scale = slope * (y / a + (1 - y) / rest)
    certify(
        ref.sigmoid_cross_entropy_grad_a(z, y) * slope, right, exact.SIGMOID + 5 + exact.SIGMOID_PRIME, scale, z.dtype
    )


def test_why_delta_is_one_function() -> None:
    """T16: at a = 0 and y = 1, dC/da is -inf and sigma' is 0; their product is nan, delta is -1."""
    z, y = np.array([[-800.0]]), np.array([[1.0]])
    outside = ref.sigmoid_cross_entropy_grad_a(z, y)
    assert outside.tolist() == [[-np.inf]]
    with np.errstate(invalid="ignore"):
        assert np.isnan(outside * ref.sigmoid_prime(z)).all()
    assert ref.sigmoid_cross_entropy_delta(z, y).tolist() == [[-1.0]]


def test_cross_entropy_stays_finite_by_logits() -> None:
    """z = 1000 with y = 0 costs 1000, where the formula on activations is inf."""
    z, y = np.array([[1000.0, -1000.0]]), np.array([[0.0, 1.0]])
    assert ref.sigmoid_cross_entropy(z, y).tolist() == [2000.0]
    with np.errstate(divide="ignore"):
        assert of_activations_in_floats(ref.sigmoid(z), y) == np.inf


def of_activations_in_floats(a: Any, y: Any) -> float:
    """(63) on rounded activations, its 0 ln 0 left out."""
    return float(-np.log(np.where(y == 1, a, 1 - a)).sum())


def test_infinite_logits_of_certain_outputs() -> None:
    """A factor of 0 gives 0 also at z = +-inf; the wrong certainty costs inf; nan stays nan."""
    z = np.array([[np.inf, -np.inf], [np.inf, 0.0], [np.nan, 0.0]])
    y = np.array([[1.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    np.testing.assert_array_equal(ref.sigmoid_cross_entropy(z, y), [0.0, np.inf, np.nan])


def test_swapped_y_and_a_are_rejected() -> None:
    """T2: -[a ln y + (1 - a) ln(1 - y)] is not finite at y = 0 or 1, and far from (57) between."""
    z = Z["gaussian"]
    a = ref.sigmoid(z)
    with np.errstate(divide="ignore"):
        assert not np.isfinite(np.log(targets("zeros-and-ones", z))).all()
    y = targets("fractions", z)
    right = exact.cross_entropy(balls(z), balls(y))
    bound = exact.gamma(exact.SOFTPLUS + 2 + z.shape[1], z.dtype) * exact.floats(right)
    swapped = -(a * np.log(y) + (1 - a) * np.log(1 - y)).sum(1)
    assert exact.worst(swapped, right, bound) > 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_least_cross_entropy_is_equation_64(dtype: Any) -> None:
    """T3: (64) evaluated as it stands; (63) reaches it at sigma(z) = y and is larger elsewhere."""
    y = np.array([[0.5, 1e-6], [0.75, 0.999]], dtype)
    right = of_activations(balls(y), balls(y))
    n = exact.LOG + 3 + y.shape[1]
    least = ref.sigmoid_cross_entropy_minimum(y)
    certify(least, right, n, exact.floats(right), dtype)
    z = np.log(y / (1 - y))
    # d(63)/dz = a - y vanishes there, so an error e of z costs at most e^2/8 per output (sigma' <= 1/4); e is the error
    # of the quotient (2 u), of its logarithm (LOG u |z|), of 1 - y (u).
    slack = exact.gamma(exact.SOFTPLUS + 2 + n, dtype) * least + (
        exact.gamma(4 + exact.LOG * np.abs(z), dtype) ** 2
    ).sum(1)
    assert np.all(np.abs(ref.sigmoid_cross_entropy(z, y) - least) <= slack)
    for step in (-0.5, 0.5):
        assert np.all(ref.sigmoid_cross_entropy(z + np.asarray(step, dtype), y) > least)


def test_certain_targets_have_no_entropy() -> None:
    """0 ln 0 = 0 in (64)."""
    assert ref.sigmoid_cross_entropy_minimum([[0.0, 1.0]]).tolist() == [0.0]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [*Z, "underflow"])
def test_log_likelihood_is_equation_80(name: str, dtype: Any) -> None:
    """(80) of (78), evaluated as it stands, for labels and for probabilities that do not sum to 1."""
    z = (np.array([[0.0, 800.0, -3.0]]) if name == "underflow" else Z[name]).astype(dtype)
    label = np.arange(len(z)) % z.shape[1]
    each = exact.log_softmax_bound(z, dtype)
    right = exact.log_likelihood(balls(z), balls(exact.one_hot(label, z.shape[1])))
    got = ref.log_likelihood(z, label)
    assert got.dtype == dtype
    assert exact.worst(got, right, each[np.arange(len(z)), label]) <= 1
    q = targets("fractions", z)
    terms = q * np.abs(ref.log_softmax(z.astype(np.float64)))
    bound = (q * each).sum(1) + exact.gamma(z.shape[1] + 1, dtype) * (terms + q * each).sum(1)
    assert exact.worst(ref.log_likelihood(z, q), exact.log_likelihood(balls(z), balls(q)), bound) <= 1


def test_log_likelihood_by_softmax_is_rejected() -> None:
    """-ln(a_y) of a rounded a is inf 800 below the maximum and loses every digit 40 above: the check tells."""
    z = np.array([[0.0, 800.0], [40.0, 0.0]])
    right = exact.log_likelihood(balls(z), balls(exact.one_hot([0, 0], 2)))
    bound = exact.log_softmax_bound(z, z.dtype)[:, 0]
    with np.errstate(divide="ignore"):
        naive = -np.log(ref.softmax(z)[:, 0])
    for row in (0, 1):
        assert exact.worst(ref.log_likelihood(z, [0, 0])[row], right[row], bound[row]) <= 1
        assert exact.worst(naive[row], right[row], bound[row]) > 1


def test_log_likelihood_of_two_classes_is_the_binary_cross_entropy() -> None:
    """T15: with K = 2, (80) is (57) on z_1 - z_2."""
    z = np.array([[0.5, -1.25], [3.0, 0.75]])
    binary = ref.sigmoid_cross_entropy(z[:, :1] - z[:, 1:], [[1], [0]])
    bound = exact.log_softmax_bound(z, z.dtype)[[0, 1], [0, 1]] + exact.gamma(exact.SOFTPLUS + 4, z.dtype) * binary
    assert np.all(np.abs(ref.log_likelihood(z, [0, 1]) - binary) <= bound)


def test_soft_targets_cost_at_least_their_entropy() -> None:
    """T3 for softmax: -sum y ln a >= -sum y ln y, with equality at a = y, here for powers of two."""
    y = np.array([[0.5, 0.25, 0.25]])
    entropy = 1.5 * math.log(2)
    at = ref.log_likelihood(np.log(y), y)
    assert np.all(np.abs(at - entropy) <= exact.gamma(exact.LOG + exact.EXP + 8, y.dtype) * (entropy + 1))
    assert ref.log_likelihood([[0.0, 0.0, 0.0]], y)[0] > entropy


def test_masked_and_undefined_rows_of_the_log_likelihood() -> None:
    """A target on -inf costs inf; a probability of 0 there costs nothing; a row without a finite maximum is nan."""
    z = np.array([[0.0, -np.inf], [-np.inf, -np.inf], [np.inf, 0.0]])
    np.testing.assert_array_equal(ref.log_likelihood(z, [1, 0, 0]), [np.inf, np.nan, np.nan])
    assert ref.log_likelihood(z[:1], [0]).tolist() == [0.0]
    assert ref.log_likelihood(z[:1], np.array([[1.0, 0.0]])).tolist() == [0.0]
    assert ref.log_likelihood(z[:1], np.array([[0.5, 0.5]])).tolist() == [np.inf]


ERRORS = [
    (TargetError, lambda: ref.log_likelihood([[0.0, 1.0]], [2]), r"y\[0\] is 2; allowed: labels from 0 to 1"),
    (TargetError, lambda: ref.log_likelihood([[0.0, 1.0]] * 2, [0, -1]), r"y\[1\] is -1; allowed: labels from 0 to 1"),
    (
        TargetError,
        lambda: ref.log_likelihood([[0.0, 1.0]], [[0.5, np.inf]]),
        r"y\[0, 1\] is inf; allowed: finite numbers",
    ),
    (
        TargetError,
        lambda: ref.sigmoid_cross_entropy([[0.0]], [[np.nan]]),
        r"y\[0, 0\] is nan; allowed: probabilities from 0 to 1",
    ),
    (
        TargetError,
        lambda: ref.sigmoid_cross_entropy_minimum([[2.0]]),
        r"y\[0, 0\] is 2\.0; allowed: probabilities from 0 to 1",
    ),
    (
        ShapeError,
        lambda: ref.log_likelihood([[0.0, 1.0]], [[0], [1]]),
        r"y has shape \(2, 1\); allowed: \(1,\) labels or \(1, 2\) rows of probabilities",
    ),
    (ShapeError, lambda: ref.quadratic_cost([[0.0]], [0]), r"y has shape \(1,\); allowed: \(1, 1\), the shape of a"),
    (
        ShapeError,
        lambda: ref.quadratic_grad_w([[0.0]], [[0.0]], [[1.0], [2.0]]),
        r"a_prev has shape \(2, 1\); allowed: \(1, n\), one row per example",
    ),
    (
        DtypeError,
        lambda: ref.log_likelihood([[0.0, 1.0]], [0.5]),
        "y has dtype float64; allowed: integer labels, or rows of probabilities",
    ),
    (
        DtypeError,
        lambda: ref.sigmoid_cross_entropy(np.zeros((1, 1), np.float32), [[0.5]]),
        "y has dtype float64; allowed: float32, the dtype of z",
    ),
]


@pytest.mark.parametrize(
    ("error", "call", "message"), ERRORS, ids=[f"{e[0].__name__}-{i}" for i, e in enumerate(ERRORS)]
)
def test_bad_input_raises_one_line(error: Any, call: Any, message: str) -> None:
    """Each kind of bad input raises its error with what, where and what is allowed."""
    with pytest.raises(error, match=f"^{message}$"):
        call()
