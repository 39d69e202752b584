"""Feed-forward networks of sigmoid layers and backpropagation, chapter 2. Rows are examples: x (m, n_1), a^l (m, n_l).

Weights are (n_l, n_{l-1}) as in the book, biases (n_l,); layers are counted from 0 for the first one after the input.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from xentcheck.errors import DtypeError, ProblemError, ShapeError
from xentcheck.reference.formats import Array
from xentcheck.reference.inputs import floating, matrix

from .activations import sigmoid, sigmoid_prime, softmax
from .chain_rule import delta
from .costs import (
    log_likelihood,
    quadratic_cost,
    quadratic_delta,
    quadratic_grad_a,
    sigmoid_cross_entropy,
    sigmoid_cross_entropy_delta,
)
from .regularization import bias_step, l2_step


@dataclass(frozen=True)
class Head:
    """An output layer with a cost that fits it: a = activation(z), C_x = cost(z, y), delta = dC_x/dz."""

    activation: Callable[[Array], Array]
    cost: Callable[[Array, Any], Array]
    delta: Callable[[Array, Any], Array]


OUTPUTS = {
    ("sigmoid", "quadratic"): Head(sigmoid, lambda z, y: quadratic_cost(sigmoid(z), y), quadratic_delta),
    ("sigmoid", "cross-entropy"): Head(sigmoid, sigmoid_cross_entropy, sigmoid_cross_entropy_delta),
    ("linear", "quadratic"): Head(lambda z: z, quadratic_cost, quadratic_grad_a),
    ("softmax", "log-likelihood"): Head(softmax, log_likelihood, delta),
}
"""The book's pairs of output layer and cost: (30), (66), (68) and (84)."""


@dataclass(frozen=True, eq=False)
class Network:
    """Weights (n_l, n_{l-1}) and biases (n_l,) of each layer, the output layer's activation and the cost.

    All floating, of one dtype; hidden layers are sigmoid; (output, cost) is a key of `OUTPUTS`.
    Raises ProblemError, ShapeError or DtypeError naming the layer.

    >>> Network([np.zeros((3, 2))], [np.zeros(3)], "softmax", "log-likelihood").sizes
    (2, 3)
    """

    weights: Any
    biases: Any
    output: str = "sigmoid"
    cost: str = "cross-entropy"

    def __post_init__(self) -> None:
        if (self.output, self.cost) not in OUTPUTS:
            allowed = ", ".join(f"{output} with {cost}" for output, cost in OUTPUTS)
            raise ProblemError(f"output is {self.output!r} with cost {self.cost!r}; allowed: {allowed}")
        weights = tuple(floating(w, f"weights[{i}]") for i, w in enumerate(self.weights))
        biases = tuple(floating(b, f"biases[{i}]") for i, b in enumerate(self.biases))
        if not weights or len(weights) != len(biases):
            raise ShapeError(
                f"there are {len(weights)} weights and {len(biases)} biases; allowed: one each per layer, >= 1"
            )
        for i, (w, b) in enumerate(zip(weights, biases, strict=True)):
            if w.ndim != 2 or b.shape != w.shape[:1] or (i > 0 and w.shape[1] != len(weights[i - 1])):
                before = len(weights[i - 1]) if i else "n_1"
                raise ShapeError(f"layer {i} has w {w.shape}, b {b.shape}; allowed: (n, {before}) and (n,)")
            if {w.dtype, b.dtype} != {weights[0].dtype}:
                raise DtypeError(
                    f"layer {i} has dtypes {w.dtype}, {b.dtype}; allowed: {weights[0].dtype} in all layers"
                )
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "biases", biases)

    @property
    def sizes(self) -> tuple[int, ...]:
        """n_1, ..., n_L: the number of inputs and of neurons per layer."""
        return (self.weights[0].shape[1], *map(len, self.biases))

    @property
    def head(self) -> Head:
        """The output layer with its cost."""
        return OUTPUTS[self.output, self.cost]


@dataclass(frozen=True, eq=False)
class Gradients:
    """dC/dw and dC/db of each layer, in the shapes of the weights and biases.

    >>> Gradients((np.array([[2.0]]),), (np.array([1.0]),)).biases[0].tolist()
    [1.0]
    """

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]


def weighted_inputs(net: Network, x: Any) -> tuple[list[Array], list[Array]]:
    """z^l = w^l a^{l-1} + b^l and the layers' inputs a^{l-1}, with a^l = sigma(z^l), equations (22)-(25).

    x: (m, n_1) in the dtype of the network. Returns two lists over the layers: z (m, n_l) and a_prev (m, n_{l-1}).
    Raises ShapeError or DtypeError.

    >>> weighted_inputs(Network([[[2.0]], [[4.0]]], [[1.0], [0.0]]), [[-0.5]])[0][1].tolist()
    [[2.0]]
    """
    a = matrix(x, "x")
    if a.shape[1] != net.sizes[0]:
        raise ShapeError(f"x has shape {a.shape}; allowed: (m, {net.sizes[0]}), one row per example")
    if a.dtype != net.weights[0].dtype:
        raise DtypeError(f"x has dtype {a.dtype}; allowed: {net.weights[0].dtype}, the dtype of the network")
    zs, inputs = [], []
    for w, b in zip(net.weights, net.biases, strict=True):
        inputs.append(a)
        zs.append(np.asarray(a @ w.T + b))
        a = sigmoid(zs[-1])
    return zs, inputs


