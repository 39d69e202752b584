"""Tests of backpropagation (BP1)-(BP4), the steps (20), (21), regularisation (85)-(98) and finite differences (46)."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from differentiate import U, agrees

from xentcheck.errors import DtypeError, ProblemError, ShapeError
from xentcheck.reference import (
    Network,
    backprop,
    bias_step,
    central,
    costs,
    deltas,
    feedforward,
    l1_cost,
    l1_grad,
    l1_step,
    l2_cost,
    l2_grad,
    l2_step,
    one_sided,
    sgd_step,
    unrolled_delta,
)

PAIRS = [("sigmoid", "quadratic"), ("sigmoid", "cross-entropy"), ("linear", "quadratic"), ("softmax", "log-likelihood")]
SIZES = (2, 4, 3, 3)
pairs = pytest.mark.parametrize("pair", PAIRS, ids=["-".join(pair) for pair in PAIRS])
RANDOM = np.random.default_rng(20)
X = RANDOM.normal(size=(5, 2))
Y = RANDOM.dirichlet(np.ones(3), size=5)
WEIGHTS = [RANDOM.normal(size=shape) for shape in zip(SIZES[1:], SIZES[:-1], strict=True)]
BIASES = [RANDOM.normal(size=n) for n in SIZES[1:]]
TERMS = sum(w.size for w in WEIGHTS) + Y.size


def network(pair):
    """Three layers with fixed parameters."""
    return Network(WEIGHTS, BIASES, *pair)


def with_part(net, part, layer, value):
    """The network with one array of weights or biases replaced."""
    parts = list(getattr(net, part))
    parts[layer] = value
    return replace(net, **{part: parts})


@pytest.mark.parametrize("part", ["weights", "biases"])
@pytest.mark.parametrize("layer", range(3))
@pairs
def test_backprop_is_the_slope_of_the_mean_cost(pair, layer, part):
    """T4, T5, T12: BP1-BP4 of each head, (65)-(70), against central differences; missing 1/m is rejected."""
    net = network(pair)

    def mean_cost(value):
        return costs(with_part(net, part, layer, value), X, Y).mean()

    gradient = getattr(backprop(net, X, Y), part)[layer]
    assert agrees(gradient, mean_cost, getattr(net, part)[layer], TERMS)
    assert not agrees(gradient * len(X), mean_cost, getattr(net, part)[layer], TERMS)


@pairs
def test_forward_is_one_neuron_after_the_other(pair):
    """(23): sums over k written out for each neuron; the head's activation by its definition."""
    net, a = network(pair), X
    for layer, (w, b) in enumerate(zip(WEIGHTS, BIASES, strict=True)):
        z = np.array([[sum(w[j, k] * row[k] for k in range(len(row))) + b[j] for j in range(len(b))] for row in a])
        a = 1 / (1 + np.exp(-z)) if layer < 2 or pair[0] == "sigmoid" else z
    if pair[0] == "softmax":
        a = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    assert np.all(np.abs(feedforward(net, X) - a) <= TERMS * 4 * U * (1 + np.abs(z)))


@pytest.mark.parametrize("layer", range(3))
@pairs
def test_unrolled_product_is_the_recursion(pair, layer):
    """(33)-(35): the product of diagonal matrices gives the delta of (BP2)."""
    net = network(pair)
    recursive, unrolled = deltas(net, X, Y)[layer], unrolled_delta(net, X, Y, layer)
    size = np.prod([np.abs(w).sum() for w in WEIGHTS[layer + 1 :]]) * np.abs(deltas(net, X, Y)[-1]).max()
    assert np.all(np.abs(recursive - unrolled) <= 2 * TERMS * U * size)


@pairs
def test_batch_is_the_mean_of_its_examples(pair):
    """T17, (18), (19): matrix form against single examples; permuting the batch permutes the costs."""
    net = network(pair)
    together = backprop(net, X, Y)
    single = [backprop(net, X[i : i + 1], Y[i : i + 1]) for i in range(len(X))]
    for layer in range(3):
        parts = np.array([g.weights[layer] for g in single])
        size = np.abs(parts).max() * np.prod([1 + np.abs(w).sum() for w in WEIGHTS])
        assert np.all(np.abs(together.weights[layer] - parts.mean(0)) <= 2 * TERMS * U * size)
    order = np.array([3, 0, 4, 1, 2])
    moved = np.abs(costs(net, X[order], Y[order]) - costs(net, X, Y)[order])
    assert np.all(moved <= 4 * TERMS * U * (1 + costs(net, X, Y)[order]))


def test_labels_are_one_hot_rows():
    """y as a label (80) and as a vector (81) give one gradient."""
    net, labels = network(PAIRS[3]), np.array([0, 2, 1, 1, 0])
    by_label, by_row = backprop(net, X, labels), backprop(net, X, np.eye(3)[labels])
    for a, b in zip(by_label.biases, by_row.biases, strict=True):
        assert np.all(np.abs(a - b) <= 2 * TERMS * U * np.prod([1 + np.abs(w).sum() for w in WEIGHTS]))


def test_step_is_down_the_mean_gradient():
    """(20), (21), and (93), (94) with decay of the weights alone: powers of two keep every product exact."""
    net = Network([[[1.0]]], [[0.0]], "linear", "quadratic")
    plain = sgd_step(net, [[3.0], [1.0]], [[1.0], [0.0]], eta=0.5)
    assert (plain.weights[0].item(), plain.biases[0].item()) == (1 - 0.5 * 3.5, -0.5 * 1.5)
    decayed = sgd_step(net, [[3.0], [1.0]], [[1.0], [0.0]], eta=0.5, lmbda=2.0, n=4)
    assert (decayed.weights[0].item(), decayed.biases[0].item()) == (0.75 - 1.75, -0.75)


