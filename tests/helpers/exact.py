"""The reference against ball arithmetic: naive formulas, their derivatives by power series, counted roundings.

A derivative is the first coefficient of the naive formula on power series: it shares no formula with a gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from balls import Balls
from balls import sigmoid as sigmoid
from flint import arb, arb_series
from numpy.typing import NDArray

PRECISION = 2600
"""Bits. 1 - a_y, with logits 800 apart, is e^-800 = 2^-1154 and enters products of two."""

ORDER = 4
"""Coefficients that a power series keeps: value to third derivative."""

EXP = LOG = 6
"""Relative error of NumPy's exp, log and log1p in units of u: 3 ULP, as its adapter declares, of at most 2 u each."""

SIGMOID = 2 * EXP - 1
"""Of `sigmoid`: e has EXP; 1 + e then EXP/2 + 1, as e <= 1 + e over 2; the quotient 1 more."""

SIGMOID_PRIME = 2 * SIGMOID + 1
SOFTPLUS = LOG + EXP + 1
"""Of `softplus`: log1p has condition at most 1 on e >= 0, and both terms are >= 0."""

SIGMOID_ERROR = SIGMOID + 3
"""Of `sigmoid_error` at the scale (1 - y) a + y (1 - a): 1 - y, a product, a sum."""


NEGLIGIBLE = arb(2) ** -1100
"""Error that counts as none: less than the smallest subnormal number of float64."""


class Jet:
    """A power series in one variable that NumPy takes for a number (it takes an `arb_series` for a sequence)."""

    def __init__(self, series: arb_series) -> None:
        self.series = series

    @classmethod
    def of(cls, x: Any) -> arb_series:
        return x.series if isinstance(x, Jet) else arb_series([x], prec=ORDER)

    def __add__(self, other: Any) -> Jet:
        return Jet(self.series + Jet.of(other))

    def __sub__(self, other: Any) -> Jet:
        return Jet(self.series - Jet.of(other))

    def __mul__(self, other: Any) -> Jet:
        return Jet(self.series * Jet.of(other))

    def __truediv__(self, other: Any) -> Jet:
        return Jet(self.series / Jet.of(other))

    def __rsub__(self, other: Any) -> Jet:
        return Jet(Jet.of(other) - self.series)

    def __rtruediv__(self, other: Any) -> Jet:
        return Jet(Jet.of(other) / self.series)

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(self) -> Jet:
        return Jet(-self.series)

    def exp(self) -> Jet:
        return Jet(self.series.exp())

    def log(self) -> Jet:
        return Jet(self.series.log())


def variable(value: Any, slope: Any) -> Jet:
    """value + slope t."""
    return Jet(arb_series([value, slope], prec=ORDER))


def coefficients(values: Any, order: int) -> Balls:
    """order! times the coefficient of that order: the derivative of each element."""
    out = np.empty(np.shape(values), object)
    for index, value in np.ndenumerate(np.asarray(values, object)):
        out[index] = value.series[order] * math.factorial(order) if isinstance(value, Jet) else arb(0)
    return out


def along(x: Balls, v: Balls) -> Balls:
    """x + t v, element by element."""
    out = np.empty(x.shape, object)
    for index in np.ndindex(x.shape):
        out[index] = variable(x[index], v[index])
    return out


def derivatives(f: Callable[[Balls], Any], x: Balls, order: int = 1) -> Balls:
    """The derivatives of f with respect to each element of x: shape of f, then shape of x."""
    found = np.empty((*np.shape(f(x)), *x.shape), object)
    for index in np.ndindex(x.shape):
        moved = x.copy()
        moved[index] = variable(x[index], 1)
        slopes = coefficients(f(moved), order)
        for at in np.ndindex(slopes.shape):
            found[at + index] = slopes[at]
    return found


def per_row(f: Callable[..., Any], x: Balls, *others: Balls) -> Balls:
    """The derivatives of each example's cost f(row of x, rows of the others) with respect to its own row of x."""
    found = np.empty(x.shape, object)
    for i in range(len(x)):
        found[i] = derivatives(partial(lambda rest, row: f(row, *rest), [o[i] for o in others]), x[i])
    return found


def softmax(z: Balls) -> Balls:
    """(78), as it stands in the book."""
    e = np.exp(z)
    return np.asarray(e / e.sum(-1, keepdims=True))


