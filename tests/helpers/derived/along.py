"""Section 2.5 of `docs/numerics.md`: bounds of jvp and hvp, in the order of that page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from xentcheck.reference.rows import to_rows

from .losses import Losses
from .rows import Row, times
from .units import one_by_one, safe_expm1, total


@dataclass(frozen=True)
class RowAlong:
    """What the page names for one row: v, a, D by class, s, E, Q, |f|, sum (a + D) |v|, and where the
    contract allows them, v_y and V; else 0 and 0.
    """

    v: list[float]
    a: list[float]
    D: list[float]
    s: float
    E: float
    Q: float
    f: float
    moved: float
    at_label: float
    most: float

    def size(self, i: int) -> float:
        """|v_i|, and |v_y| more."""
        return abs(self.v[i]) + abs(self.at_label)

    def least(self, i: int) -> float:
        """The smaller of |v_i| and |v_i - v_y|, of those that are not 0."""
        return min((x for x in (abs(self.v[i]), abs(self.v[i] - self.at_label)) if x), default=0.0)

    @property
    def size_of_s(self) -> float:
        """|s|, and |v_y| more."""
        return abs(self.s) + abs(self.at_label)


class Along:
    """Bounds along the direction v of a problem."""

    def __init__(self, losses: Losses) -> None:
        self.losses, self.units, self.p = losses, losses.units, losses.p
        self.v: list[list[float]] = to_rows(np.asarray(self.p.v)).astype(float).tolist()
        units = self.units
        self.g = one_by_one(units.sum_of(self.p.classes + 1, "backward_sum"), units.rounded(8, 3), losses.forming)
        between = units.stores("between")
        self.step = units.nu + (units.lambda_s if between else 0.0)
        self.n_0 = max(units.smallest_normal, units.storage_normal if between else 0.0)
        self.l = 4.0 * (units.nu + (units.eta if units.narrow else 0.0))

    def row(self, n: int) -> RowAlong:
        """The quantities of a row that is kept."""
        row, v = self.losses.rows[n], self.v[n]
        D = [row.at(i, row.gradient_form) for i in range(len(v))]
        at_label = most = 0.0
        if self.units.contract.margin and (self.losses.hard or not self.units.narrow):
            most = max((abs(x) for a, x in zip(row.a, v, strict=True) if a), default=0.0)
        if self.losses.hard and self.units.contract.margin:
            assert self.losses.label is not None
            y = self.losses.label[n]
            at_label, margin = v[y], safe_expm1(2.0 * self.units.of("exponents") * row.d[y])
            D = [d + margin * (a + d) for d, a in zip(D, row.a, strict=True)]
        Q = total(map(abs, self.losses.q[n]))
        s = total(times(a, x) for a, x in zip(row.a, v, strict=True))
        x = RowAlong(v, row.a, D, s, 0.0, Q, self.losses.s(n) * Q, 0.0, at_label, most)
        moved = total((a + d) * x.size(i) for i, (a, d) in enumerate(zip(row.a, D, strict=True)))
        E = total(times(d, x.size(i)) for i, d in enumerate(D)) + self.g * moved + self.lost_in_s(row, x)
        return replace(x, E=E, moved=moved)

    def lost_in_s(self, row: Row, x: RowAlong) -> float:
        """U."""
        reached = [i for i in range(len(x.v)) if x.least(i) and row.reachable(i)]
        return self.lost((row.a[i], x.least(i), 1.0 + x.size(i)) for i in reached)

    def lost_in_targets(self, n: int, x: RowAlong) -> float:
        """W."""
        q = [(i, abs(y)) for i, y in enumerate(self.losses.q[n]) if y]
        return self.lost((y, x.least(i), 1.0 + x.size(i) + x.size_of_s) for i, y in q)

    def lost(self, terms: Iterable[tuple[float, float, float]]) -> float:
        """2 lambda of what multiplies a step's loss, for terms with a factor below n_0; of (factor, v_i, reach)."""
        low = [reach for factor, v, reach in terms if factor * (min(1.0, abs(v)) if v else 1.0) < 4.0 * self.n_0]
        return 2.0 * self.step * total(low)

    def jvp_row(self, n: int) -> tuple[float, float, float]:
        """A row's jvp, its bound before it is stored, and T."""
        if not self.losses.kept[n]:
            return 0.0, 0.0, 0.0
        x, q = self.row(n), self.losses.q[n]
        value = total(q) * x.s - total(times(y, v) for y, v in zip(q, x.v, strict=True))
        T = x.Q * (abs(x.s) + x.E) + total(abs(times(y, v)) for y, v in zip(q, x.v, strict=True))
        reach = total(abs(y) * (1.0 + x.size(i) + x.size_of_s) for i, y in enumerate(q))
        return value, x.Q * x.E + self.g * T + self.lost_in_targets(n, x) + self.l * (1.0 + reach), T

    def jvp(self) -> list[float]:
        """Bounds of the rows' jvp, or of that of their mean or sum."""
        found = [self.jvp_row(n) for n in range(len(self.v))]
        units, losses = self.units, self.losses
        if self.p.reduction == "none":
            return [
                units.keep(b, value) if kept else 0.0 for (value, b, _), kept in zip(found, losses.kept, strict=True)
            ]
        values, bounds, sizes = (total(column) for column in zip(*found, strict=True))
        r = one_by_one(units.sum_of(len(found) + 1, "reduction"), losses.relative, losses.u_b)
        bound = (bounds + r * (sizes + bounds)) / abs(losses.denominator)
        return [units.keep(bound, values / losses.denominator) + units.lambda_s]

    def hvp(self, n: int) -> list[float]:
        """Bounds of a row's hvp."""
        if not self.losses.kept[n]:
            return [0.0] * self.p.classes
        x, units = self.row(n), self.units
        signed = self.losses.s(n) * total(self.losses.q[n])
        h = [abs(times(signed * a, v - x.s)) for a, v in zip(x.a, x.v, strict=True)]
        b = [self.own(x, i) for i in range(len(h))]
        b = [bound + times(self.losses.kappa(n), value + bound) for bound, value in zip(b, h, strict=True)]
        R = total(b) + (self.g + (units.u_s if units.narrow else 0.0)) * x.f * (x.moved + x.size_of_s)
        where = {"none": set(), "all": set(range(len(h))), "pivots": self.losses.pivots(n)}[units.contract.row_sum]
        out = []
        for i, (bound, value) in enumerate(zip(b, h, strict=True)):
            bound += (R if i in where else 0.0) + self.l * self.p.classes * x.a[i]
            if self.losses.rows[n].reachable(i):
                bound = units.keep(bound + self.l * max(1.0, x.f) * (1.0 + x.size(i) + x.size_of_s), value)
            elif units.narrow:
                bound += units.u_s * (value + bound)
            out.append(bound)
        return out

    def own(self, x: RowAlong, i: int) -> float:
        """b_i without kappa."""
        a, d = x.a[i], x.D[i]
        terms = x.size(i) + x.size_of_s + x.E + 2.0 * x.most
        return x.f * (times(d, abs(x.v[i] - x.s) + x.E) + times(a, x.E) + self.g * (a + d) * terms)
