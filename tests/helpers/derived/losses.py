"""Section 2.4 of `docs/numerics.md`: bounds of the loss, the cost and dC/dz."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np

from xentcheck.reference.problem import Problem
from xentcheck.reference.rows import to_rows

from .rows import Row, times
from .units import Units, growth, one_by_one, safe_expm1, total


class Losses:
    """Bounds of one problem with logits z (M, C), which may be uncertain by zeta."""

    def __init__(self, p: Problem, units: Units, z: list[list[float]], zeta: list[list[float]] | None = None) -> None:
        self.p, self.units = p, units
        self.rows = [Row(row, units, None if zeta is None else zeta[n]) for n, row in enumerate(z)]
        self.C = p.classes
        self.kept = p.kept.reshape(-1).tolist()
        self.label = (
            None if p.probabilities else [int(y) if k else 0 for y, k in zip(p.target.ravel(), self.kept, strict=True)]
        )
        self.w = [1.0] * self.C if p.weight is None else p.weight.astype(float).tolist()
        self.weighted = p.weight is not None
        self.hard = not p.probabilities and not p.label_smoothing
        self.q = [self.factors(n) for n in range(len(self.rows))]
        up = np.broadcast_to(p.upstream.astype(float).reshape(-1), (len(self.rows),))
        self.upstream = up.tolist()
        self.u_b = units.extra("between")

    def factors(self, n: int) -> list[float]:
        """q of -log a: class weight and smoothing inside."""
        if self.p.probabilities:
            rows = to_rows(self.p.target).astype(float)[n].tolist()
            eps = self.p.label_smoothing
            return [((1.0 - eps) * x + eps / self.C) * w for x, w in zip(rows, self.w, strict=True)]
        if not self.kept[n]:
            return [0.0] * self.C
        assert self.label is not None
        y, eps = self.label[n], self.p.label_smoothing
        return [(eps / self.C * w) + ((1.0 - eps) * w if i == y else 0.0) for i, w in enumerate(self.w)]

    @property
    def forming(self) -> float:
        """Relative error of a smoothed probability: 1 - eps or eps/C, the product, the sum; and underflow."""
        if not self.p.probabilities or not self.p.label_smoothing:
            return 0.0
        lost = self.units.nu + (self.units.eta if self.u_b else 0.0)
        return math.expm1(-3.0 * math.log1p(-self.units.u - self.u_b)) + 2.0 * lost * self.C / self.p.label_smoothing

    @cached_property
    def denominator(self) -> float:
        """What `mean` divides by."""
        if self.p.reduction != "mean":
            return 1.0
        if self.label is None:
            return float(len(self.rows))
        return total(self.w[y] for y, k in zip(self.label, self.kept, strict=True) if k)

    @cached_property
    def e_den(self) -> float:
        """Relative error of the denominator."""
        if self.p.reduction != "mean" or not self.weighted or self.label is None:
            return 0.0
        weights = [abs(self.w[y]) for y, k in zip(self.label, self.kept, strict=True) if k]
        if self.denominator == 0.0:
            return math.inf
        error = self.units.sum_of(len(weights), "reduction") * total(weights) / abs(self.denominator)
        return error / (1.0 - error) if error < 0.5 else math.inf

    def s(self, n: int) -> float:
        """upstream/denominator of a row."""
        if not self.kept[n] or self.denominator == 0.0:
            return 0.0 if not self.kept[n] else math.inf
        return abs(self.upstream[n] / self.denominator)

    def loss(self, n: int) -> tuple[float, float, float]:
        """Value of a row's loss, its bound before the output is stored, and the sum of its terms' magnitudes."""
        row, q, units = self.rows[n], self.q[n], self.units
        terms = [times(x, -row.log_a[i]) for i, x in enumerate(q)]
        value, size = total(terms), total(map(abs, terms))
        error = total(times(abs(x), row.kept_log(i)) for i, x in enumerate(q))
        if self.hard:
            if self.weighted:
                error += (units.u + self.u_b) * (size + error) + (units.eta if self.u_b else 0.0)
            return value, error + 2.0 * units.nu, size
        k = sum(x != 0.0 and row.d[i] < math.inf for i, x in enumerate(q))
        rounding = one_by_one(units.sum_of(k, "forward_sum"), units.rounded(6, 5), self.forming)
        lost = max(k, 1) * (2.0 * units.nu + (units.eta if self.u_b else 0.0))
        return value, error + rounding * (size + error) + lost + self.separate_products(n, k), size

    def separate_products(self, n: int, k: int) -> float:
        """Q lse - sum q_i z_i in place of sum q_i (lse - z_i): 4 products of size |m|, and their sum without y."""
        row, q, units = self.rows[n], self.q[n], self.units
        if units.contract.log_form != "lse":
            return 0.0
        Q = total(abs(x) for i, x in enumerate(q) if row.d[i] < math.inf)
        at_label = 0.0 if self.label is None else (1.0 - self.p.label_smoothing) * abs(self.w[self.label[n]])
        spread = max(Q - (at_label if self.kept[n] else 0.0), 0.0)
        return (4.0 * units.of("exponents") * Q + units.sum_of(k, "forward_sum") * spread) * abs(row.m)

    def losses(self) -> list[float]:
        """Bounds of reduction none."""
        found = [self.loss(n) for n in range(len(self.rows))]
        return [self.units.keep(b, size) if k else 0.0 for (_, b, size), k in zip(found, self.kept, strict=True)]

    def cost(self) -> float:
        """The bound of mean or sum: soft targets may be summed over rows and classes at once."""
        units = self.units
        found = [self.loss(n) if k else (0.0, 0.0, 0.0) for n, k in enumerate(self.kept)]
        errors = [
            units.keep(b, size) if self.u_b and k else b for (_, b, size), k in zip(found, self.kept, strict=True)
        ]
        size = total(size for _, _, size in found)
        k = len(found) * (1 if self.hard else self.C)
        in_storage = units.sum_of(len(found), "reduction") if units.stores("reduction") else 0.0
        relative = one_by_one(growth(k - 1, units.u), in_storage, self.relative)
        if self.denominator == 0.0:
            return math.inf
        error = (total(errors) + times(relative, size + total(errors))) / abs(self.denominator)
        return units.keep(error, size / abs(self.denominator)) + units.lambda_s

    @property
    def relative(self) -> float:
        """Relative error of s, but for underflow."""
        return one_by_one(self.units.rounded(self.products, self.stored_products), self.e_den)

    @property
    def products(self) -> int:
        """How often products up to s round in the wide format."""
        return 6 if self.weighted else 4

    @property
    def stored_products(self) -> int:
        """s; for a mean the denominator and its reciprocal; the product with a class weight."""
        return 1 + (2 if self.p.reduction == "mean" else 0) + (1 if self.weighted else 0)

    def kappa(self, n: int) -> float:
        """Relative error of the products up to s, and of s itself."""
        units = self.units
        kappa = self.relative
        if self.u_b and self.s(n):
            kappa += units.eta * (1.0 + abs(self.upstream[n])) / self.s(n)
        return kappa

    def gradient(self, n: int, i: int) -> tuple[float, float]:
        """Value of dC/dz_ni and its bound, before the output is stored."""
        row, q, units, s = self.rows[n], self.q[n], self.units, self.s(n)
        if not self.kept[n]:
            return 0.0, 0.0
        sign = math.copysign(1.0, self.upstream[n]) * math.copysign(1.0, self.denominator)
        inner, kappa = row.at(i, row.gradient_form), self.kappa(n)
        if self.hard:
            assert self.label is not None
            w, y = self.w[self.label[n]], self.label[n]
            others = total(a for j, a in enumerate(row.a) if j != y)
            g = sign * s * w * (-others if i == y else row.a[i])
            margin = safe_expm1(2.0 * units.of("exponents") * row.d[y]) if units.contract.margin else 0.0
            D = inner + margin * (row.a[i] + self.plain(n, i))
            D += units.u * row.a[i] if i == y else 0.0
            if i == y and units.contract.complement and row.zeta is None:
                D = row.complement(y)
            bound = s * abs(w) * D
            bound += times(kappa, abs(g) + bound) + self.row_sum(n, i, s * abs(w), margin + units.u)
            return g, bound + self.underflow(n, i, s * abs(w), 1.0 if i == y else 0.0)
        Q = total(map(abs, q))
        g = sign * s * total([*(row.a[i] * x for j, x in enumerate(q) if j != i), -q[i] * (1.0 - row.a[i])])
        own = one_by_one(units.rounded(5, 3), self.forming)
        r_Q = self.sum_of_targets(n) * (1.0 + own) + own
        bound = s * (Q * (inner + r_Q * (row.a[i] + inner)) + own * abs(q[i]))
        bound += times(kappa, abs(g) + bound) + self.row_sum(n, i, s * Q, 2.0 * r_Q)
        return g, bound + self.underflow(n, i, s * Q, q[i])

    def plain(self, n: int, i: int) -> float:
        """a_i times the part of the softmax's error that does not grow with the depth."""
        row = self.rows[n]
        return times(row.a[i], row.gradient_form[0])

    def sum_of_targets(self, n: int) -> float:
        """Relative error of Q: of the whole sum, or of what is added to its largest term."""
        sizes = sorted(map(abs, self.q[n]))
        g = self.units.sum_of(sum(x != 0.0 for x in sizes), "backward_sum")
        Q = total(sizes)
        return min(g, total(sizes[:-1]) / Q * (1.0 + 2.0 * g)) if Q else 0.0

    def row_sum(self, n: int, i: int, scale: float, more: float) -> float:
        """|sum| <= E + (g + u_s)(2 s Q + E) at the pivots, or everywhere."""
        where, units, row = self.units.contract.row_sum, self.units, self.rows[n]
        if where == "none" or (where == "pivots" and i not in self.pivots(n)):
            return 0.0
        A, B = row.gradient_form
        mean = total(times(a, d) for a, d in zip(row.a, row.d, strict=True) if a)
        E = scale * (A + times(B, mean) + row.moved * row.growth + more)
        relative = units.sum_of(2 * self.C, "row_sum") + (units.u_s if units.narrow else 0.0) + self.kappa(n)
        return E + times(relative, 2.0 * scale + E)

    def pivots(self, n: int) -> set[int]:
        """The label, and what may be the maximum."""
        row, c = self.rows[n], self.units.contract
        near = 2.0 * (c.shift_units + c.exp_slope) * self.units.u * abs(row.m)
        zeta = [0.0] * self.C if row.zeta is None else row.zeta
        widest = max(x for x, a in zip(zeta, row.a, strict=True) if a)
        found = {i for i, d in enumerate(row.d) if d <= near + zeta[i] + widest}
        return found if self.label is None else found | {self.label[n]}

    def overflows(self, n: int) -> bool:
        """Whether a product of upstream gradient, weight and 1/denominator may leave the format."""
        up = abs(self.upstream[n])
        weight = total(map(abs, self.q[n]))
        factors = up, self.s(n) / up if up else 0.0, weight
        limit = self.units.largest("between") * (1.0 - 16.0 * self.units.of("between"))
        return math.prod(max(x, 1.0) for x in factors) >= limit

    def underflow(self, n: int, i: int, factor: float, target: float) -> float:
        """4 nu max(1, s Q) where an element or factor may fall below nu; stored 4 eta, and 3 C a_i eta."""
        row, units = self.rows[n], self.units
        error, reach = 0.0, row.reachable(i) or target != 0.0
        if reach and min(row.a) * min(factor, 1.0) < 4.0 * units.smallest_normal:
            error += 4.0 * units.nu * max(1.0, factor)
        if self.u_b:
            error += (4.0 * units.eta * max(1.0, factor) if reach else 0.0) + 3.0 * units.eta * self.C * row.a[i]
        return error

    def stored_gradient(self, n: int, i: int) -> float:
        """The bound of the output."""
        if not self.kept[n]:
            return 0.0
        if self.overflows(n):
            return math.inf
        g, bound = self.gradient(n, i)
        return self.units.keep(bound, g) if self.rows[n].a[i] or g else bound
