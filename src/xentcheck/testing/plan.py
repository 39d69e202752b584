"""Behind the pytest plugin: what its options ask for, and who gathers what the tests of all workers have found."""

from __future__ import annotations

import gc
from dataclasses import replace
from functools import cached_property
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from xentcheck import adapters as registry
from xentcheck.adapters.promises import parsed
from xentcheck.adapters.spec import Spec, resolve, specs_of
from xentcheck.cases.case import Case, quantities_of
from xentcheck.cases.selection import law_dtypes, selected
from xentcheck.errors import XentcheckError
from xentcheck.records.paths import RUN_FILE, prepare_file
from xentcheck.reports.formats.write import prepare_report
from xentcheck.running.deviations import load
from xentcheck.running.environment import header_of
from xentcheck.running.subjects import Subject, subjects_named
from xentcheck.running.tasks import groups_of
from xentcheck.vocabulary import OVERWRITABLE, TIMEOUT

from .kept import Kept
from .options import option

if TYPE_CHECKING:
    from xentcheck.records.file import Header

Key = tuple[str, str, str, str, str]
"""case, adapter, variant, device, quantity."""

Place = tuple[str, str, str]
"""adapter, variant, device."""


def has_workers(config: pytest.Config) -> bool:
    """Whether this process only tells those of pytest-xdist what to do."""
    return config.getoption("dist", "no") != "no" and not hasattr(config, "workerinput")


