"""Options of the matrix, and its report: records travel to the controller as properties of the test reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from xentcheck.api import header_of, selected
from xentcheck.deviations import Deviations, load
from xentcheck.errors import XentcheckError
from xentcheck.execution import groups_of
from xentcheck.profiles import PROFILES
from xentcheck.reports.record import Record
from xentcheck.reports.runfile import RunFile, RunWriter
from xentcheck.reports.summary import Summary, summarize
from xentcheck.vocabulary import QUANTITIES

PROPERTY = "xentcheck-record"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("xentcheck")
    group.addoption("--xentcheck-profile", default="quick", metavar="|".join(PROFILES), help="cases of the matrix")
    group.addoption("--xentcheck-seed", default=0, type=int, metavar="S", help="another draw of every case")
    group.addoption("--xentcheck-adapter", action="append", metavar="NAME", help="adapter of the matrix; repeatable")
    group.addoption("--xentcheck-out", type=Path, metavar="FILE", help="run file to write from the matrix")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Under `pytest -n` keep the cases of one signature on one worker: they share compilations."""
    if config.getoption("numprocesses", None) and config.getoption("dist", "no") in ("no", "load"):
        config.option.dist = "loadgroup"


def pytest_configure(config: pytest.Config) -> None:
    plan = Plan(config)
    config.stash[PLAN] = plan
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Collector(plan, config.getoption("--xentcheck-out")), "xentcheck-collector")


class Plan:
    """What the options ask for: cases, subjects, and the comparisons that make a matrix complete."""

    def __init__(self, config: pytest.Config) -> None:
        from xentcheck import adapters
        from xentcheck.subjects import subjects_of

        self.profile = config.getoption("--xentcheck-profile")
        self.seed = config.getoption("--xentcheck-seed")
        try:
            self.cases = selected(self.profile, None, self.seed)
            chosen = [adapters.get(name) for name in config.getoption("--xentcheck-adapter") or adapters.names()]
            self.groups = groups_of(self.cases)
            self.subjects = [s for adapter in chosen for s in subjects_of(adapter)]
        except XentcheckError as error:
            raise pytest.UsageError(str(error)) from None


class Collector:
    """Gathers the records on the controller, writes the run file, and fails the session for what spans all tests."""

    def __init__(self, plan: Plan, out: Path | None) -> None:
        self.plan = plan
        self.out = out
        self.records: list[Record] = []
        self.summary: Summary | None = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or (report.when == "setup" and report.skipped):
            found = (value for name, value in report.user_properties if name == PROPERTY)
            self.records.extend(Record.from_json(json.loads(str(value))) for value in found)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if not self.records:
            return
        header = header_of(self.plan.cases, self.plan.subjects, self.plan.profile, self.plan.seed, jobs=1)
        complete = len(self.records) == header.planned
        order = {str(case): i for i, case in enumerate(c for g in self.plan.groups for c in g.cases)}
        names = [(s.adapter.name, s.variant, s.device) for s in self.plan.subjects]
        deviations = Deviations(load())
        records = sorted(
            self.records,
            key=lambda r: (
                order[r.case],
                names.index((r.adapter, r.variant, r.device)),
                QUANTITIES.index(r.quantity),
            ),
        )
        records = [deviations.apply(record) for record in records]
        failures = deviations.failures(complete)
        if self.out:
            with RunWriter(self.out, header) as writer:
                for record in records:
                    writer.record(record)
                for text in failures:
                    writer.failure(text)
        if complete:
            self.summary = summarize(RunFile(header, tuple(records), tuple(failures), ()))
            if not self.summary.ok and session.exitstatus == 0:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self.summary is not None:
            terminalreporter.section("xentcheck")
            terminalreporter.write_line(self.summary.verdict, red=not self.summary.ok, green=self.summary.ok)


PLAN = pytest.StashKey[Plan]()
