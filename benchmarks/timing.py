"""Side-by-side timing: best of interleaved rounds in one process on one thread, and a ratio against its limit.

Import it before anything that starts a thread pool: it sets the number of threads that BLAS and OpenMP read at start.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # commands find their modules compiled, as those of users do


@dataclass(frozen=True)
class Result:
    """Two times in seconds, of what is measured and of what it is measured against, and what their ratio must be.

    at_most: limit of ours/theirs. at_least: limit of theirs/ours. One of the two is given.
    """

    name: str
    ours: float
    theirs: float
    at_most: float | None = None
    at_least: float | None = None

    @property
    def ratio(self) -> float:
        """The ratio that is limited: ours/theirs for `at_most`, theirs/ours for `at_least`."""
        return self.ours / self.theirs if self.at_most is not None else self.theirs / self.ours

    @property
    def passes(self) -> bool:
        """Whether the ratio keeps its limit."""
        if self.at_most is not None:
            return self.ratio <= self.at_most
        return self.at_least is not None and self.ratio >= self.at_least

    def __str__(self) -> str:
        limit = f"<= {self.at_most:g}" if self.at_most is not None else f">= {self.at_least:g}"
        times = f"{self.ours * 1e3:.2f} ms against {self.theirs * 1e3:.2f} ms"
        return f"{'pass' if self.passes else 'FAIL'}  {self.name}: {self.ratio:.2f} (limit {limit}), {times}"


def best_of(call: Callable[[], object], rounds: int = 1) -> float:
    """Shortest time of some rounds, in seconds."""
    return min(timed(call) for _ in range(rounds))


def timed(call: Callable[[], object]) -> float:
    """Time of one call, in seconds."""
    start = perf_counter()
    call()
    return perf_counter() - start


def interleaved(ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Shortest time of each, in turns after one warm-up of each, so that a slow phase of the machine meets both."""
    ours()
    theirs()
    pairs = [(timed(ours), timed(theirs)) for _ in range(rounds)]
    return min(first for first, _ in pairs), min(second for _, second in pairs)


def command(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Callable[[], object]:
    """A call that runs a command to its end; raises CalledProcessError if that fails."""

    def call() -> object:
        env = {**os.environ, **(environment or {})}
        return subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL, env=env)

    return call


def report(results: Sequence[Result]) -> int:
    """Print the results; exit code 1 if any misses its limit."""
    for result in results:
        print(result)
    return 0 if all(result.passes for result in results) else 1
