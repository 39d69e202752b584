"""Error bounds of linear layers: the logits that an implementation computes itself, and BP2-BP4 behind its dC/dz.

Products may be added up in any order, with or without fused multiply-add: `docs/numerics.md`, section 2.4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xentcheck.reference.formats import Array, Format
from xentcheck.reference.numbers.backends import FLOAT64
from xentcheck.reference.oracle.layers import float64, hidden_inputs, sigmoid
from xentcheck.reference.problem import Problem

from .arithmetic import Arithmetic, finished, growth
from .sums.scattered import MOST_PRODUCTS, growth_of, looked_at, lowest_bit, share


@dataclass(frozen=True)
class Uncertain:
    """An exact array (in float64) and the largest error of what the implementation holds in its place."""

    value: Array
    error: Array

    @property
    def magnitude(self) -> Array:
        """Largest magnitude of the implementation's array."""
        return np.abs(self.value) + self.error

    @property
    def T(self) -> Uncertain:
        return Uncertain(self.value.T, self.error.T)


def exactly(x: Array) -> Uncertain:
    """An input: held without error."""
    return Uncertain(x, np.zeros_like(x))


def product(a: Uncertain, b: Uncertain, arithmetic: Arithmetic) -> Array:
    """Error of the computed and stored a b."""
    return stored(wide_product(a, b, arithmetic), a.value, b.value, arithmetic)


def wide_product(a: Uncertain, b: Uncertain, arithmetic: Arithmetic) -> Array:
    """Error of the computed a b: error(a) |b| + |a| error(b) + growth(k) |a||b| + k nu.

    Inputs that are rounded to u_i first add 2 u_i + u_i^2 to growth(k).
    """
    additions = (a.magnitude != 0).astype(np.float64) @ (b.magnitude != 0).astype(np.float64)  # products that are not 0
    inputs = arithmetic.product_input
    factors = a.error @ b.magnitude + np.abs(a.value) @ b.error
    relative = _summing(a, b, additions, factors, arithmetic) + inputs * (2.0 + inputs)
    rounding = relative * (a.magnitude @ b.magnitude)
    underflow = arithmetic.tiny * additions
    return np.asarray(factors + rounding + underflow)


def _summing(a: Uncertain, b: Uncertain, additions: Array, factors: Array, arithmetic: Arithmetic) -> Array:
    """(m, n): growth(k), less in long sums (`scattered`); factors: the error of a b from that of a and b."""
    products = a.value.size * b.value.shape[1]
    if not looked_at(arithmetic, additions - 1, "wide") or products > MOST_PRODUCTS:
        return np.asarray(growth(additions, arithmetic.wide.unit_roundoff))
    u = arithmetic.wide.unit_roundoff + arithmetic.product_input
    known = share(factors, np.abs(a.value) @ np.abs(b.value)) + 2.0 * u
    rows = zip(a.value, additions, known, strict=True)
    return np.array([growth_of(arithmetic, row * b.value.T, "wide", error, n) for row, n, error in rows])


def stored(error: Array, a: Array, b: Array, arithmetic: Arithmetic) -> Array:
    """The error of a b once it is rounded to storage."""
    if not arithmetic.narrow:
        return np.asarray(error)
    return np.asarray(error + arithmetic.output * (np.abs(a @ b) + error) + arithmetic.underflow)


def column_sum(a: Uncertain, arithmetic: Arithmetic) -> Array:
    """Error of the computed and stored sum over rows: sum of errors + growth(terms - 1) sum |a|, less in long sums."""
    additions = np.count_nonzero(a.magnitude, axis=0) - 1
    error = a.error.sum(0)
    known = share(error, np.abs(a.value).sum(0))
    error = error + growth_of(arithmetic, a.value.T, "batch_sum", known, additions) * a.magnitude.sum(0)
    return stored(error, np.ones(len(a.value)), a.value, arithmetic)


def logit_errors(p: Problem, arithmetic: Arithmetic) -> Array:
    """zeta (m, C): error of the computed logits a w^T + b; 0 where no order of summation rounds (`sums_are_exact`)."""
    inputs = hidden_outputs(p, arithmetic)[0] if p.head == "network" else exactly(float64(p.a_prev))
    return affine(inputs, float64(p.w), float64(p.b), arithmetic, stores=arithmetic.stores("logits"))