class Plan:
    """What the options ask for: cases, subjects, and the comparisons that make a matrix complete.

    Raises pytest.UsageError with one line for bad input.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.profile: str = option(config, "profile") or "quick"
        self.patterns = tuple(option(config, "case"))
        self.out = option(config, "out")
        self.report = option(config, "report")
        self.ids = _ids(config)
        self.dtypes = tuple(option(config, "dtype"))
        self.devices = tuple(option(config, "device"))
        try:
            self.seed = _number(option(config, "seed") or "0", "seed", int)
            if self.seed < 0:
                raise pytest.UsageError(f"--xentcheck-seed is {self.seed}; allowed: a number from 0")
            self.cases = selected(self.profile, self.dtypes or None, self.seed, self.patterns)
            self.groups = groups_of(self.cases)
            self.specs = self._specs(config)
            adapters = [resolve(spec) for spec in self.specs]
            self.known = load() + (load(Path(path)) if (path := option(config, "deviations")) else [])
            if self.report:
                prepare_report(Path(self.report))
            if self.out:
                prepare_file(Path(self.out), own=RUN_FILE)
            if (kept := option(config, "from")) and not Path(kept).is_file():
                raise pytest.UsageError(f"run file {kept} cannot be read: there is no such file")
            self._kept = kept
        except XentcheckError as error:
            raise pytest.UsageError(str(error)) from None
        if self.devices or (self.by_name and not has_workers(config)):
            len(self.subjects)  # what was asked for and is not there is told before anything is collected
        for adapter in adapters if self.by_name else ():
            if missing := adapter.unavailable():  # which starts no framework where workers will do that
                raise pytest.UsageError(f"adapter {adapter.name}: {missing}")
        self.versions = [f"{adapter.name} {adapter.version()}".strip() for adapter in adapters]

    def _specs(self, config: pytest.Config) -> list[Spec]:
        isolation = option(config, "isolation") or "process"
        if isolation not in ("process", "none"):
            raise pytest.UsageError(f"--xentcheck-isolation is {isolation!r}; allowed: process, none")
        timeout = _number(option(config, "timeout") or str(TIMEOUT), "timeout", float)
        if not 0 < timeout < inf:
            raise pytest.UsageError(f"--xentcheck-timeout is {timeout:g}; allowed: a finite number above 0")
        named = tuple(option(config, "adapter")), option(config, "impl"), option(config, "framework")
        contracts = parsed(option(config, "contract"), "--xentcheck-contract")
        overwrites = tuple(option(config, "overwrites"))
        for name in overwrites:
            if name not in OVERWRITABLE:
                allowed = ", ".join(OVERWRITABLE)
                raise pytest.UsageError(f"--xentcheck-overwrites is {name!r}; allowed: {allowed}")
        limit = timeout if isolation == "process" else 0
        specs = specs_of(*named, limit, contracts=contracts, prefix="--xentcheck-", overwrites=overwrites)
        self.by_name = bool(specs)
        return specs or [Spec(name, contracts=contracts) for name in registry.built_in()]

    @cached_property
    def subjects(self) -> list[Subject]:
        """Adapters, variants and devices; asking for the devices starts the frameworks."""
        try:
            found = subjects_named(self.specs, self.devices, self.dtypes, by_name=self.by_name)
        except XentcheckError as error:
            raise pytest.UsageError(str(error)) from None
        gc.freeze()  # the frameworks stay: looking through them, in the run and thrice at its end, takes a second
        return found

    @cached_property
    def kept(self) -> Kept:
        """Who has the records of a case, computed now or of an earlier run; asking for it starts the frameworks."""
        try:
            return Kept(Path(self._kept) if self._kept else None, self.subjects)
        except XentcheckError as error:
            raise pytest.UsageError(str(error)) from None

    def header_lines(self) -> list[str]:
        """What pytest prints first."""
        from importlib.metadata import version

        about = f"xentcheck: {version('xentcheck')}, {', '.join(self.versions)}"
        return [f"{about}; profile {self.profile}, seed {self.seed}, {len(self.cases)} cases"]

    def rows(self) -> list[tuple[Case, Key]]:
        """The comparisons of the matrix, cases of one signature together."""
        return [
            (case, (str(case), *place, quantity))
            for group in self.groups
            for case in group.cases
            for subject in self.subjects
            if subject.takes(case)
            for place in [(subject.adapter.name, subject.variant, subject.device)]
            for quantity in quantities_of(case)
            if quantity in subject.adapter.capabilities.quantities
        ]

    def tests(self) -> list[tuple[str, tuple[tuple[Case, Key], ...]]]:
        """The tests of the matrix, with their ids: a comparison each, or all those of a signature on a device."""
        if self.ids == "comparison":
            return [("-".join(row[1]), (row,)) for row in self.rows()]
        found: dict[str, list[tuple[Case, Key]]] = {}
        for case, key in self.rows():
            found.setdefault(f"{case.signature}-{key[3]}", []).append((case, key))
        return [(name, tuple(rows)) for name, rows in found.items()]

    def law_rows(self) -> list[tuple[Subject, str]]:
        """The main variants that are there, in the dtypes in which laws are checked."""
        dtypes = law_dtypes(self.cases, self.profile)
        main = [s for s in self.subjects if s.is_main and not s.missing]
        return [(s, d) for s in main for d in dtypes if d in s.adapter.capabilities.dtypes]

    @cached_property
    def header(self) -> Header:
        """The first line of the run file of all of the plan."""
        narrowed = {"dtypes": self.dtypes, "devices": self.devices}
        return header_of(self.cases, self.subjects, self.profile, self.seed, 1, self.patterns, **narrowed)

    @cached_property
    def places(self) -> list[Place]:
        """Adapter, variant and device of each subject, in their order."""
        return [(s.adapter.name, s.variant, s.device) for s in self.subjects]

    def told(self, header: Header, places: list[Place]) -> None:
        """Take over from a worker what only started frameworks know: the controller starts none."""
        vars(self).update(header=header, places=places)

    def run_header(self, records: int) -> Header:
        """The first line of the run file; fewer records than planned are a selection."""
        header = self.header
        if records == header.planned:
            return header
        part = (*self.patterns, f"{records} of {header.planned} comparisons")
        return replace(header, planned=records, selection=part)


def _ids(config: pytest.Config) -> str:
    ids: str = option(config, "ids") or "comparison"
    allowed = ("comparison", "signature") if config.pluginmanager.hasplugin("subtests") else ("comparison",)
    if ids not in allowed:
        more = "" if len(allowed) > 1 else "; signature needs pytest 9"
        raise pytest.UsageError(f"--xentcheck-ids is {ids!r}; allowed: {', '.join(allowed)}{more}")
    return ids


def _number(text: str, name: str, kind: type[Any]) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise pytest.UsageError(f"--xentcheck-{name} is {text!r}; allowed: a number") from None
