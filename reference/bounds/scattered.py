"""The height of sums of many addends: rounding errors that do not cancel, found from the addends themselves.

Notation and derivation: `docs/numerics.md`, section 2.10. A running sum in [2^k, 2^(k+1)) is a multiple of its last
place l = 2^k 2u, so adding e errs by exactly -(e - l rint(e/l)): what the addends leave over decides, not their order.
Left over to both sides alike, the errors cancel; left over to one side (equal addends, addends below l/2), they add up.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from xentcheck.reference.formats import Array, Format

from .arithmetic import Arithmetic, growth

ANY_ORDER = 4096
"""Sums of so many terms may err by all of their rounding errors, whatever the addends are: with fewer, a sequential sum
of equal addends that were rescaled drifts at a last place between those that are looked at (1.3 of the bound at 2048).
"""

LEAST = 1024.0
"""A longer sum may err by this many rounding errors, whatever its addends leave over."""

ACCURACY = 128.0
"""Scattered addends in any order err by less than so many partial sums of them and a tree may (`docs/numerics.md`)."""

CHUNKS = 16
"""So many neighbouring parts of a row are looked at by themselves, as a sum meets them one after the other."""

LEVELS = 7
PER_OCTAVE = 0.5
"""Last places that are looked at for exponentials: l 2^(-j/2). Half octaves too, as they may be scaled by any factor.
Fewer and fewer addends meet a lower place, as long as all have one sign.
"""

SAFETY = 3.0
"""Addends of several values cancel at some last places and not at others: found at most 2.3 times the drift."""

NEGLIGIBLE = 2.0**-24
"""What any order allows in float64 up to 5e8 terms hides nothing."""

MOST_PRODUCTS = 2**23
"""A matrix product of more products than these may be added in any order: looking at each would take too long."""


def drifts(e: Array, total: Array, fmt: Format, levels: int = LEVELS) -> Array:
    """(levels, n): largest drift of the sum of each row of e (n, C), in u of its total (n,), by last place.

    [derived] sum over chunks of |sum of l (e/l - rint(e/l))|, without what it is for addends left over at random:
    the mean of |sum| of k uniform numbers in (-1/2, 1/2) is 0.2304 sqrt(k). Addends of 0 are none. total: the sum of
    |e|, which no running sum exceeds.
    """
    found = np.zeros((levels, len(e)))
    if e.shape[1] <= ANY_ORDER:
        return found
    starts = np.linspace(0, e.shape[1], CHUNKS, endpoint=False).astype(np.intp)
    kind = np.float32 if fmt.precision <= 24 else np.float64  # a few addends near the total lose their last bits
    scaled, rest = np.empty(e.shape[1], kind), np.empty(e.shape[1], kind)
    found[:, ~np.isfinite(total)] = np.inf
    for n in np.flatnonzero((total > 0) & np.isfinite(total)):
        row, size = of_size_one(e[n], total[n], kind)
        unit = fmt.unit_roundoff * size
        noise = 0.2304 * np.sqrt(np.add.reduceat(row != 0, starts, dtype=np.intp)).sum()
        for j in range(levels):
            place = 2.0 * fmt.unit_roundoff * 2.0 ** (-PER_OCTAVE * j)
            np.multiply(row, kind(1.0 / place), out=scaled)
            np.rint(scaled, out=rest)
            np.subtract(scaled, rest, out=rest)
            left_over = float(np.abs(np.add.reduceat(rest, starts)).sum())
            found[j, n] = max(left_over - noise, 0.0) * place / unit
    return found


def drift_of_one(e: Array, total: Array, fmt: Format, levels: int = LEVELS) -> Array:
    """(levels, n): drift of one running sum, at least its error on ascending or on descending addends.

    Sorted addends of one size meet one last place, so that what is left over to both sides does not cancel. As they
    are, and scaled by half an octave.
    """
    found = drifts(e, total, fmt, levels)
    kind, more = (np.float32, np.float64) if fmt.precision <= 24 else (np.float64, np.longdouble)
    sums = np.empty(e.shape[1], kind)
    for n in np.flatnonzero((total > 0) & np.isfinite(total)) if e.shape[1] > ANY_ORDER else ():
        row, size = of_size_one(e[n], total[n], kind)
        row.sort()
        for scale in (1.0, math.sqrt(2.0)):
            ascending = row if scale == 1.0 else row * kind(scale)
            exact = ascending.sum(dtype=more)
            for ordered in (ascending, ascending[::-1]):
                error = abs(float(np.cumsum(ordered, dtype=kind, out=sums)[-1] - exact))
                found[0, n] = max(found[0, n], error / (scale * size * fmt.unit_roundoff))
    return found


def of_size_one(row: Array, total: float, kind: type[np.floating[Any]]) -> tuple[Array, float]:
    """The row and its total over a power of two, so that the total is in [1, 2): a copy in another format."""
    exponent = math.frexp(total)[1] - 1
    size = math.ldexp(total, -exponent)
    copy = np.empty(row.shape, kind)
    if abs(exponent) < 1000:
        return np.multiply(row, math.ldexp(1.0, -exponent), out=copy, casting="unsafe"), size
    return np.ldexp(row, -exponent, out=copy, casting="unsafe"), size


def scattered_height(additions: Array, sums: int, drift: Array) -> Array:
    """(n, 1): additions whose rounding errors a sum of scattered addends may show; `sums` running sums or more of them.

    [derived] Of L running sums at most 2^k reach a 2^k-th of the total; each has an L-th of the addends, so of the
    drift at that last place at most 2^k/L adds up.
    """
    share = np.minimum(np.exp2(PER_OCTAVE * np.arange(len(drift))) / sums, 1.0)
    most = (share[:, None] * drift).max(0)[:, None]
    generic = np.ceil((additions + 1.0) / ACCURACY) + math.log2(ACCURACY)
    return np.asarray(np.minimum(additions, np.maximum(np.maximum(generic, LEAST), SAFETY * most)))


def looked_at(arithmetic: Arithmetic, additions: Any, stage: str) -> bool:
    """Whether what the addends leave over counts in a sum: in long ones, unless partial sums are stored, or nothing is
    promised of the order, or any order is as good as exact. stage: that of the sum, or `wide` for one that is never
    stored.
    """
    long = np.max(additions, initial=0)
    matters = long >= ANY_ORDER and growth(long, arithmetic.wide.unit_roundoff) > NEGLIGIBLE
    return bool(matters and arithmetic.contract.running_sums and not arithmetic.stores(stage))


def growth_of(
    arithmetic: Arithmetic,
    addends: Array,
    stage: str,
    error: Any = 0.0,
    additions: Any = None,
    shared: dict[str, Array] | None = None,
    name: str = "",
) -> Array:
    """(n,): relative error, of sum |addend|, of one running sum of each row of addends (n, m) of either sign.

    error: (n,) relative error of the addends as the implementation has them, of sum |addend|. additions: (n,), if other
    than the number of addends that are not 0, less one. shared: drifts by the name of the sum, for all contracts.

    [derived] an addend that is off by delta leaves over at most delta more. Where signs differ, or where a part of the
    addends is summed by itself, all of them may meet a lower place l 2^(-j/2): they drift by n l 2^(-j/2)/2 at most,
    and places where that is below `LEAST` are not looked at. Exact addends whose sums never round err by nothing.
    """
    if additions is None:
        additions = np.count_nonzero(addends, axis=1) - 1
    additions = np.broadcast_to(np.asarray(additions, np.float64), len(addends))
    g = np.asarray(arithmetic.growth(additions, stage))
    if not looked_at(arithmetic, additions, stage):
        return g
    fmt = arithmetic.wide
    if not np.any(error) and never_rounds(addends, fmt):
        return np.zeros(len(addends))
    levels = max(LEVELS, math.ceil(math.log2(additions.max() / LEAST / 2.0) / PER_OCTAVE) + 1)
    known = np.asarray(error) / fmt.unit_roundoff
    if np.all(SAFETY * known >= additions):
        return g
    shared = {} if shared is None else shared
    if name not in shared:
        shared[name] = drift_of_one(addends, np.abs(addends).sum(1), fmt, levels)
    drift = shared[name] + known
    scattered = growth(scattered_height(additions[:, None], 1, drift)[:, 0], fmt.unit_roundoff)
    return np.where(additions < ANY_ORDER, g, np.minimum(g, scattered))


def never_rounds(addends: Array, fmt: Format) -> bool:
    """Whether every partial sum of each row is representable: multiples of one power of two, below 2^p of them."""
    return bool(np.abs(addends).sum(1).max(initial=0.0) < 2.0 ** (lowest_bit(addends) + fmt.precision))


def lowest_bit(x: Array) -> int:
    """Exponent of the lowest set bit of any element."""
    mantissa, exponent = np.frexp(x[x != 0])
    integer = np.ldexp(mantissa, 53).astype(np.int64)
    lowest = np.frexp((integer & -integer).astype(np.float64))[1] - 1
    return int((lowest + exponent - 53).min(initial=0))


def share(error: Array, size: Array) -> Array:
    """error/size, and 0 where the size is."""
    return np.divide(error, size, out=np.zeros_like(size), where=size > 0)
