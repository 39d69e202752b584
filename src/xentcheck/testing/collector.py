"""What the tests of all workers have found, gathered, written down and told."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from xentcheck.errors import XentcheckError
from xentcheck.records.file import Finding, Header
from xentcheck.records.findings import LawResult
from xentcheck.records.record import Record
from xentcheck.records.run import RunFile
from xentcheck.records.words import describe
from xentcheck.reports.analysis.causes.suspicion import suspicion
from xentcheck.reports.analysis.summary import Summary, summarize
from xentcheck.reports.formats.write import write_report
from xentcheck.running.collect import run_of
from xentcheck.running.deviations import Deviations
from xentcheck.vocabulary import QUANTITIES

from .plan import Plan

SHOWN = 5

CONFORMANCE = "xentcheck.conformance"


class Collector:
    """Gathers the records, on the controller also those of the workers; writes the files and tells the verdict."""

    def __init__(self, plan: Plan, config: pytest.Config) -> None:
        self.plan = plan
        self.is_worker = hasattr(config, "workerinput")
        self.records: list[Record] = []
        self.laws: list[LawResult] = []
        self.summary: Summary | None = None
        self.kept = Counter[str]()  # how many records were taken from the run of --xentcheck-from
        self.written: list[Path] = []

    def receive(self, text: str) -> None:
        """What a worker has found, as one string: execnet would send it number by number."""
        found = json.loads(text)
        self.records += map(Record.from_json, found["records"])
        self.laws += map(LawResult.from_json, found["laws"])
        self.kept.update(found["kept"])
        if "header" in found:
            self.plan.told(Header.from_json(found["header"]), [tuple(place) for place in found["places"]])

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self.kept.update(self.plan.kept.counts if "kept" in vars(self.plan) else {})
        if self.is_worker:
            found: dict[str, Any] = {
                "records": [r.to_json() for r in self.records],
                "laws": [law.to_json() for law in self.laws],
            }
            found["kept"] = dict(self.kept)
            if self.records:
                found |= {"header": self.plan.header.to_json(), "places": self.plan.places}
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
        order = {str(case): i for i, case in enumerate(c for g in self.plan.groups for c in g.cases)}
        places = self.plan.places
        deviations = Deviations(self.plan.known)
        ordered = sorted(
            self.records,
            key=lambda r: (order[r.case], places.index((r.adapter, r.variant, r.device)), QUANTITIES.index(r.quantity)),
        )
        findings: list[Finding] = [*map(deviations.apply, ordered), *sorted(self.laws, key=str)]
        return run_of(self.plan.run_header(len(ordered)), findings, deviations)

    def _write(self, run: RunFile) -> None:
        try:
            if self.plan.out:
                run.save(Path(self.plan.out))
                self.written.append(Path(self.plan.out))
            if self.plan.report:
                self.written += write_report(run, Path(self.plan.report))
        except XentcheckError as error:
            raise pytest.UsageError(str(error)) from None

    def pytest_terminal_summary(self, terminalreporter: Any, config: pytest.Config) -> None:
        """The worst failures with the command that repeats each, what explains them, and one verdict line."""
        if self.summary is None:
            return
        terminalreporter.section("xentcheck")
        for path in self.written:
            terminalreporter.write_line(f"wrote {path}")
        if self.kept:
            terminalreporter.write_line("records: " + ", ".join(f"{n} {what}" for what, n in self.kept.items()))
        for r in self.summary.failing[:SHOWN]:
            terminalreporter.write_line(describe(r), red=True)
            terminalreporter.write_line(f"  {r.replay}")
        if (more := len(self.summary.failing) - SHOWN) > 0:
            terminalreporter.write_line(f"... and {more} more")
        for report in terminalreporter.getreports("failed")[:1]:
            if command := alone(report.nodeid, config.invocation_params.args):
                terminalreporter.write_line(f"the first of these tests alone: {command}")
        for text in filter(None, (*self.summary.reasons, *self.summary.weaker, suspicion(self.summary.failing))):
            terminalreporter.write_line(text, red=True)
        terminalreporter.write_line(self.summary.verdict, red=not self.summary.ok, green=self.summary.ok)


def alone(nodeid: str, arguments: Sequence[object]) -> str:
    """The command that runs one test of the matrix alone; empty for tests whose id names their own file.

    pytest writes the id of what `--pyargs` found without its module, as `::test_matrix[...]`, which it does not take.

    >>> alone("::test_laws[jax]", ["--pyargs", "xentcheck.conformance", "-n", "2"])
    "pytest --pyargs 'xentcheck.conformance::test_laws[jax]' -n 2"
    """
    words = [str(word) for word in arguments]
    if not nodeid.startswith("::") or CONFORMANCE not in words:
        return ""
    return shlex.join(["pytest", *(f"{word}{nodeid}" if word == CONFORMANCE else word for word in words)])
