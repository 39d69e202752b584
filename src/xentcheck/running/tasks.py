"""Tasks: what a run is made of. A task has a name for its timing, and finds something out about some subjects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from time import perf_counter
from typing import Protocol

from xentcheck.cases import Case
from xentcheck.errors import ProfileError
from xentcheck.records.file import Finding
from xentcheck.records.record import Record

from .comparison import lost_case, run_case
from .subjects import Subject


class Task(Protocol):
    """A part of a run that one process does: plain data, which is sent to it, and what it does there."""

    @property
    def signature(self) -> str:
        """The name of the task among the timings."""

    def run(self, subjects: Sequence[Subject]) -> Iterable[Finding]:
        """What the task finds, in an order that depends on nothing but the task and the subjects."""

    def lost(self, subjects: Sequence[Subject], reason: str) -> Iterable[Finding]:
        """What stands in the place of its findings where every process that runs it dies."""


@dataclass(frozen=True)
class CaseGroup:
    """Cases of one signature: they share compilations, so that they go to one worker."""

    signature: str
    cases: tuple[Case, ...]

    def run(self, subjects: Sequence[Subject]) -> Iterable[Finding]:
        """The records of all cases on all subjects."""
        return (record for case in self.cases for record in run_case(case, subjects))

    def lost(self, subjects: Sequence[Subject], reason: str) -> Iterable[Finding]:
        """A record of a crash for each comparison."""
        return (record for case in self.cases for record in lost_case(case, subjects, reason))


@dataclass(frozen=True)
class Finished:
    """What the task of a name found, and the seconds that it took."""

    name: str
    findings: tuple[Finding, ...]
    seconds: float

    @property
    def records(self) -> tuple[Record, ...]:
        """The comparisons among the findings."""
        return tuple(found for found in self.findings if isinstance(found, Record))


def groups_of(cases: Sequence[Case]) -> list[CaseGroup]:
    """Cases by signature, in the order of their first case. Raises ProfileError if there are none."""
    if not cases:
        raise ProfileError("the selection leaves no case to run")
    first = {case.signature: i for i, case in reversed(list(enumerate(cases)))}
    ordered = sorted(cases, key=lambda case: first[case.signature])
    groups = groupby(ordered, key=lambda case: case.signature)
    return [CaseGroup(signature, tuple(found)) for signature, found in groups]


def run_task(task: Task, subjects: Sequence[Subject]) -> Finished:
    """A task, done and timed."""
    start = perf_counter()
    findings = tuple(task.run(subjects))
    return Finished(task.signature, findings, perf_counter() - start)
