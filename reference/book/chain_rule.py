"""From the cost at one output to the gradient at all: the steps of the chain rule (37) and their results (81)-(84).

The log-likelihood (80) looks at a_y alone, but softmax (78) makes a_y depend on every z_j: (37) sums over all outputs
k. Everything is per example, rows are examples; the book's minibatch gradient is the mean over the first axis.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xentcheck.errors import ShapeError
from xentcheck.reference.formats import Array
from xentcheck.reference.inputs import examples, in_float32, logits, matrix

from .activations import complement, softmax
from .costs import outer


def grad_a(z: Any, y: Any) -> Array:
    """dC/da_k = -[k = y]/a_y, the derivative of (80); for probabilities -y_k/a_k [derived].

    z: (m, K), floating; y: labels (m,) or rows of probabilities (m, K). Returns (m, K); -inf where a target's a
    underflows to 0, which makes (37) nan there while `delta` stays finite. Raises ShapeError, DtypeError or
    TargetError.

    >>> grad_a([[0.0, 0.0]], [1]).tolist()
    [[0.0, -2.0]]
    """
    z, y = examples(z, y)
    a = softmax(z)
    factor = y if y.ndim == 2 else np.asarray(np.arange(z.shape[1]) == y[:, None], z.dtype)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.asarray(np.where((factor == 0) & ~np.isnan(a), z.dtype.type(0), -factor / a))


def dz_db(z: Any) -> Array:
    """dz_k/db_j = [k = j], since z = w a_prev + b (25): (m, K) -> (m, K, K).

    Read-only view in the dtype of z. Raises ShapeError or DtypeError.

    >>> dz_db([[5.0, 6.0]]).tolist()
    [[[1.0, 0.0], [0.0, 1.0]]]
    """
    z = matrix(logits(z), "z")
    classes = z.shape[1]
    return np.broadcast_to(np.eye(classes, dtype=z.dtype), (len(z), classes, classes))


def dz_dw(z: Any, a_prev: Any) -> Array:
    """dz_k/dw_ji = [k = j] a_prev_i, since z = w a_prev + b (25): (m, K), (m, n) -> (m, K, K, n).

    Floating, of one dtype. Raises ShapeError or DtypeError.

    >>> dz_dw([[5.0, 6.0]], [[7.0]]).tolist()
    [[[[7.0], [0.0]], [[0.0], [7.0]]]]
    """
    one = dz_db(z)
    return np.asarray(one[..., None] * matrix(a_prev, "a_prev", one[:, 0])[:, None, None, :])


def chain(outside: Array, inside: Array) -> Array:
    """dC/dx = sum_k (dC/da_k) (da_k/dx), the sum over all outputs of (37): (m, K), (m, K, ...) -> (m, ...).

    With dC/da and da/dz (`softmax_jacobian`) it is delta; with delta and dz/db or dz/dw it is (81) or (82).
    Raises ShapeError.

    >>> chain(np.array([[0.0, -2.0]]), np.array([[[0.25, -0.25], [-0.25, 0.25]]])).tolist()
    [[0.5, -0.5]]
    """
    if inside.shape[:2] != outside.shape:
        raise ShapeError(f"inside has shape {inside.shape}; allowed: {outside.shape} first, the shape of outside")
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray(np.einsum("mk,mk...->m...", outside, inside))


@in_float32
def delta(z: Any, y: Any) -> Array:
    """delta_j = dC/dz_j = a_j - y_j, equation (84); for probabilities a_j sum_k y_k - y_j [derived].

    z: (m, K), floating; y: labels (m,) or rows of probabilities (m, K). Returns (m, K). [derived from (79)] At a label
    it is -(1 - a_y) by `complement`, the sum of the other a_k where a_y > 1/2, because a_y - 1 loses every digit as
    a_y tends to 1. A logit of -inf gets 0, or -1 at the label; a row of -inf, or with nan or inf, is nan. Raises
    ShapeError, DtypeError, or TargetError with the first label out of range.

    >>> delta([[0.0, 50.0]], [1]).tolist()
    [[1.9287498479639178e-22, -1.9287498479639178e-22]]
    """
    z, y = examples(z, y)
    a = softmax(z)
    if y.ndim == 2:
        return np.asarray(a * y.sum(1, keepdims=True) - y)
    rest = complement(a, y)
    a[np.arange(len(y)), y] = 0 - rest
    return a


@in_float32
def grad_b(z: Any, y: Any) -> Array:
    """dC/db_j = a_j - y_j, equation (81), per example: `delta`, since dz/db is the identity (BP3).

    Shapes, dtypes, edge rules and errors as in `delta`: (m, K).

    >>> grad_b([[0.0, 0.0]], [1]).tolist()
    [[0.5, -0.5]]
    """
    return delta(z, y)


@in_float32
def grad_w(z: Any, y: Any, a_prev: Any) -> Array:
    """dC/dw_jk = a_prev_k (a_j - y_j), equation (82), per example (BP4).

    z, y as in `delta`; a_prev: (m, n) in the dtype of z. Returns (m, K, n). Raises like `delta`.

    >>> grad_w([[0.0, 0.0]], [1], [[3.0]]).tolist()
    [[[1.5], [-1.5]]]
    """
    return outer(delta(z, y), a_prev)


@in_float32
def grad_a_prev(z: Any, y: Any, w: Any) -> Array:
    """dC/da_prev_k = sum_j w_jk delta_j, the bracket of (BP2), per example.

    z, y as in `delta`; w: (K, n) in the dtype of z. Returns (m, n). Raises like `delta`.

    >>> grad_a_prev([[0.0, 0.0]], [1], [[1.0, 2.0], [3.0, 5.0]]).tolist()
    [[-1.0, -1.5]]
    """
    error = delta(z, y)
    w = np.asarray(w)
    if w.ndim != 2 or len(w) != error.shape[1]:
        raise ShapeError(f"w has shape {w.shape}; allowed: ({error.shape[1]}, n), one row per output")
    return np.asarray(error @ matrix(w, "w", error.T))
