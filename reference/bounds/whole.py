"""Derived error bounds: how far an implementation may be from the exact result under a contract, element by element.

There is no tolerance to choose: the bound follows from the storage format, the contract (`contracts`) and the very
input, in any order of summation but for what `docs/numerics.md` names in sections 2.6 and 2.10.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import numpy as np

from xentcheck.errors import ProblemError
from xentcheck.reference.formats import Array
from xentcheck.reference.oracle.block import Block
from xentcheck.reference.oracle.exact import Exact
from xentcheck.reference.oracle.quantities import Side, quantity_of
from xentcheck.reference.problem import Problem

from . import layers
from .arithmetic import Arithmetic, finished, growth, together
from .base import RowBase, Scaling
from .contracts import Contract, get
from .directions import DirectionalBounds, directional_bounds
from .gradient import GradientBounds
from .rows import RowBounds, SummedLosses, leading
from .sums.scattered import growth_of, looked_at, share


class BlockBounds:
    """All bounds of one block under one contract, each found when it is asked for."""

    def __init__(self, rows: RowBounds) -> None:
        self.rows = rows

    @cached_property
    def gradient(self) -> GradientBounds:
        """Those of dC/dz."""
        return GradientBounds(self.rows)

    @cached_property
    def layer(self) -> dict[str, Array]:
        """Those of dC/db, dC/dw and dC/da_prev, from that of dC/dz."""
        block = self.rows.block
        g = layers.Uncertain(leading(block, block.gradient), self.gradient.whole)
        return layers.gradients(block.problem, g, self.rows.arithmetic)

    @cached_property
    def along(self) -> DirectionalBounds:
        """Those of jvp and hvp."""
        return directional_bounds(self.rows)


class Bounds(Side):
    """Bounds of one problem under one contract."""

    which = 1

    def __init__(self, exact: Exact, contract: Contract) -> None:
        self.exact = exact
        self.arithmetic = Arithmetic.of(contract, exact.problem.dtype)
        self.scaling = Scaling.of(exact.all_targets, self.arithmetic)

    @cached_property
    def zeta(self) -> Array | None:
        """Errors of the logits, where the implementation computes them itself."""
        p = self.exact.problem
        return None if p.head == "logits" else layers.logit_errors(p, self.arithmetic)[self.exact.chosen]

    def on(self, block: Block) -> BlockBounds:
        """Those of its rows; what they start from is shared by all contracts, unless logits err by themselves."""
        base: RowBase = block.shared.get("base") or RowBase.of(block.softmax, self.arithmetic.wide, self.zeta)
        if self.zeta is None:
            block.shared["base"] = base
        return BlockBounds(RowBounds(block, base, self.arithmetic, self.scaling))

    def evaluate(self, quantities: Iterable[str]) -> dict[str, Array]:
        """The bounds asked for, whole, in the shapes of the problem."""
        p, parts = self.exact.problem, {q: list[Array]() for q in quantities}
        with np.errstate(all="ignore"):
            for q, _, (bound,) in self.exact.walk(parts, [self]):
                parts[q.name].append(formed(bound))
        return {q: quantity_of(q, p).joined(found, p) for q, found in parts.items()}

    def cost(self, losses: list[SummedLosses]) -> Array:
        """() bound of the reduced cost, from those of the rows' losses.

        `docs/numerics.md`, section 2.4; inf where a sum of row terms may overflow, or, with smoothing, its quotient by
        the denominator before the factor eps/C.
        """
        t, a = self.exact.targets, self.arithmetic
        rows = sum(x.rows for x in losses)
        error, size, raw = (np.float64(sum(x[i] for x in losses)) for i in (1, 2, 3))
        in_storage = a.growth(rows - 1, "reduction") if a.stores("reduction") else 0.0
        relative = together(self._summing(losses, rows, error, size), in_storage, self.scaling.relative)
        denominator = abs(self.exact.divisor)
        bound = (error + relative * (size + error)) / denominator
        bound += a.result_rounding * (size / denominator + bound) + 2.0 * a.result_underflow
        smoothed = t.smoothing and t.probabilities is None
        largest = raw / (min(denominator, 1.0) if smoothed else 1.0)
        return finished(np.asarray(bound), a) if largest < a.largest("between") else np.asarray(np.inf)

    def _summing(self, losses: list[SummedLosses], rows: int, error: float, size: float) -> float:
        """Relative error of a wide sum over rows, or over rows and classes at once, whose terms err by so much."""
        t, a = self.exact.targets, self.arithmetic
        terms = rows if t.hard else rows * t.classes
        any_order = float(growth(terms - 1, a.wide.unit_roundoff))
        if not looked_at(a, terms - 1, "wide"):
            return any_order
        known = share(np.asarray(error), np.asarray(size)) + a.roundings(6.0, 5.0)
        addends = np.concatenate([x.addends for x in losses])
        orders = {"at once": addends.ravel(), "rows": addends.sum(1)}
        found = (growth_of(a, x[None], "wide", known, None, self.exact.shared, n) for n, x in orders.items())
        return min(any_order, max(float(growth[0]) for growth in found))

    def jvp(self, rows: list[DirectionalBounds]) -> Array:
        """() bound of the reduced jvp: (sum of bounds + (growth(rows) + kappa) sum of sizes)/|denominator|, stored."""
        a, names = self.arithmetic, ("jvp", "size", "value")
        error, size, values = (np.concatenate([getattr(x, name) for x in rows] or [np.zeros(0)]) for name in names)
        known = share(error.sum(keepdims=True), np.abs(values).sum(keepdims=True)) + a.roundings(2.0, 2.0)
        summing = growth_of(a, values[None], "reduction", known, np.array([len(size)]))[0]
        relative = together(summing, self.scaling.relative, a.extra("between"))
        bound = (error.sum() + relative * (size.sum() + error.sum())) / abs(self.exact.divisor)
        value = np.abs(values.sum() / self.exact.divisor)
        return finished(np.asarray(bound + (a.result_rounding * (value + bound) + 2.0 * a.result_underflow)), a)


def formed(bound: Array | GradientBounds) -> Array:
    """A bound as an array, also one that may be had by its form alone."""
    return bound.whole if isinstance(bound, GradientBounds) else bound


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
