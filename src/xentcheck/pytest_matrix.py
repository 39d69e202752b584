"""Behind the pytest plugin: what its options ask for, and who gathers what the tests of all workers have found."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from xentcheck import adapters as registry
from xentcheck.adapters.spec import Spec, resolve, specs_of
from xentcheck.cases.case import Case, quantities_of
from xentcheck.cases.selection import law_dtypes, selected
from xentcheck.records.findings import LawResult
from xentcheck.records.paths import prepare, prepare_file
from xentcheck.records.record import Record
from xentcheck.records.run import RunFile
from xentcheck.records.words import describe
from xentcheck.reports.report import write_report
from xentcheck.reports.summary import Summary, summarize
from xentcheck.reports.suspicion import suspicion
from xentcheck.running.coverage import coverages
from xentcheck.running.deviations import Deviations, load
from xentcheck.running.journal import header_of
from xentcheck.running.subjects import Subject, subjects_named
from xentcheck.running.tasks import groups_of

from .errors import XentcheckError
from .options import contracts_of
from .pytest_plugin import option
from .vocabulary import OVERWRITABLE, QUANTITIES, TIMEOUT

if TYPE_CHECKING:
    from xentcheck.records.file import Header

Key = tuple[str, str, str, str, str]
"""case, adapter, variant, device, quantity."""

SHOWN = 5


def by_signature(config: pytest.Config, log: Any, group_of: Callable[[str], str] = lambda nodeid: "") -> Any:
    """A scheduler that gives the cases of one signature to one worker, and other tests one by one.

    group_of: a node id -> the name of other tests that stay together, or nothing.
    xdist's own `loadgroup` marks groups in `Node._nodeid`, which pytest 9.2 no longer has.
    """
    from xdist.scheduler import LoadScopeScheduling

    class BySignature(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
        def _split_scope(self, nodeid: str) -> str:
            return signature_in(nodeid) or group_of(nodeid) or nodeid

    return BySignature(config, log)


def signature_in(nodeid: str) -> str:
    """The signature of the case that a node id of the matrix begins its parameters with; empty for other tests.

    >>> signature_in("test_matrix.py::test_matrix[ties.5x3.f32.index.w+ls.mean.up-one.contig.s0-jax-jit-cpu-a]")
    '5x3.f32.index.ls+w.mean'
    """
    found = re.search(r"::test_matrix\[([a-z0-9.+-]+?\.s\d+)-", nodeid)
    return Case.parse(found[1]).signature if found else ""


class Plan:
    """What the options ask for: cases, subjects, and the comparisons that make a matrix complete.

    Raises pytest.UsageError with one line for bad input.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.profile: str = option(config, "profile") or "quick"
        self.patterns = tuple(option(config, "case"))
        self.out = option(config, "out")
        self.report = option(config, "report")
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
                prepare(Path(self.report))
            if self.out:
                prepare_file(Path(self.out))
        except XentcheckError as error:
            raise pytest.UsageError(str(error)) from None
        if self.by_name or self.devices:
            len(self.subjects)  # what was asked for and is not there is told before anything is collected
        self.versions = [f"{adapter.name} {adapter.version()}".strip() for adapter in adapters]

    def _specs(self, config: pytest.Config) -> list[Spec]:
        isolation = option(config, "isolation") or "process"
        if isolation not in ("process", "none"):
            raise pytest.UsageError(f"--xentcheck-isolation is {isolation!r}; allowed: process, none")
        timeout = _number(option(config, "timeout") or str(TIMEOUT), "timeout", float)
        if not 0 < timeout < inf:
            raise pytest.UsageError(f"--xentcheck-timeout is {timeout:g}; allowed: a finite number above 0")
        named = tuple(option(config, "adapter")), option(config, "impl"), option(config, "framework")
        contracts = contracts_of(option(config, "contract"), "--xentcheck-contract")
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
            return subjects_named(self.specs, self.devices, self.dtypes, by_name=self.by_name)
        except XentcheckError as error:
            raise pytest.UsageError(str(error)) from None

    @property
    def whole(self) -> bool:
        """Whether the options leave the profile whole."""
        return not (self.patterns or self.dtypes or self.devices)

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

    def law_rows(self) -> list[tuple[Subject, str]]:
        """The main variants that are there, in the dtypes in which laws are checked."""
        dtypes = law_dtypes(self.cases, self.profile)
        main = [s for s in self.subjects if s.is_main and not s.missing]
        return [(s, d) for s in main for d in dtypes if d in s.adapter.capabilities.dtypes]

    def run_header(self, records: int) -> tuple[Header, bool]:
        """The first line of the run file, and whether so many records are all of the plan."""
        header = header_of(self.cases, self.subjects, self.profile, self.seed, 1, self.patterns)
        if records == header.planned:
            return header, self.whole
        part = (*self.patterns, f"{records} of {header.planned} comparisons")
        return replace(header, planned=records, selection=part), False


