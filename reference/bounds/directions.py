"""Bounds of the derivatives along a direction: of the losses (jvp) and of dC/dz (hvp)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xentcheck.reference.formats import Array

from .arithmetic import Arithmetic, finished, together
from .rows import RowBounds, leading
from .sums.scattered import looked_at, share


@dataclass(frozen=True)
class DirectionalBounds:
    """Bounds of hvp (n, C) and of jvp (n,), as an output and before a reduction.

    size: (n,), of what is summed in jvp. value: (n,), jvp itself.
    """

    hvp: Array
    output: Array
    jvp: Array
    size: Array
    value: Array


def directional_bounds(rows: RowBounds) -> DirectionalBounds:
    """Those of a block's rows (`docs/numerics.md`, section 2.5, whose D, E and T are `error`, `spread` and `total`)."""
    block, a, base = rows.block, rows.arithmetic, rows.base
    t, v = block.targets, block.of(block.problem.v)
    softmax = base.e / base.total
    error, at_label, most = _by_parts(rows, softmax, v)
    size = np.abs(v) + np.abs(at_label)
    least = _least(v, v - at_label)
    moved = softmax + error
    g = together(_summing(rows, softmax, error, v), a.roundings(8.0, 3.0), rows.forming)
    mean = np.abs((softmax * v).sum(1, keepdims=True))
    s = mean + np.abs(at_label)
    spread = (error * size).sum(1, keepdims=True) + g * (moved * size).sum(1, keepdims=True)
    spread += _lost(a, softmax, least, np.where(base.reachable & (least > 0), 1.0 + size, 0.0))
    q = np.abs(t.one_hot) if t.hard else t.sizes
    mass = q.sum(1, keepdims=True)
    total = mass * (mean + spread) + (q * np.abs(v)).sum(1, keepdims=True)
    jvp = (mass * spread + g * total)[:, 0]
    distance = np.abs(v - (softmax * v).sum(1, keepdims=True))
    hvp = error * (distance + spread) + softmax * spread + g * moved * (size + s + spread + 2.0 * most)
    factor = np.abs(leading(block, block.factor))[:, None] * mass
    value = np.abs(leading(block, block.along["hvp"]))
    hvp = hvp * factor
    hvp += rows.kappa * (value + hvp)
    if a.contract.row_sum != "none":
        terms = factor * ((moved * size).sum(1, keepdims=True) + s)
        extra = hvp.sum(1, keepdims=True) + (g + a.output) * terms
        hvp += extra if a.contract.row_sum == "all" else np.where(rows.pivots, extra, 0.0)
    lost = 4.0 * (a.tiny + (a.storage.smallest_subnormal if a.narrow else 0.0))
    reach = 1.0 + size + s
    hvp += np.where(base.reachable, lost * np.maximum(factor, 1.0) * reach, 0.0) + lost * softmax * t.classes
    hvp += a.result_rounding * (value + hvp) + a.result_underflow * base.reachable
    jvp = jvp + lost * (1.0 + (q * reach).sum(1)) + _lost(a, q, least, np.where(q > 0, reach, 0.0))[:, 0]
    jvp, value = np.where(t.kept, unbounded(jvp), 0.0), leading(block, block.along["jvp"])
    output = jvp + a.result_rounding * (np.abs(value) + jvp) + a.result_underflow
    return DirectionalBounds(
        hvp=np.where(t.kept[:, None], finished(hvp, a), 0.0),
        output=np.where(t.kept, finished(output, a), 0.0),
        jvp=jvp,
        size=np.where(t.kept, unbounded(total[:, 0]), 0.0),
        value=value,
    )


def _by_parts(rows: RowBounds, softmax: Array, v: Array) -> tuple[Array, Array | float, Array | float]:
    """D (n, C), v_y (n, 1) and V (n, 1): what other forms of the loss need, 0 where the contract allows none.

    v_y: where z - z_y may be in the place of z. V: the largest |v|, which no mean of v over a part of a row exceeds.
    """
    error, t = rows.errors.gradient_softmax(), rows.block.targets
    if not rows.arithmetic.contract.margin:
        return error, 0.0, 0.0
    most = np.abs(v).max(1, keepdims=True, initial=0.0, where=softmax > 0)
    if not t.hard:
        return error, 0.0, 0.0 if rows.arithmetic.narrow else most
    error = error + rows.label_margin * (softmax + error)
    return error, np.take_along_axis(v, t.label[:, None], 1), most


def _least(v: Array, from_label: Array) -> Array:
    """(n, C): the smaller of |v_i| and |v_i - v_y|, of those that are not 0."""
    x, y = np.abs(v), np.abs(from_label)
    return np.where(x == 0, y, np.where(y == 0, x, np.minimum(x, y)))


def _summing(rows: RowBounds, softmax: Array, error: Array, v: Array) -> Array:
    """(n, 1): growth(C) of sums of a_i v_i and q_i v_i, with v itself or shifted by its entry at the largest a."""
    a, t = rows.arithmetic, rows.block.targets
    additions = np.full(len(v), t.classes)
    if not looked_at(a, additions, "backward_sum"):
        return np.asarray(a.growth(additions, "backward_sum"))[:, None]
    shifted = v - np.take_along_axis(v, softmax.argmax(1)[:, None], 1)
    found = []
    sums = {"v": v, "shifted v": shifted}
    if a.contract.margin and t.hard:
        at_label = np.take_along_axis(v, t.label[:, None], 1)
        sums |= {"v from the label": v - at_label, "v of the others": np.where(t.one_hot == 0, v, 0.0)}
    for name, along in sums.items():
        size = np.abs(along)
        known = a.roundings(4.0, 3.0) + rows.forming + share((error * size).sum(1), (softmax * size).sum(1))
        found.append(rows.growth_of(f"a {name}", softmax * along, "backward_sum", known, additions))
        if not t.hard:
            own = np.full(len(v), a.roundings(4.0, 3.0) + rows.forming)
            found.append(rows.growth_of(f"q {name}", rows.factors * along, "backward_sum", own, additions))
    return np.asarray(np.max(found, axis=0))[:, None]


def _lost(a: Arithmetic, factor: Array, size: Array, reach: Array) -> Array:
    """(n, 1): what the terms factor v of a sum lose where the factor or the product may be below the normal range.

    reach: (n, C), what multiplies the loss of a step.
    """
    stored = a.stores("between")
    normal = max(a.wide.smallest_normal, a.storage.smallest_normal * stored)
    low = factor * np.where(size > 0, np.minimum(size, 1.0), 1.0) < 4.0 * normal
    return np.asarray(2.0 * (a.tiny + a.underflow * stored) * np.where(low, reach, 0.0).sum(1, keepdims=True))


def unbounded(bound: Array) -> Array:
    """inf for nan: the difference or product of infinities, where something on the way to a bound has overflown."""
    return np.where(np.isnan(bound), np.inf, bound)
