"""The journal of a run: its header, and what its tasks find, written down as it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from xentcheck.records.file import Finding, Header, RunWriter
from xentcheck.records.findings import FaultResult, LawResult
from xentcheck.records.record import Record
from xentcheck.records.run import RunFile
from xentcheck.reference.bounds.contracts import CATALOGUE
from xentcheck.vocabulary import FAILING

from .comparison import planned
from .coverage import coverages
from .deviations import Deviations
from .environment import GENERATOR, environment, host
from .subjects import Subject
from .tasks import Finished

if TYPE_CHECKING:
    from xentcheck.cases import Case


def header_of(
    chosen: Sequence[Case],
    subjects: Sequence[Subject],
    profile: str,
    seed: int,
    jobs: int,
    selection: Sequence[str] = (),
) -> Header:
    """The first line of a run file."""
    from importlib.metadata import version

    return Header(
        version=version("xentcheck"),
        generator=GENERATOR,
        seed=seed,
        profile=profile,
        catalogue=tuple(CATALOGUE),
        environment=environment(subjects),
        host=host(jobs),
        planned=planned(chosen, subjects),
        selection=tuple(selection),
    )


def collect(
    header: Header,
    finished: Iterator[Finished],
    deviations: Deviations,
    *,
    complete: bool,
    out: Path | None = None,
    stop: bool = False,
    progress: Callable[[Finished], None] = lambda done: None,
) -> RunFile:
    """Gather what a run finds, writing each finding to `out` as it comes, so that a killed run loses the task in
    flight only.

    stop: go no further than the first task with a failing record.
    """
    findings: list[Finding] = []
    timings: list[tuple[str, float]] = []
    stopped = False
    with RunWriter(out, header) if out else nullcontext() as writer:
        for done in finished:
            for found in done.findings:
                findings.append(deviations.apply(found) if isinstance(found, Record) else found)
                if writer:
                    writer.add(findings[-1])
            timings.append((done.task.signature, done.seconds))
            progress(done)
            if stop and any(record.outcome in FAILING for record in done.records):
                stopped = True
                break
        met = coverages([found for found in findings if isinstance(found, Record)])
        failures = deviations.failures(header.profile if complete and not stopped else "")
        failures += ["stopped at the first failure"] if stopped else []
        failures += [str(found) for found in findings if isinstance(found, LawResult) and not found.kept]
        failures += [str(found) for found in findings if isinstance(found, FaultResult) and not found.ok]
        if writer:
            for coverage in met:
                writer.add(coverage)
            for text in failures:
                writer.failure(text)
            for name, seconds in timings:
                writer.timing(name, seconds)
    return RunFile.of(header, [*findings, *met], failures, timings)
