"""Rounding errors of softmax and log-softmax, element by element, for a block of rows, under a contract.

Notation and derivation: `docs/numerics.md`, section 2. With d_i = m - z_i >= 0, e_i = exp(-d_i) and S = sum e_i, every
bound of an element is a_i (A + B d_i) with A, B per row.
"""

from __future__ import annotations

import numpy as np

from xentcheck.reference.formats import Array
from xentcheck.reference.numbers.arrays import as_array

from .arithmetic import Arithmetic
from .base import RowBase
from .sums.exponentials import SECOND_ORDER, SumErrors, second_order


class RowErrors(SumErrors):
    """Errors of the softmax and of its logarithm in a block of rows, under one contract.

    log_offset, log_slope: of log a as computed; kept_offset, kept_slope: of log a as the loss and the gradient find it;
    all (n, 1).
    """

    def __init__(self, base: RowBase, arithmetic: Arithmetic) -> None:
        super().__init__(base, arithmetic)
        self.log_offset, self.log_slope = self._log_softmax()
        stored = self._store_log(self.log_offset, self.log_slope)
        self.kept_offset, self.kept_slope = stored if arithmetic.stores("log_a") else (self.log_offset, self.log_slope)
        self.soft_offset, self.soft_slope = self._ratio()
        self.gradient_offset, self.gradient_slope = self._gradient_softmax()

    def _log_softmax(self) -> tuple[Array, Array]:
        """|error of log a_i| <= A + B d_i.

        `docs/numerics.md`, section 2.2: `sub`, and what `lse` adds to it.
        """
        b, contract = self.base, self.arithmetic.contract
        u = self.arithmetic.unit("exponents")
        offset = self.log_error * (1.0 + 2.0 * u) + u * b.log_total
        if contract.log_form == "lse":
            kept = u if self.arithmetic.stores("exponents") else u + self.arithmetic.extra("between")
            offset = offset + kept * (np.abs(b.maximum + b.log_total) + self.log_error) * (1.0 + u)
        # each logit, where m is not subtracted
        offset = offset + contract.shift_units * self.arithmetic.wide.unit_roundoff * np.abs(b.maximum)
        slope = np.full_like(offset, u + self._slope) * SECOND_ORDER * (1.0 + u)
        return offset, slope

    def _store_log(self, offset: Array, slope: Array) -> tuple[Array, Array]:
        """Rounding log a to storage adds u_s |log a^|, and |log a^| <= d + log S + error."""
        u = self.arithmetic.output
        return offset * (1.0 + u) + u * self.base.log_total, slope * (1.0 + u) + u

    def _ratio(self) -> tuple[Array, Array]:
        """a_i = e_i/S: relative error (rho_i + r)/(1 - r) + 2u, and 3 u_s where each step is stored (section 2.3)."""
        u = self.arithmetic.roundings(2.0, 3.0, "exponentials")
        r = self.relative_sum
        scale = np.where(r < 0.5, self._second / (1.0 - np.minimum(r, 0.5)), np.inf)
        offset = (self.exp_error + self._shift + r) * scale * (1.0 + u) + u
        return offset, self._slope * scale * (1.0 + u)

    def _gradient_softmax(self) -> tuple[Array, Array]:
        """The softmax inside the gradient: `ratio` as above, `exp`: expm1 of the kept log a's error, and exp's own."""
        contract, wide = self.arithmetic.contract, self.arithmetic.wide
        if contract.gradient_form == "ratio":
            return self.soft_offset, self.soft_slope
        offset = np.expm1(np.minimum(self.kept_offset + self.exp_error, 700.0)) * SECOND_ORDER
        relative = self.kept_slope + contract.exp_slope * wide.unit_roundoff
        slope = relative * (1.0 + offset) * second_order(relative, wide, self._deepest)
        # The weaker of the two forms, so that an implementation may use either: the catalogue is then nearly nested.
        return np.maximum(offset, self.soft_offset), np.maximum(slope, self.soft_slope)

    def softmax(self) -> Array:
        """(n, C): |error of a_i| once stored; exp(0) = 1 is exact."""
        b, u = self.base, self.arithmetic.output
        offset = self.soft_offset * (1.0 + u) + u
        bound = self.elementwise(offset, self.soft_slope * (1.0 + u) + 0.0 * offset)
        if b.zeta is None and not self.arithmetic.contract.shift_units:
            exact_e = np.maximum(offset - self.exp_error, 0.0) / b.total
            np.copyto(bound, exact_e, where=(b.d == 0) & (b.e == 1))
        return as_array(bound + self._underflow())

    def log_softmax(self) -> Array:
        """(n, C): |error of log a_i| once stored, 0 where it is -inf."""
        b = self.base
        offset, slope = self._store_log(self.log_offset, self.log_slope)
        bound = offset + slope * b.d + self.arithmetic.underflow
        return as_array(bound if b.zeta is None else bound + b.zeta)

    def kept_log_softmax(self) -> Array:
        """(n, C): |error of log a_i| as the loss finds it."""
        b = self.base
        bound = self.kept_log_softmax_at(b.d)
        return bound if b.zeta is None else as_array(bound + b.zeta)

    def kept_log_softmax_at(self, depth: Array) -> Array:
        """|error of log a| as the loss finds it, for exact depths d (n, k) of some classes, whose e may underflow."""
        a = self.arithmetic
        lost = a.underflow if a.stores("log_a") else 0.0
        bound = self.kept_offset + self.kept_slope * depth + lost
        return as_array(np.maximum(bound, self._log_of_softmax(depth)) if a.contract.log_of_softmax else bound)

    def _log_of_softmax(self, depth: Array) -> Array:
        """|error of log fl(a_i)|: -log1p of the relative error of a_i, 1 where a_i underflows; then that of log."""
        b, a = self.base, self.arithmetic
        size = depth + b.log_total
        lost = 2.0 * (a.tiny + a.underflow)
        relative = self.soft_offset + self.soft_slope * depth + a.output + lost * np.exp(np.minimum(size, 745.0))
        moved = np.where(relative < 1, -np.log1p(-np.minimum(relative, 1.0 - 2.0**-53)), np.inf)
        rounding = 2.0 * a.contract.log_ulps * a.wide.unit_roundoff + 2.0 * a.output
        return as_array(moved + rounding * (size + moved))

    def gradient_softmax(self) -> Array:
        """(n, C): |error| of the softmax that the gradient is made of, without underflow."""
        return self.elementwise(self.gradient_offset, self.gradient_slope)

    def gradient_softmax_sum(self) -> Array:
        """(n, 1): the sum over classes of `gradient_softmax`, in closed form: A + B depth / S."""
        b = self.base
        plain = self.gradient_offset + self.gradient_slope * b.depth / b.total
        return np.asarray(plain + self._zeta_mean * self._zeta_growth)

    def elementwise(self, offset: Array, slope: Array, factor: Array | float = 1.0) -> Array:
        """(n, C): factor a_i (offset + slope d_i), with per-row (n, 1) coefficients; 0 where a_i is 0."""
        b = self.base
        bound = slope * b.d
        bound += offset
        if b.zeta is not None:
            bound += np.expm1(np.minimum(b.zeta, 700.0)) * self._zeta_growth
        bound *= b.e
        bound *= factor / b.total
        open_rows = (self.log_offset > 1.0) | ~np.isfinite(offset)
        if open_rows.any():
            np.copyto(bound, self._far_or_anything(), where=open_rows & ((b.e == 0) | np.isnan(bound)))
        return as_array(bound)

    def _far_or_anything(self) -> Array:
        """Where e_i underflows: 0 if it does so with every logit off by its error, else no bound (inf)."""
        b = self.base
        return np.where((b.e == 0) & (b.d > 2.0 * self.log_offset + 1500.0), 0.0, np.inf)

    def elementwise_at(self, index: Array, offset: Array, slope: Array) -> Array:
        """(n,): a_i (offset + slope d_i) at one class per row."""
        b = self.base
        rows = np.arange(len(index))
        relative = offset[:, 0] + slope[:, 0] * b.d[rows, index]
        if b.zeta is not None:
            relative = relative + (np.expm1(np.minimum(b.zeta, 700.0)) * self._zeta_growth)[rows, index]
        return np.asarray(np.where(b.e[rows, index] > 0, relative * b.e[rows, index] / b.total[:, 0], 0.0))

    def complement_at(self, index: Array) -> Array:
        """(n,): |error of 1 - a_y| under `complement` (`docs/numerics.md`, section 2.11)."""
        b, u = self.base, self.arithmetic.wide.unit_roundoff
        rows = np.arange(len(index))
        total, label = b.total[:, 0], b.e[rows, index]
        rest = np.where(b.d[rows, index] == 0, b.others[:, 0], total - label) / total
        depth = np.maximum(b.depth[:, 0] - label * b.d[rows, index], 0.0) / total
        offset = self.gradient_offset[:, 0]
        slope = np.broadcast_to(self.gradient_slope, self.gradient_offset.shape)[:, 0]
        others = offset * rest + slope * depth
        error = others + self.sum_growth(others[:, None] * b.total)[:, 0] * (rest + others)
        return np.asarray(error + u * (rest + error))

    def _underflow(self) -> Array | float:
        a = self.arithmetic
        stored = a.underflow * (2.0 if a.stores("exponentials") else 1.0)
        if not stored and not self.base.low.any():
            return 0.0
        return np.where(self.base.reachable, stored + a.tiny * (self.base.low > 0), 0.0)
