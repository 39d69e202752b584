"""Rounding errors of the sum of a row's exponentials and of its logarithm, under a contract.

Model, notation and derivation: `docs/numerics.md`, sections 1, 2.1 and 2.2.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from xentcheck.reference.bounds.arithmetic import Arithmetic, growth
from xentcheck.reference.bounds.base import RowBase
from xentcheck.reference.formats import Array, Format

from .addends import ANY_ORDER
from .scattered import looked_at, scattered_height

SECOND_ORDER = 1.0 + 1e-3
"""expm1(x) <= x (1 + 1e-3) for x <= 1e-3."""


def second_order(slope: Any, wide: Format, deepest: Any = np.inf) -> Any:
    """f with expm1(slope d) <= f slope d for all d <= deepest where exp(-d) does not underflow; 1 + 1e-3 if wide.

    [derived] expm1(x)/x grows with x, and d is at most -log of the smallest subnormal number.
    """
    x = slope * np.minimum(deepest, -math.log(wide.smallest_subnormal))
    return np.where(x <= 1e-3, SECOND_ORDER, np.expm1(np.minimum(x, 700.0)) / np.maximum(x, 1e-300))


class SumErrors:
    """Errors of the sum of the exponentials of a block of rows, and of its logarithm, under one contract.

    relative_sum: |S^ - S|/S. relative_rest: |R^ - R|/S under `complement`, else the same. log_error: |log S^ - log S|.
    All (n, 1).
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

    def _sum(self, *, largest: bool = True) -> Array:
        """|S^ - S|/S: errors of the exponentials, underflow, summation, and storing S; without the largest, |R^ - R|/S.

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
        """Relative error of a running sum that is rescaled whenever the maximum grows (`docs/numerics.md`, 2.8)."""
        contract = self.arithmetic.contract
        if not contract.rescales:
            return 0.0
        mean = np.minimum(contract.rescales, (self.base.active - 1.0) / 2.0)
        most = np.minimum(contract.rescales, self.base.active - 1.0)
        each = (2.0 * contract.exp_ulps + 1.0) * self.arithmetic.wide.unit_roundoff
        return np.asarray(mean * each * np.exp(np.minimum(most * each, 700.0)))

    def _summation(self, addend_error: Array, exact_ones: Array, largest: bool) -> Array:
        """Error of summing n nonnegative terms in any order: min(g S, R (1 + 2 g)), g = (1 + u)^(n - 1) - 1 (2.1).

        A compensated sum errs by 2u + 4 n u^2 of itself at most (Higham, section 4.3).
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
        """L of section 2.2; where the maximum is not subtracted, S^ may be below 1, and m + log S is rounded (2.7)."""
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


def _logit_uncertainty(base: RowBase) -> tuple[Array | float, Array | float]:
    """Sum a_i expm1(zeta_i), and exp(2 max zeta), of logits that err by zeta_i (`docs/numerics.md`, section 2.4)."""
    if base.zeta is None:
        return 0.0, 1.0
    active = base.e > 0
    moved = np.expm1(np.minimum(np.where(active, base.zeta, 0.0), 700.0))
    mean = (base.e * moved).sum(1, keepdims=True) / base.total
    top = np.where(active, base.zeta, 0.0).max(1, initial=0.0)[:, None]
    return mean, np.exp(np.minimum(2.0 * top, 700.0))
