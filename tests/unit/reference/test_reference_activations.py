"""Tests of the sigmoid (3), the softmax (78), (83), its logarithm and its Jacobian against ball arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from balls import balls
from balls import sigmoid as exact_sigmoid
from differentiate import LIBRARY, U, agrees, roundings, softmax_roundings

from xentcheck.reference import log_softmax, sigmoid, sigmoid_prime, softmax, softmax_jacobian
from xentcheck.reference.book.activations import complement

TAILS = np.array([-700.0, -40.0, -3.5, -1e-9, 0.0, 1e-9, 0.75, 36.5, 700.0])
ROWS = {
    "plain": np.array([[0.5, -1.25, 2.0], [3.0, 3.0, -4.0]]),
    "wide": np.array([[0.0, -30.0, -600.0], [600.0, 570.0, 0.0]]),
    "one class": np.array([[7.0], [-2.0]]),
    "large common part": np.array([[1e6, 1e6 + 1, 1e6 - 2]]),
}
rows = pytest.mark.parametrize("z", ROWS.values(), ids=ROWS.keys())


def exact_softmax(z, c=1):
    """(83) as it stands in the book."""
    e = np.exp(balls(z) * c)
    return e / e.sum(-1, keepdims=True)


def test_sigmoid_is_equation_3():
    """(3) in both tails: exp, one addition, one division."""
    assert roundings(sigmoid(TAILS), lambda: exact_sigmoid(balls(TAILS))) <= 2 * LIBRARY + 2


def test_sigmoid_prime_has_the_books_value_in_both_tails():
    """T1: sigma (1 - sigma), which keeps its digits only in ball arithmetic; two sigmoids and one product."""
    with np.errstate(all="ignore"):
        naive = sigmoid(TAILS) * (1 - sigmoid(TAILS))

    def exact():
        return exact_sigmoid(balls(TAILS)) * (1 - exact_sigmoid(balls(TAILS)))

    allowed = 2 * (2 * LIBRARY + 2) + 1
    assert roundings(sigmoid_prime(TAILS), exact) <= allowed
    assert roundings(naive, exact) > allowed


def test_sigmoid_prime_is_the_slope_of_the_sigmoid():
    """T1: central differences of (3)."""
    z = np.array([-3.0, -0.5, 0.0, 1.5])
    assert agrees(sigmoid_prime(z), lambda x: sigmoid(x).sum(), z, terms=4)
    assert not agrees(sigmoid(z), lambda x: sigmoid(x).sum(), z, terms=4)


def test_sigmoid_of_infinities_and_nan():
    """Limits at +-inf; nan stays nan; dtype and shape are kept."""
    got = sigmoid(np.array([-np.inf, np.inf, np.nan], np.float32))
    assert got.dtype == np.float32
    assert got[:2].tolist() == [0.0, 1.0]
    assert np.isnan(got[2])


def test_sigmoid_outputs_need_not_sum_to_one():
    """T7: two outputs of 1/2 and one of 1/2 sum to 3/2, so that a sigmoid is no softmax."""
    assert sigmoid(np.zeros(3)).sum() == 1.5


@rows
def test_softmax_is_equation_78(z):
    """(78) without any shift, in ball arithmetic."""
    assert roundings(softmax(z), lambda: exact_softmax(z)) <= softmax_roundings(z)


@rows
def test_log_softmax_is_the_logarithm_of_equation_78(z):
    """Both terms of ln a have one sign, so the error is relative."""
    assert roundings(log_softmax(z), lambda: np.log(exact_softmax(z))) <= softmax_roundings(z)


@rows
def test_softmax_is_a_distribution(z):
    """T11, (79): non-negative, the sum is 1 within the error of its parts, the logarithm is finite."""
    a = softmax(z)
    assert np.all(a >= 0)
    assert np.all(np.abs(a.sum(-1) - 1) <= (softmax_roundings(z) + z.shape[-1]) * U)
    assert np.isfinite(log_softmax(z)).all()


@pytest.mark.parametrize("c", [0.25, 3.0])
def test_softmax_with_constant_is_equation_83(c):
    """(83) is (78) of c z; c scales the span."""
    z = ROWS["plain"]
    assert roundings(softmax(z, c), lambda: exact_softmax(z, c)) <= 2 * softmax_roundings(z * c)


def test_large_constant_tends_to_the_maximum():
    """T13: 1 - a_max <= (K-1) exp(-c gap); T equal maxima get 1/T each."""
    z = np.array([[0.0, 1.0, 3.0]])
    for c in (1.0, 4.0, 16.0):
        assert 1 - softmax(z, c)[0, 2] <= 2 * np.exp(-c * 2.0) + softmax_roundings(z * c) * U
    assert softmax(np.array([[5.0, 5.0, 0.0]]), 1000.0).tolist() == [[0.5, 0.5, 0.0]]


def test_softmax_is_monotone_and_non_local():
    """T8, T9: raising z_j raises a_j and lowers every other a_k."""
    z = np.array([0.5, -1.0, 2.0, 0.0])
    for j in range(4):
        change = softmax(z + np.eye(4)[j] / 8) - softmax(z)
        assert change[j] > 0
        assert np.all(np.delete(change, j) < 0)
    assert not np.any(np.delete(sigmoid(z + np.eye(4)[0]) - sigmoid(z), 0))


def test_log_softmax_is_inverted_by_a_constant():
    """T10: z - ln a is one constant per row, the log-sum-exp."""
    z = ROWS["plain"]
    constant = z - log_softmax(z)
    largest = 2 * (np.abs(z).max() + np.abs(constant).max() + softmax_roundings(z)) * U * np.abs(constant).max()
    assert np.all(np.ptp(constant, axis=1) <= largest)
    exact = roundings(constant, lambda: np.log(np.exp(balls(z)).sum(-1, keepdims=True)) + 0 * balls(z))
    assert exact <= largest / U


def test_shifting_a_row_exactly_changes_nothing():
    """a(z + s) = a(z): bit-equal where z + s does not round."""
    z = ROWS["plain"]
    assert np.array_equal(softmax(z + 1024.0), softmax(z))
    assert np.array_equal(log_softmax(z + 1024.0), log_softmax(z))


def test_jacobian_is_diag_minus_outer():
    """[j = k] a_j - a_j a_k in ball arithmetic, also where a_j rounds to 1."""
    z = np.array([[0.5, -1.25, 2.0], [0.0, -50.0, -60.0]])

    def exact():
        a = exact_softmax(z)
        return np.array([np.diag(row) - np.outer(row, row) for row in a], object)

    assert roundings(softmax_jacobian(z), exact) <= 2 * softmax_roundings(z) + z.shape[1] + 2
    a = softmax(z)
    cancelled = a[1, 0] * (1 - a[1, 0])
    assert cancelled == 0 < softmax_jacobian(z)[1, 0, 0]


def test_jacobian_is_the_slope_of_softmax_under_random_cotangents():
    """Central differences of v . softmax; an all-ones v would see nothing, as J^T 1 = 0."""
    z = np.array([[0.5, -1.25, 2.0, 0.25]])
    v = np.random.default_rng(7).normal(size=4)
    product = v @ softmax_jacobian(z)[0]

    def f(x):
        return softmax(x)[0] @ v

    assert agrees(product[None], f, z, terms=4)
    diagonal = v * np.diag(softmax_jacobian(z)[0])
    assert not agrees(diagonal[None], f, z, terms=4)


@rows
def test_jacobian_is_symmetric_with_zero_sums_and_the_signs_of_the_exercise(z):
    """T8: positive or 0 on the diagonal, negative or 0 beside it; rows sum to 0."""
    j = softmax_jacobian(z)
    assert np.array_equal(j, j.transpose(0, 2, 1))
    off = ~np.eye(z.shape[1], dtype=bool)
    assert np.all(j[:, off] <= 0)
    assert np.all(np.diagonal(j, axis1=1, axis2=2) >= 0)
    assert np.all(np.abs(j.sum(-1)) <= (2 * softmax_roundings(z) + 2 * z.shape[1]) * U)


def test_edges_of_softmax():
    """-inf has probability 0; a row of -inf, or with inf or nan, is nan; no rows are no rows."""
    z = np.array([[0.0, -np.inf], [-np.inf, -np.inf], [np.inf, 0.0], [np.nan, 0.0]])
    assert softmax(z)[0].tolist() == [1.0, 0.0]
    assert log_softmax(z)[0].tolist() == [0.0, -np.inf]
    assert np.isnan(softmax(z)[1:]).all()
    assert np.isnan(log_softmax(z)[1:]).all()
    assert softmax(np.zeros((0, 3))).shape == (0, 3)
    assert log_softmax(np.array([[1e308, -1e308]])).tolist() == [[0.0, -np.inf]]


def test_complement_keeps_the_digits_of_one_minus_a():
    """exp(-50) beside 1: 1 - a is 0 in float64, the sum of the others is not."""
    z = np.array([[50.0, 0.0, 0.0], [0.0, 1.0, 2.0]])
    label = np.array([0, 1])
    got = complement(softmax(z), label)
    allowed = 2 * softmax_roundings(z)
    assert roundings(got, lambda: 1 - exact_softmax(z)[[0, 1], label]) <= allowed
    assert roundings(1 - softmax(z)[[0, 1], label], lambda: 1 - exact_softmax(z)[[0, 1], label]) > allowed
