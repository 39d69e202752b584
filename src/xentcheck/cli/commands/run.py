"""`xentcheck run`: execute a profile with progress, write the run file and the report, print the verdict."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from xentcheck import adapters as registry
from xentcheck.adapters.promises import Promised
from xentcheck.adapters.spec import Spec, specs_of
from xentcheck.api import Run, tasks_of
from xentcheck.cases.selection import selected
from xentcheck.cli.options import (
    FROM_0,
    FROM_1,
    adapter_option,
    contract_option,
    contracts_of,
    deviations_option,
    device_option,
    dtype_option,
    framework_option,
    impl_option,
    isolation_option,
    jobs_of,
    jobs_option,
    overwrites_option,
    seed_option,
    shard_of,
    timeout_option,
)
from xentcheck.records.paths import prepare, prepare_file
from xentcheck.reports.baselines.baseline import baseline_of, path_of
from xentcheck.reports.formats.terminal import print_summary
from xentcheck.reports.formats.write import to_json, write_report
from xentcheck.running.deviations import Deviations, load
from xentcheck.running.environment import digest_of_plan, header_of
from xentcheck.running.executors.dask import address_of, execute_on_dask
from xentcheck.running.executors.futures import Asked
from xentcheck.running.executors.local import execute, execute_parallel
from xentcheck.running.journal import Journal, collect
from xentcheck.running.subjects import subjects_named
from xentcheck.running.tasks import CaseGroup, Finished
from xentcheck.studies.accuracy import AccuracySearch
from xentcheck.studies.kill_table.faults import fault_searches, frameworks_of


@dataclass(frozen=True)
class RunRequest:
    """The options of `xentcheck run`."""

    specs: tuple[Spec, ...]
    profile: str
    dtypes: tuple[str, ...]
    devices: tuple[str, ...]
    seed: int
    jobs: int
    out: Path | None
    report_dir: Path | None
    accuracy_rounds: int = 0
    faults: bool = False
    patterns: tuple[str, ...] = ()
    stop: bool = False
    as_json: bool = False
    deviations: Path | None = None
    save: str | None = None
    repeats: int = 1
    contracts: Promised = ()
    resume: bool = False
    shard: tuple[int, int] | None = None
    executor: str | None = None


def run_command(request: RunRequest) -> int:
    """Run it; the exit code is 0 if everything agreed, else 1. Raises XentcheckError for bad input."""
    console = Console(stderr=request.as_json)
    if request.report_dir:
        prepare(request.report_dir)
    if request.save is not None:
        prepare_file(path_of(request.save))
    start = perf_counter()
    run = execute_request(request, console)
    seconds = perf_counter() - start
    each = 1000 * seconds / max(len(run.records), 1)
    again: list[Run] = []
    if request.save is not None:
        again = [execute_request(replace(request, out=None, resume=False), console) for _ in range(request.repeats - 1)]
        path = path_of(request.save)
        baseline_of([run.file, *(r.file for r in again)]).save(path)
        console.print(f"wrote {path}", highlight=False, soft_wrap=True)
    console.print(f"{len(run.records)} comparisons in {seconds:.1f} s, {each:.1f} ms each", highlight=False)
    code = _conclude(run, request, console)
    for number, repeat in enumerate(again, 2):
        if not repeat.ok:
            click.echo(f"run {number} of {request.repeats}: {repeat.summary()}", err=request.as_json)
            code = 1
    return code


def execute_request(request: RunRequest, console: Console) -> Run:
    """The run of the cases asked for, with progress."""
    known = load() + (load(request.deviations) if request.deviations else [])
    chosen = selected(request.profile, request.dtypes or None, request.seed, request.patterns)
    specs = asked_of(request)
    subjects = subjects_named(specs, request.devices, request.dtypes, by_name=bool(request.specs))
    tasks = tasks_of(chosen, request.profile)
    if request.accuracy_rounds:
        dtypes = dict.fromkeys(case.dtype for case in chosen)
        tasks = [*(AccuracySearch(dtype, request.seed, request.accuracy_rounds) for dtype in dtypes), *tasks]
    if request.faults:
        names = {s.adapter.name for s in subjects if not s.missing}
        museums = [name for name in frameworks_of(()) if name in names]
        tasks += fault_searches(museums, (request.profile,), rivals=True)
    named: dict[str, Any] = {"plan": digest_of_plan(tasks, subjects), "dtypes": request.dtypes}
    named |= {"devices": request.devices, "shard": "{}/{}".format(*request.shard) if request.shard else ""}
    if request.shard:
        k, n = request.shard
        tasks = tasks[k - 1 :: n]
        chosen = [case for task in tasks if isinstance(task, CaseGroup) for case in task.cases]
    header = header_of(chosen, subjects, request.profile, request.seed, request.jobs, request.patterns, **named)
    with ExitStack() as stack:
        advance = stack.enter_context(_progress(console, len(tasks)))
        journal = stack.enter_context(Journal(request.out, header, resume=request.resume)) if request.out else None
        left = journal.left(tasks) if journal else tasks
        if request.executor is not None:
            finished = execute_on_dask(left, Asked(specs, request.devices or None), request.executor)
        elif request.jobs > 1:
            finished = execute_parallel(left, Asked(specs, request.devices or None), request.jobs)
        else:
            finished = execute(left, subjects)
        done = journal.all(tasks, finished) if journal else finished
        found = collect(header, done, Deviations(known), stop=request.stop, progress=advance)
        if journal:
            journal.complete(found)
    return Run(found)


def asked_of(request: RunRequest) -> tuple[Spec, ...]:
    """The implementations asked for, or all that come with the package."""
    return tuple(request.specs) or tuple(Spec(name, contracts=request.contracts) for name in registry.built_in())


def _conclude(run: Run, request: RunRequest, console: Console) -> int:
    print_summary(run.file, console)
    if request.report_dir:
        for path in write_report(run.file, request.report_dir):
            console.print(f"wrote {path}", highlight=False, soft_wrap=True)
    if request.as_json:
        click.echo(to_json(run.file), nl=False)
    return 0 if run.ok else 1


def print_cases(request: RunRequest) -> int:
    """Print the ids of the cases that a run would have, one per line."""
    for case in selected(request.profile, request.dtypes or None, request.seed, request.patterns):
        click.echo(str(case))
    return 0


class Advance(Protocol):
    """Called after each group."""

    def __call__(self, done: Finished) -> None: ...


@contextmanager
def _progress(console: Console, tasks: int) -> Iterator[Advance]:
    """A bar on a terminal, a line every tenth of the way elsewhere."""
    if console.is_terminal:
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("checking", total=tasks)
            yield lambda done: bar.advance(task)
        return
    count = 0

    def line(done: Finished) -> None:
        nonlocal count
        count += 1
        if count * 10 // tasks != (count - 1) * 10 // tasks:
            console.print(f"checking: {count} of {tasks} groups", highlight=False)

    yield line


@click.command()
@adapter_option
@impl_option
@framework_option
@overwrites_option
@isolation_option
@timeout_option
@click.option("--profile", default="quick", show_default=True, metavar="quick|full|deep", help="How many cases.")
@dtype_option
@device_option
@seed_option
@jobs_option
@contract_option
@click.option(
    "--accuracy",
    "rounds",
    default=0,
    type=FROM_0,
    metavar="ROUNDS",
    help="Also search the largest errors.",
)
@click.option("--case", "patterns", multiple=True, metavar="GLOB", help="Only cases whose id matches; repeatable.")
@click.option("--list-cases", is_flag=True, help="Print the ids of the cases, and run nothing.")
@click.option("-x", "stop", is_flag=True, help="Stop at the first group of cases with a failure.")
@deviations_option
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON, and everything else on stderr.")
@click.option("--faults", is_flag=True, help="Also prove on planted faults that they are caught; minutes.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Run file to write (JSON Lines).")
@click.option("--resume", is_flag=True, help="Go on with the run to --out that was cut short.")
@click.option("--shard", metavar="K/N", help="Only the K-th of N parts; `xentcheck merge` puts them together.")
@click.option("--executor", metavar="dask://HOST:PORT", help="The scheduler of other machines that do the work.")
@click.option("--save", metavar="NAME", help="Baseline to write: a path, or a name in baselines/.")
@click.option(
    "--repeats",
    default=1,
    show_default=True,
    type=FROM_1,
    help="Run so many times for the baseline, which then knows what the machine does not reproduce.",
)
@click.option("--report", "report_dir", type=click.Path(path_type=Path, file_okay=False), help="Folder for the report.")
def run(
    adapters: tuple[str, ...],
    implementation: str | None,
    framework: str | None,
    overwrites: tuple[str, ...],
    isolation: str,
    timeout: float,
    profile: str,
    dtypes: tuple[str, ...],
    devices: tuple[str, ...],
    seed: int,
    jobs: str,
    contracts: tuple[str, ...],
    rounds: int,
    patterns: tuple[str, ...],
    list_cases: bool,
    stop: bool,
    deviations: Path | None,
    as_json: bool,
    faults: bool,
    out: Path | None,
    resume: bool,
    shard: str | None,
    executor: str | None,
    save: str | None,
    repeats: int,
    report_dir: Path | None,
) -> int:
    """Check implementations against the exact values.

    Exit code 0: all agreed; 1: a disagreement, an error or a blind group; 2: bad input.
    """
    if repeats > 1 and save is None:
        raise click.UsageError("--repeats goes with --save NAME: what repeated runs span is kept in a baseline")
    if resume and out is None:
        raise click.UsageError("--resume goes with --out FILE: what was found is beside that file")
    if executor is not None and jobs != "1":
        raise click.UsageError("--executor and -j do not go together: the workers of the scheduler do the work")
    promised = contracts_of(contracts)
    limit = timeout if isolation == "process" else 0
    specs = specs_of(adapters, implementation, framework, limit, contracts=promised, overwrites=overwrites)
    request = RunRequest(
        tuple(specs),
        profile,
        dtypes,
        devices,
        seed,
        jobs_of(jobs),
        out,
        report_dir,
        accuracy_rounds=rounds,
        faults=faults,
        patterns=patterns,
        stop=stop,
        as_json=as_json,
        deviations=deviations,
        save=save,
        repeats=repeats,
        contracts=promised,
        resume=resume,
        shard=shard_of(shard) if shard is not None else None,
        executor=address_of(executor) if executor is not None else None,
    )
    return print_cases(request) if list_cases else run_command(request)
