"""What verdicts cost, each beside what it is measured against, with its goal: a table of docs/performance.md.

`python benchmarks/performance.py [--write] [--only TEXT]`, from the root of the repository, on a machine that does
nothing else; a quarter of an hour. `--write` puts what was measured into the page's table. What misses its goal is
followed by where the time goes.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import log10
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from oracle import SHAPES, against_numpy, by_numpy, problem_of
from timing import best_of, interleaved, timed

# The number of threads is set before NumPy starts.
# isort: split

import click
import numpy as np
import torch
from profiled import where_time_goes
from verdict import QUANTITIES, gaussian, judge

from xentcheck import adapters, reference
from xentcheck.reference.bounds import Bounds
from xentcheck.reference.bounds.contracts import CATALOGUE
from xentcheck.reference.numbers.fast import described
from xentcheck.reference.oracle import Exact

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- benchmarks/performance.py -->\n", "<!-- end -->\n"
MAIN = "from xentcheck.cli.main import main; main()"
MIB = 2.0**20


@dataclass(frozen=True)
class Row:
    """One line of the table: a number, its goal, and, for a missed one, where the time goes."""

    what: str
    found: float
    goal: float
    how: str = ""
    unit: str = ""
    at_least: bool = False
    why: str = ""

    @property
    def met(self) -> bool:
        """Whether the number keeps its goal."""
        return self.found >= self.goal if self.at_least else self.found <= self.goal

    def __str__(self) -> str:
        limit = f"at {'least' if self.at_least else 'most'} {self.goal:g}{self.unit}"
        found = f"{self.found:.3g}{self.unit}"
        why = "" if self.met else f"missed: {self.why}" if self.why else "missed"
        return f"| {self.what} | {found if self.met else f'**{found}**'} | {limit} | {self.how} | {why} |"


def verdict(shape: tuple[int, int], dtype: str, goal: float) -> Row:
    """The whole verdict beside PyTorch's forward and backward in the same dtype."""
    problem, adapter = gaussian(shape, dtype), adapters.get("torch")
    values = adapter.compute(problem, QUANTITIES, device="cpu", variant="eager").values
    contract = adapter.contract_for("cpu", dtype, "dC/dz")
    kind = getattr(torch, dtype)
    z = torch.tensor(np.asarray(problem.logits, np.float64), dtype=kind).requires_grad_()
    y = torch.tensor(problem.target)

    def theirs() -> object:
        return torch.autograd.grad(torch.nn.functional.cross_entropy(z, y), z)

    ours, fb = interleaved(lambda: judge(problem, values, contract), theirs, 7)
    name = f"verdict / PyTorch's forward and backward, {dtype} {shape[0]} x {shape[1]}"
    why = "" if ours <= goal * fb else where_time_goes(lambda: judge(problem, values, contract))
    return Row(name, ours / fb, goal, f"{1e3 * ours:.3g} ms against {1e3 * fb:.3g} ms", why=why)


def double_double(shape: tuple[int, int], goal: float) -> Row:
    """The oracle of float64 beside plain NumPy."""
    found = against_numpy(shape)
    problem = problem_of(shape)
    why = where_time_goes(lambda: Exact(problem).evaluate(QUANTITIES)) if found.ratio > goal else ""
    how = f"{1e3 * found.ours:.3g} ms against {1e3 * found.theirs:.3g} ms"
    return Row(f"double-double oracle / plain NumPy, {shape[0]} x {shape[1]}", found.ratio, goal, how, why=why)


def bounds(shape: tuple[int, int], goal: float) -> Row:
    """Bounds of cost and dC/dz, without the exact values that they start from, beside plain NumPy's cost and dC/dz."""
    problem = gaussian(shape, "float32")
    z, y = np.asarray(problem.logits, np.float64), problem.target

    def ours() -> object:
        return Bounds(Exact(problem), CATALOGUE["stash"]).evaluate(QUANTITIES)

    both, plain = interleaved(ours, lambda: by_numpy(z, y), 7)
    alone = both - best_of(lambda: Exact(problem).evaluate(QUANTITIES), 7)
    why = where_time_goes(ours) if alone > goal * plain else ""
    name = f"bounds / plain NumPy, float32 {shape[0]} x {shape[1]}"
    return Row(name, alone / plain, goal, f"{1e3 * alone:.3g} ms against {1e3 * plain:.3g} ms", why=why)


