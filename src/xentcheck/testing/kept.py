"""Records of a run that was made before: taken where nothing that they depend on has changed, else computed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xentcheck.adapters import registry
from xentcheck.cases.build import build
from xentcheck.cases.case import Case, quantities_of
from xentcheck.records.file import Header
from xentcheck.records.record import Record
from xentcheck.records.run import RunFile
from xentcheck.reference.problem import digest_of
from xentcheck.running.comparison import run_case
from xentcheck.running.environment import header_of
from xentcheck.running.subjects import Subject

SAME = ("version", "generator", "code")
"""Fields of the header that have to be those of this installation."""

MACHINE = ("platform", "processor", "cores")
"""What of the host has to be this machine's: another one may round otherwise."""


class Kept:
    """The records of a run file, and those that it lacks, of cases on some subjects; without a file, all are computed.
    Raises RunFileError.

    Taken are only records of implementations that come with the package: another may have been edited since. A known
    deviation is computed, too, as the file no longer has the outcome that makes it one.
    """

    def __init__(self, path: Path | None, subjects: Sequence[Subject]) -> None:
        self.path = path
        self.counts = Counter[str]()
        here = header_of([], subjects, "", 0, jobs=1)
        run = RunFile.load(path) if path else RunFile(here)
        self.differs = differing(run.header, here)
        there = {} if self.differs else run.header.environment["adapters"]
        built_in = set(registry.built_in())
        self._same = {
            name
            for name, about in here.environment["adapters"].items()
            if name in built_in and there.get(name) == about
        }
        self._records: dict[tuple[str, str], dict[str, Record]] = defaultdict(dict)
        for record in run.records:
            if record.adapter in self._same and record.outcome != "deviation":
                self._records[record.case, record.replay][record.quantity] = record

    def of(self, case: Case, subjects: Sequence[Subject]) -> list[Record]:
        """The records of a case on all subjects that take it."""
        found: list[Record] = []
        missing = []
        digest = ""
        for subject in (s for s in subjects if s.takes(case)):
            kept = self._of(case, subject)
            digest = digest or (digest_of(build(case)) if kept else "")
            if kept and {record.digest for record in kept} == {digest}:
                found += kept
            else:
                missing.append(subject)
        computed = run_case(case, missing)
        if not self.path:
            return computed
        self.counts[f"taken from {self.path}"] += len(found)
        self.counts[f"computed{f', as its {self.differs} differs' if self.differs else ''}"] += len(computed)
        return found + computed

    def _of(self, case: Case, subject: Subject) -> list[Record]:
        """All records of a case on a subject, or none: its line of replay names variant, device and contract."""
        name = subject.adapter.name
        if name not in self._same or not f"{subject.command} ".startswith(f"--adapter {name} "):
            return []
        kept = self._records.get((str(case), subject.replay(case)), {})
        wanted = set(quantities_of(case)) & set(subject.adapter.capabilities.quantities)
        return list(kept.values()) if wanted and kept.keys() == wanted else []


def differing(there: Header, here: Header) -> str:
    """What of a run's header is not that of this installation on this machine; empty if nothing is."""
    for name in SAME:
        if getattr(there, name) != getattr(here, name):
            return name
    for name in ("python", "numpy"):
        if there.environment.get(name) != here.environment[name]:
            return name
    machine: dict[str, Any] = here.host
    return next((name for name in MACHINE if there.host.get(name) != machine[name]), "")