@pytest.mark.parametrize(("cost", "gradient"), [(l2_cost, l2_grad), (l1_cost, l1_grad)], ids=["88-l2", "96-l1"])
def test_regularised_gradient_is_a_slope(cost, gradient):
    """(87), (88) and (95), (96) on top of a linear C_0: central differences; n taken as 1 is rejected."""
    w, c = WEIGHTS[1], WEIGHTS[1][::-1].copy()

    def total(x):
        return cost(float((c * x).sum()), [x], 3.0, 4)

    assert agrees(gradient(c, w, 3.0, 4), total, w, terms=3 * w.size)
    assert not agrees(gradient(c, w, 3.0, 1), total, w, terms=3 * w.size)


def test_regularised_steps_follow_the_gradients():
    """(90)-(92), (97), (98): w - eta dC/dw, exact in powers of two; sgn(0) = 0 (T19)."""
    w, g = np.array([8.0, -2.0, 0.0]), np.array([1.0, 0.5, 4.0])
    assert np.array_equal(l2_step(w, g, 0.5, 2.0, 4), w - 0.5 * l2_grad(g, w, 2.0, 4))
    assert np.array_equal(l1_step(w, g, 0.5, 2.0, 4), w - 0.5 * l1_grad(g, w, 2.0, 4))
    assert np.array_equal(bias_step(w, g, 0.5), [7.5, -2.25, -2.0])
    assert l1_grad(g, w, 2.0, 4).tolist() == [1.5, 0.0, 4.0]
    assert l2_cost(1.0, [], 2.0, 4) == l1_cost(1.0, [], 2.0, 4) == 1.0


def test_one_sided_quotient_has_an_error_of_order_eps():
    """(46), T18: on w^3 the one-sided error is 3 w eps + eps^2, the central one h^2; halving shows the orders."""
    w = np.array([2.0])

    def cube(x):
        return float(x[0] ** 3)

    for h in (0.5, 0.25, 0.125):
        assert one_sided(cube, w, h).item() - 12 == 6 * h + h * h
        assert central(cube, w, h).item() - 12 == h * h


def test_default_steps_balance_the_errors():
    """Default eps: error of (46) within 2 (|f''|/2 eps + 2 u |f|/eps); the central one lower by orders."""
    w = np.array([1.0])
    forward = abs(one_sided(lambda x: float(np.exp(x[0])), w).item() - np.e)
    middle = abs(central(lambda x: float(np.exp(x[0])), w).item() - np.e)
    eps, h = (2 * U) ** 0.5, (2 * U) ** (1 / 3)
    assert forward <= 2 * np.e * (eps / 2 + 8 * U / eps)
    assert middle <= 2 * np.e * (h * h / 6 + 8 * U / h) < np.e * eps / 4 * 2
    assert central(lambda x: 0.0, np.zeros((0, 2))).shape == (0, 2)


def test_float32_is_kept():
    """Every gradient has the dtype of the network."""
    net = Network([w.astype(np.float32) for w in WEIGHTS], [b.astype(np.float32) for b in BIASES])
    gradients = backprop(net, X.astype(np.float32), Y.astype(np.float32))
    assert {g.dtype for g in (*gradients.weights, *gradients.biases)} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: Network(WEIGHTS, BIASES, "softmax", "quadratic"),
            ProblemError,
            "output is 'softmax' with cost 'quadratic'; allowed: sigmoid with quadratic, sigmoid with cross-entropy, "
            "linear with quadratic, softmax with log-likelihood",
        ),
        (lambda: Network([], []), ShapeError, "there are 0 weights and 0 biases; allowed: one each per layer, >= 1"),
        (
            lambda: Network([np.zeros((3, 2)), np.zeros((2, 2))], [np.zeros(3), np.zeros(2)]),
            ShapeError,
            "layer 1 has w (2, 2), b (2,); allowed: (n, 3) and (n,)",
        ),
        (
            lambda: feedforward(network(PAIRS[0]), X.astype(np.float32)),
            DtypeError,
            "x has dtype float32; allowed: float64, the dtype of the network",
        ),
        (
            lambda: feedforward(network(PAIRS[0]), X[:1, :1]),
            ShapeError,
            "x has shape (1, 1); allowed: (m, 2), one row per example",
        ),
        (
            lambda: backprop(network(PAIRS[0]), X[:0], Y[:0]),
            ShapeError,
            "x has shape (0, 2); allowed: (m, 2) with m >= 1 for a mean",
        ),
        (lambda: unrolled_delta(network(PAIRS[0]), X, Y, 3), ProblemError, "layer is 3; allowed: 0 to 2"),
        (lambda: l2_grad([1.0], [1.0], -1.0, 5), ProblemError, "lmbda is -1.0; allowed: a finite number >= 0"),
        (lambda: l1_grad([1.0], [1.0], 1.0, 0), ProblemError, "n is 0; allowed: the size of the training set, >= 1"),
        (
            lambda: bias_step([1.0], [1.0, 2.0], 0.5),
            ShapeError,
            "gradient has shape (2,); allowed: (1,), the shape of the parameters",
        ),
        (lambda: central(np.sum, np.ones(1), 0.0), ProblemError, "step is 0.0; allowed: a finite number > 0"),
    ],
    ids=["pair", "no-layer", "width", "dtype", "inputs", "empty", "layer", "lmbda", "n", "gradient", "step"],
)
def test_errors_are_one_whole_line(call, error, message):
    """What does not fit is named, with what is allowed."""
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        call()
