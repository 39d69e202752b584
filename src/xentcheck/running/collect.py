"""Collecting: what the parts of a run find, put together, with what follows from all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from xentcheck.records.file import Finding, Header
from xentcheck.records.findings import FaultResult, LawResult
from xentcheck.records.record import Record
from xentcheck.records.run import RunFile
from xentcheck.vocabulary import FAILING

from .coverage import coverages
from .deviations import Deviations
from .tasks import Finished


def collect(
    header: Header,
    finished: Iterator[Finished],
    deviations: Deviations,
    *,
    stop: bool = False,
    progress: Callable[[Finished], None] = lambda done: None,
) -> RunFile:
    """The run of what its tasks find; stop: go no further than the first task with a failing record."""
    findings: list[Finding] = []
    timings: list[tuple[str, float]] = []
    for done in finished:
        found = [deviations.apply(found) if isinstance(found, Record) else found for found in done.findings]
        findings += found
        timings.append((done.name, done.seconds))
        progress(done)
        if stop and any(isinstance(one, Record) and one.outcome in FAILING for one in found):
            return run_of(header, findings, deviations, timings, stopped=True)
    return run_of(header, findings, deviations, timings)


def run_of(
    header: Header,
    findings: Iterable[Finding],
    deviations: Deviations,
    timings: Iterable[tuple[str, float]] = (),
    *,
    stopped: bool = False,
) -> RunFile:
    """The run of findings to which the deviations were applied, with the pairs met and the failures of the whole."""
    findings = list(findings)
    met = coverages([found for found in findings if isinstance(found, Record)])
    failures = deviations.failures(header.profile if header.complete and not stopped else "")
    failures += ["stopped at the first failure"] if stopped else []
    failures += [str(found) for found in findings if isinstance(found, LawResult) and not found.kept]
    failures += [str(found) for found in findings if isinstance(found, FaultResult) and not found.ok]
    return RunFile.of(header, [*findings, *met], failures, timings)
