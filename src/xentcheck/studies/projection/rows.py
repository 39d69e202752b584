"""The row blocks of a projection check: their problems, exact losses, projections and tolerances."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from xentcheck.cases.randomness import Stream
from xentcheck.reference.bounds import Bounds
from xentcheck.reference.bounds.contracts import Contract
from xentcheck.reference.formats import Array
from xentcheck.reference.oracle import Exact
from xentcheck.reference.problem import Problem

GRID = 2.0**-20
REACH = 4.0
"""Logits are multiples of GRID in [-REACH, REACH), so that adding or subtracting the step is exact in float32, too."""

CURVATURE = 4.0 / (3.0 * math.sqrt(3.0))
"""The largest third central moment of a variable of -1 and 1: 8 p (1 - p) (1 - 2 p)."""

ROWS = 64
"""Rows that are projected at a time."""


def step_of(bound: float) -> float:
    """The power of two nearest to where the bound of the losses over the step equals its truncation.

    >>> step_of(1e-14) == 2.0**-15
    True
    """
    return float(2.0 ** max(round(math.log2(max(bound, 2.0**-60) * 3.0 / CURVATURE) / 3.0), -20))


def problem_of(rows: range, classes: int, dtype: str, seed: int) -> Problem:
    """Logits on a grid, a label and a signed weight as upstream gradient per row, whatever the other rows are."""
    z = np.empty((len(rows), classes), dtype)
    labels = np.empty(len(rows), np.int64)
    upstream = np.empty(len(rows), dtype)
    for i, row in enumerate(rows):
        s = Stream(f"project.{seed}.{row}")
        z[i] = s.integers(int(-REACH / GRID), int(REACH / GRID), (classes,)) * GRID
        labels[i] = s.integers(0, classes, (1,))[0]
        upstream[i] = (2.0 ** s.integers(-1, 2, (1,)) * s.signs((1,)))[0]
    return Problem(logits=z, target=labels, reduction="none", upstream=upstream)


def judged(p: Problem, of_loss: Contract, of_gradient: Contract | None = None) -> tuple[Array, Array, Array]:
    """Per row: the exact loss, its bound, and, if a contract is given, the sum of the bounds of dC/dz."""
    exact = Exact(p)
    losses, limits, spread = [], [], [np.zeros(0)]
    with np.errstate(all="ignore"):
        for _, _, (loss, limit) in exact.walk(["loss"], [exact, Bounds(exact, of_loss)]):
            losses.append(exact.backend.pair(loss)[0])
            limits.append(limit)
        if of_gradient:
            parts = exact.walk(["dC/dz"], [Bounds(exact, of_gradient)])
            spread += [bound.whole.sum(1) for _, _, (bound,) in parts]
    return np.concatenate(losses), np.concatenate(limits), np.concatenate(spread)


def moved(p: Problem, direction: Array) -> Problem:
    """The problem at z plus the direction; exact on the grid."""
    return replace(p, logits=np.asarray(p.logits) + direction.astype(p.dtype))


def some_rows(p: Problem, rows: Array) -> Problem:
    """Some rows of a problem."""
    return replace(p, logits=np.asarray(p.logits)[rows], target=p.target[rows], upstream=p.upstream[rows])


def projections_of(gradient: Array, directions: Array) -> tuple[Array, Array]:
    """(N, K) projections in float64, and (N,) sums of magnitudes, some rows at a time."""
    found, sizes = [], []
    for part in _parts(len(gradient)):
        wide = gradient[part].astype(np.float64)
        found.append(wide @ directions)
        sizes.append(np.abs(wide).sum(1))
    return np.concatenate(found), np.concatenate(sizes)


def _parts(n: int) -> Iterator[slice]:
    return (slice(start, start + ROWS) for start in range(0, max(n, 1), ROWS))


def tolerance_of(bounds: Array, step: float, upstream: Array, fixed: Array) -> Array:
    """|upstream| (sum of both losses' bounds/(2 h) + CURVATURE h^2/6), and what does not depend on the step."""
    return np.asarray(upstream * (bounds / (2.0 * step) + CURVATURE * step**2 / 6.0) * (1.0 + 2.0**-50) + fixed)
