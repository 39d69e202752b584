"""Sections 2.1 to 2.3 of `docs/numerics.md`: errors of exp, the sum, its logarithm, log a and the softmax of a row."""

from __future__ import annotations

import math
from functools import cached_property

from .units import Units, safe_expm1

REACH = 747.0
"""exp of minus more than this is 0 in every format."""


def times(x: float, y: float) -> float:
    """x y with 0 inf = 0."""
    return 0.0 if x == 0.0 or y == 0.0 else x * y


def curvature(x: float) -> float:
    """expm1(x)/x, at least 1.001."""
    return max(math.expm1(x) / x, 1.001) if 0.0 < x < 700.0 else 1.001 if x <= 0.0 else math.inf


class Row:
    """One row of logits, and how far its exponentials, S, log a and a may be off."""

    def __init__(self, z: list[float], units: Units, zeta: list[float] | None = None) -> None:
        self.units, self.zeta = units, zeta
        self.m = max(z)
        self.d = [0.0 if x == self.m else self.m - x for x in z]
        self.e = [math.exp(-d) for d in self.d]
        first = self.d.index(0.0)
        self.R = math.fsum(e for i, e in enumerate(self.e) if i != first)
        self.S = 1.0 + self.R
        self.log_S = math.log1p(self.R)
        self.a = [e / self.S for e in self.e]
        self.log_a = [-d - self.log_S for d in self.d]
        self.u_t = units.of("exponents")

    @property
    def deepest(self) -> float:
        """The largest depth where exp does not underflow; where exponents are stored, the row's own if it is less."""
        limit = -self.units.smallest_exponent
        if self.zeta is not None or self.u_t < 1e-6:
            return limit
        return min(limit, max(d for d in self.d if d < math.inf))

    @cached_property
    def second_order(self) -> float:
        """f = expm1(x)/x at the largest x = d u' of the row, or for which e does not underflow."""
        slope = self.u_t + self.units.contract.exp_slope * self.units.u
        return curvature(self.deepest * (slope + self.units.contract.shift_units * self.units.u))

    @cached_property
    def offset(self) -> float:
        """What the relative error of an exponential has without its depth."""
        return self.second_order * (self.own_exp + self.shift)

    @property
    def own_exp(self) -> float:
        """2 k_e u + u_e."""
        return 2.0 * self.units.k_e * self.units.u + self.units.extra("exponentials")

    @property
    def shift(self) -> float:
        """What exponents built from the logits themselves add."""
        return safe_expm1(self.units.contract.shift_units * self.units.u * abs(self.m))

    @cached_property
    def slope(self) -> float:
        """What it has per unit of depth."""
        c = self.units.contract
        return self.second_order * (self.u_t + (c.exp_slope + c.shift_units) * self.units.u)

    def exponential(self, i: int) -> float:
        """rho_i e_i and underflow: absolute error of e_i, without the uncertainty of the logits."""
        first = self.d.index(0.0)
        exact = self.units.contract.shifted and self.d[i] == 0.0 and (self.zeta is None or i == first)
        own = 0.0 if exact else self.own_exp
        moved = 0.0 if self.units.contract.shifted and i == first else self.shift
        rho = self.second_order * (own + moved) + times(self.slope, self.d[i] if self.e[i] else 0.0)
        error = times(self.e[i], rho)
        if self.low(i):
            error += self.units.nu
        if self.units.stores("exponentials") and self.units.dtype == "float16" and 0.0 < self.e[i] < 4.0 * 2.0**-14:
            error += self.units.lambda_s
        return error

    def low(self, i: int) -> bool:
        """Whether a_i may fall below the normal range."""
        return self.d[i] <= REACH and self.e[i] < 4.0 * self.units.smallest_normal * self.S

    @cached_property
    def exact_sum(self) -> bool:
        """A sum of ones is exact."""
        return (
            self.zeta is None
            and self.units.contract.shifted
            and all(d == 0.0 or e == 0.0 for d, e in zip(self.d, self.e, strict=True))
        )

    @cached_property
    def moved(self) -> float:
        """The relative change of S, and of its logarithm, by uncertain logits."""
        if self.zeta is None:
            return 0.0
        return math.fsum(times(a, safe_expm1(zeta)) for a, zeta in zip(self.a, self.zeta, strict=True))

    @property
    def active(self) -> int:
        """How many terms do not underflow."""
        return sum(e > self.units.smallest_subnormal / 16.0 for e in self.e)

    @property
    def rescalings(self) -> float:
        """Of an online softmax: each is an exp and a product, half of all terms see one in the mean."""
        each = (2.0 * self.units.k_e + 1.0) * self.units.u
        most = min(self.units.contract.rescales, self.active - 1)
        return min(self.units.contract.rescales, (self.active - 1) / 2.0) * each * math.exp(min(most * each, 700.0))

    @cached_property
    def r(self) -> float:
        """|S^ - S| <= r S."""
        units = self.units
        E = math.fsum(self.exponential(i) for i in range(len(self.d))) + self.moved * self.growth * self.S
        E += self.rescalings * (self.S + E)
        terms = self.active
        g = units.sum_of(terms, "forward_sum")
        error = E
        if not self.exact_sum:
            added = min(g * (1.0 + self.R + E), (self.R + E) * (1.0 + 2.0 * g))
            if units.contract.compensated and terms > 1:
                u = units.of("forward_sum")
                added = max(added, 2.0 * u * (1.0 + 2.0 * terms * u) * (1.0 + self.R + E))
            error += added
        r = error / self.S
        if not (self.exact_sum and 1.0 / units.u_s >= self.S):
            r += units.extra("sum") * (1.0 + r)
        if units.largest("sum") < self.S * (1.0 + r):
            return math.inf
        return r

    @cached_property
    def r_rest(self) -> float:
        """|R^ - R|/S of the sum without the largest term, where log1p of it is taken."""
        units = self.units
        if not units.contract.complement:
            return self.r
        E = math.fsum(self.exponential(i) for i in range(len(self.d))) + self.moved * self.growth * self.S
        return (E + (0.0 if self.exact_sum else units.sum_of(self.active, "forward_sum") * (self.R + E))) / self.S

    @cached_property
    def L(self) -> float:
        """|log S error|."""
        r = self.r_rest
        if r == math.inf:
            return math.inf
        below = -math.log1p(-r) if r < 1.0 else math.inf
        lam = min(below, max(self.log_S, math.log1p(r))) if self.units.contract.shifted else below
        size = self.log_S if self.units.contract.shifted else max(self.log_S, abs(self.m + self.log_S))
        return lam + (2.0 * self.units.k_l * self.units.u + self.units.extra("log")) * (size + lam)

    @cached_property
    def log_softmax(self) -> tuple[float, float]:
        """A and B of log a, before it is stored."""
        u, c = self.u_t, self.units.contract
        A, B = self.L * (1.0 + 2.0 * u) + u * self.log_S, u + self.slope / self.second_order
        if c.log_form == "lse":
            stored = 0.0 if self.units.stores("exponents") else self.units.extra("between")
            A += (u + stored) * (abs(self.m + self.log_S) + self.L) * (1.0 + u)
        return A + c.shift_units * self.units.u * abs(self.m), B

    @cached_property
    def kept_log_softmax(self) -> tuple[float, float]:
        """A and B of log a as the loss and the gradient find it."""
        A, B = self.log_softmax
        if self.units.stores("log_a"):
            u_s = self.units.u_s
            return A * (1.0 + u_s) + u_s * self.log_S, B * (1.0 + u_s) + u_s
        return A, B

    @cached_property
    def ratio(self) -> tuple[float, float]:
        """A and B of e/S."""
        if self.r >= 0.5:
            return math.inf, math.inf
        u = self.units.rounded(2, 3, "exponentials")
        A = (self.offset + self.second_order * self.r) / (1.0 - self.r)
        return A * (1.0 + u) + u, self.slope / (1.0 - self.r) * (1.0 + u)

    @cached_property
    def gradient_form(self) -> tuple[float, float]:
        """A and B of the gradient's softmax: of e/S, or the larger ones of both forms where log a is exponentiated."""
        c, units = self.units.contract, self.units
        if c.gradient_form == "ratio":
            return self.ratio
        A, B = self.kept_log_softmax
        A = safe_expm1(A + self.own_exp)
        B += c.exp_slope * units.u
        B *= (1.0 + A) * curvature(B * self.deepest)
        return max(A, self.ratio[0]), max(B, self.ratio[1])

    def at(self, i: int, form: tuple[float, float]) -> float:
        """a_i (A + B d_i) and what uncertain logits add; inf where exp may or may not underflow."""
        if self.a[i] == 0.0 and self.log_softmax[0] > 1.0:
            return 0.0 if self.d[i] == math.inf or self.d[i] > 2.0 * self.log_softmax[0] + 1500.0 else math.inf
        error = form[0] + times(form[1], self.d[i])
        if self.zeta is not None:
            error += (safe_expm1(self.zeta[i])) * self.growth
        return times(self.a[i], error)

    def complement(self, y: int) -> float:
        """|error| of 1 - a_y: of the sum of the others, or, where a_y may be at most 1/2, of a_y; and a rounding."""
        (A, B), u = self.gradient_form, self.units.u
        rest = math.fsum(a for i, a in enumerate(self.a) if i != y)
        others = math.fsum(
            times(a, A + times(B, d)) for i, (a, d) in enumerate(zip(self.a, self.d, strict=True)) if i != y
        )
        error = others + self.units.sum_of(self.active, "forward_sum") * (rest + others)
        if not self.a[y] > 0.5 + A:
            error = max(error, self.at(y, self.gradient_form))
        return error + u * (rest + error)

    def reachable(self, i: int) -> bool:
        """Whether exp may give anything but 0."""
        return self.d[i] <= REACH

    @cached_property
    def growth(self) -> float:
        """exp(2 max zeta): the bounds are evaluated at the exact logits."""
        if self.zeta is None:
            return 1.0
        return math.exp(min(2.0 * max(x for x, a in zip(self.zeta, self.a, strict=True) if a), 700.0))

    def softmax(self, i: int) -> float:
        """The output a, stored."""
        units = self.units
        error = self.at(i, self.ratio)
        if self.d[i] == 0.0 and self.zeta is None and not units.contract.shift_units:
            error -= times(self.a[i], self.own_exp)
        if not self.reachable(i):
            return error
        if any(self.low(j) for j in range(len(self.d))):
            error += units.nu
        return units.keep(error, self.a[i]) + (units.lambda_s if units.stores("exponentials") else 0.0)

    def kept_log(self, i: int) -> float:
        """|log a_i error| as the loss finds it: of the kept log a, or of the logarithm of the softmax."""
        if self.d[i] == math.inf:
            return 0.0
        A, B = self.kept_log_softmax
        error = A + times(B, self.d[i]) + (self.units.lambda_s if self.units.stores("log_a") else 0.0)
        if self.units.contract.log_of_softmax:
            error = max(error, self.log_of_softmax(i))
        return error + (self.zeta[i] if self.zeta is not None else 0.0)  # what it moves log S by is in L

    def log_of_softmax(self, i: int) -> float:
        """-log1p(-x) with the relative error x of the stored a_i, which underflow makes large; and log's own."""
        units, size = self.units, self.d[i] + self.log_S
        out = units.u_s if units.narrow else 0.0
        lost = 2.0 * (units.nu + units.lambda_s) * math.exp(min(size, 709.0))
        x = self.ratio[0] + times(self.ratio[1], self.d[i]) + out + lost
        if not x < 1.0:
            return math.inf
        moved = -math.log1p(-x)
        return moved + (2.0 * units.k_l * units.u + 2.0 * out) * (size + moved)

    def output_log(self, i: int) -> float:
        """The output log a, stored once."""
        if self.d[i] == math.inf:
            return 0.0
        A, B = self.log_softmax
        error = A + times(B, self.d[i])
        return self.units.keep(error, self.log_a[i]) + (self.zeta[i] if self.zeta is not None else 0.0)