def reference_of(shape: tuple[int, int], goal: float) -> Row:
    """The reference's value and gradient beside PyTorch's, both in float64."""
    problem = gaussian(shape, "float64")
    z = torch.tensor(np.array(problem.logits)).requires_grad_()
    y = torch.tensor(problem.target)

    def ours() -> None:
        reference.cross_entropy(problem.logits, problem.target)
        reference.cross_entropy_grad(problem.logits, problem.target)

    def theirs() -> object:
        return torch.autograd.grad(torch.nn.functional.cross_entropy(z, y), z)

    mine, fb = interleaved(ours, theirs, 5)
    why = where_time_goes(ours) if mine > goal * fb else ""
    name = f"reference, value and gradient / PyTorch, float64 {shape[0]} x {shape[1]}"
    return Row(name, mine / fb, goal, f"{1e3 * mine:.3g} ms against {1e3 * fb:.3g} ms", why=why)


def growth(small: tuple[int, int], large: tuple[int, int], goal: float) -> Iterator[Row]:
    """How the time of a verdict grows with its elements, and the memory that it takes beyond the arrays handed over."""
    seconds, sizes = [], []
    for shape in (small, large):
        problem = gaussian(shape, "float32")
        values = adapters.get("torch").compute(problem, QUANTITIES, device="cpu", variant="eager").values
        judge(problem, values, "stash")
        seconds.append(best_of(lambda: judge(problem, values, "stash"), 3 if shape == small else 1))  # noqa: B023 - called at once
        sizes.append(shape[0] * shape[1])
    tracemalloc.start()
    judge(problem, values, "stash")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    exponent = log10(seconds[1] / seconds[0]) / log10(sizes[1] / sizes[0])
    each = " and ".join(f"{1e9 * s / n:.3g}" for s, n in zip(seconds, sizes, strict=True))
    name = f"verdict, float32, {small[0]} x {small[1]} to {large[0]} x {large[1]}"
    why = where_time_goes(lambda: judge(problem, values, "stash")) if exponent > goal else ""
    yield Row(f"growth exponent: {name}", exponent, goal, f"{each} ns an element", why=why)
    how = f"{peak / sizes[1]:.2g} bytes an element"
    rows = "a long row is one block" if large[0] < large[1] else "what is known of each row is kept until the cost"
    yield Row(f"memory beyond the arrays, {large[0]} x {large[1]}", peak / MIB, 64, how, " MiB", why=rows)


