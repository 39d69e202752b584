"""Families: laws for logits, each there for a kind of fault; rows of float64 before rounding, with labels that fit.

A family draws (m, C) logits and (m,) labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from xentcheck.reference.formats import FORMATS, Array

from .randomness import Stream

Draw = tuple[Array, Array]

FAR = -20000.0
"""A logit whose exponential underflows in every format, and whose distance is no power of two."""


UNDERFLOW = {"float64": 708.0, "float32": 87.0, "bfloat16": 87.0, "float16": 87.0}
"""exp of minus this is about the smallest normal number of the arithmetic."""


@dataclass(frozen=True)
class Family:
    """A law for logits and the sentence that says which fault it is there for."""

    name: str
    purpose: str
    draw: Callable[[Stream, int, int, str], Draw]


def _labels(stream: Stream, m: int, c: int) -> Array:
    return stream.integers(0, c, (m,))


def _gaussian(s: Stream, m: int, c: int, dtype: str) -> Draw:
    return 2.0 * s.gaussian((m, c)), _labels(s, m, c)


def _deep(s: Stream, m: int, c: int, dtype: str) -> Draw:
    top = s.gaussian((m, 1))
    z = top - s.uniform(0.5, 0.97, (m, c)) * UNDERFLOW[dtype]
    near = s.subset(m, c, min(2, c))
    np.put_along_axis(z, near, top - s.uniform(0.0, 1.0, near.shape), 1)
    return z, _labels(s, m, c)


def _confident(s: Stream, m: int, c: int, dtype: str) -> Draw:
    z, y = s.gaussian((m, c)), _labels(s, m, c)
    rows = np.arange(m)
    z[rows, y] = -9.0
    z[rows, y] = z.max(1, initial=-9.0) + s.uniform(2.0, 20.0, (m,))
    return z, y


def _saturated(hit: bool) -> Callable[[Stream, int, int, str], Draw]:
    def draw(s: Stream, m: int, c: int, dtype: str) -> Draw:
        z, y = s.gaussian((m, c)) - 60.0, _labels(s, m, c)
        z[np.arange(m), y if hit else (y + 1) % c] = 60.0
        return z, y

    return draw


def _ties(s: Stream, m: int, c: int, dtype: str) -> Draw:
    return s.integers(0, 3, (m, c)).astype(np.float64), _labels(s, m, c)


def _common_offset(s: Stream, m: int, c: int, dtype: str) -> Draw:
    return 1000.0 + 2.0 * s.gaussian((m, c)), _labels(s, m, c)


def _very_negative(s: Stream, m: int, c: int, dtype: str) -> Draw:
    return -1e4 * s.uniform(1.0, 3.0, (m, 1)) + 2.0 * s.gaussian((m, c)), _labels(s, m, c)


def _near_overflow(s: Stream, m: int, c: int, dtype: str) -> Draw:
    return s.uniform(-0.45, 0.45, (m, c)) * FORMATS[dtype].largest, _labels(s, m, c)


def _masked(s: Stream, m: int, c: int, dtype: str) -> Draw:
    z, y = 3.0 * s.gaussian((m, c)), _labels(s, m, c)
    masked = s.integers(0, 2, (m, c)) == 1
    masked[np.arange(m), y] = False
    return np.where(masked, -np.inf, z), y


def _few_active(s: Stream, m: int, c: int, dtype: str) -> Draw:
    active = s.subset(m, c, min(8, c))
    z = np.full((m, c), FAR)
    np.put_along_axis(z, active, 2.0 * s.gaussian(active.shape), 1)
    pick = s.integers(0, active.shape[1], (m,))
    return z, active[np.arange(m), pick]


def _exact_ones(s: Stream, m: int, c: int, dtype: str) -> Draw:
    y = _labels(s, m, c)
    z = np.where(s.integers(0, 2, (m, c)) == 1, 0.0, -np.inf)
    z[np.arange(m), y] = 0.0
    return z, y


def _underflow(s: Stream, m: int, c: int, dtype: str) -> Draw:
    top = s.gaussian((m, 1))
    z = top - s.uniform(0.97, 1.06, (m, c)) * UNDERFLOW[dtype]
    near = s.subset(m, c, min(2, c))
    np.put_along_axis(z, near, top - s.uniform(0.0, 1.0, near.shape), 1)
    return z, _labels(s, m, c)


def _certain(s: Stream, m: int, c: int, dtype: str) -> Draw:
    z, y = s.gaussian((m, c)), _labels(s, m, c)
    rows = np.arange(m)
    z[rows, y] = -9.0
    lead = s.uniform(0.6, 1.2, (m,)) * -np.log(FORMATS[dtype].unit_roundoff)
    z[rows, y] = z.max(1, initial=-9.0) + lead + np.log(max(c - 1, 1))
    return z, y


def _equal_huge(s: Stream, m: int, c: int, dtype: str) -> Draw:
    offset = 2.0 ** min(27, int(np.log2(float(FORMATS[dtype].largest))) - 1)
    spacing = offset * FORMATS[dtype].unit_roundoff * 2.0
    steps = s.integers(0, 3, (m, c)) * np.ceil(16.0 / spacing)
    return offset + steps * spacing * (s.integers(0, 2, (m, 1)) == 1), _labels(s, m, c)


def _edges(s: Stream, m: int, c: int, dtype: str) -> Draw:
    z, y = 2.0 * s.gaussian((m, c)), _labels(s, m, c)
    equal = slice(min(1, m - 1), None, 2)
    z[equal] = z[equal, :1]
    y[::2] = c - 1
    return z, y


def _untrained(s: Stream, m: int, c: int, dtype: str) -> Draw:
    return np.zeros((m, c)), _labels(s, m, c)


def _small(s: Stream, m: int, c: int, dtype: str) -> Draw:
    return s.uniform(-0.75, 0.75, (m, c)), _labels(s, m, c)


def _low(s: Stream, m: int, c: int, dtype: str) -> Draw:
    bottom = np.where(np.arange(m) % 3 == 2, 2.0**20, 2.0**17)[:, None]
    return -bottom * s.uniform(1.0, 2.0, (m, 1)) + 2.0 * s.gaussian((m, c)), _labels(s, m, c)


def _walled(s: Stream, m: int, c: int, dtype: str) -> Draw:
    z, first, last = 2.0 * s.gaussian((m, c)), c // 3, c - c // 4
    z[:, :first] = z[:, last:] = -np.inf
    return z, s.integers(first, last, (m,))


def _masked_finite(s: Stream, m: int, c: int, dtype: str) -> Draw:
    z, y = _masked(s, m, c, dtype)
    return np.where(np.isfinite(z), z, -FORMATS[dtype].largest), y


def _broken_rows(s: Stream, m: int, c: int, dtype: str) -> Draw:
    z, y = 2.0 * s.gaussian((m, c)), _labels(s, m, c)
    rows = np.arange(m)
    broken = np.where(rows % 4 == 1, np.nan, np.inf)
    z[rows, (y + 1) % c] = np.where(rows % 2 == 1, broken, z[rows, (y + 1) % c])
    return z, y


FAMILIES = {
    f.name: f
    for f in (
        Family("gaussian", "logits of order 1: the ordinary case", _gaussian),
        Family("deep", "gaps up to where exp underflows: argument errors of exp, log a rounded between kernels", _deep),
        Family("confident", "the label leads by 2 to 20: cancellation in a_y - 1, loss near 0", _confident),
        Family("saturated-hit", "the label leads by 120: the loss underflows next to 1", _saturated(True)),
        Family("saturated-miss", "another class leads by 120: clipped or underflown probabilities", _saturated(False)),
        Family("ties", "equal maxima and equal addends: gradients through the maximum, systematic rounding", _ties),
        Family(
            "common-offset",
            "a common offset of 1000: no maximum subtracted, or log-sum-exp at full size",
            _common_offset,
        ),
        Family("very-negative", "rows near -20000: exp underflows unless the maximum is subtracted", _very_negative),
        Family("underflow", "gaps around where exp becomes subnormal, then 0: flushing, log of 0, 0/0", _underflow),
        Family(
            "certain", "the label leads until a_y rounds to 1: the gradient at the label is all cancellation", _certain
        ),
        Family(
            "equal-huge",
            "equal or far logits at the offset 2^27: a log-sum-exp that adds the offset back loses all digits",
            _equal_huge,
        ),
        Family("near-overflow", "logits near the largest number: overflow of differences and sums", _near_overflow),
        Family("masked", "half of the classes at -inf: 0 * inf, wrong masks", _masked),
        Family("few-active", "8 classes matter: the bound stays at a few ULP for every C", _few_active),
        Family("exact-ones", "logits 0 or -inf: every sum is exact, so the bound is one rounding", _exact_ones),
    )
}

BROKEN = Family("broken-rows", "nan or inf in every second row: what one row does must not reach another", _broken_rows)
"""Not among the others: in a sum over all rows nan is nan, or a convention, so that it needs reduction none."""

EDGES = Family(
    "edges", "labels that are the last class, and rows of equal logits: tails of blocks, untrained heads", _edges
)
"""Not among the others, which have both now and then: it is there for many classes."""

UNTRAINED = Family("untrained", "logits that are all 0, as a head gives before its first step", _untrained)
SMALL = Family("small", "logits between -3/4 and 3/4, as a head gives in its first steps", _small)
"""Not among the others: they are there for what looks at all logits of a batch."""

LOW = Family("low", "rows below -100000, and below -1000000: a running maximum that starts above them", _low)
"""Not among the others: float16 ends at -65504, and bfloat16 has no two numbers there that differ by 2."""

WALLED = Family(
    "walled",
    "the first third of the classes and the last quarter at -inf: blocks without a maximum, a padded vocabulary",
    _walled,
)
MASKED_FINITE = Family(
    "masked-finite", "half of the classes at minus the largest number, as masks are without an infinity", _masked_finite
)
"""Not among the others: `masked` is for what goes wrong wherever classes are."""

LOGIT_FAMILIES = {
    **FAMILIES,
    **{f.name: f for f in (BROKEN, EDGES, UNTRAINED, SMALL, LOW, WALLED, MASKED_FINITE)},
}
"""All families of logits that a case may name."""