def log_likelihood(z: Balls, q: Balls) -> Balls:
    """-sum_j q_j ln a_j, (80) where q is one-hot, of (78)."""
    return np.asarray(-(q * np.log(softmax(z))).sum(-1))


def cross_entropy(z: Balls, y: Balls) -> Balls:
    """(63) per example, as it stands in the book."""
    a = sigmoid(z)
    return np.asarray(-(y * np.log(a) + (1 - y) * np.log(1 - a)).sum(-1))


def quadratic(a: Balls, y: Balls) -> Balls:
    """(27), as it stands in the book."""
    return np.asarray(((y - a) * (y - a) / 2).sum(-1))


def one_hot(y: Any, classes: int) -> NDArray[np.float64]:
    """Labels (m,) as rows (m, K)."""
    return np.asarray(np.arange(classes) == np.asarray(y)[:, None], np.float64)


def gamma(roundings: Any, dtype: Any) -> Any:
    """n u/(1 - n u): the relative error of n roundings in a product (Higham, Accuracy and Stability, lemma 3.1)."""
    n = np.asarray(roundings, np.float64) * float(np.finfo(dtype).eps) / 2
    return n / (1 - n)


def floats(x: Balls) -> NDArray[np.float64]:
    """The balls' midpoints, rounded."""
    return np.array([float(v) for v in np.ravel(x)]).reshape(np.shape(x))


def softmax_roundings(z: Any, c: float = 1.0) -> NDArray[np.float64]:
    """Roundings of a softmax, element by element: (m, K).

    The exponent c d, d = max z - z, carries two, so exp(-c d) has 2 c d + EXP; the sum has their mean under a and K - 1
    of its own; the quotient has 1.
    """
    z = np.asarray(z, np.float64)
    with np.errstate(over="ignore"):
        each = 2 * c * (z.max(1, keepdims=True) - z) + EXP
    a = np.exp(-(each - EXP) / 2)
    mean = np.where(a > 0, a * each, 0).sum(1, keepdims=True) / a.sum(1, keepdims=True)
    return np.asarray(each + mean + z.shape[1])


def log_softmax_bound(z: Any, dtype: Any) -> NDArray[np.float64]:
    """|error| of log_softmax = -d - log1p(R), element by element: (m, K).

    d has 1 rounding; R, the sum without the largest term, has d + EXP + K on each term, and its error counts by
    1/(1 + R) in the logarithm; log1p has LOG; the subtraction 1 of at most d + log1p(R). Each of the K exponentials and
    the logarithm, may be below the normal range, where its error is absolute.
    """
    z = np.asarray(z, np.float64)
    d = z.max(1, keepdims=True) - z
    e = np.exp(-d)
    np.put_along_axis(e, d.argmin(1)[:, None], 0, 1)
    others = e.sum(1, keepdims=True)
    error = (e * gamma(d + EXP + z.shape[1], dtype)).sum(1, keepdims=True) / (1 + others)
    relative = gamma(1, dtype) * d + error + gamma(LOG + 2, dtype) * (np.log1p(others) + d)
    return np.asarray(relative + tiny(dtype, z.shape[1] + 1))


def tiny(dtype: Any, count: int = 1) -> float:
    """Absolute error of `count` results below the normal range: 3 ULP of exp, 1/2 of a rounding, 4 in all."""
    return 4 * count * float(np.finfo(dtype).smallest_subnormal)


def worst(got: Any, exact: Balls, bound: Any) -> float:
    """Largest |got - exact|/bound over all elements; 0/0 = 0, and inf where got is not finite.

    The balls' own radius must be below every floating-point number, and is then left out.
    """
    got, exact = np.asarray(got), np.asarray(exact, object)
    assert got.shape == exact.shape, (got.shape, exact.shape)
    allowed = np.broadcast_to(np.asarray(bound, np.float64), got.shape)
    share = 0.0
    for index in np.ndindex(got.shape):
        if not math.isfinite(got[index]):
            return math.inf
        ball: Any = exact[index]
        assert ball.rad() < NEGLIGIBLE, "too few bits"
        error = abs(arb(float(got[index])) - ball.mid()).abs_upper()
        if error > NEGLIGIBLE:
            share = max(share, float(error / arb(float(allowed[index]))) if allowed[index] > 0 else math.inf)
    return share
