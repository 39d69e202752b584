"""A run as the command line asks for it: which tasks there are, who does them, with progress and a journal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from xentcheck import adapters as registry
from xentcheck.adapters.promises import Promised
from xentcheck.adapters.spec import Spec
from xentcheck.api import Run, tasks_of
from xentcheck.cases.case import Case
from xentcheck.cases.selection import selected
from xentcheck.running.collect import collect
from xentcheck.running.deviations import Deviations, known_with
from xentcheck.running.environment import digest_of_plan, header_of
from xentcheck.running.executors.dask import execute_on_dask
from xentcheck.running.executors.futures import Asked
from xentcheck.running.executors.local import execute, execute_parallel
from xentcheck.running.journal import Journal
from xentcheck.running.subjects import subjects_named
from xentcheck.running.tasks import CaseGroup, Finished
from xentcheck.studies.accuracy import AccuracySearch
from xentcheck.studies.kill_table.faults import fault_searches, frameworks_of
from xentcheck.studies.large import blocks
from xentcheck.studies.large.blocks import large_cases, takers, together
from xentcheck.studies.large.pace import pace


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
    output_format: str = "text"
    deviations: Path | None = None
    save: str | None = None
    repeats: int = 1
    contracts: Promised = ()
    resume: bool = False
    shard: tuple[int, int] | None = None
    executor: str | None = None
    large: tuple[str, ...] = ()


def execute_request(request: RunRequest) -> Run:
    """The run of the cases asked for, with progress on stderr."""
    known = known_with(request.deviations)
    chosen = cases_of(request)
    specs = asked_of(request)
    subjects = subjects_named(specs, request.devices, request.dtypes, by_name=bool(request.specs))
    tasks = blocks.tasks_of(chosen) if request.large else tasks_of(chosen, request.profile)
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
    narrowed = tuple(map(str, chosen)) if request.large else request.patterns
    subjects = takers(subjects) if request.large else subjects
    header = header_of(chosen, subjects, request.profile, request.seed, request.jobs, narrowed, **named)
    with ExitStack() as stack:
        if request.large:
            told = stack.enter_context(pace(sum(case.shape[0] * case.classes for case in chosen)))
            advance: Advance = lambda done: None  # noqa: E731 - the blocks are told, not the cases
        else:
            advance = stack.enter_context(_progress(len(tasks)))
        journal = stack.enter_context(Journal(request.out, header, resume=request.resume)) if request.out else None
        left = journal.left(tasks) if journal else tasks
        if request.executor is not None:
            finished = execute_on_dask(left, Asked(specs, request.devices or None), request.executor)
        elif request.jobs > 1:
            finished = execute_parallel(left, Asked(specs, request.devices or None), request.jobs)
        else:
            finished = execute(left, subjects)
        done = journal.all(tasks, finished) if journal else finished
        if request.large:
            done = together(tasks, done, told, stop=request.stop)
        found = collect(header, done, Deviations(known), stop=request.stop, progress=advance)
        if journal:
            journal.complete(found)
    return Run(found)


def cases_of(request: RunRequest) -> list[Case]:
    """The cases asked for: large ones, or some of a profile. Raises CaseError, ProfileError or DtypeError."""
    if not request.large:
        return selected(request.profile, request.dtypes or None, request.seed, request.patterns)
    found = [case for text in request.large for case in large_cases(text, request.dtypes, request.seed)]
    return list(dict.fromkeys(found))


def asked_of(request: RunRequest) -> tuple[Spec, ...]:
    """The implementations asked for, or all that come with the package."""
    return tuple(request.specs) or tuple(Spec(name, contracts=request.contracts) for name in registry.built_in())


class Advance(Protocol):
    """Called after each group."""

    def __call__(self, done: Finished) -> None: ...


@contextmanager
def _progress(tasks: int) -> Iterator[Advance]:
    """A bar on a terminal, a line every tenth of the way elsewhere."""
    console = Console(stderr=True)
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
