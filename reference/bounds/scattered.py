"""The height of sums of many addends: rounding errors that do not cancel, found from the addends themselves.

Notation and derivation: `docs/numerics.md`, section 2.10. A running sum in [2^k, 2^(k+1)) is a multiple of its last
place l = 2^k 2u, so adding e errs by exactly -(e - l rint(e/l)): what the addends leave over decides, not their order.
Left over to both sides alike, the errors cancel; left over to one side (equal addends, addends below l/2), they add up.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from xentcheck.reference.formats import Array, Format
from xentcheck.reference.numbers.fast import kernels

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

AT_ONCE = 2**16
"""Numbers that are looked at together, so that they stay in the cache."""

BLOCK = 64
"""So many sorted addends are taken to meet one last place."""

MOST_PRODUCTS = 2**23
"""A matrix product of more products than these may be added in any order: looking at each would take too long."""


@dataclass(frozen=True)
class Addends:
    """Rows of addends for which something is to be found: those with a sum that is finite and not 0.

    used: their indices. parts: (rows, CHUNKS, any), filled up with zeros, which add exactly, each row in units of l:
    the last place of a running sum in [1, 2) times a power of two, as `size` is, the row's sum of |e|.
    """

    used: Array
    parts: Array
    size: Array

    @classmethod
    def of(cls, e: Array, total: Array, fmt: Format) -> Addends:
        """Of e (n, C); total (n,): the sums of |e|. In float32 for formats of up to 24 bits."""
        used = np.flatnonzero((total > 0) & np.isfinite(total))
        e, total = (e, total) if len(used) == len(e) else (e[used], total[used])
        kind = np.float32 if fmt.precision <= 24 else np.float64  # a few addends near the total lose their last bits
        width = -(-e.shape[1] // BLOCK) * BLOCK
        parts = np.zeros((len(e), CHUNKS, width // CHUNKS), kind)
        rows = parts.reshape(len(e), width)[:, : e.shape[1]]
        exponent = np.frexp(total)[1] - 1
        to_places = fmt.precision - 1 - exponent
        if (np.abs(to_places) < 1000).all():
            np.multiply(e, np.ldexp(1.0, to_places)[:, None], out=rows, casting="unsafe")
        else:
            np.ldexp(e, to_places[:, None], out=rows, casting="unsafe")
        return cls(used, parts, np.ldexp(total, -exponent))

    def left_over(self, levels: int) -> Array:
        """(levels, rows): sum over parts of |sum of e - l' rint(e/l')|, in l' = l 2^(-j/2), for each level j."""
        parts = self.parts.reshape(-1, self.parts.shape[2])
        found = np.empty((levels, len(parts)))
        step = max(1, AT_ONCE // parts.shape[1])
        for i in range(0, len(parts), step):
            for odd, (grains, unit) in enumerate(_grains(parts[i : i + step])):
                octaves = np.exp2(np.arange(len(range(odd, levels, 2)))).astype(parts.dtype)
                found[odd::2, i : i + step] = _rest_at_levels(grains, unit * octaves)
        return np.asarray(np.abs(found).reshape(levels, len(self.parts), CHUNKS).sum(2))

    def sorted_drift(self, fmt: Format) -> Array:
        """(rows,): what one running sum of ascending, or of descending, addends errs by, in units u of size 1.

        By blocks of `BLOCK` addends, each with the last place of the running sum at its end. It may be another place
        for the block in which the running sum grows beyond a power of two: off by at most BLOCK u there, so by 2 BLOCK
        in all, far below `LEAST`.
        """
        n, _, width = self.parts.shape
        rows = np.sort(self.parts.reshape(n, CHUNKS * width), axis=1).reshape(n, CHUNKS * width // BLOCK, BLOCK)
        as_they_are, scaled = _grains(rows)
        sums = _block_sums(as_they_are[0]) * as_they_are[1]
        upwards = sums.cumsum(1)
        found = np.zeros(n)
        for scale, (grains, unit) in ((1.0, as_they_are), (math.sqrt(2.0), scaled)):
            for running in (upwards, upwards[:, -1:] - upwards + sums):
                exponent = np.maximum(np.frexp(scale * running)[1] - fmt.precision, np.frexp(unit)[1])
                left = _rest(grains, np.ldexp(unit, -exponent))
                found = np.maximum(found, np.abs(np.ldexp(left, exponent + 1).sum(1)) / scale)
        return found


def _grains(parts: Array) -> Iterator[tuple[Array, Any]]:
    """The addends, and those times sqrt 2, as multiples of a grain, and the grain: 2^-10 of a last place in float32.

    [derived] what is left over of up to 2^15 of them is added up exactly, in any order. n addends are off by n/2 grains
    at most: n 2^-10 u, beside at least n/128 additions that are allowed.
    """
    kind = parts.dtype.type
    grain = kind(2.0 ** (-10 if kind == np.float32 else -30))
    for scale in (1.0, math.sqrt(2.0)):
        grains = parts * (kind(scale) / grain)
        yield np.rint(grains, out=grains), grain


def _rest(grains: Array, factor: Array) -> Array:
    """Sums over the last axis of x - rint(x) for x = grains factor[..., None], in float64."""
    if compiled := kernels(grains.size):
        rows = grains.reshape(factor.size, grains.shape[-1])
        return np.asarray(compiled.rest(rows, factor.reshape(-1)).reshape(factor.shape))
    scaled = grains * factor[..., None]
    scaled -= np.rint(scaled)
    return np.asarray(np.einsum("...i->...", scaled), np.float64)


def _rest_at_levels(grains: Array, factors: Array) -> Array:
    """(levels, m): the same for each of several factors (levels,) of all grains (m, k)."""
    if compiled := kernels(grains.size):
        return np.asarray(compiled.rest_at_levels(grains, factors))
    return np.stack([_rest(grains, np.full(len(grains), factor)) for factor in factors])


def _block_sums(grains: Array) -> Array:
    """Sums over the last axis of whole numbers, in float64."""
    if compiled := kernels(grains.size):
        return np.asarray(compiled.block_sums(grains.reshape(-1, BLOCK)).reshape(grains.shape[:-1]))
    return np.asarray(grains.sum(-1, dtype=np.float64))


def drifts(e: Array, total: Array, fmt: Format, levels: int = LEVELS) -> Array:
    """(levels, n): largest drift of the sum of each row of e (n, C), in u of its total (n,), by last place.

    [derived] sum over chunks of |sum of l (e/l - rint(e/l))|, without what it is for addends left over at random:
    the mean of |sum| of k uniform numbers in (-1/2, 1/2) is 0.2304 sqrt(k). Addends of 0 are none. total: the sum of
    |e|, which no running sum exceeds.
    """
    return _drifts(e, total, fmt, levels)


def drift_of_one(e: Array, total: Array, fmt: Format, levels: int = LEVELS) -> Array:
    """(levels, n): drift of one running sum, at least its error on ascending or on descending addends.

    Sorted addends of one size meet one last place, so that what is left over to both sides does not cancel. As they
    are, and scaled by half an octave.
    """
    return _drifts(e, total, fmt, levels, one=True)


def _drifts(e: Array, total: Array, fmt: Format, levels: int, *, one: bool = False) -> Array:
    found = np.zeros((levels, len(e)))
    if e.shape[1] <= ANY_ORDER:
        return found
    found[:, ~np.isfinite(total)] = np.inf
    places = 2.0 * np.exp2(-PER_OCTAVE * np.arange(levels))[:, None]
    step = max(1, AT_ONCE // e.shape[1])
    for start in range(0, len(e), step):
        some = slice(start, start + step)
        addends = Addends.of(e[some], total[some], fmt)
        noise = 0.2304 * np.sqrt(np.count_nonzero(addends.parts, axis=2)).sum(1)
        drift = np.maximum(addends.left_over(levels) - noise, 0.0) * places
        if one:
            drift[0] = np.maximum(drift[0], addends.sorted_drift(fmt))
        found[:, start + addends.used] = drift / addends.size
    return found


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
