"""The upgrade radar: runs of the same installation do not differ, and a run with any planted fault does.

`python benchmarks/radar.py --pairs 20 --framework numpy --framework torch --framework jax --profile full -j 2`

Pairs: `xentcheck run --profile quick` of all that is installed, so many times and once more, each in a process of its
own, and each compared with the one before. Faults: every planted fault of a framework, on a profile in the fault's
dtype, compared with the implementation that it is planted in. The exit code is 1 if a pair differs, or if a fault does
not.
"""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

import click

import xentcheck
from xentcheck import adapters
from xentcheck.adapters.base import Adapter
from xentcheck.faults import by_name
from xentcheck.reports.baseline import Baseline, baseline_of, load
from xentcheck.reports.compare import Comparison, compare
from xentcheck.reports.fault import RIGHT

NAME = "subject"
"""What the right and the wrong implementation are both called."""


def run_once(path: Path) -> Baseline:
    """The baseline of one more run of everything that is installed."""
    command = [sys.executable, "-c", "from xentcheck.cli import main; main()", "run", "-j", "2", "--save", str(path)]
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


def differs(task: tuple[str, str, str]) -> tuple[str, str, Comparison]:
    """A fault, and what changed with it."""
    framework, name, profile = task
    planted = by_name(framework)[name]
    base = right(framework, planted.found_in, profile, planted.fault.dtype)
    return framework, name, compare(base, checked(planted.adapter(), profile, planted.fault.dtype))


@click.command()
@click.option("--pairs", "count", default=0, show_default=True, help="Successive pairs of runs of `quick`.")
@click.option("--framework", "frameworks", multiple=True, help="Whose planted faults; repeatable, default none.")
@click.option("--profile", default="full", show_default=True)
@click.option("-j", "jobs", default=2, show_default=True)
def main(count: int, frameworks: tuple[str, ...], profile: str, jobs: int) -> None:
    """Measure both."""
    differ = pairs(count) if count else 0
    tasks = [(f, name, profile) for f in frameworks for name in by_name(f) if name != RIGHT]
    silent, told = [], Counter[str]()
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        for number, (framework, fault, found) in enumerate(pool.map(differs, tasks), 1):
            told[framework] += not found.ok
            silent += [f"{framework} {fault}"] if found.ok else []
            click.echo(f"{number} of {len(tasks)}: {framework} {fault}: {found.verdict}")
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
