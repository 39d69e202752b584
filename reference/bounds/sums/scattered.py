"""The height of sums of many addends: rounding errors that do not cancel, found from the addends themselves.

Notation and derivation: `docs/numerics.md`, section 2.10.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from xentcheck.reference.bounds.arithmetic import Arithmetic, growth
from xentcheck.reference.formats import Array, Format
from xentcheck.reference.numbers.arrays import nonzeros

from .addends import ANY_ORDER, LEAST, LEVELS, PER_OCTAVE, SAFETY, drift_of_one, least_allowed

NEGLIGIBLE = 2.0**-24
"""What any order allows in float64 up to 5e8 terms hides nothing."""

MOST_PRODUCTS = 2**23
"""A matrix product of more products than these may be added in any order: looking at each would take too long."""


def scattered_height(additions: Array, sums: int, drift: Array) -> Array:
    """(n, 1): additions whose rounding errors a sum of scattered addends may show; `sums` running sums or more of them.

    [derived] Of L running sums at most 2^k reach a 2^k-th of the total; each has an L-th of the addends, so of the
    drift at that last place at most 2^k/L adds up.
    """
    share = np.minimum(np.exp2(PER_OCTAVE * np.arange(len(drift))) / sums, 1.0)
    most = (share[:, None] * drift).max(0)[:, None]
    return np.asarray(np.minimum(additions, np.maximum(least_allowed(additions), SAFETY * most)))


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
    size: Array | None = None,
) -> Array:
    """(n,): relative error, of sum |addend|, of one running sum of each row of addends (n, m) of either sign.

    error: (n,) relative error of the addends as the implementation has them, of sum |addend|. additions: (n,), if other
    than the number of addends that are not 0, less one. shared: drifts by the name of the sum, for all contracts. size:
    (n,), the sums of |addend|, if they are known.

    [derived] an addend that is off by delta leaves over at most delta more. Where signs differ, or where a part of the
    addends is summed by itself, all of them may meet a lower place l 2^(-j/2): they drift by n l 2^(-j/2)/2 at most,
    and places where that is below `LEAST` are not looked at. Exact addends whose sums never round err by nothing.
    """
    if additions is None:
        additions = nonzeros(addends) - 1
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
        shared[name] = drift_of_one(addends, np.abs(addends).sum(1) if size is None else size, fmt, levels)
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
