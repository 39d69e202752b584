"""The upgrade radar: runs of the same installation do not differ, and a run with any planted fault does.

`python benchmarks/radar.py --pairs 20 --framework numpy --framework torch --framework jax --profile full -j 2`

Pairs: `xentcheck run --profile quick` of all that is installed, so many times and once more, each in a process of its
own, and each compared with the one before. Faults: every planted fault of a framework, on a profile in the fault's
dtype, compared with the implementation that it is planted in. The exit code is 1 if a pair differs, or if a fault does
not.
"""

from __future__ import annotations

import multiprocessing
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from pathlib import Path

import click

import xentcheck
from xentcheck import adapters
from xentcheck.adapters.base import Adapter
from xentcheck.records.findings import RIGHT, is_right
from xentcheck.reports.baselines.baseline import Baseline, baseline_of
from xentcheck.reports.baselines.compare import Comparison, compare
from xentcheck.reports.baselines.file import load
from xentcheck.studies.kill_table.faults import by_name

Task = tuple[str, str, str]
"""Framework, fault, profile."""

ROUND = 8
"""Tasks that a pool gets at a time, so that a fault that ends a process has few to repeat."""

MEMORY = 6 << 30

NAME = "subject"
"""What the right and the wrong implementation are both called."""


def run_once(path: Path) -> Baseline:
    """The baseline of one more run of everything that is installed."""
    command = [
        sys.executable,
        "-c",
        "from xentcheck.cli.main import main; main()",
        "run",
        "-j",
        "2",
        "--save",
        str(path),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return load(path)


def pairs(count: int) -> int:
    """How many of so many successive pairs of runs differ."""
    differ = 0
    with tempfile.TemporaryDirectory() as folder:
        before = run_once(Path(folder) / "0.jsonl")
        for number in range(1, count + 1):
            after = run_once(Path(folder) / f"{number}.jsonl")
            found = compare(before, after)
            differ += bool(found.changes or found.versions)
            click.echo(f"pair {number} of {count}: {found.verdict}")
            before = after
    return differ


def checked(adapter: Adapter, profile: str, dtype: str) -> Baseline:
    """What a run of an implementation finds."""
    adapter.name = NAME
    return baseline_of([xentcheck.check(adapter, profile=profile, dtypes=[dtype], devices=["cpu"]).file])


@cache
def right(framework: str, found_in: str, profile: str, dtype: str) -> Baseline:
    """What a run finds of the implementation that faults are planted in: behind a layer the built-in adapter."""
    adapter = by_name(framework)[RIGHT].adapter() if found_in == "logits" else adapters.get(framework)
    return checked(adapter, profile, dtype)


def differs(task: Task) -> Comparison:
    """What changes with a fault."""
    framework, name, profile = task
    planted = by_name(framework)[name]
    base = right(framework, planted.found_in, profile, planted.fault.dtype)
    return compare(base, checked(planted.adapter(), profile, planted.fault.dtype))


def pool_of(jobs: int) -> ProcessPoolExecutor:
    """Fresh processes with limited memory."""
    return ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"), initializer=limit_memory)


def limit_memory() -> None:
    """Some faults make arrays of rows times rows: then an allocation fails, which is an `error`."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def verdicts(tasks: list[Task], jobs: int) -> Iterator[tuple[Task, str]]:
    """What got worse with each fault, empty if nothing did; a fault that ends the process does not end the others."""
    left = list(tasks)
    while left:
        with pool_of(jobs) as pool:
            done = [pool.submit(differs, task) for task in left[:ROUND]]
            broken = False
            for task, future in zip(list(left[:ROUND]), done, strict=True):
                try:
                    found = future.result()
                except BrokenProcessPool:
                    broken = True
                    break
                left.remove(task)
                yield task, "" if found.ok else found.verdict
        if broken:
            yield alone(left.pop(0))


def alone(task: Task) -> tuple[Task, str]:
    """The same in a process of its own, which may end with it."""
    with pool_of(1) as pool:
        try:
            found = pool.submit(differs, task).result()
        except BrokenProcessPool:
            return task, "the process crashed"
    return task, "" if found.ok else found.verdict


@click.command()
@click.option("--pairs", "count", default=0, show_default=True, help="Successive pairs of runs of `quick`.")
@click.option("--framework", "frameworks", multiple=True, help="Whose planted faults; repeatable, default none.")
@click.option("--profile", default="full", show_default=True)
@click.option("-j", "jobs", default=2, show_default=True)
def main(count: int, frameworks: tuple[str, ...], profile: str, jobs: int) -> None:
    """Measure both."""
    differ = pairs(count) if count else 0
    tasks = [(f, name, profile) for f in frameworks for name in by_name(f) if not is_right(name)]
    silent, told = [], Counter[str]()
    for number, (task, verdict) in enumerate(verdicts(tasks, jobs), 1):
        told[task[0]] += bool(verdict)
        silent += [] if verdict else [f"{task[0]} {task[1]}"]
        click.echo(f"{number} of {len(tasks)}: {task[0]} {task[1]}: {verdict or 'NOT NOTICED'}")
    if count:
        click.echo(f"{count - differ} of {count} pairs do not differ")
    for framework in frameworks:
        planted = sum(task[0] == framework for task in tasks)
        click.echo(f"{framework}: {told[framework]} of {planted} faults make a `{profile}` run worse")
    for name in silent:
        click.echo(f"not noticed: {name}")
    sys.exit(bool(differ or silent))


if __name__ == "__main__":
    main()
