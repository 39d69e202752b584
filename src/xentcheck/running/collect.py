"""Collecting: what the parts of a run find, put together, with what follows from all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from xentcheck.records.file import Finding, Header, RunWriter
from xentcheck.records.findings import FaultResult, LawResult
from xentcheck.records.paths import RUN_FILE, written
from xentcheck.records.record import Record
from xentcheck.records.run import RunFile
from xentcheck.vocabulary import FAILING

from .coverage import Met, coverages
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
    failures = _failures(header, findings, deviations, stopped=stopped)
    return RunFile.of(header, [*findings, *met], failures, timings)


def collect_to(path: Path, header: Header, finished: Iterable[Finished], deviations: Deviations) -> None:
    """Write the run of what its tasks find to a file, task by task, however many records there are.

    Raises OutputError.
    """
    met, others, timings = Met(), list[Finding](), list[tuple[str, float]]()
    with written(path, "run file", RUN_FILE) as stream, RunWriter(path, header, stream=stream) as writer:
        for done in finished:
            timings.append((done.name, done.seconds))
            for found in done.findings:
                if not isinstance(found, Record):
                    others.append(found)
                    continue
                record = deviations.apply(found)
                met.add(record)
                writer.add(record)
        failures = _failures(header, others, deviations)
        RunFile.of(header, [*others, *met.coverages()], failures, timings).write(writer)


def _failures(
    header: Header, findings: Iterable[Finding], deviations: Deviations, *, stopped: bool = False
) -> list[str]:
    """What is wrong with a run as a whole, once the deviations were applied to its records."""
    failures = deviations.failures(header.profile if header.complete and not stopped else "")
    failures += ["stopped at the first failure"] if stopped else []
    failures += [str(found) for found in findings if isinstance(found, LawResult) and not found.kept]
    failures += [str(found) for found in findings if isinstance(found, FaultResult) and not found.ok]
    return failures
