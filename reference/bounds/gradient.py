"""Error bounds of dC/dz for a block of rows, under a contract.

Notation and derivation: `docs/numerics.md`, section 2.4. s = upstream/denominator, q the factors of -log a
(`Targets.terms`), Q = sum |q|. But for the label, the bound of each element is ((A + B d) e) F + own q, kappa times
itself and |g|, and what is added to all elements or to the pivots, with numbers per row (`Form`).
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from xentcheck.reference.formats import Array
from xentcheck.reference.numbers.arrays import as_array
from xentcheck.reference.numbers.loops.form import Form
from xentcheck.reference.oracle.block import Block

from .arithmetic import SLACK, Arithmetic, finished, together
from .rows import RowBounds, leading
from .sums.scattered import looked_at, share

FEW = 64
"""Rows of fewer classes are not worth a loop of their own."""


class GradientBounds:
    """Bounds of dC/dz of one block of rows under one contract."""

    def __init__(self, rows: RowBounds) -> None:
        self.rows = rows
        self.block: Block = rows.block
        self.base = rows.base
        self.arithmetic: Arithmetic = rows.arithmetic
        self.targets = rows.block.targets
        self.factor = np.abs(leading(self.block, self.block.factor))[:, None]
        """(n, 1): |s|."""
        self._at = np.arange(len(self.targets.label)), self.targets.label

    @cached_property
    def g(self) -> Array:
        """(n, C): |dC/dz|."""
        return np.abs(leading(self.block, self.block.gradient))

    @cached_property
    def whole(self) -> Array:
        """(n, C): bound of dC/dz; 0 in ignored rows, inf where a product on the way overflows."""
        t, b = self.targets, self.base
        bound = self.rows.errors.elementwise(self._offset, self._slope, self._scale)
        if t.hard:
            bound[self._at] = self._label_alone
            target: Any = self._at
        else:
            bound += self.factor * self._relative[0] * t.sizes
            bound += self.rows.kappa * (self.g + bound)
            target = t.sizes != 0
        pivots = self.rows.pivots if self.arithmetic.contract.row_sum == "pivots" else True
        reached: Any = False
        if self._small.any() or self.rows.lost:
            reached = b.reachable
            reached[target] = True
        bound = self._with_what_is_added(bound, b.e, self.g, reached, pivots)
        if self._overflowing.any():
            bound[self._overflowing] = np.inf
        if not t.kept.all():
            bound[~t.kept] = 0.0
        return finished(bound, self.arithmetic)

    @property
    def formed(self) -> bool:
        """Whether the whole array is there."""
        return "whole" in self.__dict__

    @cached_property
    def at_label(self) -> Array:
        """(n,): bound of dC/dz at the label of each row of hard targets."""
        e, g, alone = (x[:, None] for x in (self.base.e[self._at], self._g_at_label, self._label_alone.copy()))
        bound = self._with_what_is_added(alone, e, g, True, True)[:, 0]
        return finished(np.where(self.targets.kept, np.where(self._overflowing, np.inf, bound), 0.0), self.arithmetic)

    @cached_property
    def form(self) -> Form | None:
        """The bounds by numbers per row; None where something is too small or too large for it, or not finite, where
        rows are ignored, logits err by themselves, or classes are few.
        """
        t, b, a = self.targets, self.base, self.arithmetic
        offsets = np.concatenate([self._offset, self._slope + 0.0 * self._offset, self._scale], 1)
        plain = b.zeta is None and np.isfinite(offsets).all()
        plain = plain and t.classes >= FEW and not (self.rows.errors.log_offset > 1.0).any()
        if not (plain and t.kept.all()) or self._small.any() or self._overflowing.any():
            return None
        softly, pivots = not t.hard, a.contract.row_sum
        near = self.rows.near if pivots == "pivots" else {"none": -1.0, "all": np.inf}[pivots]
        columns = (
            self._slope,
            self._offset,
            self._scale / b.total,
            self.factor * self._relative[0] if softly else 0.0,
            self.rows.kappa if softly else 0.0,
            near,
            self._row_sum,
            self._lost_of_all,
            3.0 * self.rows.lost * t.classes,
            b.total,
            a.result_underflow if a.narrow else 0.0,
        )
        rows = np.empty((len(t.label), len(columns)))
        for i, column in enumerate(columns):
            rows[:, i : i + 1] = column
        label = t.label if t.probabilities is None else np.full_like(t.label, -1)
        at_label = self.at_label if t.hard else np.full(len(t.label), np.nan)
        q = t.sizes if softly else np.zeros((0, 0))
        rounding = a.result_rounding if a.narrow else 0.0
        return Form(b.d, b.e, q, rows, label, at_label, rounding, SLACK, a.storage.largest)

    @cached_property
    def _scale(self) -> Array:
        """(n, 1): s Q."""
        t = self.targets
        return self.factor * ((np.abs(t.label_weight) if t.hard else t.mass)[:, None])

    @cached_property
    def _relative(self) -> tuple[float, Array]:
        """kappa_q = 5u + 3u_b, and r_Q together with it, as q is summed before a Q - q: of soft targets."""
        own = together(self.arithmetic.roundings(5.0, 3.0), self.rows.forming)
        return own, np.asarray(together(self._sum_of_targets(own), own))

    @cached_property
    def _offset(self) -> Array:
        """(n, 1): A of a_i, and kappa; of soft targets A' of `docs/numerics.md`, section 2.6."""
        if self.targets.hard:
            offset, kappa = self._label_offset, self.rows.kappa
            return np.asarray(offset + kappa * (1.0 + offset))
        offset = self.rows.errors.gradient_offset
        return np.asarray(offset + self._relative[1] * (1.0 + offset))

    @cached_property
    def _slope(self) -> Array:
        """(n, 1): B."""
        relative = self.rows.kappa if self.targets.hard else self._relative[1]
        return np.asarray(self.rows.errors.gradient_slope * (1.0 + relative))

    @cached_property
    def _label_offset(self) -> Array:
        offset = self.rows.errors.gradient_offset
        return np.asarray(offset + self.rows.label_margin * (1.0 + offset))

    @cached_property
    def _label_alone(self) -> Array:
        """(n,): s |w| (error of a_y) + kappa |g_y|, and u a_y, the rounding of a_y - 1 or of s a_y - s."""
        e, label, scale = self.rows.errors, self.targets.label, self._scale[:, 0]
        if self.arithmetic.contract.complement and self.base.zeta is None:
            found = e.complement_at(label) * scale
        else:
            found = e.elementwise_at(label, self._label_offset + self.rows.u, e.gradient_slope) * scale
        return np.asarray(found + self.rows.kappa[:, 0] * (self._g_at_label + found))

    @property
    def _g_at_label(self) -> Array:
        return np.abs(leading(self.block, self.block.gradient)[self._at])

    @cached_property
    def _overflowing(self) -> Array:
        """(n,): where a product of upstream gradient, class weight and 1/denominator, in any order, overflows."""
        t, s = self.targets, self.factor[:, 0]
        upstream = np.abs(t.upstream)
        weight = np.abs(t.label_weight) if t.hard else t.mass
        with np.errstate(all="ignore"):
            inverse = np.where(upstream > 0, s / upstream, 0.0)
            products = np.maximum(upstream, 1.0) * np.maximum(inverse, 1.0) * np.maximum(weight, 1.0)
        return np.asarray(products >= self.arithmetic.largest("between"))

    def _sum_of_targets(self, own: float) -> Array:
        """(n, 1): relative error r_Q of Q = sum |q|: min(g, (R/Q)(1 + 2g)), with R the sum without the largest term.

        own: relative error of each q.
        """
        q = self.targets.sizes
        total = self.targets.mass[:, None]
        additions = self.targets.entries - 1
        factors = self.rows.factors
        size = self.targets.mass if q is factors else None
        g = self.rows.growth_of("q", factors, "backward_sum", own, additions, size)[:, None]
        with np.errstate(all="ignore"):
            rest = np.where(total > 0, np.maximum(total - q.max(1, keepdims=True, initial=0.0), 0.0) / total, 0.0)
        return np.asarray(np.minimum(g, rest * (1.0 + 2.0 * g) + 2.0**-50 * g))

    @cached_property
    def _row_sum(self) -> Array:
        """(n, 1): what a row's sum, exactly 0, adds where it is added as it was rounded: rho of section 2.6."""
        if self.arithmetic.contract.row_sum == "none":
            return np.zeros_like(self._scale)
        error = self.rows.errors.gradient_softmax_sum()
        error = error + self.rows.label_margin + self.rows.u if self.targets.hard else error + 2.0 * self._relative[1]
        error = self._scale * error
        terms = 2.0 * self._scale + error
        rounding = self._row_sum_growth(error) + self.arithmetic.output + self.rows.kappa
        return np.asarray((error + rounding * terms) * self.targets.kept[:, None])

    def _row_sum_growth(self, error: Array) -> Array:
        """(n, 1): g of a row's sum: of 1 and the activations, or of the gradient's elements, which err by so much.

        [derived] The elements of a row with one class are its activations times one factor, and so is what they leave
        over (`docs/numerics.md`, section 2.10).
        """
        t, a = self.targets, self.arithmetic
        any_order = np.full_like(error, a.growth(2 * t.classes - 1, "row_sum"))
        if not looked_at(a, t.classes, "row_sum"):
            return any_order
        e = self.rows.errors
        found = e.sum_growth(e.gradient_softmax_sum() * self.base.total, 1)
        if not t.hard:
            g = leading(self.block, self.block.gradient)
            size = np.abs(g).sum(1)
            elements = self.rows.growth_of("g", g, "row_sum", share(error[:, 0], size), size=size)
            found = np.maximum(found, elements[:, None])
        return np.asarray(np.minimum(any_order, together(found, 2.0 * a.wide.unit_roundoff)))

    @property
    def _small(self) -> Array:
        """(n, 1): where e, a, s a or a product with a weight may fall below the smallest normal number."""
        normal = self.arithmetic.wide.smallest_normal
        return np.asarray(self.base.smallest * np.minimum(self._scale, 1.0) < 4.0 * normal)

    @property
    def _lost_of_all(self) -> Array:
        """(n, 1): what storing them between kernels loses below the normal range."""
        return np.asarray(4.0 * self.rows.lost * np.maximum(self._scale, 1.0))

    def _with_what_is_added(self, bound: Array, e: Array, g: Array, reached: Any, pivots: Any) -> Array:
        """The bound with what is added to it where an element is reached, or a pivot; e, g: of those elements.

        Where e, a, s a or their product with a weight falls below the smallest normal number: 4 tiny max(1, s). Where
        they are stored between kernels, as much of the storage's smallest subnormal number; and each of the C terms
        that the row sum of a soft target adds up, which a_i multiplies. Then the rounding of the result.
        """
        rows, a = self.rows, self.arithmetic
        if a.contract.row_sum != "none":
            bound += np.where(pivots, self._row_sum, 0.0)
        if self._small.any():
            tiny = 4.0 * rows.tiny * np.maximum(self._scale, 1.0)
            bound += np.where(self._small & reached, tiny, 0.0)
        if rows.lost:
            bound += np.where(reached, self._lost_of_all, 0.0)
            bound += 3.0 * rows.lost * self.targets.classes * (e / self.base.total)
        if a.narrow:
            bound += a.result_rounding * (g + bound) + np.where((e > 0) | (g > 0), a.result_underflow, 0.0)
        return as_array(bound)
