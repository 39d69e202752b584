"""The height of sums of many exponentials: rounding errors that do not cancel, found from the addends themselves.

Notation and derivation: `docs/numerics.md`, section 2.10. A running sum in [2^k, 2^(k+1)) is a multiple of its last
place l = 2^k 2u, so adding e errs by exactly -(e - l rint(e/l)): what the addends leave over decides, not their order.
Left over to both sides alike, the errors cancel; left over to one side (equal addends, addends below l/2), they add up.
"""

from __future__ import annotations

import math

import numpy as np

from xentcheck.reference.formats import Array, Format

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
"""Last places that are looked at: l 2^(-j/2). Half octaves too, as exponentials may be scaled by any factor."""

SAFETY = 3.0
"""Addends of several values cancel at some last places and not at others: found at most 2.3 times the drift."""


def drifts(e: Array, total: Array, fmt: Format) -> Array:
    """(LEVELS, n): largest drift of the sum of each row of e (n, C), in u of its total (n,), by last place.

    [derived] sum over chunks of |sum of l (e/l - rint(e/l))|, without what it is for addends left over at random:
    the mean of |sum| of k uniform numbers in (-1/2, 1/2) is 0.2304 sqrt(k).
    """
    if e.shape[1] <= ANY_ORDER:
        return np.zeros((LEVELS, len(e)))
    starts = np.linspace(0, e.shape[1], CHUNKS, endpoint=False).astype(np.intp)
    last_place = np.exp2(np.floor(np.log2(total))) * 2.0 * fmt.unit_roundoff
    noise = 0.2304 * CHUNKS * math.sqrt(e.shape[1] / CHUNKS)
    found = np.empty((LEVELS, len(e)))
    kind = np.float32 if fmt.precision <= 24 else np.float64  # a few addends near the total lose their last bits
    scaled, rest = np.empty(e.shape[1], kind), np.empty(e.shape[1], kind)
    for n, row in enumerate(e.astype(kind, copy=False)):
        for j in range(LEVELS):
            place = last_place[n] * 2.0 ** (-PER_OCTAVE * j)
            np.multiply(row, kind(1.0 / place), out=scaled)
            np.rint(scaled, out=rest)
            np.subtract(scaled, rest, out=rest)
            left_over = float(np.abs(np.add.reduceat(rest, starts)).sum())
            found[j, n] = max(left_over - noise, 0.0) * place / (fmt.unit_roundoff * total[n])
    return found


def scattered_height(additions: Array, sums: int, drift: Array) -> Array:
    """(n, 1): additions whose rounding errors a sum of scattered addends may show; `sums` running sums or more of them.

    [derived] Of L running sums at most 2^k reach a 2^k-th of the total; each has an L-th of the addends, so of the
    drift at that last place at most 2^k/L adds up.
    """
    share = np.minimum(np.exp2(PER_OCTAVE * np.arange(LEVELS)) / sums, 1.0)
    most = (share[:, None] * drift).max(0)[:, None]
    generic = np.ceil((additions + 1.0) / ACCURACY) + math.log2(ACCURACY)
    return np.asarray(np.minimum(additions, np.maximum(np.maximum(generic, LEAST), SAFETY * most)))
