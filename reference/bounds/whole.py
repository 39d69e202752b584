"""Derived error bounds: how far an implementation may be from the exact result under a contract, element by element.

There is no tolerance to choose: the bound follows from the storage format, the contract (`contracts`) and the very
input. Any order of summation is allowed, but for trees that a contract names and sums of more than 4096
exponentials (`docs/numerics.md`, section 2.10), so the bounds hold for every number of threads, lanes or blocks.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from xentcheck.errors import ProblemError
from xentcheck.reference.formats import Array
from xentcheck.reference.oracle.block import Block
from xentcheck.reference.oracle.exact import Exact
from xentcheck.reference.problem import Problem
from xentcheck.reference.rows import from_rows
from xentcheck.vocabulary import GRADIENTS, LAYER_GRADIENTS

from . import layers
from .arithmetic import Arithmetic, finished, growth, together
from .base import RowBase, Scaling
from .contracts import CATALOGUE, Contract, get
from .directions import BoundsAlong
from .gradient import GradientBounds
from .rows import LossBounds, RowBounds
from .sums.scattered import growth_of, looked_at, share

__all__ = ["CATALOGUE", "Bounds", "Contract", "bound"]


class Bounds:
    """Bounds of one problem under one contract; feed it the exact blocks in order, then ask for what spans all rows."""

    def __init__(self, exact: Exact, contract: Contract) -> None:
        self.exact = exact
        self.contract = contract
        self.arithmetic = Arithmetic.of(contract, exact.problem.dtype)
        self.scaling = Scaling.of(exact.all_targets, self.arithmetic)
        self._losses: list[LossBounds] = []

    def zeta(self) -> Array | None:
        """Errors of the logits, where the implementation computes them itself."""
        p = self.exact.problem
        return None if p.head == "logits" else layers.logit_errors(p, self.arithmetic)[self.exact.chosen]

    def rows(self, block: Block, base: RowBase) -> RowBounds:
        """Bounds of a block of rows."""
        return RowBounds(block, base, self.arithmetic, self.scaling)

    def gradient(self, rows: RowBounds) -> GradientBounds:
        """Bounds of dC/dz of those rows."""
        return GradientBounds(rows)

    def loss(self, rows: RowBounds) -> Array:
        """(n,): bound of the loss per example; inf where a term that is summed on the way overflows."""
        bounds = rows.loss()
        self._losses.append(bounds)
        return np.where(bounds.raw >= self._overflow, np.inf, bounds.output)

    def cost(self) -> Array:
        """() bound of the reduced cost, from all rows that went through `loss`.

        (sum of bounds + (growth(terms - 1) + 4u + 2u if weighted + error of the denominator) size)/|denominator|, and
        the growth of a sum over rows in storage more; inf where a sum of row terms may overflow, or, with smoothing,
        its quotient by the denominator before the factor eps/C.
        """
        t, a = self.exact.targets, self.arithmetic
        error = np.concatenate([losses.kept for losses in self._losses] or [np.zeros(0)])
        size = np.concatenate([losses.size for losses in self._losses] or [np.zeros(0)])
        raw = np.concatenate([losses.raw for losses in self._losses] or [np.zeros(0)])
        in_storage = a.growth(len(raw) - 1, "reduction") if a.stores("reduction") else 0.0
        relative = together(self._summing(error.sum(), size), in_storage, self.scaling.relative)
        denominator = abs(float(self.exact.backend.pair(self.exact.denominator)[0]))
        with np.errstate(all="ignore"):
            bound = (error.sum() + relative * (size.sum() + error.sum())) / denominator
            bound += a.result_rounding * (size.sum() / denominator + bound) + 2.0 * a.result_underflow
            smoothed = t.smoothing and t.probabilities is None
            largest = raw.sum() / (min(denominator, 1.0) if smoothed else 1.0)
            return finished(np.asarray(bound), a) if largest < self._overflow else np.asarray(np.inf)

    def _summing(self, error: float, size: Array) -> float:
        """Relative error of a wide sum over rows, or over rows and classes at once, whose terms err by so much."""
        t, a = self.exact.targets, self.arithmetic
        terms = len(size) if t.hard else len(size) * t.classes
        any_order = float(growth(terms - 1, a.wide.unit_roundoff))
        if not looked_at(a, terms - 1, "wide"):
            return any_order
        known = share(np.asarray(error), size.sum()) + a.roundings(6.0, 5.0)
        addends = np.concatenate([losses.addends for losses in self._losses])
        orders = {"at once": addends.ravel(), "rows": addends.sum(1)}
        found = (growth_of(a, x[None], "wide", known, None, self.exact.shared, n) for n, x in orders.items())
        return min(any_order, max(float(growth[0]) for growth in found))

    def layer(self, block: Block, gradient: Array) -> dict[str, Array]:
        """Bounds of dC/db, dC/dw and dC/da_prev, from the bound of dC/dz."""
        g = layers.Uncertain(self.exact.backend.pair(block.gradient)[0], gradient)
        return layers.gradients(self.exact.problem, g, self.arithmetic)

    @property
    def _overflow(self) -> float:
        return self.arithmetic.largest("between")

    def evaluate(self, quantities: Iterable[str]) -> dict[str, Array]:
        """The bounds asked for, whole, in the shapes of the problem."""
        p = self.exact.problem
        wanted = set(quantities)
        parts: dict[str, list[Array]] = {q: [] for q in ("a", "log_a", "loss", "dC/dz")}
        along = BoundsAlong(self.exact) if wanted & {"jvp", "hvp"} else None
        out: dict[str, Array] = {}
        with np.errstate(all="ignore"):
            zeta = self.zeta()
            for block in self.exact.blocks():
                rows = self.rows(block, RowBase.of(block.softmax, self.arithmetic.wide, zeta))
                if "a" in wanted:
                    parts["a"].append(rows.softmax())
                if "log_a" in wanted:
                    parts["log_a"].append(rows.log_softmax())
                if wanted & {"loss", "cost"}:
                    parts["loss"].append(self.loss(rows))
                if wanted & set(GRADIENTS):
                    parts["dC/dz"].append(self.gradient(rows).whole)
                if wanted & set(LAYER_GRADIENTS):
                    out |= self.layer(block, parts["dC/dz"][-1])
                if along:
                    along.add(block, rows)
            if "cost" in wanted:
                out["cost"] = self.cost()
            if along:
                out |= along.whole()
        for quantity in wanted & parts.keys():
            blocks = parts[quantity]
            flat = np.concatenate(blocks) if blocks else np.zeros((0, p.classes))
            shape = p.loss_shape if quantity == "loss" else p.logits_shape
            out[quantity] = flat.reshape(shape) if quantity == "loss" else from_rows(flat, shape)
        return {q: out[q] for q in wanted}


def bound(quantity: str, problem: Problem, contract: Contract | str) -> Array:
    """Largest |error| of each element of a quantity, in the quantity's own units, under a contract [derived].

    quantity: one of `problem.quantities` (a, log_a, loss, cost, dC/dz; dC/db, dC/dw, dC/da_prev of a layer). Returns
    float64 in the quantity's shape; inf where the contract lets an intermediate overflow, 0 where it is exact.
    Raises AdapterError for an unknown contract, ProblemError for a quantity that the problem does not have.
    Source: `docs/numerics.md`, section 2.

    >>> p = Problem(logits=np.array([[0.0, 0.0]]), target=np.array([0]))
    >>> bool(0 < bound("cost", p, "fused") < 1e-15)
    True
    """
    chosen = get(contract) if isinstance(contract, str) else contract
    if quantity not in problem.quantities:
        raise ProblemError(f"the problem has no {quantity}; allowed: {', '.join(problem.quantities)}")
    return Bounds(Exact(problem), chosen).evaluate([quantity])[quantity]