def _number(text: str, name: str, kind: type[Any]) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise pytest.UsageError(f"--xentcheck-{name} is {text!r}; allowed: a number") from None


class Collector:
    """Gathers the records, on the controller also those of the workers; writes the files and tells the verdict."""

    def __init__(self, plan: Plan, config: pytest.Config) -> None:
        self.plan = plan
        self.is_worker = hasattr(config, "workerinput")
        self.records: list[Record] = []
        self.laws: list[LawResult] = []
        self.summary: Summary | None = None
        self.written: list[Path] = []

    def receive(self, text: str) -> None:
        """What a worker has found, as one string: execnet would send it number by number."""
        found = json.loads(text)
        self.records += map(Record.from_json, found["records"])
        self.laws += map(LawResult.from_json, found["laws"])

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.is_worker:
            found = {"records": [r.to_json() for r in self.records], "laws": [law.to_json() for law in self.laws]}
            session.config.workeroutput["xentcheck"] = json.dumps(found)  # type: ignore[attr-defined]  # xdist's
            return
        if self.records:
            run = self.run()
            self.summary = summarize(run)
            self._write(run)
            if not self.summary.ok and session.exitstatus == pytest.ExitCode.OK:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def run(self) -> RunFile:
        """The records in the order of the plan, with what spans all of them."""
        header, complete = self.plan.run_header(len(self.records))
        order = {str(case): i for i, case in enumerate(c for g in self.plan.groups for c in g.cases)}
        places = [(s.adapter.name, s.variant, s.device) for s in self.plan.subjects]
        deviations = Deviations(self.plan.known)
        ordered = sorted(
            self.records,
            key=lambda r: (order[r.case], places.index((r.adapter, r.variant, r.device)), QUANTITIES.index(r.quantity)),
        )
        records = tuple(map(deviations.apply, ordered))
        laws = tuple(sorted(self.laws, key=str))
        failures = deviations.failures(self.plan.profile if complete else "")
        failures += [str(law) for law in laws if not law.kept]
        return RunFile(header, records, tuple(failures), coverages=tuple(coverages(records)), laws=laws)

    def _write(self, run: RunFile) -> None:
        try:
            if self.plan.out:
                run.save(Path(self.plan.out))
                self.written.append(Path(self.plan.out))
            if self.plan.report:
                self.written += write_report(run, Path(self.plan.report))
        except XentcheckError as error:
            raise pytest.UsageError(str(error)) from None

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """The worst failures with the command that repeats each, what explains them, and one verdict line."""
        if self.summary is None:
            return
        terminalreporter.section("xentcheck")
        for path in self.written:
            terminalreporter.write_line(f"wrote {path}")
        for r in self.summary.failing[:SHOWN]:
            terminalreporter.write_line(describe(r), red=True)
            terminalreporter.write_line(f"  {r.replay}")
        if (more := len(self.summary.failing) - SHOWN) > 0:
            terminalreporter.write_line(f"... and {more} more")
        for text in filter(None, (*self.summary.reasons, *self.summary.weaker, suspicion(self.summary.failing))):
            terminalreporter.write_line(text, red=True)
        terminalreporter.write_line(self.summary.verdict, red=not self.summary.ok, green=self.summary.ok)
