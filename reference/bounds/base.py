"""What the errors of all contracts start from: exact distances, exponentials and sums of rows, in float64."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from xentcheck.reference.formats import Array, Format
from xentcheck.reference.oracle.rows import RowSoftmax

from .scattered import drifts

REACH = 747.0
"""exp of minus more than this is 0 in every format, however it is rounded; a little less may be computed as nonzero."""


@dataclass(frozen=True)
class RowBase:
    """What the errors of all contracts start from: exact d, e (n, C) and row sums (n, 1), in float64.

    zeta: absolute error of each logit (n, C), or None where the implementation receives the logits.
    """

    format: Format
    d: Array
    e: Array
    others: Array
    total: Array
    log_total: Array
    maximum: Array
    depth: Array
    ties: Array
    active: Array
    low: Array
    smallest: Array
    zeta: Array | None

    @classmethod
    def of(cls, softmax: RowSoftmax, fmt: Format, zeta: Array | None = None) -> RowBase:
        """The base of a block of exact rows."""
        B = softmax.backend
        e = B.pair(softmax.e)[0]
        d = np.negative(B.pair(softmax.t)[0])
        ties = np.count_nonzero(d == 0, axis=1)[:, None] - 1
        if not np.isfinite(d).all():
            far = B.finite(softmax.t)  # a difference of logits that overflows
            np.copyto(d, np.where(far, np.finfo(np.float64).max, 0.0), where=~np.isfinite(d))
        others, total, log_total = (B.pair(x)[0][:, None] for x in (softmax.others, softmax.total, softmax.log_total))
        smallest = e.min(axis=1, initial=1.0)[:, None] / total
        small = smallest < 4 * fmt.smallest_normal
        if small.any():
            active = np.where(small[:, 0], np.count_nonzero(e > fmt.smallest_subnormal / 16, axis=1), e.shape[1])[
                :, None
            ]
            low = np.count_nonzero(_reachable(d, e) & (e < 4 * fmt.smallest_normal * total), axis=1)[:, None]
        else:
            active = np.full_like(ties, e.shape[1])
            low = np.zeros_like(ties)
        depth = np.einsum("nc,nc->n", e, d)[:, None]
        maximum = np.where(softmax.defined, softmax.maximum, 0.0)[:, None]
        return cls(fmt, d, e, others, total, log_total, maximum, depth, ties, active, low, smallest, zeta)

    @cached_property
    def drifts(self) -> Array:
        """How far sums of the exponentials drift, by last place: of use for long sums of known exponentials only."""
        return drifts(self.e, self.total[:, 0], self.format)

    @property
    def reachable(self) -> Array:
        """(n, C): where exp may be computed as nonzero, although the exact one may round to 0."""
        return _reachable(self.d, self.e)


def _reachable(d: Array, e: Array) -> Array:
    return np.asarray((e > 0) | ((d > 0) & (d <= REACH)))
