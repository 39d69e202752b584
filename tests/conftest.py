"""Options of the matrix, and its report: a worker hands its records to the controller when it has finished."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from xentcheck.api import header_of, selected
from xentcheck.cases import Case
from xentcheck.coverage import coverages
from xentcheck.deviations import Deviations, load
from xentcheck.errors import XentcheckError
from xentcheck.execution import groups_of
from xentcheck.profiles import PROFILES
from xentcheck.reports.record import Record
from xentcheck.reports.runfile import RunFile, RunWriter
from xentcheck.reports.summary import Summary, summarize
from xentcheck.subjects import Subject, subjects_of
from xentcheck.vocabulary import QUANTITIES

RECORDS = pytest.StashKey[list[Record]]()
"""What the tests of this process have found."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("xentcheck")
    group.addoption("--xentcheck-profile", default="quick", metavar="|".join(PROFILES), help="cases of the matrix")
    group.addoption("--xentcheck-seed", default=0, type=int, metavar="S", help="another draw of every case")
    group.addoption("--xentcheck-adapter", action="append", metavar="NAME", help="adapter of the matrix; repeatable")
    group.addoption("--xentcheck-out", type=Path, metavar="FILE", help="run file to write from the matrix")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Under `pytest -n` keep the cases of one signature on one worker: they share compilations.

    xdist's own `loadgroup` marks groups in `Node._nodeid`, which pytest 9.2 no longer has.
    """
    from xdist.scheduler import LoadScopeScheduling

    class BySignature(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return signature_in(nodeid) or nodeid

    return BySignature(config, log) if config.getoption("dist") == "load" else None


def signature_in(nodeid: str) -> str:
    """The signature of the case that ends a node id of the matrix; empty for other tests.

    >>> signature_in("test_matrix.py::test_matrix[jax-jit-cpu-a-ties.5x3.f32.index.w+ls.mean.up-one.contig.s0]")
    '5x3.f32.index.ls+w.mean'
    """
    _, found, parameters = nodeid.partition("::test_matrix[")
    return Case.parse(parameters.removesuffix("]").split("-", 4)[4]).signature if found else ""


def pytest_configure(config: pytest.Config) -> None:
    plan = Plan(config)
    config.stash[PLAN] = plan
    config.stash[RECORDS] = []
    if not hasattr(config, "workerinput"):
        collector = Collector(plan, config.stash[RECORDS], config.getoption("--xentcheck-out"))
        config.pluginmanager.register(collector, "xentcheck-collector")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker's records, as one string: execnet would send them number by number."""
    if hasattr(session.config, "workeroutput"):
        records = [record.to_json() for record in session.config.stash[RECORDS]]
        session.config.workeroutput["xentcheck"] = json.dumps(records)


class Plan:
    """What the options ask for: cases, subjects, and the comparisons that make a matrix complete."""

    def __init__(self, config: pytest.Config) -> None:
        from xentcheck import adapters

        self.profile = config.getoption("--xentcheck-profile")
        self.seed = config.getoption("--xentcheck-seed")
        try:
            self.cases = selected(self.profile, None, self.seed)
            self.adapters = [adapters.get(name) for name in config.getoption("--xentcheck-adapter") or adapters.names()]
            self.groups = groups_of(self.cases)
        except XentcheckError as error:
            raise pytest.UsageError(str(error)) from None

    @cached_property
    def subjects(self) -> list[Subject]:
        """Adapters, variants and devices; asking for the devices starts the frameworks."""
        return [s for adapter in self.adapters for s in subjects_of(adapter)]


class Collector:
    """Gathers the records on the controller, writes the run file, and fails the session for what spans all tests."""

    def __init__(self, plan: Plan, records: list[Record], out: Path | None) -> None:
        self.plan = plan
        self.out = out
        self.records = records
        self.summary: Summary | None = None

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        found = json.loads(getattr(node, "workeroutput", {}).get("xentcheck", "[]"))
        self.records.extend(map(Record.from_json, found))

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
        failures = deviations.failures(self.plan.profile if complete else "")
        if self.out:
            with RunWriter(self.out, header) as writer:
                for record in records:
                    writer.add(record)
                for text in failures:
                    writer.failure(text)
                for met in coverages(records):
                    writer.add(met)
        if complete:
            self.summary = summarize(RunFile(header, tuple(records), tuple(failures), ()))
            if not self.summary.ok and session.exitstatus == 0:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self.summary is not None:
            terminalreporter.section("xentcheck")
            terminalreporter.write_line(self.summary.verdict, red=not self.summary.ok, green=self.summary.ok)


PLAN = pytest.StashKey[Plan]()
