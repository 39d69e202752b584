"""Rounding errors of softmax and log-softmax for a block of rows, under a contract.

Model: fl(x op y) = (x op y)(1 + delta), |delta| <= u, and at most nu (smallest normal: flush to zero is allowed) below
the normal range; exp has the relative error 2 k_e u, log 2 k_l u. Notation and derivation: `docs/numerics.md`, section
2. With d_i = m - z_i >= 0, e_i = exp(-d_i), S = sum e_i = 1 + R, every bound of an element is a_i (A + B d_i) with A, B
per row.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from xentcheck.reference.formats import Array, Format

from .arithmetic import Arithmetic, growth
from .base import RowBase
from .sums.addends import ANY_ORDER
from .sums.scattered import looked_at, scattered_height

SECOND_ORDER = 1.0 + 1e-3
"""expm1(x) <= x (1 + 1e-3) for x <= 1e-3."""


def second_order(slope: Any, wide: Format, deepest: Any = np.inf) -> Any:
    """f with expm1(slope d) <= f slope d for all d <= deepest where exp(-d) does not underflow; 1 + 1e-3 if wide.

    [derived] expm1(x)/x grows with x, and d is at most -log of the smallest subnormal number.
    """
    x = slope * np.minimum(deepest, -math.log(wide.smallest_subnormal))
    return np.where(x <= 1e-3, SECOND_ORDER, np.expm1(np.minimum(x, 700.0)) / np.maximum(x, 1e-300))


class RowErrors:
    """Errors of the sum, of its logarithm and of the softmax of a block of rows, under one contract.

    relative_sum: |S^ - S|/S. relative_rest: |R^ - R|/S under `complement`, else the same. log_error: |log S^ - log S|.
    All (n, 1). log_offset, log_slope: of log a as computed; kept_offset, kept_slope: of log a as the loss and the
    gradient find it.
    """

    def __init__(self, base: RowBase, arithmetic: Arithmetic) -> None:
        self.base = base
        self.arithmetic = arithmetic
        contract, u = arithmetic.contract, arithmetic.wide.unit_roundoff
        self.exp_error = 2.0 * contract.exp_ulps * u + arithmetic.extra("exponentials")
        self._shift = np.expm1(np.minimum(contract.shift_units * u * np.abs(base.maximum), 700.0))
        self._slope = arithmetic.unit("exponents") + u * (contract.exp_slope + contract.shift_units)
        self._deepest: Any = np.inf
        if base.zeta is None and arithmetic.unit("exponents") > 1e-6:
            self._deepest = base.d.max(1, keepdims=True, initial=0.0)
        self._second = second_order(self._slope, arithmetic.wide, self._deepest)
        self._zeta_mean, self._zeta_growth = _logit_uncertainty(base)
        self.relative_sum = self._sum()
        self.relative_rest = self._sum(largest=False) if contract.complement else self.relative_sum
        self.log_error = self._log_error()
        self.log_offset, self.log_slope = self._log_softmax()
        stored = self._store_log(self.log_offset, self.log_slope)
        self.kept_offset, self.kept_slope = stored if arithmetic.stores("log_a") else (self.log_offset, self.log_slope)
        self.soft_offset, self.soft_slope = self._ratio()
        self.gradient_offset, self.gradient_slope = self._gradient_softmax()

    def _sum(self, *, largest: bool = True) -> Array:
        """|S^ - S|/S: errors of the exponentials, underflow, summation, and the rounding of S to storage.

        Without the largest term, |R^ - R|/S.

        Where the maximum is not subtracted, its exponential errs like all others.
        """
        b, a = self.base, self.arithmetic
        inexact = np.maximum(b.others - b.ties, 0.0) if b.zeta is None else b.others
        moved = b.others
        if not a.contract.shifted:
            inexact, moved = b.total, b.total
        exponent_errors = self._slope * b.depth + self.exp_error * inexact + self._shift * moved
        error = self._second * exponent_errors + self._zeta_mean * b.total * self._zeta_growth + b.low * a.tiny
        if a.stores("exponentials"):
            error = error + a.underflow * np.count_nonzero(
                (b.e > 0) & (b.e < 4.0 * a.storage.smallest_normal), axis=1, keepdims=True
            )
        exact_ones = (inexact == 0) & (b.zeta is None)
        error = error + self._rescaling() * (b.total + error)
        error = error + self._summation(error, exact_ones, largest)
        relative = error / b.total
        if a.stores("sum"):
            rounded = ~exact_ones | (b.active > 1.0 / a.storage.unit_roundoff)
            relative = relative + np.where(rounded, a.extra("sum") * (1.0 + relative), 0.0)
            relative = np.where(b.total * (1.0 + relative) >= a.largest("sum"), np.inf, relative)
        return np.asarray(relative)

    def _rescaling(self) -> Array | float:
        """Relative error of a running sum that is multiplied by exp(m - m') whenever the maximum grows from m to m'.

        [derived] each time an exp and a product round, 2 k_e u + u; the arguments telescope to z_i - m. A term that is
        smaller than k others has at most k rescalings after it, and at most (active - 1)/2 in the mean, weighted by e:
        the e_i fall as those numbers rise (Chebyshev's sum inequality).
        """
        contract = self.arithmetic.contract
        if not contract.rescales:
            return 0.0
        mean = np.minimum(contract.rescales, (self.base.active - 1.0) / 2.0)
        most = np.minimum(contract.rescales, self.base.active - 1.0)
        each = (2.0 * contract.exp_ulps + 1.0) * self.arithmetic.wide.unit_roundoff
        return np.asarray(mean * each * np.exp(np.minimum(most * each, 700.0)))

    def _summation(self, addend_error: Array, exact_ones: Array, largest: bool) -> Array:
        """Error of summing n nonnegative terms in any order: min(g S, R (1 + 2 g)), g = (1 + u)^(n - 1) - 1.

        The second form: each node on the path of the largest term errs by at most the smaller addend. Terms that
        underflow add exactly; a sum of ones (no inexact term) is exact. A compensated sum errs by 2u + 4 n u^2 of
        itself at most (Higham, section 4.3), and that also where the terms after the largest are lost one by one.
        """
        b = self.base
        g = self.sum_growth(addend_error)
        rest = b.others + addend_error
        error = np.minimum(g * (1.0 + rest), rest * (1.0 + 2.0 * g))
        if not largest:
            error = g * rest
        if self.arithmetic.contract.compensated:
            u = self.arithmetic.unit("forward_sum")
            error = np.maximum(error, np.where(b.active > 1, 2.0 * u * (1.0 + 2.0 * b.active * u), 0.0) * (1.0 + rest))
        return np.where(exact_ones & (b.active <= 1.0 / self.arithmetic.unit("forward_sum")), 0.0, error)

    def sum_growth(self, addend_error: Array, sums: int = 0) -> Array:
        """(n, 1): g of a sum of exponentials that err by so much: by its lanes; less where `running_sums` of more than
        4096 of them are. sums: another number of running sums.
        """
        a, b = self.arithmetic, self.base
        additions = b.active - 1
        g = np.asarray(a.growth(additions, "forward_sum"))
        if any(a.stores(s) for s in ("exponents", "exponentials")) or not looked_at(a, additions, "forward_sum"):
            return g
        sums = sums or a.contract.running_sums
        drift = b.drifts if sums > 1 else b.drift_of_one
        drift = drift + (addend_error / (b.total * a.wide.unit_roundoff))[:, 0]
        scattered = growth(scattered_height(additions, sums, drift), a.wide.unit_roundoff)
        return np.where(additions < ANY_ORDER, g, np.minimum(g, scattered))

    def _log_error(self) -> Array:
        """S^ in S (1 -+ r): the logarithm moves by at most -log1p(-r), and S^ >= 1 bounds it by log S or log1p(r).

        Where the maximum is not subtracted, S^ need not be 1, and the logarithm that is rounded is m + log S.
        """
        b, u = self.base, self.arithmetic.wide.unit_roundoff
        r = self.relative_rest
        moved = np.where(r < 1, -np.log1p(-np.minimum(r, 1.0 - 2.0**-53)), np.inf)
        size = b.log_total
        if self.arithmetic.contract.shifted:
            moved = np.minimum(moved, np.maximum(b.log_total, np.log1p(r)))
        else:
            size = np.maximum(size, np.abs(b.maximum + b.log_total))
        rounding = 2.0 * self.arithmetic.contract.log_ulps * u + self.arithmetic.extra("log")
        return np.asarray(moved + rounding * (size + moved))

    def _log_softmax(self) -> tuple[Array, Array]:
        """|error of log a_i| <= A + B d_i.

        `sub`: u d_i (subtraction of m) + error of log S + u |log a_i|, and |log a_i| = d_i + log S.
        `lse`: the same with fl(m + log S) in place of log S, whose rounding adds u |m + log S|, and its storing between
        kernels u_s |m + log S|.
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
        """a_i = e_i/S: relative error (rho_i + r)/(1 - r), then the division or a product with a rounded reciprocal.

        That is 2u; rounded to storage at each step, 3 u_s more.
        """
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
        return np.asarray(bound + self._underflow())

    def log_softmax(self) -> Array:
        """(n, C): |error of log a_i| once stored, 0 where it is -inf."""
        b = self.base
        offset, slope = self._store_log(self.log_offset, self.log_slope)
        bound = offset + slope * b.d + self.arithmetic.underflow
        return np.asarray(bound if b.zeta is None else bound + b.zeta)

    def kept_log_softmax(self) -> Array:
        """(n, C): |error of log a_i| as the loss finds it."""
        b = self.base
        bound = self.kept_log_softmax_at(b.d)
        return bound if b.zeta is None else np.asarray(bound + b.zeta)

    def kept_log_softmax_at(self, depth: Array) -> Array:
        """|error of log a| as the loss finds it, for exact depths d (n, k) of some classes, whose e may underflow."""
        a = self.arithmetic
        lost = a.underflow if a.stores("log_a") else 0.0
        bound = self.kept_offset + self.kept_slope * depth + lost
        return np.asarray(np.maximum(bound, self._log_of_softmax(depth)) if a.contract.log_of_softmax else bound)

    def _log_of_softmax(self, depth: Array) -> Array:
        """|error of log fl(a_i)|: -log1p of the relative error of a_i, 1 where a_i underflows; then that of log."""
        b, a = self.base, self.arithmetic
        size = depth + b.log_total
        lost = 2.0 * (a.tiny + a.underflow)
        relative = self.soft_offset + self.soft_slope * depth + a.output + lost * np.exp(np.minimum(size, 745.0))
        moved = np.where(relative < 1, -np.log1p(-np.minimum(relative, 1.0 - 2.0**-53)), np.inf)
        rounding = 2.0 * a.contract.log_ulps * a.wide.unit_roundoff + 2.0 * a.output
        return np.asarray(moved + rounding * (size + moved))

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
        if (self.log_offset > 1.0).any() or not np.isfinite(offset).all():
            np.copyto(bound, self._far_or_anything(), where=(b.e == 0) | np.isnan(bound))
        return np.asarray(bound)

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
        """(n,): |error of 1 - a_y| under `complement`: the sum of the other a's, or 1 - a_y where that cancels nothing.

        [derived] sum over i != y of a_i (A + B d_i), and g of the sum; or a_y (A + B d_y), where the computed a_y may
        be at most 1/2; and the rounding of the result in either.
        """
        b, u = self.base, self.arithmetic.wide.unit_roundoff
        rows = np.arange(len(index))
        total, label = b.total[:, 0], b.e[rows, index]
        rest = np.where(b.d[rows, index] == 0, b.others[:, 0], np.maximum(total - label, 0.0)) / total
        depth = np.maximum(b.depth[:, 0] - label * b.d[rows, index], 0.0) / total
        offset, slope = (
            self.gradient_offset[:, 0],
            np.broadcast_to(self.gradient_slope, self.gradient_offset.shape)[:, 0],
        )
        others = offset * rest + slope * depth
        error = others + self.sum_growth(others[:, None] * b.total)[:, 0] * (rest + others)
        alone = self.elementwise_at(index, self.gradient_offset, self.gradient_slope)
        error = np.where(label > (0.5 + offset) * total, error, np.maximum(error, alone))
        return np.asarray(error + u * (rest + error))

    def _underflow(self) -> Array | float:
        a = self.arithmetic
        stored = a.underflow * (2.0 if a.stores("exponentials") else 1.0)
        if not stored and not self.base.low.any():
            return 0.0
        return np.where(self.base.reachable, stored + a.tiny * (self.base.low > 0), 0.0)


def _logit_uncertainty(base: RowBase) -> tuple[Array | float, Array | float]:
    """Logits with |error| <= zeta_i move e_i by expm1(zeta_i) and log S by at most sum a_i expm1(zeta_i).

    The bounds are evaluated at the exact logits instead of the perturbed ones: exp(2 max zeta) covers the difference.
    """
    if base.zeta is None:
        return 0.0, 1.0
    active = base.e > 0
    moved = np.expm1(np.minimum(np.where(active, base.zeta, 0.0), 700.0))
    mean = (base.e * moved).sum(1, keepdims=True) / base.total
    top = np.where(active, base.zeta, 0.0).max(1, initial=0.0)[:, None]
    return mean, np.exp(np.minimum(2.0 * top, 700.0))
