"""What all rows share: the factors up to upstream/denominator, and how a bound ends (`docs/numerics.md`, 2.4, 2.9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .contracts import Arithmetic
from .targets import Targets

Array = NDArray[Any]

SLACK = 1.0 + 1e-6
"""The bounds are themselves evaluated in float64, in fewer than 1e9 roundings of 2^-53."""


def finished(bound: Array, arithmetic: Arithmetic) -> Array:
    """A bound as it is judged by: inf where it is nan or reaches the largest number of the storage.

    nan is the difference or product of infinities. An error that large may take an intermediate out of the format, and
    what follows may be any number, or none.
    """
    largest = bound.max(initial=0.0) * SLACK
    bound = bound * SLACK
    if largest < arithmetic.storage.largest:  # false for nan
        return np.asarray(bound)
    return np.where(bound < arithmetic.storage.largest, bound, np.inf)


def together(*errors: Any) -> Any:
    """(1 + e_1) (1 + e_2) ... - 1: relative error of what errs by e_1, and the result by e_2 [derived].

    >>> together(0.5, 1.0)
    2.0
    """
    found = 0.0
    for error in errors:
        found = found + error + found * error
    return found


@dataclass(frozen=True)
class Scaling:
    """Relative errors of what all rows share: the denominator, and the chain of products up to s =
    upstream/denominator.

    Roundings: upstream/denominator at most 2, the product with the row's factor 1, the final product 1; class weights
    2. Rounded to storage between kernels: the denominator, its reciprocal, their product with the upstream gradient;
    the product with a class weight.
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
            error = float(arithmetic.growth(targets.kept.sum() - 1, "reduction")) * spread / total if total else np.inf
        roundings = arithmetic.roundings(4.0 + 2.0 * weighted, 1.0 + 2.0 * mean + weighted)
        return cls(error / (1.0 - error) if error < 0.5 else np.inf, roundings)

    @property
    def relative(self) -> float:
        """Relative error of a gradient element from everything but the softmax."""
        return float(together(self.roundings, self.denominator_error))
