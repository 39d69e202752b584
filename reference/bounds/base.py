"""What all bounds start from: exact distances, exponentials and sums of rows in float64; what scales all rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from xentcheck.reference.formats import Array, Format
from xentcheck.reference.numbers.arrays import as_array, nonzeros
from xentcheck.reference.oracle.rows import RowSoftmax
from xentcheck.reference.targets import Targets

from .arithmetic import Arithmetic, together
from .sums.addends import drift_of_one, drifts
from .sums.scattered import growth_of

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
        ties = nonzeros(d == 0)[:, None] - 1
        least = e.min(axis=1, initial=1.0)[:, None]
        if not (least > 0).all() and not np.isfinite(d).all():
            far = B.finite(softmax.t)  # a difference of logits that overflows
            np.copyto(d, np.where(far, np.finfo(np.float64).max, 0.0), where=~np.isfinite(d))
        others, total, log_total = (B.pair(x)[0][:, None] for x in (softmax.others, softmax.total, softmax.log_total))
        smallest = least / total
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

    @cached_property
    def drift_of_one(self) -> Array:
        """The same for one running sum of them in any order."""
        return drift_of_one(self.e, self.total[:, 0], self.format)

    @cached_property
    def shared(self) -> dict[str, Array]:
        """Drifts of other sums over a row, by their name, which do not depend on the contract."""
        return {}

    @property
    def reachable(self) -> Array:
        """(n, C): where exp may be computed as nonzero, although the exact one may round to 0."""
        return _reachable(self.d, self.e)


def _reachable(d: Array, e: Array) -> Array:
    return as_array((e > 0) | ((d > 0) & (d <= REACH)))


@dataclass(frozen=True)
class Scaling:
    """Relative errors of what all rows share: the denominator, and the products up to s = upstream/denominator.

    Their roundings are kappa of `docs/numerics.md`, section 2.4.
    """

    denominator_error: float
    roundings: float

    @classmethod
    def of(cls, targets: Targets, arithmetic: Arithmetic) -> Scaling:
        """The denominator of weighted means is a sum of n weights: error growth(n - 1) sum |w| / |sum w|."""
        weighted = targets.weight is not None
        mean = targets.reduction == "mean"
        error = 0.0
        if weighted and mean and targets.probabilities is None:
            w = targets.label_weight
            total = abs(float(w.sum()))
            spread = float(np.abs(w).sum())
            relative = float(growth_of(arithmetic, w[None], "reduction", additions=targets.kept.sum() - 1)[0])
            error = relative * spread / total if total else np.inf
        roundings = arithmetic.roundings(4.0 + 2.0 * weighted, 1.0 + 2.0 * mean + weighted)
        return cls(error / (1.0 - error) if error < 0.5 else np.inf, roundings)

    @property
    def relative(self) -> float:
        """Relative error of a gradient element from everything but the softmax."""
        return float(together(self.roundings, self.denominator_error))
