"""`xentcheck merge`: the shards of a run as one run file, the same as if it had been run in one piece."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryDirectory

import click
from rich.console import Console

from xentcheck.cases import Case
from xentcheck.cli.options import deviations_option
from xentcheck.errors import RunFileError
from xentcheck.records.file import OF_A_PLAN, Finding, Header
from xentcheck.records.findings import Accuracy, Coverage, FaultResult, LawResult
from xentcheck.records.paths import RUN_FILE, keep_others, written
from xentcheck.records.record import Record
from xentcheck.records.run import RunFile
from xentcheck.reports.analysis.summary import summarize
from xentcheck.reports.formats.terminal import print_summary
from xentcheck.running.collect import collect_to
from xentcheck.running.deviations import Deviations, known_with
from xentcheck.running.tasks import Finished


@click.command()
@click.argument("run_files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Run file to write, in the place of an older one.",
)
@deviations_option
def merge(run_files: tuple[Path, ...], out: Path, deviations: Path | None) -> int:
    """Put the run files of all shards of a run together; they are of one plan, and each is there once.

    Exit code 0: all agreed; 1: a disagreement, an error or a blind group; 2: bad input.
    """
    return merge_command(run_files, out, deviations)


def merge_command(run_files: Sequence[Path], out: Path, deviations: Path | None) -> int:
    """Write the whole run and print its verdict. Raises RunFileError, DeviationError or OutputError."""
    keep_others(out, RUN_FILE)
    known = known_with(deviations)
    header, shards = ordered([(str(path), RunFile.load(path)) for path in run_files])
    with ExitStack() as stack:
        path = out
        if out.exists() and not out.is_file():  # a pipe cannot be read again
            path = Path(stack.enter_context(TemporaryDirectory())) / "run.jsonl"
        collect_to(path, header, _tasks(shards), Deviations(known))
        if path != out:
            with written(out, "run file", RUN_FILE) as stream, path.open(encoding="utf-8") as whole:
                copyfileobj(whole, stream)
        found = RunFile.load(path)
        summary = summarize(found)
        print_summary(found, Console(), summary)
    return 0 if summary.ok else 1


def ordered(shards: Sequence[tuple[str, RunFile]]) -> tuple[Header, list[tuple[str, RunFile]]]:
    """The header of the whole run, and its shards in their order, each with the name of its file.

    Raises RunFileError for a file that is no shard, of another run, twice, missing or cut short.
    """
    (first, whole), *others = shards
    for name, run in others:
        for field in OF_A_PLAN:
            if getattr(run.header, field) != getattr(whole.header, field):
                raise RunFileError(f"{name} is of another run than {first}: they differ in {field}")
    by_number: dict[int, tuple[str, RunFile]] = {}
    count = whole.header.shard.partition("/")[2]
    for name, run in shards:
        k, _, n = run.header.shard.partition("/")
        if not k:
            raise RunFileError(f"{name} is no shard of a run; allowed: files of `xentcheck run --shard K/N --out`")
        if n != count:
            raise RunFileError(f"{name} is shard {k}/{n}, and {first} is of {count}; allowed: shards of one division")
        if int(k) in by_number:
            raise RunFileError(f"{name} and {by_number[int(k)][0]} are both shard {k}/{n}; allowed: each once")
        by_number[int(k)] = name, run
    if missing := [k for k in range(1, int(count) + 1) if k not in by_number]:
        raise RunFileError(f"shard {', '.join(map(str, missing))} of {count} is missing")
    in_turn = [by_number[k] for k in sorted(by_number)]
    lengths = [len(run.timings) for _, run in in_turn]
    if lengths != sorted(lengths, reverse=True) or lengths[0] - lengths[-1] > 1:
        told = ", ".join(f"{name} {n}" for (name, _), n in zip(in_turn, lengths, strict=True))
        raise RunFileError(f"the shards do not have equal parts of the tasks: {told}; allowed: complete runs")
    return replace(whole.header, shard="", planned=sum(run.header.planned for _, run in in_turn)), in_turn


def _tasks(shards: Sequence[tuple[str, RunFile]]) -> Iterator[Finished]:
    """What each task has found, in the order of the plan: the shards took turns.

    Raises RunFileError for records that are not in the order of the tasks that found them.
    """
    others: dict[str, list[Finding]] = defaultdict(list)
    for _, run in shards:
        everything: tuple[Finding, ...] = (*run.accuracies, *run.laws, *run.probes, *run.faults)
        for finding in everything:
            others[_task_of(finding)].append(finding)
    left = [groupby(run.records, key=_task_of) for _, run in shards]
    upcoming = [next(groups, None) for groups in left]
    for turn in range(len(shards[0][1].timings)):
        for i, (_, run) in enumerate(shards):
            for name, seconds in run.timings[turn : turn + 1]:
                records: tuple[Finding, ...] = ()
                if (group := upcoming[i]) and group[0] == name:
                    records = tuple(group[1])
                    upcoming[i] = next(left[i], None)
                yield Finished(name, (*others[name], *records), seconds)
    for (path, _), group in zip(shards, upcoming, strict=True):
        if group:
            raise RunFileError(f"{path} has records of {group[0]} that are not in the order of its tasks")


def _task_of(finding: Finding) -> str:
    """The name of the task that finds such a thing."""
    match finding:
        case Record():
            return _signature(finding.case)
        case Accuracy():
            return f"accuracy {finding.dtype}"
        case FaultResult():
            return f"fault {finding.framework} {finding.fault}"
        case LawResult():
            return "laws"
        case Coverage():
            raise RunFileError("coverage is of a whole run")
        case _:
            return "probes"


@lru_cache(2**10)
def _signature(case: str) -> str:
    return Case.parse(case).signature
