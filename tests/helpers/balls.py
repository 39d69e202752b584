"""Ball arithmetic: enclosures of every quantity of a problem, and how far a result may be from them.

The formulas are the naive ones, evaluated with as many bits as it takes: exp of the logits themselves, their sum, its
logarithm, a - y, 1/(1 + exp(-z)). Nothing is shifted or rearranged: they share nothing with the oracle.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from flint import arb, ctx
from numpy.typing import NDArray

from xentcheck.reference.problem import Problem

Balls = NDArray[np.object_]
Enclosures = dict[str, tuple[Balls, Balls]]

FIRST_PRECISION = 256
LAST_PRECISION = 16384
NEGLIGIBLE = arb("1e-6")
"""Largest radius of an enclosure, as a share of the error that is allowed."""

SHARE = 2.0**-90
"""Allowed error of the double-double oracle, as a share of the quantity's scale."""

ALLOWED = {"float64": SHARE * 2.0**53, "float32": 1e-3, "bfloat16": 1e-3, "float16": 1e-3}
"""Allowed error in ULPs at the quantity's scale: of float64 (there at most `SHARE`), and of float32 for the others."""

LOWEST = {"float64": 2.0**-1074, "float32": 0.0, "bfloat16": 0.0, "float16": 0.0}
"""Allowed on top: one subnormal ULP."""


def balls(x: Any) -> Balls:
    """An array of exact balls; -inf becomes 0, its exponential is masked by the caller."""
    values = np.asarray(x, np.float64)
    flat = [arb(v) if math.isfinite(v) else arb(0) for v in values.ravel().tolist()]
    return np.array([*flat, None], object)[:-1].reshape(values.shape)


def rows_of(x: NDArray[Any]) -> NDArray[Any]:
    """(C,), (N, C) or (N, C, d1..dk) as a matrix with one row per example."""
    return x[None] if x.ndim == 1 else np.moveaxis(x, 1, -1).reshape(-1, x.shape[1])