def replay(case: str, goal: float) -> Iterator[Row]:
    """A large case again, by the command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    asked = ["replay", case, "--adapter", "torch", "--device", "cpu", "--variant", "eager"]
    start = perf_counter()
    subprocess.run([sys.executable, "-c", MAIN, *asked], check=True, stdout=subprocess.DEVNULL)
    wall = perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    yield Row("replay of 256 x 128256", wall, goal, f"{cpu:.3g} s of CPU", " s")
    yield Row("memory of that command", after.ru_maxrss / 1024**2, 6, "", " GiB")


def workers(goal: float) -> Row:
    """`run` of NumPy and PyTorch on `full`, on one process and on two."""

    def run(jobs: int) -> Callable[[], object]:
        asked = ["run", "--adapter", "numpy", "--adapter", "torch", "--profile", "full", "-j", str(jobs)]
        return lambda: subprocess.run([sys.executable, "-c", MAIN, *asked], check=True, capture_output=True)

    one, two = timed(run(1)), timed(run(2))
    why = "each worker starts its frameworks; two processes share caches and memory"
    how = f"{one:.3g} s against {two:.3g} s"
    return Row("`run -j 1` / `run -j 2`, `full`, NumPy and PyTorch", one / two, goal, how, at_least=True, why=why)


def own_share(goal: float) -> Row:
    """What of a run of `quick` on all frameworks is not theirs, the second time: XLA compiles nothing then."""
    from xentcheck.cases.selection import selected
    from xentcheck.running.executors.local import execute
    from xentcheck.running.subjects import subjects_of
    from xentcheck.running.tasks import groups_of

    spent = 0.0
    installed = adapters.available()
    for adapter in installed.values():
        compute = adapter.compute

        def counted(*given: Any, compute: Callable[..., Any] = compute, **more: Any) -> Any:
            nonlocal spent
            start = process_time()
            try:
                return compute(*given, **more)
            finally:
                spent += process_time() - start

        adapter.compute = counted  # type: ignore[method-assign]  # for this run only
    subjects = [s for adapter in installed.values() for s in subjects_of(adapter)]
    groups = groups_of(selected("quick", None, 0))
    for _ in range(2):
        spent, start = 0.0, process_time()
        for _done in execute(groups, subjects):
            pass
        whole = process_time() - start
    how = f"{whole - spent:.3g} s of {whole:.3g} s of CPU"
    why = f"{len(groups)} signatures are judged under all contracts, and computed in {spent:.3g} s"
    return Row("own share of `quick`, all frameworks, nothing compiled", (whole - spent) / whole, goal, how, why=why)


def rows() -> Iterator[tuple[str, Callable[[], Row | Iterator[Row]]]]:
    """All measurements, with the names that `--only` looks at."""
    for dtype, goal in (("float32", 3), ("bfloat16", 4), ("float16", 7)):
        yield f"verdict {dtype}", lambda dtype=dtype, goal=goal: verdict((256, 32000), dtype, goal)
    yield "verdict float64", lambda: verdict((64, 1000), "float64", 6)
    for shape, goal in zip(SHAPES, (6, 4), strict=True):
        yield "double-double", lambda shape=shape, goal=goal: double_double(shape, goal)
    yield "bounds", lambda: bounds((256, 32000), 1)
    yield "reference", lambda: reference_of((256, 32000), 0.9)
    yield "growth rows", lambda: growth((8, 125_000), (8, 12_500_000), 1.05)
    yield "growth classes", lambda: growth((31_250, 32), (3_125_000, 32), 1.05)
    yield "replay", lambda: replay("gaussian.256x128256.f32.index.plain.mean.up-one.contig.s0", 30)
    yield "own share", lambda: own_share(0.3)
    yield "workers", lambda: workers(1.8)


@click.command()
@click.option("--write", is_flag=True, help="Put the table into docs/performance.md.")
@click.option("--only", default="", help="Measurements whose name holds this text.")
def main(write: bool, only: str) -> None:
    """Measure, print, and write the table."""
    torch.set_num_threads(1)
    head = ["| what | measured | goal | how | if missed, where the time goes |", "|---|---|---|---|---|"]
    found: list[str] = []
    for name, measure in rows():
        if only in name:
            result = measure()
            for row in [result] if isinstance(result, Row) else result:
                found.append(str(row))
                click.echo(found[-1])
    if write:
        before, _, rest = PAGE.read_text().partition(BEGIN)
        table, _, after = rest.partition(END)
        kept = {what_of(line): line for line in table.splitlines()[4:]}
        lines = {**kept, **{what_of(line): line for line in found}}.values()
        about = f"Measured with {described()}, NumPy {np.__version__}, PyTorch {torch.__version__.split('+')[0]}.\n\n"
        PAGE.write_text(before + BEGIN + about + "\n".join([*head, *lines]) + "\n" + END + after)


def what_of(line: str) -> str:
    """What a line of the table measures: a line that is measured again takes its place."""
    return line.split(" | ")[0]


if __name__ == "__main__":
    main()
