"""The double-double oracle's cost and gradient against mpmath with 40 digits, and against NumPy's float64.

`python benchmarks/oracle.py`; mpmath does SAMPLE rows, and its time is multiplied up to all of them.
"""

from __future__ import annotations

import sys

from timing import Result, interleaved, report

# The number of threads is set before NumPy starts.
# isort: split

import mpmath
import numpy as np
from numpy.typing import NDArray

from xentcheck.reference.oracle import Exact
from xentcheck.reference.problem import Problem

SHAPES = ((64, 1000), (8, 128256))
SAMPLE = 4
DIGITS = 40


def by_mpmath(logits: list[float], label: int) -> tuple[mpmath.mpf, list[mpmath.mpf]]:
    """-ln a_y and a - y of one row, as the book has them."""
    with mpmath.workdps(DIGITS):
        e = [mpmath.exp(z) for z in logits]
        total = mpmath.fsum(e)
        a = [x / total for x in e]
        return -mpmath.log(a[label]), [x - (j == label) for j, x in enumerate(a)]


def by_numpy(z: NDArray[np.float64], y: NDArray[np.int64]) -> tuple[np.float64, NDArray[np.float64]]:
    """The mean of log(sum(exp(z - max))) - (z_y - max), and (a - y)/m, in float64."""
    rows = np.arange(len(z))
    t = z - z.max(1, keepdims=True)
    e = np.exp(t)
    total = e.sum(1, keepdims=True)
    g = e / total
    g[rows, y] -= 1.0
    g /= len(z)
    return np.mean(np.log(total[:, 0]) - t[rows, y]), g


def problem_of(shape: tuple[int, int]) -> Problem:
    """Normal logits and random labels."""
    rng = np.random.default_rng(0)
    return Problem(logits=rng.standard_normal(shape), target=rng.integers(shape[1], size=shape[0]))


def against_mpmath(shape: tuple[int, int]) -> Result:
    """The oracle on all rows, mpmath on the first ones."""
    problem = problem_of(shape)
    assert problem.logits is not None
    rows = list(zip(problem.logits[:SAMPLE].tolist(), problem.target.tolist(), strict=False))
    ours, sample = interleaved(
        lambda: Exact(problem).evaluate(["cost", "dC/dz"]), lambda: [by_mpmath(*row) for row in rows], 5
    )
    name = f"mpmath, {DIGITS} digits / oracle, float64 {shape[0]} x {shape[1]} (mpmath on {SAMPLE} rows)"
    return Result(name, ours, sample * shape[0] / SAMPLE, at_least=40)


def against_numpy(shape: tuple[int, int]) -> Result:
    """Both on all rows."""
    problem = problem_of(shape)
    assert problem.logits is not None
    z, y = problem.logits, problem.target
    ours, theirs = interleaved(lambda: Exact(problem).evaluate(["cost", "dC/dz"]), lambda: by_numpy(z, y), 15)
    return Result(f"oracle / NumPy in float64, {shape[0]} x {shape[1]}", ours, theirs, at_most=20)


def main() -> int:
    """Both ratios, the one to NumPy for both shapes."""
    return report([against_mpmath(SHAPES[0]), *(against_numpy(shape) for shape in SHAPES)])


if __name__ == "__main__":
    sys.exit(main())
