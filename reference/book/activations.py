"""Activations: the sigmoid of chapter 1 and the softmax of chapter 3. Rows are examples: (m, K)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from xentcheck.errors import ProblemError
from xentcheck.reference.formats import Array
from xentcheck.reference.inputs import floating, in_float32, logits, matrix


@in_float32
def sigmoid(z: Any) -> Array:
    """sigma(z) = 1/(1 + exp(-z)), equation (3).

    z: any shape, floating. Returns the same shape and dtype. [derived] exp(-|z|) never overflows: 1/(1 + e) for z >= 0
    and e/(1 + e) below keep full relative accuracy in both tails. sigma(-inf) = 0, sigma(inf) = 1, nan stays nan.
    Raises DtypeError.

    >>> sigmoid(np.array([0.0, -800.0, 800.0])).tolist()
    [0.5, 0.0, 1.0]
    """
    z = floating(z)
    e = np.exp(-np.abs(z))
    return np.asarray(np.where(z >= 0, np.ones_like(e), e) / (1 + e), z.dtype)


@in_float32
def sigmoid_prime(z: Any) -> Array:
    """sigma'(z) = sigma(z) sigma(-z), from (3); the book's sigma (1 - sigma) with 1 - sigma(z) = sigma(-z) [derived].

    z: any shape, floating. Returns the same shape and dtype; keeps its relative accuracy in both tails. Raises
    DtypeError.

    >>> sigmoid_prime(np.array([0.0])).tolist()
    [0.25]
    """
    z = floating(z)
    return np.asarray(sigmoid(z) * sigmoid(-z))


@in_float32
def softmax(z: Any, c: float = 1.0) -> Array:
    """a_j = exp(c z_j)/sum_k exp(c z_k), equations (78) and (83) with its constant c.

    z: (..., K), floating, classes on the last axis. Returns the same shape and dtype. [derived] subtracting the
    maximum leaves a unchanged and keeps exp from overflowing. -inf has probability 0; a row of -inf, or with nan or
    inf, is nan. Raises DtypeError, ShapeError without classes, or ProblemError unless c is a finite number > 0.

    >>> softmax(np.array([[1000.0, 1000.0]])).tolist()
    [[0.5, 0.5]]
    """
    if not (math.isfinite(c) and c > 0):
        raise ProblemError(f"c is {c}; allowed: a finite number > 0")
    e = np.exp(shifted(logits(z), c))
    return np.asarray(e / e.sum(-1, keepdims=True))


@in_float32
def log_softmax(z: Any) -> Array:
    """ln a_j = (z_j - m) - ln sum_k exp(z_k - m), m = max z [derived from (78)].

    z: (..., K), floating, classes on the last axis. Returns the same shape and dtype. The logarithm is log1p of the sum
    without its largest term, which is exactly 1. -inf stays -inf; a row of -inf, or with nan or inf, is nan.
    Raises DtypeError, or ShapeError without classes.

    >>> log_softmax(np.array([[0.0, -1000.0]])).tolist()
    [[0.0, -1000.0]]
    """
    t = shifted(logits(z))
    return np.asarray(t - log_total(t))


def log_total(t: Array) -> Array:
    """ln sum_k exp(t_k) for rows (..., K) with maximum 0, as log1p of the other terms [derived]; keeps the axis."""
    e = np.exp(t)
    np.put_along_axis(e, np.expand_dims(t.argmax(-1), -1), 0, -1)
    others = e.sum(-1, keepdims=True)
    undefined = ~np.isfinite(t.max(-1, keepdims=True))
    return np.asarray(np.where(undefined, np.nan, np.log1p(others)), t.dtype)


def shifted(z: Array, c: float = 1.0) -> Array:
    """c (z - max z) per row, in the dtype of z; nan for rows without a finite maximum."""
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray((z - z.max(-1, keepdims=True)) * z.dtype.type(c))


@in_float32
def softmax_jacobian(z: Any) -> Array:
    """da_j/dz_k = a_j ([j = k] - a_k), the Jacobian of (78) [derived]: (m, K) -> (m, K, K).

    Floating dtype in and out. 1 - a_j on the diagonal does not cancel (`complement`). Symmetric; rows and columns sum
    to 0. Raises DtypeError or ShapeError.

    >>> softmax_jacobian(np.array([[0.0, 0.0]])).tolist()
    [[[0.25, -0.25], [-0.25, 0.25]]]
    """
    a = softmax(matrix(z, "z"))
    jacobian = -a[:, :, None] * a[:, None, :]
    for j in range(a.shape[1]):
        jacobian[:, j, j] = a[:, j] * complement(a, np.full(len(a), j))
    return np.asarray(jacobian)


def complement(a: Array, label: Array) -> Array:
    """1 - a_y of a softmax without cancellation: (m, K), (m,) -> (m,) [derived from (79)].

    The sum of the other a_k where a_y > 1/2; below, 1 - a_y itself, which then cancels nothing and sums nothing.
    """
    at_label = a[np.arange(len(label)), label]
    found = np.asarray(1 - at_label, a.dtype)
    large = np.flatnonzero(at_label > 0.5)
    rest = a[large]
    rest[np.arange(len(large)), label[large]] = 0
    found[large] = rest.sum(-1)
    return found
