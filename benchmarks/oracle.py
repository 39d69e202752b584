"""The double-double oracle's cost and gradient against mpmath with 40 digits, on float64 logits.

`python benchmarks/oracle.py`; mpmath does SAMPLE rows, and its time is multiplied up to all of them.
"""

from __future__ import annotations

import sys

from timing import Result, interleaved, report

# The number of threads is set before NumPy starts.
# isort: split

import mpmath
import numpy as np

from xentcheck.reference.oracle import Exact
from xentcheck.reference.problem import Problem

SHAPE = (64, 1000)
SAMPLE = 4
DIGITS = 40


def by_mpmath(logits: list[float], label: int) -> tuple[mpmath.mpf, list[mpmath.mpf]]:
    """-ln a_y and a - y of one row, as the book has them."""
    with mpmath.workdps(DIGITS):
        e = [mpmath.exp(z) for z in logits]
        total = mpmath.fsum(e)
        a = [x / total for x in e]
        return -mpmath.log(a[label]), [x - (j == label) for j, x in enumerate(a)]


def main() -> int:
    """The oracle on all rows, mpmath on the first ones."""
    rng = np.random.default_rng(0)
    problem = Problem(logits=rng.standard_normal(SHAPE), target=rng.integers(SHAPE[1], size=SHAPE[0]))
    assert problem.logits is not None
    rows = list(zip(problem.logits[:SAMPLE].tolist(), problem.target.tolist(), strict=False))
    ours, sample = interleaved(
        lambda: Exact(problem).evaluate(["cost", "dC/dz"]), lambda: [by_mpmath(*row) for row in rows], 5
    )
    name = f"mpmath, {DIGITS} digits / oracle, float64 64 x 1000 (mpmath on {SAMPLE} rows)"
    return report([Result(name, ours, sample * SHAPE[0] / SAMPLE, at_least=40)])


if __name__ == "__main__":
    sys.exit(main())
