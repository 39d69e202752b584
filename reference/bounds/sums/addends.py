"""What the addends of long sums leave over at the last places that a running sum has.

Notation and derivation: `docs/numerics.md`, section 2.10.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from types import ModuleType
from typing import Any

import numpy as np

from xentcheck.reference.formats import Array, Format
from xentcheck.reference.numbers.arrays import at_once
from xentcheck.reference.numbers.fast import kernels

ANY_ORDER = 4096
"""Sums of so many terms may err by all of their rounding errors, whatever the addends are: with fewer, a sequential sum
of equal addends that were rescaled drifts at a last place between those that are looked at (1.3 of the bound at 2048).
"""

CHUNKS = 16
"""So many neighbouring parts of a row are looked at by themselves, as a sum meets them one after the other."""

LEVELS = 7
PER_OCTAVE = 0.5
"""Last places that are looked at for exponentials: l 2^(-j/2). Half octaves too, as they may be scaled by any factor.
Fewer and fewer addends meet a lower place, as long as all have one sign.
"""

AT_ONCE = 2**16
"""Numbers that are looked at together, so that they stay in the cache."""

EXACT = 2**15
"""What so many addends leave over is added up exactly in float32, in any order."""

BLOCK = 64
"""So many sorted addends are taken to meet one last place."""

SHORT = 1024
"""Addends up to which NumPy sorts faster than the compiled loop."""

FEWER = 32
"""The same of addends that stand for more than themselves."""

LEAST = 1024.0
"""A longer sum may err by this many rounding errors, whatever its addends leave over."""

ACCURACY = 128.0
"""Scattered addends in any order err by less than so many partial sums of them and a tree may (`docs/numerics.md`)."""

SAFETY = 3.0
"""Addends of several values cancel at some last places and not at others: found at most 2.3 times the drift."""


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
        exponent = np.frexp(total)[1] - 1
        to_places = fmt.precision - 1 - exponent
        scaled = (np.abs(to_places) < 1000).all()
        compiled = kernels(e) if scaled and kind == np.float32 else None
        if compiled:
            rows = np.empty((len(e), width), kind)
            compiled.scaled_rows(e, np.ldexp(1.0, to_places), rows)
            return cls(used, rows.reshape(len(e), CHUNKS, -1), np.ldexp(total, -exponent))
        parts = np.zeros_like(e, kind, shape=(len(e), CHUNKS, width // CHUNKS))
        rows = parts.reshape(len(e), width)[:, : e.shape[1]]
        if scaled:
            np.multiply(e, np.ldexp(1.0, to_places)[:, None], out=rows, casting="unsafe")
        else:
            np.ldexp(e, to_places[:, None], out=rows, casting="unsafe")
        return cls(used, parts, np.ldexp(total, -exponent))

    def left_over(self, levels: int) -> tuple[Array, Array]:
        """(levels, rows): sum over parts of |sum of e - l' rint(e/l')|, in l' = l 2^(-j/2), for each level j; and how
        many addends of each part are not 0: (rows, CHUNKS).
        """
        compiled = kernels(self.parts) if self.parts.dtype == np.float32 else None
        if compiled:
            _, grain = next(_grains(np.float32))
            rests, counts = compiled.left_over(self.parts, grain, levels, EXACT)
        else:
            rests, counts = self._by_level(levels), np.count_nonzero(self.parts, axis=2)
        return np.asarray(np.abs(rests).sum(2)), counts

    def _by_level(self, levels: int) -> Array:
        """(levels, rows, CHUNKS): what each part leaves over, added up so few at a time that this is exact."""
        parts = self.parts.reshape(-1, self.parts.shape[2])
        found = np.zeros((levels, len(parts)))
        step = max(1, at_once(parts, AT_ONCE) // parts.shape[1])
        for i in range(0, len(parts), step):
            for j in range(0, parts.shape[1], EXACT):
                piece = parts[i : i + step, j : j + EXACT]
                for odd, (to_grains, unit) in enumerate(_grains(parts.dtype.type)):
                    for level in range(odd, levels, 2):
                        factors = np.full(len(piece), unit * 2.0 ** (level // 2), parts.dtype)
                        found[level, i : i + step] += _rest(piece, to_grains, factors)
        return found.reshape(levels, -1, CHUNKS)

    def sorted_drift(self, fmt: Format, counts: Array) -> Array:
        """(rows,): what one running sum of ascending, or of descending, addends errs by, in units u of size 1; 0 where
        a sample says that this is far from what a sum of so many (rows,) that are not 0 may err by anyway.
        """
        n, width = len(self.parts), self.parts.shape[1] * self.parts.shape[2]
        rows = self.parts.reshape(n, width)
        compiled = kernels(rows) if rows.dtype == np.float32 else None
        if (count := sample_of(width)) == width:
            return drift_of_sorted(rows, fmt, compiled)
        sample, each = rows[:, _sampled(width, count)], width / count
        share = np.abs(sample).sum(1, np.float64) * each / np.ldexp(self.size, fmt.precision - 1)
        sampled = drift_of_sorted(sample, fmt, compiled, each)
        doubtful = ~(2.0 * sampled < least_allowed(counts - 1.0) * self.size) | ~(np.abs(share - 1.0) < 0.1)
        found = np.zeros(n)
        if doubtful.any():
            found[doubtful] = drift_of_sorted(rows[doubtful], fmt, compiled)
        return found


def drift_of_sorted(rows: Array, fmt: Format, compiled: ModuleType | None, each: float = 1.0) -> Array:
    """(n,): what one running sum of ascending, or of descending, addends of each row (n, any) errs by, in units u of
    size 1; the rows are sorted afterwards. each: every addend stands for so many.

    By blocks of `BLOCK` addends, each with the last place of the running sum at its end. It may be another place
    for the block in which the running sum grows beyond a power of two: off by at most BLOCK u there, so by 2 BLOCK
    in all, far below `LEAST`.
    """
    as_they_are, scaled = _grains(rows.dtype.type)
    if compiled and rows.shape[1] > SHORT:
        compiled.sort_rows(rows)
    else:
        rows.sort(axis=1)
    block = BLOCK if each == 1.0 else FEWER
    if compiled:
        return np.asarray(compiled.sorted_drift(rows, as_they_are[1], fmt.precision, block, EXACT, each))
    blocks = rows.reshape(len(rows), rows.shape[1] // block, block)
    sums = np.rint(blocks * as_they_are[0]).sum(2, dtype=np.float64) * (as_they_are[1] * each)
    upwards = sums.cumsum(1)
    found = np.zeros(len(rows))
    for scale, (to_grains, unit) in ((1.0, as_they_are), (math.sqrt(2.0), scaled)):
        for running in (upwards, upwards[:, -1:] - upwards + sums):
            exponent = np.maximum(np.frexp(scale * running)[1] - fmt.precision, np.frexp(unit)[1])
            left = _rest(blocks.reshape(-1, block), to_grains, np.ldexp(unit, -exponent.ravel()))
            drift = np.ldexp(left.reshape(exponent.shape), exponent + 1).sum(1)
            found = np.maximum(found, np.abs(drift) / scale)
    return found * each


def least_allowed(additions: Any) -> Any:
    """How many rounding errors a long sum may show, whatever its addends leave over.

    >>> float(least_allowed(2.0**20))
    8200.0
    """
    return np.maximum(np.ceil((additions + 1.0) / ACCURACY) + math.log2(ACCURACY), LEAST)


def sample_of(width: int) -> int:
    """How many of so many addends say whether the others are sorted, too.

    [derived] what n addends leave over at random, found from n/k of them, has a standard deviation of sqrt(k n/12): as
    few are looked at as keep that below 0.205 of what is allowed: where the sample shows less than half of it, the
    whole shows less than all of it but for one row in a hundred of those that just exceed it.

    >>> sample_of(8192), sample_of(128256)
    (512, 32064)
    """
    most = 12.0 * (0.205 * float(least_allowed(width - 1.0))) ** 2 / width
    each = next((each for each in (16, 8, 4, 2) if each <= most), 1)
    return -(-width // (each * FEWER)) * FEWER


@cache
def _sampled(width: int, count: int) -> Array:
    """One place of each so many neighbours, scattered so that no period of the addends is met."""
    i = np.arange(count, dtype=np.uint64)
    scattered = ((i * np.uint64(2654435761)) >> np.uint64(29)) % np.uint64(width // count)
    return np.asarray(i * np.uint64(width) // np.uint64(count) + scattered, np.int64)


def _grains(kind: type[np.floating[Any]]) -> Iterator[tuple[Any, Any]]:
    """What addends are multiplied by, as they are and times sqrt 2, so that rint finds grains, and the grain: 2^-10 of
    a last place in float32.

    [derived] what is left over of up to 2^15 of them is added up exactly, in any order. n addends are off by n/2 grains
    at most: n 2^-10 u, beside at least n/128 additions that are allowed.
    """
    grain = kind(2.0 ** (-10 if kind == np.float32 else -30))
    for scale in (1.0, math.sqrt(2.0)):
        yield kind(scale) / grain, grain


def _rest(parts: Array, to_grains: Any, factors: Array) -> Array:
    """(m,): sums over each part (m, k) of x - rint(x), x its grains times its factor (m,), in float64."""
    scaled = np.rint(parts * to_grains)
    scaled *= factors[:, None]
    scaled -= np.rint(scaled)
    return np.asarray(np.einsum("mk->m", scaled), np.float64)


def drifts(e: Array, total: Array, fmt: Format, levels: int = LEVELS, *, one: bool = False) -> Array:
    """(levels, n): largest drift of the sum of each row of e (n, C), in u of its total (n,), by last place.

    [derived] sum over chunks of |sum of l (e/l - rint(e/l))|, without what it is for addends left over at random:
    the mean of |sum| of k uniform numbers in (-1/2, 1/2) is 0.2304 sqrt(k). Addends of 0 are none. total: the sum of
    |e|, which no running sum exceeds. one: of one running sum, so at least its error on ascending or on descending
    addends: those of one size meet one last place, where what is left over to both sides does not cancel.
    """
    found = np.zeros((levels, len(e)))
    if e.shape[1] <= ANY_ORDER:
        return found
    found[:, ~np.isfinite(total)] = np.inf
    places = 2.0 * np.exp2(-PER_OCTAVE * np.arange(levels))[:, None]
    step = len(e) if kernels(e) else max(1, at_once(e, AT_ONCE) // e.shape[1])
    for start in range(0, len(e), step):
        some = slice(start, start + step)
        addends = Addends.of(e[some], total[some], fmt)
        rests, counts = addends.left_over(levels)
        drift = np.maximum(rests - 0.2304 * np.sqrt(counts).sum(1), 0.0) * places
        if one:
            drift[0] = np.maximum(drift[0], addends.sorted_drift(fmt, counts.sum(1)))
        found[:, start + addends.used] = drift / addends.size
    return found


drift_of_one = partial(drifts, one=True)
"""Those of one running sum."""