def shaped(rows: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """The inverse of `rows_of`."""
    if len(shape) == 1:
        return rows.reshape(shape)
    return np.moveaxis(rows.reshape(shape[0], *shape[2:], shape[1]), -1, 1)


def sigmoid(z: Balls) -> Balls:
    """(3), as it stands in the book."""
    return 1 / (1 + np.exp(-z))


def logits_of(p: Problem) -> tuple[Balls, NDArray[np.bool_]]:
    """z (m, C), and where it is -inf."""
    if p.logits is not None:
        rows = rows_of(p.logits)
        return balls(rows), np.isneginf(rows)
    a = balls(p.a_prev)
    if p.hidden_w is not None:
        a = sigmoid(a @ balls(p.hidden_w).T + balls(p.hidden_b))
    z = a @ balls(p.w).T + balls(p.b)
    return z, np.broadcast_to(np.isneginf(np.asarray(p.b)), z.shape)


def factors(p: Problem) -> tuple[Balls, Balls, Balls]:
    """q (m, C) with C_n = -sum q log a, the same with absolute values, and upstream/denominator (m,)."""
    weight = balls(np.ones(p.classes) if p.weight is None else p.weight)
    rows = math.prod(p.loss_shape)
    if p.probabilities:
        target, eps = balls(rows_of(p.target)), arb(p.label_smoothing)
        q = (target * (1 - eps) + eps / p.classes) * weight
        size, denominator = (np.abs(target) * (1 - eps) + eps / p.classes) * np.abs(weight), arb(rows)
    else:
        label = p.target.reshape(-1)
        kept = label != p.ignore_index
        one_hot = np.arange(p.classes) == np.where(kept, label, 0)[:, None]
        eps = arb(p.label_smoothing)
        share = balls(one_hot) * (1 - eps) + eps / p.classes
        q = np.where(kept[:, None], share * weight, arb(0))
        size = np.where(kept[:, None], share * np.abs(weight), arb(0))
        denominator = sum(weight[label[kept]], arb(0))
    upstream = balls(np.broadcast_to(p.upstream.reshape(-1), (rows,)))
    return q, size, upstream / (denominator if p.reduction == "mean" else arb(1))


def enclose(p: Problem, quantities: Iterable[str]) -> Enclosures:
    """Enclosures of the quantities and of their scales, in the current precision; infinities are floats."""
    z, masked = logits_of(p)
    e = np.where(masked, arb(0), np.exp(z))
    total = e.sum(1, keepdims=True)
    a, log_a = e / total, np.where(masked, arb(0), z - np.log(total))
    q, size, factor = factors(p)
    infinite = (masked & (q != 0)).any(1)
    loss = np.where(infinite, np.inf, -(q * log_a).sum(1))
    loss_scale = (size * np.abs(log_a)).sum(1)
    g = factor[:, None] * (a * q.sum(1, keepdims=True) - q)
    terms = np.abs(factor)[:, None] * (a * size.sum(1, keepdims=True) + size)
    out: Enclosures = {}
    for quantity in quantities:
        if quantity == "a":
            out[quantity] = shaped(a, p.logits_shape), shaped(a, p.logits_shape)
        elif quantity == "log_a":
            value = np.where(masked, -np.inf, log_a)
            out[quantity] = shaped(value, p.logits_shape), shaped(np.abs(log_a), p.logits_shape)
        elif quantity == "loss":
            out[quantity] = loss.reshape(p.loss_shape), loss_scale.reshape(p.loss_shape)
        elif quantity == "cost":
            share = factor[0] / arb(float(p.upstream))
            value = np.inf if infinite.any() else loss.sum() * share
            out[quantity] = np.array(value, object), np.array(loss_scale.sum() * abs(share), object)
        elif quantity == "dC/dz":
            hard = not p.probabilities and not p.label_smoothing
            out[quantity] = shaped(g, p.logits_shape), shaped(np.abs(g) if hard else terms, p.logits_shape)
    if p.logits is None:
        values, scales = backward(p, g, lambda x: x), backward(p, terms, np.abs)
        out |= {name: (values[name], scales[name]) for name in set(values) & set(quantities)}
    return out


def backward(p: Problem, g: Balls, form: Callable[[Balls], Balls]) -> dict[str, Balls]:
    """BP2-BP4 behind dC/dz, of the matrices themselves or (`form` = abs) of their absolute values."""
    inputs, w = balls(p.a_prev), form(balls(p.w))
    if p.hidden_w is None:
        return {"dC/db": g.sum(0), "dC/dw": g.T @ form(inputs), "dC/da_prev": g @ w}
    outputs = sigmoid(inputs @ balls(p.hidden_w).T + balls(p.hidden_b))
    hidden = (g @ w) * (outputs * (1 - outputs))
    return {
        "dC/db": np.concatenate([hidden.sum(0), g.sum(0)]),
        "dC/dw": np.concatenate([(hidden.T @ form(inputs)).ravel(), (g.T @ outputs).ravel()]),
        "dC/da_prev": hidden @ form(balls(p.hidden_w)),
    }


def allowed_error(scale: arb, dtype: str) -> arb:
    """What the oracle promises: 2^-90 of the scale and one subnormal ULP, or a share of float32's ULP at the scale."""
    if dtype == "float64":
        return scale.abs_lower() * SHARE + arb(LOWEST[dtype])
    size = float(scale.abs_upper())
    ulp = math.ldexp(1.0, max(math.frexp(min(size, 2.0**127))[1] - 24, -149))
    return arb(ulp) * arb(ALLOWED[dtype])


def error_share(ball: Any, scale: arb, hi: float, lo: float, dtype: str) -> tuple[float, bool]:
    """|hi + lo - ball| / allowed, and whether the ball is small enough to decide that."""
    if isinstance(ball, float) or not math.isfinite(hi):
        largest = arb(2) ** 1024 - arb(2) ** 970
        right = hi == ball if isinstance(ball, float) else bool((arb(1) if hi > 0 else arb(-1)) * ball >= largest)
        return (0.0 if right else math.inf), True
    allowed = allowed_error(scale, dtype)
    share = (arb(hi) + arb(lo) - ball) / allowed
    return float(share.abs_upper()), bool(ball.rad() < allowed * NEGLIGIBLE)


def shares(p: Problem, got: Mapping[str, tuple[Any, Any]], every: int = 1) -> dict[str, float]:
    """Largest error of (hi, lo) pairs in units of what is allowed; `every`: look at each n-th element only."""
    precision = FIRST_PRECISION
    while precision <= LAST_PRECISION:
        with ctx.workprec(precision):
            enclosures = enclose(p, got)
            found = {q: list(_shares(enclosures[q], got[q], p.dtype, every)) for q in got}
        if all(decided for pairs in found.values() for _, decided in pairs):
            return {q: max((share for share, _ in pairs), default=0.0) for q, pairs in found.items()}
        precision *= 2
    raise ArithmeticError(f"no enclosure is small enough with {LAST_PRECISION} bits")


def _shares(
    enclosure: tuple[Balls, Balls], got: tuple[Any, Any], dtype: str, every: int
) -> Iterator[tuple[float, bool]]:
    value, scale = enclosure
    hi, lo = (np.asarray(x, np.float64) for x in got)
    assert hi.shape == value.shape, (hi.shape, value.shape)
    parts = (x.ravel()[::every].tolist() for x in (value, scale, hi, lo))
    yield from (error_share(*element, dtype) for element in zip(*parts, strict=True))
