"""Counterfactual: what a problem's results would be if one step were done wrong, in plain float64."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from xentcheck.reference.formats import Array
from xentcheck.reference.numbers.backends import FLOAT64
from xentcheck.reference.problem import Problem
from xentcheck.reference.rows import to_rows
from xentcheck.reference.targets import Targets
from xentcheck.vocabulary import DIRECTIONAL, LAYER_GRADIENTS


@dataclass(frozen=True, eq=False)
class Counterfactual:
    """The parts of one computation, rows = examples; `replace` one of them, and `result` follows.

    z, q: (m, C), q the factors of -log a. a, log_a: overridden softmax, or None. denominator: a number, or one per row
    for the gradient. upstream: (m,). factor: of the whole result. pulled: (m, C), what stands in the place of q in
    derivatives, or None. row_mass: what multiplies a in the gradient, or None for the sum of q. layer: a_prev (m, K),
    w (C, K) and b (C,), or empty. given: results that are wrong by themselves. known: what all of a problem's
    computations with the right logits share.
    """

    problem: Problem
    targets: Targets
    z: Array
    q: Array
    denominator: Any
    upstream: Array
    a: Array | None = None
    log_a: Array | None = None
    factor: Any = 1.0
    pulled: Array | None = None
    row_mass: Any = None
    layer: tuple[Array, ...] = ()
    given: Mapping[str, Array] = field(default_factory=dict)
    known: dict[str, tuple[Array, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, problem: Problem) -> Counterfactual:
        """Everything right, for a problem that starts at logits or at a layer."""
        t = Targets.of(problem)
        layer = tuple(x.astype(np.float64) for x in (problem.a_prev, problem.w, problem.b) if x is not None)
        if problem.logits is not None:
            z = to_rows(problem.logits).astype(np.float64)
        else:
            a_prev, w, b = layer
            with np.errstate(all="ignore"):
                z = a_prev @ w.T + b
        denominator = float(FLOAT64.pair(t.denominator(FLOAT64))[0])
        q = np.asarray(FLOAT64.pair(t.terms(FLOAT64))[0])
        return cls(problem, t, z, q, denominator, t.upstream, layer=layer)

    def with_labels(self, labels: Array, kept: Array, **changes: Any) -> Counterfactual:
        """The same with other labels (m,) and other rows kept; smoothing and class weights as they are."""
        targets = replace(self.targets, kept=kept, label=labels, **changes)
        return replace(self, targets=targets, q=np.asarray(FLOAT64.pair(targets.terms(FLOAT64))[0]))

    def with_gradient(self, values: Array) -> Counterfactual:
        """The same with another gradient of the logits, (m, C)."""
        return replace(self, given={"dC/dz": values})

    @property
    def mean(self) -> bool:
        return self.problem.reduction == "mean"

    @cached_property
    def softmax(self) -> tuple[Array, Array]:
        """a and log a of the logits."""
        if self.a is not None and self.log_a is not None:
            return self.a, self.log_a
        first, a, log_a = self.known.get("softmax") or self.known.setdefault("softmax", _softmax(self.z))
        if first is not self.z:
            _, a, log_a = _softmax(self.z)
        return (a if self.a is None else self.a), (log_a if self.log_a is None else self.log_a)

    def losses(self) -> Array:
        """(m,): -sum q log a, with 0 * inf = 0."""
        return np.asarray(-np.where(self.q != 0, self.q * self.softmax[1], 0.0).sum(1))

    def result(self, quantity: str) -> Array:
        """A quantity; loss, a, log_a, dC/dz, hvp, dC/da_prev, and jvp where nothing is reduced, in row form."""
        if quantity in self.given:
            return self.given[quantity]
        with np.errstate(all="ignore"):
            if quantity in LAYER_GRADIENTS:
                return self._behind(quantity, self.result("dC/dz"))
            if quantity == "dC/dz":
                s = np.broadcast_to(self.upstream / self.denominator, self.z.shape[:1])[:, None]
                return np.asarray(self.factor * s * self._error())
            if quantity in ("a", "log_a"):
                return np.asarray(self.factor * self.softmax[quantity == "log_a"])
            if quantity in DIRECTIONAL:
                return self._along(quantity)
            losses = self.losses()
            if quantity == "loss":
                return np.asarray(self.factor * losses / self.denominator)
            return np.asarray(self.factor * (losses / self.denominator).sum())

    def _mass(self) -> Any:
        """What multiplies a in the gradient."""
        return self._factors().sum(1, keepdims=True) if self.row_mass is None else self.row_mass

    def _factors(self) -> Array:
        return self.q if self.pulled is None else self.pulled

    def _error(self) -> Array:
        """(m, C): the gradient of each row's loss."""
        return np.asarray(self.softmax[0] * self._mass() - self._factors())

    def _along(self, quantity: str) -> Array:
        """A derivative along the problem's direction: of the output, or of dC/dz."""
        assert self.problem.v is not None
        a, v = self.softmax[0], to_rows(self.problem.v).astype(np.float64)
        if quantity == "hvp":
            s = np.broadcast_to(self.upstream / self.denominator, self.z.shape[:1])[:, None]
            return np.asarray(self.factor * s * self._mass() * a * (v - (a * v).sum(1, keepdims=True)))
        tangents = self.factor * (self._error() * v).sum(1) / self.denominator
        return np.asarray(tangents if self.problem.reduction == "none" else tangents.sum())

    def _behind(self, quantity: str, delta: Array) -> Array:
        """A gradient of the layer from that of its logits."""
        a_prev, w, _ = self.layer
        if quantity == "dC/db":
            return np.asarray(delta.sum(0))
        return np.asarray(delta.T @ a_prev if quantity == "dC/dw" else delta @ w)


def _softmax(z: Array) -> tuple[Array, Array, Array]:
    """The logits, a and log a."""
    t = z - z.max(1, keepdims=True, initial=-np.inf)
    e = np.exp(t)
    total = e.sum(1, keepdims=True)
    return z, e / total, t - np.log(total)


Mistake = tuple[str, str, Counterfactual]
"""Code, sentence, and the computation with that mistake."""


def wrong_elements(exact: Array, got: Array, bound: Array) -> Array:
    """Where a result is beyond its bound."""
    return np.asarray(~(np.abs(got - exact) <= bound) & ~(got == exact))