def affine(a: Uncertain, w: Array, b: Array, arithmetic: Arithmetic, *, stores: bool) -> Array:
    """Error of the computed a w^T + b; an infinite bias masks its class, without an error.

    stores: both the product and the sum may be rounded to storage, and each adds u_s of its magnitude.
    """
    finite = np.where(np.isfinite(b), b, 0.0)
    if not a.error.any() and sums_are_exact(a.value, w, finite, arithmetic.storage if stores else arithmetic.wide):
        return np.zeros((len(a.value), len(w)))
    error = wide_product(a, exactly(w).T, arithmetic)
    if stores:
        error = stored(error, a.value, w.T, arithmetic)
    u = arithmetic.wide.unit_roundoff
    error = error + u * (a.magnitude @ np.abs(w).T + np.abs(finite) + error) * (1.0 + len(w.T) * u)
    return np.asarray(error + arithmetic.output * stores * (np.abs(a.value @ w.T + finite) + error))


def sums_are_exact(a: Array, w: Array, b: Array, fmt: Format) -> bool:
    """Whether every partial sum of a w^T + b is representable: multiples of one power of two, below 2^p of them."""
    unit = min(lowest_bit(a) + lowest_bit(w), lowest_bit(b))
    largest = float((np.abs(a) @ np.abs(w).T + np.abs(b)).max(initial=0.0))
    return largest < 2.0 ** (unit + fmt.precision)  # strict: a larger sum may round down to the limit here


def hidden_outputs(p: Problem, arithmetic: Arithmetic) -> tuple[Uncertain, Uncertain]:
    """sigma(z) and sigma'(z) of the hidden layer with their errors.

    [derived] |error of sigma| <= sigma' (expm1(zeta)) + (k_e + 4) u: absolute, since sigma may be computed as
    1/(1 + exp(-z)) (relative error 2 k_e u sigma (1 - sigma) + 2u) or as (1 + tanh(z/2))/2. sigma' = sigma (1 - sigma)
    adds |1 - 2 sigma| times that, its square, and 3 roundings. Stored step by step, each rounding is one to storage.
    """
    u = arithmetic.wide.unit_roundoff
    zeta = affine(
        exactly(float64(p.a_prev)), float64(p.hidden_w), float64(p.hidden_b), arithmetic, stores=arithmetic.narrow
    )
    value, slope = sigmoid(FLOAT64, hidden_inputs(FLOAT64, p))
    error = slope * np.expm1(zeta) * np.exp(zeta) + (arithmetic.contract.exp_ulps + 4.0) * u
    error = error + 4.0 * arithmetic.output
    slope_error = error * (np.abs(1.0 - 2.0 * value) + error) + _three_roundings(arithmetic) * (slope + error)
    return Uncertain(value, error), Uncertain(slope, slope_error)


def gradients(p: Problem, g: Uncertain, arithmetic: Arithmetic) -> dict[str, Array]:
    """Bounds of dC/db, dC/dw and dC/da_prev, laid out like `oracle.layers.gradients`; g = dC/dz with its bound."""
    w = float64(p.w)
    outputs = hidden_outputs(p, arithmetic) if p.head == "network" else None
    inputs = exactly(float64(p.a_prev)) if outputs is None else outputs[0]
    grad_w = product(g.T, inputs, arithmetic)
    grad_b = column_sum(g, arithmetic)
    grad_a = product(g, exactly(w), arithmetic)
    if outputs is None:
        bounds = {"dC/db": grad_b, "dC/dw": grad_w, "dC/da_prev": grad_a}
    else:
        back = Uncertain(g.value @ w, grad_a)
        hidden = hadamard(back, outputs[1], arithmetic)
        bounds = {
            "dC/db": np.concatenate([column_sum(hidden, arithmetic), grad_b]),
            "dC/dw": np.concatenate(
                [product(hidden.T, exactly(float64(p.a_prev)), arithmetic).ravel(), grad_w.ravel()]
            ),
            "dC/da_prev": product(hidden, exactly(float64(p.hidden_w)), arithmetic),
        }
    return {q: finished(bound, arithmetic) for q, bound in bounds.items()}


def _three_roundings(arithmetic: Arithmetic) -> float:
    """(1 - u - u_s)^-3 - 1: each in the wide format, and to storage where that is narrow."""
    return float(np.expm1(-3.0 * np.log1p(-arithmetic.wide.unit_roundoff - arithmetic.output)))


def hadamard(a: Uncertain, b: Uncertain, arithmetic: Arithmetic) -> Uncertain:
    """(28) The elementwise product; 3 roundings, since sigma (1 - sigma) may be multiplied in one factor at a time."""
    error = a.error * b.magnitude + np.abs(a.value) * b.error
    rounding = _three_roundings(arithmetic) * a.magnitude * b.magnitude
    lost = 3.0 * (arithmetic.tiny + arithmetic.underflow)
    return Uncertain(a.value * b.value, error + rounding + lost)
