"""A full verdict (exact values, bounds, comparison, power) against gradcheck, and against forward and backward.

`python benchmarks/verdict.py [--quick]`; `--quick` leaves out gradcheck, which takes most of the time.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from timing import Result, best_of, interleaved, report

# The number of threads is set before NumPy starts.
# isort: split

import numpy as np
import torch

from xentcheck.judging.comparisons import Submission
from xentcheck.judging.verdict import Judgement
from xentcheck.reference.bounds.contracts import get
from xentcheck.reference.problem import Problem

QUANTITIES = ("cost", "dC/dz")
GRADCHECK = (64, 1000)
BACKWARD = (256, 32000)


def gaussian(shape: tuple[int, int], dtype: str) -> Problem:
    """Standard normal logits and uniform labels."""
    rng = np.random.default_rng(0)
    logits = rng.standard_normal(shape).astype(dtype)
    return Problem(logits=logits, target=rng.integers(shape[1], size=shape[0]))


class Torch:
    """PyTorch's cross-entropy on a problem."""

    def __init__(self, problem: Problem) -> None:
        self.logits = torch.from_numpy(np.array(problem.logits)).requires_grad_()
        self.target = torch.from_numpy(np.array(problem.target))

    def forward_backward(self) -> dict[str, np.ndarray]:
        """The cost and dC/dz, from autograd."""
        cost = torch.nn.functional.cross_entropy(self.logits, self.target)
        gradient = torch.autograd.grad(cost, self.logits)[0]
        return {"cost": cost.detach().numpy(), "dC/dz": gradient.numpy()}

    def gradcheck(self) -> None:
        """Slow mode: two evaluations of the cost per logit."""
        torch.autograd.gradcheck(lambda z: torch.nn.functional.cross_entropy(z, self.target), (self.logits,))


def judge(problem: Problem, values: Mapping[str, np.ndarray], contract: str = "stash") -> None:
    """The whole verdict, from the problem's arrays on; raises ArithmeticError unless it agrees."""
    (verdicts,) = Judgement(problem, QUANTITIES, [Submission(values, get(contract))]).run()
    if not all(verdict.agrees for verdict in verdicts.values()):
        raise ArithmeticError("the verdict that is timed does not agree")


def against_gradcheck() -> Result:
    """float64: theirs is run once, as it takes seconds."""
    problem = gaussian(GRADCHECK, "float64")
    theirs = Torch(problem)
    values = theirs.forward_backward()
    ours = best_of(lambda: judge(problem, values), 10)
    return Result("gradcheck, slow / verdict, float64 64 x 1000", ours, best_of(theirs.gradcheck), at_least=600)


def against_backward() -> Result:
    """float32: the whole verdict beside the computation that it judges."""
    problem = gaussian(BACKWARD, "float32")
    theirs = Torch(problem)
    values = theirs.forward_backward()
    times = interleaved(lambda: judge(problem, values), theirs.forward_backward, 10)
    return Result("verdict / forward and backward, float32 256 x 32000", *times, at_most=15)


def main() -> int:
    """Both, on one thread."""
    torch.set_num_threads(1)
    quick = "--quick" in sys.argv[1:]
    return report([against_backward()] if quick else [against_gradcheck(), against_backward()])


if __name__ == "__main__":
    sys.exit(main())
