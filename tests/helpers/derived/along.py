"""Section 2.5 of `docs/numerics.md`: bounds of jvp and hvp."""

from __future__ import annotations

import numpy as np

from xentcheck.reference.rows import to_rows

from .losses import Losses
from .rows import times
from .units import one_by_one, total


class Along:
    """Bounds along the direction v of a problem."""

    def __init__(self, losses: Losses) -> None:
        self.losses, self.units, p = losses, losses.units, losses.p
        self.v = to_rows(np.asarray(p.v)).astype(float).tolist()
        units = self.units
        self.g = one_by_one(units.sum_of(p.classes + 1, "backward_sum"), units.rounded(8, 3), losses.forming)
        self.lost = 4.0 * (self.units.nu + (self.units.eta if self.units.narrow else 0.0))

    def mean(self, n: int) -> tuple[float, float, list[float]]:
        """s = a.v, E and D of a row."""
        row, v = self.losses.rows[n], self.v[n]
        D = [row.at(i, row.gradient_form) for i in range(len(v))]
        s = total(a * x for a, x in zip(row.a, v, strict=True))
        E = total(times(d, abs(x)) for d, x in zip(D, v, strict=True))
        return s, E + self.g * total((a + d) * abs(x) for a, d, x in zip(row.a, D, v, strict=True)), D

    def jvp_row(self, n: int) -> tuple[float, float, float]:
        """Value, bound and size of a row's jvp, before any reduction."""
        if not self.losses.kept[n]:
            return 0.0, 0.0, 0.0
        s, E, _ = self.mean(n)
        q, v = self.losses.q[n], self.v[n]
        Q = total(map(abs, q))
        size = Q * (abs(s) + E) + total(abs(x * y) for x, y in zip(q, v, strict=True))
        lost = self.lost * (1.0 + total(abs(x) * (1.0 + abs(y) + abs(s)) for x, y in zip(q, v, strict=True)))
        value = total(q) * s - total(x * y for x, y in zip(q, v, strict=True))
        return value, Q * E + self.g * size + lost, size

    def jvp(self) -> list[float]:
        """Bounds of the losses' derivatives, or of that of the mean or sum."""
        found = [self.jvp_row(n) for n in range(len(self.v))]
        units, losses = self.units, self.losses
        if losses.p.reduction == "none":
            return [units.keep(b, value) if k else 0.0 for (value, b, _), k in zip(found, losses.kept, strict=True)]
        error, size = total(b for _, b, _ in found), total(s for *_, s in found)
        relative = one_by_one(units.sum_of(len(found) + 1, "reduction"), losses.relative, losses.u_b)
        bound = (error + relative * (size + error)) / abs(losses.denominator)
        value = total(v for v, *_ in found) / losses.denominator
        return [units.keep(bound, value) + units.lambda_s]

    def hvp(self, n: int) -> list[float]:
        """Bounds of a row's hvp."""
        losses, units, row = self.losses, self.units, self.losses.rows[n]
        if not losses.kept[n]:
            return [0.0] * len(self.v[n])
        s, E, D = self.mean(n)
        Q = total(map(abs, losses.q[n]))
        factor = losses.s(n) * Q
        signed = losses.s(n) * total(losses.q[n])
        found, values = [], []
        for a, d, v in zip(row.a, D, self.v[n], strict=True):
            value = abs(signed * a * (v - s))
            bound = factor * (times(d, abs(v - s) + E) + times(a, E) + self.g * (a + d) * (abs(v) + abs(s) + E))
            found.append(bound + times(losses.kappa(n), value + bound))
            values.append(value)
        if units.contract.row_sum != "none":
            moved = total((a + d) * abs(v) for a, d, v in zip(row.a, D, self.v[n], strict=True))
            extra = total(found) + (self.g + (units.u_s if units.narrow else 0.0)) * factor * (moved + abs(s))
            where = range(len(found)) if units.contract.row_sum == "all" else losses.pivots(n)
            found = [b + (extra if i in where else 0.0) for i, b in enumerate(found)]
        out = []
        for i, (b, value) in enumerate(zip(found, values, strict=True)):
            reach = row.reachable(i)
            b += self.lost * max(factor, 1.0) * (1.0 + abs(self.v[n][i]) + abs(s)) if reach else 0.0
            b += self.lost * row.a[i] * len(values)
            out.append(units.keep(b, value) if reach else b + (units.u_s * (value + b) if units.narrow else 0.0))
        return out
