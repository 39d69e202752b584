"""Tasks: what a run is made of, each with its cases or its study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from time import perf_counter

from xentcheck.cases.case import Case
from xentcheck.errors import ProfileError
from xentcheck.records.findings import Accuracy, FaultResult, LawResult, ProbeResult
from xentcheck.records.record import Record
from xentcheck.studies.accuracy import accuracies
from xentcheck.studies.laws import laws
from xentcheck.studies.probes import probe

from .comparison import run_case
from .subjects import Subject


@dataclass(frozen=True)
class Group:
    """Cases of one signature: they share compilations, so that they go to one worker."""

    signature: str
    cases: tuple[Case, ...]


@dataclass(frozen=True)
class Search:
    """A search for the largest errors of all implementations in one dtype."""

    dtype: str
    seed: int
    rounds: int

    @property
    def signature(self) -> str:
        """What it is called among the timings."""
        return f"accuracy {self.dtype}"


@dataclass(frozen=True)
class Probing:
    """All probes on all implementations, and the laws in some dtypes."""

    dtypes: tuple[str, ...]
    signature: str = "probes and laws"


@dataclass(frozen=True)
class Hunt:
    """One planted fault of a framework, looked for by profiles and by other checks; it needs no subject."""

    framework: str
    fault: str
    profiles: tuple[str, ...]
    rivals: bool

    @property
    def signature(self) -> str:
        """What it is called among the timings."""
        return f"fault {self.framework} {self.fault}"


Task = Group | Search | Probing | Hunt


@dataclass(frozen=True)
class Finished:
    """What one task found, and the seconds that it took."""

    task: Task
    records: list[Record]
    seconds: float
    accuracies: list[Accuracy] = field(default_factory=list)
    probes: list[ProbeResult] = field(default_factory=list)
    laws: list[LawResult] = field(default_factory=list)
    faults: list[FaultResult] = field(default_factory=list)


def groups_of(cases: Sequence[Case]) -> list[Group]:
    """Cases by signature, in the order of their first case. Raises ProfileError if there are none."""
    if not cases:
        raise ProfileError("the selection leaves no case to run")
    first = {case.signature: i for i, case in reversed(list(enumerate(cases)))}
    ordered = sorted(cases, key=lambda case: first[case.signature])
    return [Group(signature, tuple(found)) for signature, found in groupby(ordered, key=lambda case: case.signature)]


def run_group(group: Group, subjects: Sequence[Subject]) -> Finished:
    """All cases of a group on all subjects."""
    start = perf_counter()
    records = [record for case in group.cases for record in run_case(case, subjects)]
    return Finished(group, records, perf_counter() - start)


def run_search(search: Search, subjects: Sequence[Subject]) -> Finished:
    """The search on the main variants of all subjects that are there and take the dtype."""
    start = perf_counter()
    found = [
        accuracy
        for s in subjects
        if s.is_main and not s.missing and search.dtype in s.adapter.capabilities.dtypes
        for accuracy in accuracies(s, search.dtype, seed=search.seed, rounds=search.rounds)
    ]
    return Finished(search, [], perf_counter() - start, found)


def run_probes(task: Probing, subjects: Sequence[Subject]) -> Finished:
    """The probes and laws on the main variants of all subjects that are there."""
    start = perf_counter()
    present = [s for s in subjects if s.is_main and not s.missing]
    found = [result for s in present for result in probe(s)]
    held = [law for s in present for d in task.dtypes if d in s.adapter.capabilities.dtypes for law in laws(s, d)]
    return Finished(task, [], perf_counter() - start, probes=found, laws=held)


def run_hunt(task: Hunt) -> Finished:
    """What catches a planted fault."""
    from .faults import by_name, result_of

    start = perf_counter()
    found = result_of(by_name(task.framework)[task.fault], task.profiles, task.rivals)
    return Finished(task, [], perf_counter() - start, faults=[found])


def run_task(task: Task, subjects: Sequence[Subject]) -> Finished:
    """Any kind of task."""
    if isinstance(task, Probing):
        return run_probes(task, subjects)
    if isinstance(task, Hunt):
        return run_hunt(task)
    return run_search(task, subjects) if isinstance(task, Search) else run_group(task, subjects)
