"""Comparisons of elements with the exact values, compiled by numba: by given bounds, or by bounds formed on the way.

Every operation is one of IEEE 754, in the order of `metric`, `measure` and `bounds.gradient`, and none is contracted.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from xentcheck.reference.formats import Array

from .form import Form
from .passes import loop

PART = 2048
"""Elements of which a loop keeps numbers: they stay in the first cache."""

FAILING, AT, FAR = 0, 1, 2
"""How many elements fail, and where the largest share and the most ULPs are."""

SHARE, ULPS, BOUND, BOUND_FAR = 0, 1, 2, 3
"""These two, and the bounds there."""

Found = tuple[Array, Array]
"""What a loop has found, by these places; -1 failing elements: it is left to NumPy."""

Limits = tuple[float, float, float]
"""The smallest normal number; the power of two from which on units grow no more; 1 in ULPs of it."""

Bins = tuple[tuple[Array, Array], tuple[Array, Array]]
"""Edges of shares and of ULPs; and how many are there or beyond, to which is added."""


class Kept(NamedTuple):
    """What a loop keeps: numbers of a part, and what it has found so far."""

    share: Array
    ulps: Array
    whole: Array
    found: Array


@loop
def _nothing() -> Kept:
    return Kept(np.empty(PART), np.empty(PART), np.zeros(3, np.int64), np.array([-1.0, -1.0, 0.0, 0.0]))


@loop
def _share_and_ulps(got: Array, hi: Array, lo: Array, bound: Array, limits: Limits, share: Array, ulps: Array) -> int:
    """error/bound, and the error in ULPs or -1 below the normal range; how many numbers are no ordinary ones."""
    odd, (normal, top, per_unit) = 0, limits
    inverse = np.empty(got.size)
    bits, exact = inverse.view(np.int64), hi.view(np.int64)
    for i in range(got.size):
        bits[i] = (2046 << 52) - (exact[i] & (2047 << 52))  # of 2^-k, for an exact value of exponent k
    for i in range(got.size):
        error = abs((got[i] - hi[i]) - lo[i])
        odd += not error < np.inf
        odd += not abs(got[i]) < np.inf
        odd += not bound[i] > 0.0
        odd += not abs(hi[i]) < top
        found = error / bound[i]
        beyond = found if found > 1.0 else 1.0 + 2.0**-52
        share[i] = found if error <= bound[i] else beyond
        in_units = error * inverse[i] * per_unit
        ulps[i] = in_units if abs(hi[i]) >= normal else -1.0
    return odd


@loop
def _count(x: Array, n: int, largest: float, edges: Array, above: Array) -> None:
    for k in range(edges.size):
        if edges[k] > largest:
            break
        count = 0
        for i in range(n):
            count += x[i] >= edges[k]
        above[k] += count


@loop
def _largest(x: Array, n: int) -> float:
    """The largest of numbers that are not nan, and -1 if all are below 0."""
    bits, most = x.view(np.int64), np.int64(-1)
    for i in range(n):
        most = max(most, bits[i])
    return np.array([most]).view(np.float64)[0] if most >= 0 else -1.0


@loop
def _first(x: Array, n: int, value: float) -> int:
    """Where a number stands first among others."""
    for i in range(n):
        if x[i] == value:
            return i
    return 0


@loop
def _part(got: Array, hi: Array, lo: Array, bound: Array, start: int, limits: Limits, bins: Bins, kept: Kept) -> bool:
    """Compare up to PART elements from a start on; False for what is left to NumPy."""
    n, (share, ulps, whole, found), (edges, above) = got.size, kept, bins
    if _share_and_ulps(got, hi, lo, bound, limits, share, ulps):
        return False
    top, most = _largest(share, n), _largest(ulps, n)
    if top > found[SHARE]:
        i = _first(share, n, top)
        found[SHARE], found[BOUND], whole[AT] = top, bound[i], start + i
    if most > found[ULPS]:
        i = _first(ulps, n, most)
        found[ULPS], found[BOUND_FAR], whole[FAR] = most, bound[i], start + i
    if top > 1.0:
        for i in range(n):
            whole[FAILING] += share[i] > 1.0
    _count(share, n, top, edges[0], above[0])
    _count(ulps, n, most, edges[1], above[1])
    return True


@loop
def compared(got: Array, hi: Array, lo: Array, bound: Array, limits: Limits, bins: Bins) -> Found:
    """What `Tally` looks for in elements (n,): how many fail, the largest share and the most ULPs (-1: none), where,
    and the bounds there.

    -1 failing elements: something is not finite or beyond the limits, or a bound is 0: left to NumPy.
    """
    kept = _nothing()
    for start in range(0, got.size, PART):
        some = slice(start, min(start + PART, got.size))
        if not _part(got[some], hi[some], lo[some], bound[some], start, limits, bins, kept):
            kept.whole[FAILING] = -1
            break
    return kept.whole, kept.found


@loop
def _formed(d: Array, e: Array, q: Array, g: Array, row: Array, near: float, rounding: float, out: Array) -> None:
    """Bounds of elements of one row, before their slack: `GradientBounds.form`; row: in the order of its columns."""
    slope, offset, factor, own, kappa, pivot, lost = row[0], row[1], row[2], row[3], row[4], row[6], row[7]
    lost_softmax, total, underflow = row[8], row[9], row[10]
    n = d.size
    for j in range(n):
        out[j] = ((slope * d[j] + offset) * e[j]) * factor
    if q.size:
        for j in range(n):
            b = out[j] + own * q[j]
            out[j] = b + kappa * (abs(g[j]) + b)
    if pivot > 0.0:
        for j in range(n):
            out[j] += pivot if d[j] <= near else 0.0
    if lost > 0.0:
        for j in range(n):
            out[j] = (out[j] + lost) + lost_softmax * (e[j] / total)
    if rounding > 0.0 or underflow > 0.0:
        for j in range(n):
            out[j] += rounding * (abs(g[j]) + out[j]) + underflow


@loop
def _bounds(form: Form, g: Array, i: int, start: int, stop: int, out: Array) -> bool:
    """Bounds of a part of the i-th row; False if one is too large for the format, or not finite."""
    some = slice(start, stop)
    d, e, row, label = form.d[i, some], form.e[i, some], form.rows[i], form.label[i] - start
    q = form.q[i, some] if form.q.size else form.q[0:0, 0]
    _formed(d, e, q, g, row, row[5], form.rounding, out)
    for j in range(stop - start):
        out[j] *= form.slack
    if 0 <= label < stop - start:
        here = slice(label, label + 1)
        if np.isnan(form.at_label[i]):
            _formed(d[here], e[here], q[here], g[here], row, np.inf, form.rounding, out[here])
            out[label] *= form.slack
        else:
            out[label] = form.at_label[i]
    large = 0
    for j in range(stop - start):
        large += not out[j] < form.largest
    return large == 0


@loop
def compared_by_form(got: Array, hi: Array, lo: Array, form: Form, limits: Limits, bins: Bins) -> Found:
    """`compared` for gradients (n, C), float32 or float64, and bounds by their form; lo: (n, C), or (0, 0) for 0."""
    kept, bound, low = _nothing(), np.empty(PART), np.zeros(PART)
    for i in range(got.shape[0]):
        for start in range(0, got.shape[1], PART):
            stop = min(start + PART, got.shape[1])
            n = stop - start
            if lo.size:
                for j in range(n):
                    low[j] = lo[i, start + j]
            a, at = hi[i, start:stop], i * got.shape[1] + start
            fits = _bounds(form, a, i, start, stop, bound[:n])
            if not fits or not _part(got[i, start:stop], a, low[:n], bound[:n], at, limits, bins, kept):
                kept.whole[FAILING] = -1
                return kept.whole, kept.found
    return kept.whole, kept.found


@loop
def ratios(right: Array, form: Form, top: Array, elsewhere: Array, last: Array, given: Array) -> tuple[int, int]:
    """The largest |right|/bound of each row (n,), that of all but the label, that of the last class, and the largest
    |q|/bound of soft targets; how many are not 0, and how many of those at most 1. -1: something is not finite, or a
    bound is 0: left to NumPy.
    """
    bound, ratio = np.empty(PART), np.empty(PART)
    nonzero, blind = 0, 0
    for i in range(right.shape[0]):
        top[i] = elsewhere[i] = last[i] = given[i] = 0.0
        for start in range(0, right.shape[1], PART):
            stop = min(start + PART, right.shape[1])
            n = stop - start
            g = right[i, start:stop]
            if not _bounds(form, g, i, start, stop, bound[:n]):
                return 0, -1
            odd = 0
            for j in range(n):
                ratio[j] = abs(g[j]) / bound[j]
                odd += not ratio[j] < np.inf
                nonzero += g[j] != 0.0
                blind += (ratio[j] <= 1.0) & (g[j] != 0.0)
            if odd:
                return 0, -1
            last[i] = ratio[n - 1]
            top[i] = max(top[i], _largest(ratio, n))
            if 0 <= form.label[i] - start < n:
                ratio[form.label[i] - start] = 0.0
            elsewhere[i] = max(elsewhere[i], _largest(ratio, n))
            if form.q.size:
                for j in range(n):
                    ratio[j] = form.q[i, start + j] / bound[j]
                given[i] = max(given[i], _largest(ratio, n))
    return nonzero, blind
