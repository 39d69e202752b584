"""Elementwise error bounds of the loss and of dC/dz for a block of rows, under a contract.

Notation and derivation: `docs/numerics.md`, sections 2.3 and 2.4. s = upstream/denominator, q the factors of -log a
(`Targets.terms`), Q = sum |q|; |w| and |q| in all sums, so that class weights may have any sign.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from xentcheck.reference.formats import Array
from xentcheck.reference.numbers.backends import FLOAT64
from xentcheck.reference.oracle.block import Block

from .arithmetic import SLACK, Arithmetic, finished, together
from .base import RowBase, Scaling
from .scattered import ANY_ORDER, growth_of, looked_at, share
from .softmax_errors import RowErrors


@dataclass(frozen=True)
class LossBounds:
    """Bounds of the rows' losses (n,): as outputs, and as the sum over rows finds them.

    size: sum of |q_i log a_i|. raw: the largest magnitude that is summed on the way, without eps/C. addends: the
    terms (n, any) of a sum over all rows.
    """

    output: Array
    kept: Array
    size: Array
    raw: Array
    addends: Array


class RowBounds:
    """Bounds of one block of rows under one contract."""

    def __init__(self, block: Block, base: RowBase, arithmetic: Arithmetic, scaling: Scaling) -> None:
        self.block = block
        self.base = base
        self.arithmetic = arithmetic
        self.scaling = scaling
        self.errors = RowErrors(base, arithmetic)
        self._u = arithmetic.wide.unit_roundoff
        self._nu = arithmetic.wide.smallest_normal
        self._tiny = arithmetic.tiny
        self._between = arithmetic.extra("between")
        self._lost = arithmetic.storage.smallest_subnormal if arithmetic.stores("between") else 0.0

    @cached_property
    def kappa(self) -> Array:
        """(n, 1): relative error of a gradient element from everything but the softmax.

        Where 1/denominator and s are stored between kernels, they may be below the normal range; a denominator that
        overflows there is no rounding error, and not covered.
        """
        relative = np.full((len(self.block.targets.label), 1), self.scaling.relative)
        if self._lost:
            s = np.abs(_hi(self.block, self.block.factor))[:, None]
            upstream = np.abs(self.block.targets.upstream)[:, None]
            with np.errstate(all="ignore"):
                relative += np.where(s > 0, self._lost * (1.0 + upstream) / s, 0.0)
        return relative

    @cached_property
    def forming(self) -> float:
        """Relative error of the factors q before their class weights (`Targets.forming`)."""
        return self.block.targets.forming(self._u + self._between, self._tiny + self._lost)

    def softmax(self) -> Array:
        """(n, C): bound of a."""
        return finished(self.errors.softmax(), self.arithmetic)

    def log_softmax(self) -> Array:
        """(n, C): bound of log a."""
        return finished(self.errors.log_softmax(), self.arithmetic)

    def loss(self) -> LossBounds:
        """One class: |w| D_y + u |loss|. Several: sum |q_i| D_i + (growth(terms - 1) + 6u) sum |q_i log a_i|."""
        t = self.block.targets
        error, size, raw, addends = self._hard_loss() if t.hard else self._soft_loss()
        stored = self._stored(error, size)
        kept = stored if self.arithmetic.stores("between") else error
        zero = np.zeros(())
        output = finished(stored, self.arithmetic)
        output, kept, size, raw = (np.where(t.kept, x, zero) for x in (output, kept * SLACK, size, raw))
        return LossBounds(output, kept, size, raw, np.where(t.kept[:, None], addends, zero))

    def _hard_loss(self) -> tuple[Array, ...]:
        t, b = self.block.targets, self.base
        rows = np.arange(len(t.label))
        depth = b.d[rows, t.label][:, None]
        weight = np.abs(t.label_weight)
        loss = weight * (b.log_total + depth)[:, 0]
        error = self.errors.kept_log_softmax_at(depth)[:, 0]
        if b.zeta is not None:
            error = error + b.zeta[rows, t.label]
        bound = weight * error + 2.0 * self._tiny
        if t.weight is not None:
            bound = bound + (self._u + self._between) * (loss + bound) + self._lost
        signed = t.label_weight * (b.log_total + depth)[:, 0]
        return bound, loss, self._unless_lost(loss, b.log_total + depth), signed[:, None]

    def _soft_loss(self) -> tuple[Array, ...]:
        t = self.block.targets
        q = t.sizes()
        used = (q != 0) & np.isfinite(_hi(self.block, self.block.softmax.t))
        surprise = np.where(used, self.base.log_total + self.base.d, 0.0)
        errors = np.where(used, self.errors.kept_log_softmax(), 0.0)
        terms = np.count_nonzero(used, axis=1)
        addends = self.factors * surprise
        loss = (q * surprise).sum(1)
        error = (q * errors).sum(1)
        own = together(self.arithmetic.roundings(6.0, 5.0), self.forming)
        known = own + share(error, loss)
        growth = self.growth_of("log a", addends, "forward_sum", known, terms - 1)
        bound = error + together(growth, own) * (loss + error)
        bound += self._separate_products(q * used)
        bound += (2.0 * self._tiny + self._lost) * np.maximum(terms, 1)
        raw = loss
        smoothed = t.smoothing and t.probabilities is None
        if t.weight is not None or smoothed:
            weight = np.ones(t.classes) if t.weight is None else np.abs(t.weight)
            weighted = surprise * weight
            raw = np.maximum(raw, weighted.sum(1) if smoothed else weighted.max(1, initial=0.0))
        lost = self._unless_lost(raw, np.where(self.base.d > 0, self.base.log_total + self.base.d, 0.0))
        return bound, loss, lost, addends

    @cached_property
    def factors(self) -> Array:
        """(n, C): the factors q of -log a with their signs."""
        return np.asarray(self.block.targets.terms(FLOAT64))

    def growth_of(self, name: str, addends: Array, stage: str, error: Any, additions: Any = None) -> Array:
        """(n,): relative error of a sum over each row, whose drift is found once for all contracts."""
        return growth_of(self.arithmetic, addends, stage, error, additions, self.base.shared, name)

    def _unless_lost(self, raw: Array, surprise: Array) -> Array:
        """(n,): raw, but inf where a log a overflows before its factor, also a factor of 0; surprise: (n, any)."""
        if not np.max(surprise, initial=0.0) >= self.arithmetic.largest("between"):
            return raw
        return np.where(surprise.max(1) >= self.arithmetic.largest("between"), np.inf, raw)

    def _separate_products(self, q: Array) -> Array:
        """(n,): what Q lse - sum q_i z_i errs by more than a sum of q_i (lse - z_i), whose terms are of size |m|.

        [derived] |z_i| <= |m| + d_i, and d_i is in the other terms. Two products, the sum and the difference round: 4 u
        Q |m|; a sum of n products errs by g of its size, that of the label alone by nothing. In long sums g is that of
        the products (`scattered`), and the sum Q that lse is multiplied by errs by its own, unless it is known to be 1.
        """
        if self.arithmetic.contract.log_form != "lse":
            return np.zeros(len(q))
        t = self.block.targets
        spread = q.sum(1)
        if t.probabilities is None:
            spread = spread - (1.0 - t.smoothing) * np.abs(t.label_weight)
        unit = self.arithmetic.unit("exponents")
        additions = np.count_nonzero(q, axis=1) - 1
        size = np.abs(self.base.maximum)[:, 0]
        summing = self.arithmetic.growth(additions, "forward_sum") * np.maximum(spread, 0.0) * size
        if looked_at(self.arithmetic, additions, "forward_sum"):
            products = self.factors * np.where(q > 0, self.base.maximum - self.base.d, 0.0)
            own = self.arithmetic.roundings(3.0, 3.0) + self.forming
            g = self.growth_of("z", products, "forward_sum", own, additions)
            long = g * np.abs(products).sum(1)
            if t.probabilities is not None or t.weight is not None:
                total = self.growth_of("q", self.factors, "forward_sum", own, additions)
                long += total * q.sum(1) * np.abs(self.base.maximum + self.base.log_total)[:, 0]
            summing = np.where(additions < ANY_ORDER, summing, long)
        return np.asarray(4.0 * unit * q.sum(1) * size + summing)

    def gradient(self) -> Array:
        """(n, C): bound of dC/dz; 0 in ignored rows, inf where a product on the way overflows."""
        t = self.block.targets
        factor = np.abs(_hi(self.block, self.block.factor))[:, None]
        g = np.abs(_hi(self.block, self.block.gradient))
        bound = self._hard_gradient(factor, g) if t.hard else self._soft_gradient(factor, g)
        if self.arithmetic.narrow:
            bound += self.arithmetic.result_rounding * (g + bound) + np.where(
                (self.base.e > 0) | (g > 0), self.arithmetic.result_underflow, 0.0
            )
        overflowing = self._products >= self.arithmetic.largest("between")
        if overflowing.any():
            bound[overflowing] = np.inf
        if not t.kept.all():
            bound[~t.kept] = 0.0
        return finished(bound, self.arithmetic)

    @property
    def _products(self) -> Array:
        """(n,): the largest product of upstream gradient, class weight and 1/denominator in any order of them."""
        t = self.block.targets
        upstream = np.abs(t.upstream)
        weight = np.abs(t.label_weight) if t.hard else t.sizes().sum(1)
        s = np.abs(_hi(self.block, self.block.factor))
        with np.errstate(all="ignore"):
            inverse = np.where(upstream > 0, s / upstream, 0.0)
            return np.asarray(np.maximum(upstream, 1.0) * np.maximum(inverse, 1.0) * np.maximum(weight, 1.0))

    def _hard_gradient(self, factor: Array, g: Array) -> Array:
        """s |w| (error of a_i) + kappa |g_i|; at the label also u a_y, the rounding of a_y - 1 or of s a_y - s."""
        t, e = self.block.targets, self.errors
        rows = np.arange(len(t.label))
        scale = factor * np.abs(t.label_weight)[:, None]
        kappa = self.kappa
        at_label_d = self.base.d[rows, t.label][:, None]
        margin = self._margin(at_label_d)
        offset = e.gradient_offset + margin * (1.0 + e.gradient_offset)
        bound = e.elementwise(offset + kappa * (1.0 + offset), e.gradient_slope * (1.0 + kappa), scale)
        at_label = e.elementwise_at(t.label, offset + self._u, e.gradient_slope) * scale[:, 0]
        if self.arithmetic.contract.complement and self.base.zeta is None:
            at_label = e.complement_at(t.label) * scale[:, 0]
        bound[rows, t.label] = at_label + kappa[:, 0] * (g[rows, t.label] + at_label)
        bound = self._with_row_sum(bound, scale, scale * (e.gradient_softmax_sum() + margin + self._u))
        return self._with_underflow(bound, scale, np.arange(t.classes) == t.label[:, None])

    def _margin(self, depth: Array) -> Array | float:
        """(n, 1): relative error of all exponentials where z_i - z_y is stored in place of z_i - m: u_t d_y, twice."""
        if not self.arithmetic.contract.margin:
            return 0.0
        return np.asarray(np.expm1(np.minimum(2.0 * self.arithmetic.unit("exponents") * depth, 700.0)))

    def _soft_gradient(self, factor: Array, g: Array) -> Array:
        """s [Q (error of a_i) + r_Q Q a_i + kappa_q (Q a_i + |q_i|)] + kappa |g_i|, as q is summed before a Q - q.

        The error r_Q Q of that sum multiplies a_i only; kappa_q = 5u + 3u_b is that of each term.
        """
        t, e = self.block.targets, self.errors
        q = t.sizes()
        total = q.sum(1, keepdims=True)
        own = together(self.arithmetic.roundings(5.0, 3.0), self.forming)
        relative = together(self._sum_of_targets(q, total, own), own)
        scale = factor * total
        offset = e.gradient_offset + relative * (1.0 + e.gradient_offset)
        bound = e.elementwise(offset, e.gradient_slope * (1.0 + relative), scale)
        bound += factor * own * q
        bound += self.kappa * (g + bound)
        bound = self._with_row_sum(bound, scale, scale * (e.gradient_softmax_sum() + 2.0 * relative))
        return self._with_underflow(bound, scale, q != 0)

    def _sum_of_targets(self, q: Array, total: Array, own: float) -> Array:
        """(n, 1): relative error r_Q of Q = sum |q|: min(g, (R/Q)(1 + 2g)), with R the sum without the largest term.

        own: relative error of each q.
        """
        additions = np.count_nonzero(q, axis=1) - 1
        g = self.growth_of("q", self.factors, "backward_sum", own, additions)[:, None]
        with np.errstate(all="ignore"):
            rest = np.where(total > 0, np.maximum(total - q.max(1, keepdims=True, initial=0.0), 0.0) / total, 0.0)
        return np.asarray(np.minimum(g, rest * (1.0 + 2.0 * g) + 2.0**-50 * g))

    def _with_row_sum(self, bound: Array, scale: Array, error: Array) -> Array:
        """The bound where the row's sum, exactly 0, is added as it was rounded; error: (n, 1), the sum of all D_i.

        [derived] |sum| <= E + (g + u_s + kappa)(2 s Q + E) with g for 2C - 1 additions, as m + log S has the terms 1
        and -a_i.
        """
        where = self.arithmetic.contract.row_sum
        if where == "none":
            return bound
        t, a = self.block.targets, self.arithmetic
        terms = 2.0 * scale + error
        rounding = self._row_sum_growth(error) + a.output + self.kappa
        extra = (error + rounding * terms) * t.kept[:, None]
        bound += extra if where == "all" else np.where(self.pivots, extra, 0.0)
        return bound

    def _row_sum_growth(self, error: Array) -> Array:
        """(n, 1): g of a row's sum: of the gradient's elements, which err by so much, or of 1 and the activations."""
        t, a = self.block.targets, self.arithmetic
        any_order = np.full_like(error, a.growth(2 * t.classes - 1, "row_sum"))
        if not looked_at(a, t.classes, "row_sum"):
            return any_order
        g = _hi(self.block, self.block.gradient)
        elements = self.growth_of("g", g, "row_sum", share(error[:, 0], np.abs(g).sum(1)))[:, None]
        b = self.base
        activations = self.errors.sum_growth(self.errors.gradient_softmax_sum() * b.total, 1)
        either = together(np.maximum(elements, activations), 2.0 * a.wide.unit_roundoff)
        return np.asarray(np.minimum(any_order, either))

    @cached_property
    def pivots(self) -> Array:
        """(n, C): where dp/dz_i may differ from 0, with p = max z, or z_y: the label, and all that may be the maximum.

        [derived] two logits change places in rounded arithmetic only if their distance is within the errors of both
        exponents, (shift_units + exp_slope) u |m| each, and those of the logits that a layer computes. A masked class,
        whose d and e are both 0 here, is never the maximum.
        """
        t, b, contract = self.block.targets, self.base, self.arithmetic.contract
        near = 2.0 * (contract.shift_units + contract.exp_slope) * self._u * np.abs(b.maximum)
        if b.zeta is not None:
            near = near + b.zeta + np.where(b.e > 0, b.zeta, 0.0).max(1, keepdims=True, initial=0.0)
        found = np.asarray((b.d <= near) & ((b.e > 0) | (b.d > 0)))
        if t.probabilities is None:
            found[np.arange(len(t.label)), t.label] = True
        return found

    def _with_underflow(self, bound: Array, scale: Array, target: Array) -> Array:
        """e, a, s a and their product with a weight may each fall below the smallest normal number: 4 tiny max(1, s).

        Where they are stored between kernels, as much of the storage's smallest subnormal number; and each of the C
        terms that the row sum of a soft target adds up, which a_i multiplies.
        """
        small = self.base.smallest * np.minimum(scale, 1.0) < 4.0 * self._nu
        if small.any():
            bound += np.where(small & (self.base.reachable | target), 4.0 * self._tiny * np.maximum(scale, 1.0), 0.0)
        if self._lost:
            softmax = self.base.e / self.base.total
            bound += np.where(self.base.reachable | target, 4.0 * self._lost * np.maximum(scale, 1.0), 0.0)
            bound += 3.0 * self._lost * self.block.targets.classes * softmax
        return bound

    def _stored(self, error: Array, value: Array) -> Array:
        """The error once the result is rounded to storage."""
        a = self.arithmetic
        return np.asarray(error + a.result_rounding * (np.abs(value) + error) + a.result_underflow)


def _hi(block: Block, x: Any) -> Array:
    """The leading float64 part of an exact number."""
    return block.softmax.backend.pair(x)[0]
