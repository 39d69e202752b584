"""Error bounds of a, log a and the loss for a block of rows, under a contract; those of dC/dz are in `gradient`.

Notation and derivation: `docs/numerics.md`, sections 2.3 and 2.4. s = upstream/denominator, q the factors of -log a
(`Targets.terms`), Q = sum |q|; |w| and |q| in all sums, so that class weights may have any sign.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from xentcheck.reference.formats import Array
from xentcheck.reference.numbers.arrays import as_array, nonzeros
from xentcheck.reference.numbers.backends import FLOAT64
from xentcheck.reference.oracle.block import Block

from .arithmetic import SLACK, Arithmetic, finished, together
from .base import RowBase, Scaling
from .softmax_errors import RowErrors
from .sums.addends import ANY_ORDER
from .sums.scattered import growth_of, looked_at, share


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

    @property
    def summed(self) -> SummedLosses:
        """What is left of these rows for a sum over all."""
        return SummedLosses(len(self.raw), self.kept.sum(), self.size.sum(), self.raw.sum(), self.addends)


class SummedLosses(NamedTuple):
    """How many rows there are; the sums of the bounds as a sum finds them, of the sizes and of `raw`; the addends."""

    rows: int
    error: float
    size: float
    raw: float
    addends: Array


class RowBounds:
    """Bounds of one block of rows under one contract."""

    def __init__(self, block: Block, base: RowBase, arithmetic: Arithmetic, scaling: Scaling) -> None:
        self.block = block
        self.base = base
        self.arithmetic = arithmetic
        self.scaling = scaling
        self.errors = RowErrors(base, arithmetic)
        self.u = arithmetic.wide.unit_roundoff
        self.tiny = arithmetic.tiny
        self._between = arithmetic.extra("between")
        self.lost = arithmetic.storage.smallest_subnormal if arithmetic.stores("between") else 0.0

    @cached_property
    def kappa(self) -> Array:
        """(n, 1): relative error of a gradient element from everything but the softmax.

        Where 1/denominator and s are stored between kernels, they may be below the normal range; a denominator that
        overflows there is no rounding error, and not covered.
        """
        relative = np.full((len(self.block.targets.label), 1), self.scaling.relative)
        if self.lost:
            s = np.abs(leading(self.block, self.block.factor))[:, None]
            upstream = np.abs(self.block.targets.upstream)[:, None]
            with np.errstate(all="ignore"):
                relative += np.where(s > 0, self.lost * (1.0 + upstream) / s, 0.0)
        return relative

    @cached_property
    def forming(self) -> float:
        """Relative error of the factors q before their class weights (`Targets.forming`)."""
        return self.block.targets.forming(self.u + self._between, self.tiny + self.lost)

    def softmax(self) -> Array:
        """(n, C): bound of a."""
        return finished(self.errors.softmax(), self.arithmetic)

    def log_softmax(self) -> Array:
        """(n, C): bound of log a."""
        return finished(self.errors.log_softmax(), self.arithmetic)

    @cached_property
    def loss(self) -> LossBounds:
        """One class: |w| D_y + u |loss|. Several: sum |q_i| D_i + (growth(terms - 1) + 6u) sum |q_i log a_i|.

        inf where a term that is summed on the way overflows.
        """
        t = self.block.targets
        error, size, raw, addends = self._hard_loss() if t.hard else self._soft_loss()
        stored = self.stored(error, size)
        kept = stored if self.arithmetic.stores("between") else error
        zero = np.zeros(())
        output = finished(stored, self.arithmetic)
        output, kept, size, raw = (np.where(t.kept, x, zero) for x in (output, kept * SLACK, size, raw))
        output = np.where(raw >= self.arithmetic.largest("between"), np.inf, output)
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
        bound = weight * error + 2.0 * self.tiny
        if t.weight is not None:
            bound = bound + (self.u + self._between) * (loss + bound) + self.lost
        signed = t.label_weight * (b.log_total + depth)[:, 0]
        return bound, loss, self._unless_lost(loss, b.log_total + depth), signed[:, None]

    def _soft_loss(self) -> tuple[Array, ...]:
        t, b = self.block.targets, self.base
        q = t.sizes
        used = (q != 0) & np.isfinite(leading(self.block, self.block.softmax.t))
        surprise, errors, terms = b.log_total + b.d, self.errors.kept_log_softmax(), np.full(len(q), q.shape[1])
        if not used.all():
            surprise, errors = np.where(used, surprise, 0.0), np.where(used, errors, 0.0)
            terms = nonzeros(used)
        addends = self.factors * surprise
        loss = (addends if q is self.factors else q * surprise).sum(1)
        error = np.multiply(q, errors, out=errors).sum(1)
        own = together(self.arithmetic.roundings(6.0, 5.0), self.forming)
        known = own + share(error, loss)
        growth = self.growth_of("log a", addends, "forward_sum", known, terms - 1, loss if q is self.factors else None)
        bound = error + together(growth, own) * (loss + error)
        bound += self._separate_products(q if (terms == q.shape[1]).all() else q * used, terms - 1)
        bound += (2.0 * self.tiny + self.lost) * np.maximum(terms, 1)
        raw = loss
        smoothed = t.smoothing and t.probabilities is None
        if t.weight is not None or smoothed:
            weighted = surprise if t.weight is None else surprise * np.abs(t.weight)
            raw = np.maximum(raw, weighted.sum(1) if smoothed else weighted.max(1, initial=0.0))
        if (b.log_total[:, 0] + b.d.max(1, initial=0.0)).max(initial=0.0) >= self.arithmetic.largest("between"):
            raw = self._unless_lost(raw, np.where(b.d > 0, b.log_total + b.d, 0.0))
        return bound, loss, raw, addends

    @cached_property
    def factors(self) -> Array:
        """(n, C): the factors q of -log a with their signs."""
        return as_array(self.block.targets.terms(FLOAT64))

    @cached_property
    def pivots(self) -> Array:
        """(n, C): where dp/dz_i may differ from 0, with p = max z, or z_y: the label, and all that may be the maximum.

        [derived] two logits change places in rounded arithmetic only if their distance is within the errors of both
        exponents, (shift_units + exp_slope) u |m| each, and those of the logits that a layer computes. A masked class,
        whose d and e are both 0 here, is never the maximum.
        """
        t, b = self.block.targets, self.base
        found = as_array((b.d <= self.near) & ((b.e > 0) | (b.d > 0)))
        if t.probabilities is None:
            found[np.arange(len(t.label)), t.label] = True
        return found

    @cached_property
    def label_margin(self) -> Array | float:
        """(n, 1): relative error of all exponentials where z_i - z_y is stored in place of z_i - m: u_t d_y, twice."""
        if not self.arithmetic.contract.margin:
            return 0.0
        label = self.block.targets.label
        depth = self.base.d[np.arange(len(label)), label][:, None]
        return np.asarray(np.expm1(np.minimum(2.0 * self.arithmetic.unit("exponents") * depth, 700.0)))

    @property
    def near(self) -> Array:
        """(n, 1), or (n, C) where logits err by themselves: the depth down to which a class may be the maximum."""
        b, contract = self.base, self.arithmetic.contract
        near = 2.0 * (contract.shift_units + contract.exp_slope) * self.u * np.abs(b.maximum)
        if b.zeta is not None:
            near = near + b.zeta + np.where(b.e > 0, b.zeta, 0.0).max(1, keepdims=True, initial=0.0)
        return np.asarray(near)

    def growth_of(
        self, name: str, addends: Array, stage: str, error: Any, additions: Any = None, size: Array | None = None
    ) -> Array:
        """(n,): relative error of a sum over each row, whose drift is found once for all contracts."""
        return growth_of(self.arithmetic, addends, stage, error, additions, self.base.shared, name, size)

    def _unless_lost(self, raw: Array, surprise: Array) -> Array:
        """(n,): raw, but inf where a log a overflows before its factor, also a factor of 0; surprise: (n, any)."""
        if not np.max(surprise, initial=0.0) >= self.arithmetic.largest("between"):
            return raw
        return np.where(surprise.max(1) >= self.arithmetic.largest("between"), np.inf, raw)

    def _separate_products(self, q: Array, additions: Array) -> Array:
        """(n,): what Q lse - sum q_i z_i errs by more than a sum of q_i (lse - z_i), whose terms are of size |m|.

        q: those that are used; additions: how many of a row are not 0, less one. `docs/numerics.md`, section 2.6. In
        long sums g is that of the products (`scattered`), and the sum Q that lse is multiplied by errs by its own,
        unless it is known to be 1.
        """
        if self.arithmetic.contract.log_form != "lse":
            return np.zeros(len(q))
        t = self.block.targets
        spread = mass = t.mass if q is t.sizes else q.sum(1)
        if t.probabilities is None:
            spread = spread - (1.0 - t.smoothing) * np.abs(t.label_weight)
        unit = self.arithmetic.unit("exponents")
        size = np.abs(self.base.maximum)[:, 0]
        summing = self.arithmetic.growth(additions, "forward_sum") * np.maximum(spread, 0.0) * size
        if looked_at(self.arithmetic, additions, "forward_sum"):
            z = self.base.maximum - self.base.d
            products = self.factors * (z if (additions == q.shape[1] - 1).all() else np.where(q > 0, z, 0.0))
            own = self.arithmetic.roundings(3.0, 3.0) + self.forming
            reach = np.abs(products).sum(1)
            long = self.growth_of("z", products, "forward_sum", own, additions, reach) * reach
            if t.probabilities is not None or t.weight is not None:
                of_targets = mass if q is self.factors else None
                total = self.growth_of("q", self.factors, "forward_sum", own, additions, of_targets)
                long += total * mass * np.abs(self.base.maximum + self.base.log_total)[:, 0]
            summing = np.where(additions < ANY_ORDER, summing, long)
        return np.asarray(4.0 * unit * mass * size + summing)

    def stored(self, error: Array, value: Array) -> Array:
        """The error once the result is rounded to storage."""
        a = self.arithmetic
        return np.asarray(error + a.result_rounding * (np.abs(value) + error) + a.result_underflow)


def leading(block: Block, x: Any) -> Array:
    """The leading float64 part of an exact number."""
    return block.softmax.backend.pair(x)[0]
