"""What the tests of all workers have found, gathered, written down and told."""

from __future__ import annotations

import pickle
import shlex
from collections import Counter
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import pytest

from xentcheck.errors import XentcheckError
from xentcheck.records.file import Finding
from xentcheck.records.findings import LawResult
from xentcheck.records.record import Record
from xentcheck.records.run import RunFile
from xentcheck.reports.analysis.causes.suspicion import suspicion
from xentcheck.reports.analysis.summary import Summary, summarize
from xentcheck.reports.formats.terminal import others, shown, told
from xentcheck.reports.formats.write import write_report
from xentcheck.running.collect import run_of
from xentcheck.running.deviations import Deviations
from xentcheck.vocabulary import QUANTITIES

from .options import CARRIED
from .plan import Plan

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
        self._introduced = False

    @pytest.hookimpl(wrapper=True)
    def pytest_report_to_serializable(self) -> Generator[None, dict[str, Any], dict[str, Any]]:
        """What a test found travels with its report: a worker has nothing to send when its tests are done."""
        data = yield
        if self.is_worker and (self.records or self.laws):
            data[CARRIED] = self.hand_over()
        return data

    def hand_over(self) -> bytes:
        """What was found since, pickled: execnet would send it number by number; JSON takes eight times as long."""
        found: dict[str, Any] = {"records": self.records, "laws": self.laws, "kept": self._counted()}
        if not self._introduced:
            found |= {"header": self.plan.header, "places": self.plan.places}
        self._introduced, self.records, self.laws = True, [], []
        return pickle.dumps(found, pickle.HIGHEST_PROTOCOL)

    def receive(self, sent: bytes) -> None:
        """Take over what a worker has found."""
        found = pickle.loads(sent)
        self.records += found["records"]
        self.laws += found["laws"]
        self.kept.update(found["kept"])
        if "header" in found:
            self.plan.told(found["header"], found["places"])

    def _counted(self) -> Counter[str]:
        """How many records were taken from a run or computed since."""
        if "kept" not in vars(self.plan):
            return Counter()
        counts, self.plan.kept.counts = self.plan.kept.counts, Counter()
        return counts

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Sum up and write, while the workers end."""
        if self.is_worker or not self.records:
            return
        self.kept.update(self._counted())
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

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: Any, config: pytest.Config) -> Generator[None, Any, Any]:
        """After pytest's own list of what failed, which may be long, so that the last screen has the cause."""
        told = yield
        if self.summary is not None:
            self._tell(self.summary, terminalreporter, config)
        return told

    def _tell(self, summary: Summary, terminalreporter: Any, config: pytest.Config) -> None:
        """The causes of the failures, each with the command that repeats its smallest case, and one verdict line."""
        terminalreporter.section("xentcheck")
        for path in self.written:
            terminalreporter.write_line(f"wrote {path}")
        if self.kept:
            terminalreporter.write_line("records: " + ", ".join(f"{n} {what}" for what, n in self.kept.items()))
        for number, cause in enumerate(shown(summary.causes), 1):
            for line in told(cause, number, len(summary.failing)):
                terminalreporter.write_line(line, red=line[0] != " ")
        if left := others(summary.causes):
            terminalreporter.write_line(left)
        for report in terminalreporter.getreports("failed")[:1]:
            if command := alone(report.nodeid, config.invocation_params.args):
                terminalreporter.write_line(f"the first of these tests alone: {command}")
        for text in filter(None, (*summary.reasons, *summary.weaker, suspicion(summary.failing))):
            terminalreporter.write_line(text, red=True)
        terminalreporter.write_line(summary.verdict, red=not summary.ok, green=summary.ok)


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
