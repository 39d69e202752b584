"""The book's costs and their derivatives: quadratic, cross-entropy (sigmoid outputs), log-likelihood (softmax).

Rows are examples; each cost is C_x per example, summed over outputs: (m, K) -> (m,). The book's C is its mean over
examples. The book's "cross-entropy" (57), (63) is a sum of binary ones; what frameworks call softmax cross-entropy is
(78) with (80).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xentcheck.reference.formats import Array
from xentcheck.reference.inputs import examples, in_float32, matrix, probabilities, same_shape

from .activations import log_total, shifted, sigmoid, sigmoid_prime


def quadratic_cost(a: Any, y: Any) -> Array:
    """C_x = sum_j (y_j - a_j)^2 / 2, equations (27) and, for one neuron, (54); (6) and (26) are its mean over examples.

    a, y: (m, K), floating, of one dtype. Returns (m,). Raises ShapeError or DtypeError.

    >>> quadratic_cost([[1.0, 0.0]], [[0.0, 0.0]]).tolist()
    [0.5]
    """
    difference = quadratic_grad_a(a, y)
    return np.asarray((difference * difference).sum(1) / 2)


def quadratic_grad_a(a: Any, y: Any) -> Array:
    """dC_x/da = a - y of (27); with linear outputs, a = z, this is delta (68) and the bias gradient (70).

    a, y: (m, K), floating, of one dtype. Returns (m, K). Raises ShapeError or DtypeError.

    >>> quadratic_grad_a([[1.0, 0.5]], [[0.0, 1.0]]).tolist()
    [[1.0, -0.5]]
    """
    a = matrix(a, "a")
    return np.asarray(a - same_shape(y, "y", a, "a"))


def quadratic_delta(z: Any, y: Any) -> Array:
    """delta = (a - y) sigma'(z) with a = sigma(z), equation (30); it is the bias gradient (56).

    z, y: (m, K), floating, of one dtype. Returns (m, K), relatively accurate at y = 0 and y = 1 (`sigmoid_error`).
    Raises ShapeError or DtypeError.

    >>> quadratic_delta([[0.0]], [[1.0]]).tolist()
    [[-0.125]]
    """
    z = matrix(z, "z")
    return sigmoid_error(z, same_shape(y, "y", z, "z")) * sigmoid_prime(z)


def quadratic_grad_w(z: Any, y: Any, a_prev: Any) -> Array:
    """dC_x/dw_jk = a_prev_k (a_j - y_j) sigma'(z_j), equations (55) and (65), per example.

    z, y: (m, K); a_prev: (m, n); floating, of one dtype. Returns (m, K, n). Raises ShapeError or DtypeError.

    >>> quadratic_grad_w([[0.0]], [[1.0]], [[2.0]]).tolist()
    [[[-0.25]]]
    """
    return outer(quadratic_delta(z, y), a_prev)


def sigmoid_error(z: Array, y: Array) -> Array:
    """sigma(z) - y = (1 - y) sigma(z) - y sigma(-z) [derived: sigma(z) + sigma(-z) = 1], which keeps both tails.

    z, y: one shape and floating dtype. Relatively accurate at y = 0 and y = 1; else up to rounding errors of its two
    terms.

    >>> sigmoid_error(np.array([50.0]), np.array([1.0])).tolist()
    [-1.9287498479639178e-22]
    """
    return np.asarray((1 - y) * sigmoid(z) - y * sigmoid(-z))


def softplus(z: Array) -> Array:
    """ln(1 + exp(z)) = max(z, 0) + log1p(exp(-|z|)) [derived], so -ln sigma(z) = softplus(-z) and never overflows.

    z: any shape, floating. Returns the same shape and dtype.

    >>> softplus(np.array([-1000.0, 1000.0])).tolist()
    [0.0, 1000.0]
    """
    return np.asarray(np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z))))


def sigmoid_cross_entropy(z: Any, y: Any) -> Array:
    """C_x = -sum_j [y_j ln a_j + (1 - y_j) ln(1 - a_j)] with a = sigma(z), equations (57) and (63), by logits.

    [derived] ln a = -softplus(-z) and ln(1 - a) = -softplus(z), finite for every finite z. A factor of 0 gives 0, also
    at z = +-inf. z: (m, K), floating; y: (m, K), numbers from 0 to 1. Returns (m,). Raises ShapeError, DtypeError, or
    TargetError with the first y outside [0, 1].

    >>> sigmoid_cross_entropy([[1000.0, 0.0]], [[0.0, 0.5]]).tolist()
    [1000.6931471805599]
    """
    z = matrix(z, "z")
    y = probabilities(y, z)
    return np.asarray((xmuly(y, softplus(-z)) + xmuly(1 - y, softplus(z))).sum(1))


def sigmoid_cross_entropy_grad_a(z: Any, y: Any) -> Array:
    """dC_x/da = -(y/a - (1 - y)/(1 - a)), the bracket of (58), with 1 - a = sigma(-z) [derived]; also (75).

    z, y: (m, K) as in `sigmoid_cross_entropy`. Returns (m, K); +-inf where a reaches 0 or 1 and y does not. Times
    sigma'(z) that is nan: the reason why delta (66) is formed at once.

    >>> sigmoid_cross_entropy_grad_a([[0.0, 800.0]], [[1.0, 1.0]]).tolist()
    [[-2.0, -1.0]]
    """
    z = matrix(z, "z")
    y = probabilities(y, z)
    with np.errstate(divide="ignore", over="ignore"):
        return np.asarray(xmuly(1 - y, 1 / sigmoid(-z)) - xmuly(y, 1 / sigmoid(z)))


def sigmoid_cross_entropy_delta(z: Any, y: Any) -> Array:
    """delta = a - y with a = sigma(z), equations (66) and (99), sigma' of (60) having cancelled; bias gradient (62).

    z, y: (m, K) as in `sigmoid_cross_entropy`. Returns (m, K), relatively accurate at y = 0 and y = 1
    (`sigmoid_error`).

    >>> sigmoid_cross_entropy_delta([[0.0, 50.0]], [[1.0, 1.0]]).tolist()
    [[-0.5, -1.9287498479639178e-22]]
    """
    z = matrix(z, "z")
    return sigmoid_error(z, probabilities(y, z))


def sigmoid_cross_entropy_grad_w(z: Any, y: Any, a_prev: Any) -> Array:
    """dC_x/dw_jk = a_prev_k (a_j - y_j), equations (61) and (67), per example.

    z, y: (m, K) as in `sigmoid_cross_entropy`; a_prev: (m, n). Returns (m, K, n).

    >>> sigmoid_cross_entropy_grad_w([[0.0]], [[1.0]], [[2.0]]).tolist()
    [[[-1.0]]]
    """
    return outer(sigmoid_cross_entropy_delta(z, y), a_prev)


def sigmoid_cross_entropy_minimum(y: Any) -> Array:
    """-sum_j [y_j ln y_j + (1 - y_j) ln(1 - y_j)], equation (64): the least value of (63), reached at sigma(z) = y.

    y: (m, K), floating, from 0 to 1; 0 ln 0 = 0. Returns (m,). Raises ShapeError, DtypeError or TargetError.

    >>> sigmoid_cross_entropy_minimum([[0.5, 1.0]]).tolist()
    [0.6931471805599453]
    """
    y = matrix(y, "y")
    probabilities(y, y, "y")
    with np.errstate(divide="ignore"):
        return np.asarray((xmuly(y, -np.log(y)) + xmuly(1 - y, -np.log1p(-y))).sum(1))


@in_float32
def log_likelihood(z: Any, y: Any) -> Array:
    """C_x = -ln a_y with a = softmax(z), equation (80), by logits; for probabilities -sum_j y_j ln a_j [derived].

    z: (m, K), floating; y: labels (m,), or rows of probabilities (m, K) that need not sum to 1. Returns (m,). A
    probability of 0 contributes 0 also on a logit of -inf; otherwise a target on -inf costs inf. A row of -inf, or
    with nan or inf, is nan. Raises ShapeError, DtypeError, or TargetError with the first label out of range.

    >>> log_likelihood([[0.0, 0.0], [1000.0, 0.0]], [1, 1]).tolist()
    [0.6931471805599453, 1000.0]
    """
    z, y = examples(z, y)
    t = shifted(z)
    surprise = log_total(t) - t
    if y.ndim == 1:
        return np.asarray(surprise[np.arange(len(y)), y])
    return np.asarray(xmuly(y, surprise).sum(1))


def xmuly(x: Array, y: Array) -> Array:
    """x y with 0 inf = 0; nan in y stays nan.

    >>> xmuly(np.array([0.0, 0.5]), np.array([np.inf, 2.0])).tolist()
    [0.0, 1.0]
    """
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray(np.where((x == 0) & ~np.isnan(y), y.dtype.type(0), x * y))


def outer(delta: Array, a_prev: Any) -> Array:
    """delta_j a_prev_k per example, equation (BP4): (m, K), (m, n) -> (m, K, n). Raises ShapeError or DtypeError.

    >>> outer(np.array([[1.0, -1.0]]), [[2.0]]).tolist()
    [[[2.0], [-2.0]]]
    """
    a_prev = matrix(a_prev, "a_prev", delta)
    return np.asarray(delta[:, :, None] * a_prev[:, None, :])
