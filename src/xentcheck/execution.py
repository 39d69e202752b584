"""Executing a plan: cases of one signature run together, in this process or in several, in the same order either
way.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from time import perf_counter

from xentcheck.reports.record import Record

from .cases import Case
from .errors import ProfileError
from .runner import run_case
from .subjects import Spec, Subject, resolve, subjects_of


@dataclass(frozen=True)
class Group:
    """Cases of one signature: they share compilations, so that they go to one worker."""

    signature: str
    cases: tuple[Case, ...]


@dataclass(frozen=True)
class Finished:
    """The records of one group and the seconds that they took."""

    group: Group
    records: list[Record]
    seconds: float


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


def execute(groups: Sequence[Group], subjects: Sequence[Subject]) -> Iterator[Finished]:
    """The groups one after another, in this process."""
    return (run_group(group, subjects) for group in groups)


def execute_parallel(
    groups: Sequence[Group], specs: Sequence[Spec], devices: Sequence[str] | None, jobs: int
) -> Iterator[Finished]:
    """The groups in several processes; results come in the order of the groups, whatever the number of workers."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_start, initargs=(specs, devices)) as pool:
        yield from pool.map(_work, groups)


_subjects: list[Subject] = []


def _start(specs: Sequence[Spec], devices: Sequence[str] | None) -> None:
    _subjects.extend(s for spec in specs for s in subjects_of(resolve(spec), devices, spec.command))


def _work(group: Group) -> Finished:
    return run_group(group, _subjects)
