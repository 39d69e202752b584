"""The matrix: wall-clock of a quick run on two processes, and what two pytest workers gain with PyTorch and NumPy.

`python benchmarks/matrix.py`, from the root of the repository; takes minutes and uses both cores.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from timing import Result, best_of, command, interleaved, report

SPEEDUP = 1.6
ADAPTERS = ("--xentcheck-adapter", "torch", "--xentcheck-adapter", "numpy")
RUN = "from xentcheck.cli.main import main; main()"


def pytest_with(workers: int) -> list[str]:
    """The command line of the matrix of PyTorch and NumPy on that many workers."""
    options = ["-q", "-p", "no:cacheprovider", "-n", str(workers)]
    return [sys.executable, "-m", "pytest", "tests/proof/test_matrix.py", *ADAPTERS, *options]


def main() -> int:
    """The run's time is printed; the speed-up of the second worker has a limit."""
    with TemporaryDirectory() as folder:
        out = str(Path(folder, "run.jsonl"))
        run = [sys.executable, "-c", RUN, "run", "--profile", "quick", "-j", "2", "--out", out]
        print(f"      xentcheck run --profile quick -j 2, nothing cached: {best_of(command(run)):.1f} s")
        two, one = interleaved(command(pytest_with(2)), command(pytest_with(0)), 2)
    return report([Result("pytest -n 0 / pytest -n 2, matrix of PyTorch and NumPy", two, one, at_least=SPEEDUP)])


if __name__ == "__main__":
    sys.exit(main())
