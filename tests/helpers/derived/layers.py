"""Section 2.4 of `docs/numerics.md`, linear layers: errors of computed logits, and of the gradients behind dC/dz."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from xentcheck.reference.problem import Problem

from .rows import times
from .units import Units, growth, safe_expm1, total

Matrix = list[list[float]]


class Uncertain:
    """A matrix and the largest error of each element."""

    def __init__(self, value: Matrix, error: Matrix | None = None) -> None:
        self.value = value
        self.error = [[0.0] * len(row) for row in value] if error is None else error

    @property
    def T(self) -> Uncertain:
        return Uncertain(transposed(self.value), transposed(self.error))


def transposed(x: Matrix) -> Matrix:
    """Rows as columns."""
    return [list(column) for column in zip(*x, strict=True)]


def matrix(x: object) -> Matrix:
    """An array of any dtype as lists of floats."""
    found: Matrix = np.asarray(x).astype(float).tolist()
    return found


class Layers:
    """Errors of a problem's layers."""

    def __init__(self, p: Problem, units: Units) -> None:
        self.p, self.units = p, units
        self.w, self.b = matrix(p.w), np.asarray(p.b).astype(float).tolist()
        self.inputs = Uncertain(matrix(p.a_prev))
        self.slope: Uncertain | None = None
        if p.hidden_w is not None:
            self.below, self.hidden_w = self.inputs, matrix(p.hidden_w)
            self.inputs, self.slope = self.hidden()

    def element(self, a: list[float], da: list[float], b: list[float], db: list[float]) -> float:
        """error(A)|B| + |A| error(B) + ((1+u)^k - 1)|A||B| of one element, and k underflows."""
        k = sum(abs(x) + dx != 0.0 and abs(y) + dy != 0.0 for x, dx, y, dy in zip(a, da, b, db, strict=True))
        relative = growth(k, self.units.u) + 2.0 * self.units.inputs + self.units.inputs**2
        parts = []
        for x, dx, y, dy in zip(a, da, b, db, strict=True):
            x, y = abs(x), abs(y)
            parts += [times(dx, y + dy), times(x, dy), relative * times(x + dx, y + dy)]
        return total(parts) + k * self.units.nu

    def product(self, a: Uncertain, b: Uncertain) -> Matrix:
        """The error of each element of the stored a b."""
        columns = b.T
        return [
            [
                self.units.keep(self.element(x, dx, y, dy), total(map(times, x, y)))
                for y, dy in zip(columns.value, columns.error, strict=True)
            ]
            for x, dx in zip(a.value, a.error, strict=True)
        ]

    def column_sum(self, a: Uncertain) -> list[float]:
        """The error of each stored sum over rows."""
        found = []
        for column, errors in zip(a.T.value, a.T.error, strict=True):
            size = [abs(x) + d for x, d in zip(column, errors, strict=True)]
            relative = self.units.sum_of(sum(x != 0.0 for x in size), "batch_sum")
            found.append(self.units.keep(total(errors) + times(relative, total(size)), total(column)))
        return found

    def affine(self, a: Uncertain, w: Matrix, b: list[float], stored: bool) -> tuple[Matrix, Matrix]:
        """a w^T + b and its error; stored, both the product and the sum are rounded. A bias of -inf masks its class."""
        units, finite = self.units, [x if math.isfinite(x) else 0.0 for x in b]
        value = [[total(map(times, x, y)) + c for y, c in zip(w, b, strict=True)] for x in a.value]
        if not any(map(any, a.error)) and self.exact(a.value, w, finite, units.u_s if stored else units.u):
            return value, [[0.0] * len(w) for _ in value]
        found = []
        for x, dx in zip(a.value, a.error, strict=True):
            row = []
            for y, c in zip(w, finite, strict=True):
                error, plain = self.element(x, dx, y, [0.0] * len(y)), total(map(times, x, y))
                error = units.keep(error, plain) if stored else error
                size = total((abs(p) + d) * abs(q) for p, d, q in zip(x, dx, y, strict=True))
                error += units.u * (size + abs(c) + error)
                row.append(error + (units.u_s * (abs(plain + c) + error) if stored and units.narrow else 0.0))
            found.append(row)
        return value, found

    def exact(self, a: Matrix, w: Matrix, b: list[float], u: float) -> bool:
        """Whether every partial sum is representable: multiples of a power of two, below 1/u of them."""
        unit = min(lowest_bit(a) * lowest_bit(w), lowest_bit([b]))
        largest = max(
            sum(abs(p * q) for p, q in zip(x, y, strict=True)) + abs(c) for x in a for y, c in zip(w, b, strict=True)
        )
        return largest < unit / Fraction(u)

    def hidden(self) -> tuple[Uncertain, Uncertain]:
        """sigma and sigma' of the hidden layer."""
        units, out = self.units, self.units.u_s if self.units.narrow else 0.0
        b = np.asarray(self.p.hidden_b).astype(float).tolist()
        z, zeta = self.affine(self.below, self.hidden_w, b, units.narrow)
        value = [[1.0 / (1.0 + math.exp(-x)) for x in row] for row in z]
        slope = [[1.0 / (1.0 + math.exp(-x)) / (1.0 + math.exp(x)) for x in row] for row in z]
        error, of_slope = [], []
        for row, slopes, moved in zip(value, slope, zeta, strict=True):
            errors = [
                s * safe_expm1(d) * math.exp(d) + (units.k_e + 4.0) * units.u + 4.0 * out
                for s, d in zip(slopes, moved, strict=True)
            ]
            error.append(errors)
            of_slope.append(
                [
                    e * (abs(1.0 - 2.0 * v) + e) + thrice(units.u + out) * (s + e)
                    for v, s, e in zip(row, slopes, errors, strict=True)
                ]
            )
        return Uncertain(value, error), Uncertain(slope, of_slope)

    def logits(self) -> tuple[Matrix, Matrix]:
        """The logits and zeta."""
        return self.affine(self.inputs, self.w, self.b, self.units.stores("logits"))

    def gradients(self, g: Uncertain) -> dict[str, list[float]]:
        """Flat bounds of dC/db, dC/dw and dC/da_prev."""
        grad_w, grad_b = self.product(g.T, self.inputs), self.column_sum(g)
        grad_a = self.product(g, Uncertain(self.w))
        if self.slope is None:
            return {"dC/db": grad_b, "dC/dw": flat(grad_w), "dC/da_prev": flat(grad_a)}
        back = [[total(map(times, row, column)) for column in transposed(self.w)] for row in g.value]
        hidden = self.hadamard(Uncertain(back, grad_a), self.slope)
        below = self.product(hidden.T, self.below)
        return {
            "dC/db": [*self.column_sum(hidden), *grad_b],
            "dC/dw": [*flat(below), *flat(grad_w)],
            "dC/da_prev": flat(self.product(hidden, Uncertain(self.hidden_w))),
        }

    def hadamard(self, a: Uncertain, b: Uncertain) -> Uncertain:
        """The elementwise product with sigma': three roundings."""
        units = self.units
        u = thrice(units.u + (units.u_s if units.narrow else 0.0))
        errors = [
            [
                times(dx, y + dy) + abs(x) * dy + u * (abs(x) + dx) * (y + dy) + 3.0 * (units.nu + units.lambda_s)
                for x, dx, y, dy in zip(*rows, strict=True)
            ]
            for rows in zip(a.value, a.error, b.value, b.error, strict=True)
        ]
        value = [[x * y for x, y in zip(*rows, strict=True)] for rows in zip(a.value, b.value, strict=True)]
        return Uncertain(value, errors)


def flat(x: Matrix) -> list[float]:
    """All elements in order."""
    return [value for row in x for value in row]


def lowest_bit(x: Matrix) -> Fraction:
    """The lowest set bit of any element, at most 1."""
    return min([Fraction(1), *(Fraction(1, Fraction(v).denominator) for row in x for v in row)])


def thrice(u: float) -> float:
    """Three roundings of u."""
    return math.expm1(-3.0 * math.log1p(-u))
