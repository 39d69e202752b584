"""The layers before the softmax, over any backend: weighted inputs, sigmoid units, and BP2-BP4 back through them."""

from __future__ import annotations

import numpy as np

from xentcheck.reference.formats import Array
from xentcheck.reference.numbers.backends import Backend, Number
from xentcheck.reference.problem import Problem

from .leaving import all_finite


def float64(x: Array | None) -> Array:
    """The values of a storage array, exact in float64."""
    assert x is not None
    return x.astype(np.float64)


def all_given_finite(p: Problem) -> bool:
    """Whether all inputs and weights of the layers are finite; biases of the last may mask a class."""
    return all_finite(p.a_prev, p.w, p.hidden_w, p.hidden_b)


def last_inputs(backend: Backend, p: Problem) -> Number:
    """a^{L-1}: the inputs of the last layer; (25) through the hidden layer of a network."""
    if p.head == "layer":
        return backend.array(float64(p.a_prev))
    return sigmoid(backend, hidden_inputs(backend, p))[0]


def hidden_inputs(backend: Backend, p: Problem) -> Number:
    """z = w a + b of the hidden layer, rows are examples."""
    return backend.matmul(float64(p.a_prev), float64(p.hidden_w).T) + float64(p.hidden_b)[None, :]


def logits(backend: Backend, p: Problem) -> tuple[Number, Array]:
    """z = w a + b of the last layer, and which classes are masked by a bias of -inf."""
    b = float64(p.b)
    masked = np.isneginf(b)
    z = backend.matmul(last_inputs(backend, p), float64(p.w).T) + np.where(masked, 0.0, b)[None, :]
    return z, masked


def sigmoid(backend: Backend, z: Number) -> tuple[Number, Number]:
    """(3) and its derivative, without cancellation: with e = exp(-|z|), sigma' = e/(1 + e)^2.

    [derived] sigma(z) = 1/(1 + e) for z >= 0 and e/(1 + e) below.
    """
    positive = backend.pair(z)[0] >= 0
    e = backend.exp(backend.where(positive, -z, z))
    one_plus = e + 1.0
    return backend.where(positive, 1.0, e) / one_plus, e / (one_plus * one_plus)


def gradients(backend: Backend, p: Problem, g: Number) -> dict[str, Number]:
    """BP2-BP4 from g = dC/dz (m, C): dC/db, dC/dw and dC/da_prev, summed over examples (g carries the 1/m).

    Of a network: the hidden layer's entries first, then the last layer's, flattened; dC/da_prev at the network's input.
    """
    w = float64(p.w)
    inputs = last_inputs(backend, p)
    grad_w = backend.matmul(g.T, inputs)
    grad_b = backend.sum(g, axis=0)
    grad_a = backend.matmul(g, w)
    if p.head == "layer":
        return {"dC/db": grad_b, "dC/dw": grad_w, "dC/da_prev": grad_a}
    hidden = grad_a * sigmoid(backend, hidden_inputs(backend, p))[1]
    hidden_w = backend.matmul(hidden.T, float64(p.a_prev))
    return {
        "dC/db": backend.concatenate([backend.sum(hidden, axis=0), grad_b]),
        "dC/dw": backend.concatenate([hidden_w, grad_w]),
        "dC/da_prev": backend.matmul(hidden, float64(p.hidden_w)),
    }
