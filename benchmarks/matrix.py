"""The matrix: wall-clock of a quick run on two processes, and what two pytest workers gain with a warm JAX cache.

`python benchmarks/matrix.py`, from the root of the repository; takes minutes and uses both cores.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from timing import Result, best_of, command, interleaved, report

SPEEDUP = 1.5
RUN = "from xentcheck.cli.main import main; main()"


def pytest_with(workers: int) -> list[str]:
    """The command line of the matrix on that many workers."""
    options = ["-q", "-p", "no:cacheprovider", "-n", str(workers)]
    return [sys.executable, "-m", "pytest", "tests/proof/test_matrix.py", *options]


def main() -> int:
    """The run's time is printed; the speed-up of the second worker has a limit."""
    with TemporaryDirectory() as folder:
        cache = {
            "JAX_COMPILATION_CACHE_DIR": str(Path(folder, "cache")),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
        out = str(Path(folder, "run.jsonl"))
        run = [sys.executable, "-c", RUN, "run", "--profile", "quick", "-j", "2", "--out", out]
        print(f"      xentcheck run --profile quick -j 2, nothing cached: {best_of(command(run)):.1f} s")
        two, one = interleaved(command(pytest_with(2), cache), command(pytest_with(0), cache), 2)
    return report([Result("pytest -n 0 / pytest -n 2, matrix, warm JAX cache", two, one, at_least=SPEEDUP)])


if __name__ == "__main__":
    sys.exit(main())
