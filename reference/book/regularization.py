"""Regularisation of the weights, never of the biases: L2, equations (85)-(94) and (98), and L1, (95)-(97).

n is the size of the whole training set, not of the minibatch; lmbda is the book's lambda, eta the learning rate.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from xentcheck.errors import ProblemError, ShapeError
from xentcheck.reference.formats import Array
from xentcheck.reference.inputs import floating


def l2_cost(cost: float, weights: Iterable[Any], lmbda: float, n: int) -> float:
    """C = C_0 + lambda/(2n) sum_w w^2, equation (87); with C_0 the cost (63) it is (85), with (26) it is (86).

    cost: C_0; weights: arrays of any shapes, floating. Returns a Python float. Raises ProblemError or DtypeError.

    >>> l2_cost(1.0, [np.array([[3.0, -4.0]])], lmbda=2.0, n=5)
    6.0
    """
    return float(cost) + rate(lmbda, n) / 2 * sum(float((w * w).sum()) for w in map(_weights, weights))


def l2_grad(gradient: Any, w: Any, lmbda: float, n: int) -> Array:
    """dC/dw = dC_0/dw + (lambda/n) w, equation (88); a bias keeps its dC_0/db (89).

    gradient, w: one shape, floating. Returns that shape. Raises ProblemError, ShapeError or DtypeError.

    >>> l2_grad([1.0], [10.0], lmbda=1.0, n=5).tolist()
    [3.0]
    """
    gradient, w = _pair(gradient, w)
    return np.asarray(gradient + w.dtype.type(rate(lmbda, n)) * w)


def l2_step(w: Any, gradient: Any, eta: float, lmbda: float, n: int) -> Array:
    """w -> (1 - eta lambda/n) w - eta dC_0/dw, equations (91), (92) and (98): weight decay.

    gradient: dC_0/dw, for (93) its mean over the minibatch, of the shape of w. Returns that shape.
    Raises ProblemError, ShapeError or DtypeError.

    >>> l2_step([10.0], [1.0], eta=0.5, lmbda=1.0, n=5).tolist()
    [8.5]
    """
    gradient, w = _pair(gradient, w)
    decay = w.dtype.type(1 - eta * rate(lmbda, n))
    return np.asarray(decay * w - w.dtype.type(eta) * gradient)


def bias_step(b: Any, gradient: Any, eta: float) -> Array:
    """b -> b - eta dC_0/db, equations (90) and, with the minibatch mean, (94): biases are not regularised.

    b, gradient: one shape, floating. Returns that shape. Raises ShapeError or DtypeError.

    >>> bias_step([1.0], [4.0], eta=0.5).tolist()
    [-1.0]
    """
    gradient, b = _pair(gradient, b)
    return np.asarray(b - b.dtype.type(eta) * gradient)


def l1_cost(cost: float, weights: Iterable[Any], lmbda: float, n: int) -> float:
    """C = C_0 + (lambda/n) sum_w |w|, equation (95).

    cost: C_0; weights: arrays of any shapes, floating. Returns a Python float. Raises ProblemError or DtypeError.

    >>> l1_cost(1.0, [np.array([[3.0, -4.0]])], lmbda=5.0, n=5)
    8.0
    """
    return float(cost) + rate(lmbda, n) * sum(float(np.abs(w).sum()) for w in map(_weights, weights))


def l1_grad(gradient: Any, w: Any, lmbda: float, n: int) -> Array:
    """dC/dw = dC_0/dw + (lambda/n) sgn(w), equation (96), with sgn(0) = 0.

    gradient, w: one shape, floating. Returns that shape. Raises ProblemError, ShapeError or DtypeError.

    >>> l1_grad([1.0, 1.0], [-10.0, 0.0], lmbda=5.0, n=5).tolist()
    [0.0, 1.0]
    """
    gradient, w = _pair(gradient, w)
    return np.asarray(gradient + w.dtype.type(rate(lmbda, n)) * np.sign(w))


def l1_step(w: Any, gradient: Any, eta: float, lmbda: float, n: int) -> Array:
    """w -> w - (eta lambda/n) sgn(w) - eta dC_0/dw, equation (97), with sgn(0) = 0.

    gradient: dC_0/dw, of the shape of w, floating. Returns that shape. Raises ProblemError, ShapeError or DtypeError.

    >>> l1_step([10.0, 0.0], [1.0, 1.0], eta=0.5, lmbda=5.0, n=5).tolist()
    [9.0, -0.5]
    """
    gradient, w = _pair(gradient, w)
    shrink = w.dtype.type(eta * rate(lmbda, n))
    return np.asarray(w - shrink * np.sign(w) - w.dtype.type(eta) * gradient)


def rate(lmbda: float, n: int) -> float:
    """lambda/n. Raises ProblemError unless lambda >= 0 is finite and n >= 1.

    >>> rate(3.0, 4)
    0.75
    """
    if not (math.isfinite(lmbda) and lmbda >= 0):
        raise ProblemError(f"lmbda is {lmbda}; allowed: a finite number >= 0")
    if n < 1:
        raise ProblemError(f"n is {n}; allowed: the size of the training set, >= 1")
    return lmbda / n


def _weights(w: Any) -> Array:
    return floating(w, "w")


def _pair(gradient: Any, w: Any) -> tuple[Array, Array]:
    """Both as floating arrays of one shape, the gradient in the dtype of the parameters."""
    w = _weights(w)
    gradient = floating(gradient, "gradient")
    if gradient.shape != w.shape:
        raise ShapeError(f"gradient has shape {gradient.shape}; allowed: {w.shape}, the shape of the parameters")
    return gradient.astype(w.dtype, copy=False), w
