"""Two judges for the reference: central differences and ball arithmetic, each with a derived error limit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from flint import arb, ctx

from xentcheck.reference.formats import Array

U = 2.0**-53
"""Unit roundoff of float64."""

STEP = 2.0**-17
"""Close to the cube root of the machine epsilon; a power of two, so that dividing by it does not round."""

LIBRARY = 4
"""Roundings granted to one call of exp, log, log1p: NumPy's accuracy tests allow 4 ULPs in float64."""


def slopes(f: Callable[[Array], Any], x: Array, terms: int) -> tuple[Array, Array]:
    """df/dx by central differences D(h), and the limit of their error.

    Truncation: D(h) - f' = h^2/6 f''' + O(h^4), and D(2h) - D(h) = 3 h^2/6 f''' + O(h^4); the whole difference is the
    limit, three times the leading term. Rounding: f adds `terms` non-negative numbers of 4 roundings each, so that one
    value is off by (4 + terms) u |f|, at least by that of a number of size 1 or of the size of x; over h.
    """
    quotients, limits = np.empty(x.shape), np.empty(x.shape)
    for index in np.ndindex(x.shape):
        values = []
        for k in (1, -1, 2, -2):
            moved = x.copy()
            moved[index] += k * STEP
            values.append(float(f(moved)))
        narrow, wide = (values[0] - values[1]) / (2 * STEP), (values[2] - values[3]) / (4 * STEP)
        size = max(1.0, float(np.abs(x).max()), *map(abs, values))
        quotients[index] = narrow
        limits[index] = abs(wide - narrow) + (4 + terms) * U * size / STEP
    return quotients, limits


def agrees(gradient: Array, f: Callable[[Array], Any], x: Array, terms: int) -> bool:
    """Whether an analytic gradient is within the limit of the central differences.

    The limit itself has to be small beside the steepest slope, or the comparison would say nothing.
    """
    quotients, limits = slopes(f, x, terms)
    assert gradient.shape == x.shape
    assert limits.max() <= U**0.25 * np.abs(quotients).max()
    return bool(np.all(np.abs(gradient - quotients) <= limits))


def roundings(got: Any, exact: Callable[[], Any], scale: Any = None) -> float:
    """Largest error of `got` in units of u |exact| (or of u `scale`); `exact` is evaluated with 2048 bits.

    A 0 is right for a ball around 0 narrower than 2^-1500, far below every float64.
    """
    worst = 0.0
    with ctx.workprec(2048):
        balls = np.asarray(exact(), object)
        got = np.asarray(got, np.float64)
        assert got.shape == balls.shape, (got.shape, balls.shape)
        scales = np.abs(balls) if scale is None else np.broadcast_to(np.asarray(scale, object), balls.shape)
        for value, ball, size in zip(got.ravel().tolist(), balls.ravel(), scales.ravel(), strict=True):
            error = abs(arb(value) - ball)
            exactly_zero = value == 0 and bool(error < arb(2) ** -1500)
            share = 0.0 if exactly_zero else float((error / (arb(size) * arb(U))).abs_upper())
            assert share == share, "an enclosure is too wide to judge"
            worst = max(worst, share)
    return worst


def softmax_roundings(z: Array) -> float:
    """Relative error allowed to softmax and log_softmax in units of u.

    Shifting rounds t once: exp turns that into |t| roundings. Numerator and sum carry |t| + exp's own each, the sum
    K - 1 more, the division or logarithm its own; 2 cover the terms of second order.
    """
    span = float(np.max(z.max(-1) - z.min(-1), initial=0.0))
    return 2 * (span + LIBRARY) + z.shape[-1] + LIBRARY + 2