def feedforward(net: Network, x: Any) -> Array:
    """a^L, the outputs of the last layer, equations (22)-(25) with the network's output activation.

    x: (m, n_1) in the dtype of the network. Returns (m, n_L). Raises ShapeError or DtypeError.

    >>> feedforward(Network([[[1.0], [1.0]]], [[0.0, 0.0]], "softmax", "log-likelihood"), [[7.0]]).tolist()
    [[0.5, 0.5]]
    """
    return net.head.activation(weighted_inputs(net, x)[0][-1])


def costs(net: Network, x: Any, y: Any) -> Array:
    """C_x of each example, (27), (63) or (80); the book's C, (26) or (63), is their mean.

    x: (m, n_1); y: (m, n_L), or for softmax also labels (m,). Returns (m,). Raises ShapeError, DtypeError or
    TargetError.

    >>> costs(Network([[[1.0]]], [[0.0]], "linear", "quadratic"), [[3.0]], [[1.0]]).tolist()
    [2.0]
    """
    return net.head.cost(weighted_inputs(net, x)[0][-1], y)


def deltas(net: Network, x: Any, y: Any) -> list[Array]:
    """delta^l = dC_x/dz^l (29) of every layer and example: the head's at the output (BP1), then (BP2) = (34) backwards.

    It is the bias gradient per example (BP3), (31). x, y as in `costs`. Returns a list of (m, n_l).
    Raises ShapeError, DtypeError or TargetError.

    >>> net = Network([[[1.0]], [[2.0]]], [[0.0], [0.0]], "linear", "quadratic")
    >>> [d.tolist() for d in deltas(net, [[0.0]], [[0.0]])]
    [[[0.5]], [[1.0]]]
    """
    return _backwards(net, weighted_inputs(net, x)[0], y)


def _backwards(net: Network, zs: list[Array], y: Any) -> list[Array]:
    errors = [net.head.delta(zs[-1], y)]
    for w, z in zip(net.weights[:0:-1], zs[-2::-1], strict=True):
        errors.append((errors[-1] @ w) * sigmoid_prime(z))
    return errors[::-1]


def backprop(net: Network, x: Any, y: Any) -> Gradients:
    """dC/dw = (1/m) sum_x delta (a_prev)^T and dC/db = (1/m) sum_x delta: (BP3), (BP4) = (31), (32), mean (18), (19).

    x, y as in `costs` with m >= 1. Returns the gradients of the mean cost over the minibatch.
    Raises ShapeError (also for an empty minibatch, whose mean is not defined), DtypeError or TargetError.

    >>> backprop(Network([[[1.0]]], [[0.0]], "linear", "quadratic"), [[3.0], [1.0]], [[1.0], [0.0]]).weights[0].tolist()
    [[3.5]]
    """
    zs, inputs = weighted_inputs(net, x)
    m = len(zs[0])
    if m == 0:
        raise ShapeError(f"x has shape {inputs[0].shape}; allowed: (m, {net.sizes[0]}) with m >= 1 for a mean")
    errors = _backwards(net, zs, y)
    return Gradients(
        weights=tuple(np.asarray(d.T @ a / m) for d, a in zip(errors, inputs, strict=True)),
        biases=tuple(np.asarray(d.sum(0) / m) for d in errors),
    )


def unrolled_delta(net: Network, x: Any, y: Any, layer: int) -> Array:
    """delta^l = Sigma'(z^l) (w^{l+1})^T ... (w^L)^T delta^L, equation (35) with the diagonal matrices of (33), (34).

    x, y as in `costs`; layer: 0 to L - 1. Returns (m, n_l). Raises ProblemError for another layer, else like `costs`.

    >>> net = Network([[[1.0]], [[2.0]]], [[0.0], [0.0]], "linear", "quadratic")
    >>> unrolled_delta(net, [[0.0]], [[0.0]], 0).tolist()
    [[0.5]]
    """
    if not 0 <= layer < len(net.weights):
        raise ProblemError(f"layer is {layer}; allowed: 0 to {len(net.weights) - 1}")
    zs, _ = weighted_inputs(net, x)
    last = net.head.delta(zs[-1], y)
    rows = []
    for i in range(len(last)):
        product = np.eye(len(net.weights[layer]), dtype=last.dtype)
        for z, w in zip(zs[layer:-1], net.weights[layer + 1 :], strict=True):
            product = product @ np.diag(sigmoid_prime(z[i])) @ w.T
        rows.append(product @ last[i])
    return np.asarray(rows, last.dtype).reshape(len(last), len(net.weights[layer]))


def sgd_step(net: Network, x: Any, y: Any, eta: float, *, lmbda: float = 0.0, n: int = 1) -> Network:
    """One step down the minibatch's gradient, (20) and (21), with weight decay (93), (94) where lambda > 0.

    x, y as in `backprop`; n: size of the whole training set, used with lmbda only. Returns a new network.
    Raises ProblemError, ShapeError, DtypeError or TargetError.

    >>> sgd_step(Network([[[1.0]]], [[0.0]], "linear", "quadratic"), [[3.0]], [[1.0]], eta=0.5).weights[0].tolist()
    [[-2.0]]
    """
    g = backprop(net, x, y)
    return replace(
        net,
        weights=tuple(l2_step(w, d, eta, lmbda, n) for w, d in zip(net.weights, g.weights, strict=True)),
        biases=tuple(bias_step(b, d, eta) for b, d in zip(net.biases, g.biases, strict=True)),
    )
