"""A run: everything that it found, and its run file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from xentcheck.errors import RunFileError

from .file import Finding, Header, Index, Reader, RunWriter, journal_of, sorted_lines, stamp_of
from .findings import Accuracy, Coverage, FaultResult, LawResult, ProbeResult
from .paths import RUN_FILE, written
from .record import Record

FIELDS: dict[type[Finding], str] = {
    Record: "records",
    Accuracy: "accuracies",
    LawResult: "laws",
    ProbeResult: "probes",
    FaultResult: "faults",
    Coverage: "coverages",
}
"""Class of a finding -> the field of a run that holds it, in the order in which they are written."""


@dataclass(frozen=True)
class RunFile:
    """A run: header, records, failures of the run as a whole, timings as (name, seconds), largest errors
    found, pairs of options met, answers to probes, laws, planted faults.

    >>> plain = dict(version="1", generator=1, seed=0, profile="quick", catalogue=(), environment={}, host={})
    >>> header = Header(**plain, planned=0)
    >>> RunFile(header, (), (), ()).records
    ()
    """

    header: Header
    records: Sequence[Record] = ()
    failures: tuple[str, ...] = ()
    timings: tuple[tuple[str, float], ...] = ()
    accuracies: tuple[Accuracy, ...] = ()
    coverages: tuple[Coverage, ...] = ()
    probes: tuple[ProbeResult, ...] = ()
    laws: tuple[LawResult, ...] = ()
    faults: tuple[FaultResult, ...] = ()

    @classmethod
    def of(
        cls,
        header: Header,
        findings: Iterable[Finding],
        failures: Iterable[str] = (),
        timings: Iterable[tuple[str, float]] = (),
    ) -> RunFile:
        """The run of findings of any kind, each kind in its order."""
        found: dict[str, list[Any]] = {name: [] for name in FIELDS.values()}
        for finding in findings:
            found[FIELDS[type(finding)]].append(finding)
        kinds = {name: tuple(items) for name, items in found.items()}
        return cls(header, failures=tuple(failures), timings=tuple(timings), **kinds)

    @property
    def digest(self) -> str:
        """SHA-256 of all that was found and with what, whatever the order: equal for equal runs, on any host.

        >>> plain = dict(version="1", generator=1, seed=0, profile="quick", catalogue=(), environment={}, planned=0)
        >>> one, other = (RunFile(Header(**plain, host={"cores": n})) for n in (1, 2))
        >>> one.digest == other.digest != RunFile(one.header, failures=("a law is broken",)).digest
        True
        """
        header = {name: value for name, value in self.header.to_json().items() if name != "host"}
        found = (finding.to_json() for name in FIELDS.values() for finding in getattr(self, name))
        lines = (json.dumps(data, sort_keys=True) for data in chain([header], found))
        digest, between = hashlib.sha256(), ""
        for line in sorted_lines(lines, self.failures):
            digest.update(f"{between}{line}".encode())
            between = "\n"
        return digest.hexdigest()[:16]

    def save(self, path: Path) -> None:
        """Write the run file, in the place of an older one. Raises OutputError."""
        with written(path, "run file", RUN_FILE) as stream, RunWriter(path, self.header, stream=stream) as writer:
            self.write(writer)

    def write(self, writer: RunWriter) -> None:
        """Write all that was found, and the timings, behind what the writer has written. Raises OutputError."""
        for name in FIELDS.values():
            for finding in getattr(self, name):
                writer.add(finding)
        for text in self.failures:
            writer.failure(text)
        for name, seconds in self.timings:
            writer.timing(name, seconds)

    @classmethod
    def load(cls, path: Path, *, partial: bool = False) -> RunFile:
        """Read a run file. Raises RunFileError: missing, foreign, of another schema, malformed or truncated.

        The whole file is checked; its records are read again when they are asked for, so that the file has to stay.

        partial: also what a run that was cut short, or is still going on, has left: up to its last whole line, in the
        file or in the journal beside it. It is told among the failures.
        """
        if partial and not path.exists():
            path = journal_of(path)
        index, findings, start, rest = Index(), list[Finding](), 0, False
        again = path.is_file()  # a pipe is read once: its records are kept

        def keep(found: Finding) -> None:
            if again and isinstance(found, Record):
                index.add(start, found)
            else:
                findings.append(found)

        reader = Reader(path, keep)
        try:
            with path.open("rb") as file:
                stamp = stamp_of(file.fileno())[: 1 if partial else None]
                for number, line in enumerate(file, 1):
                    rest = not line.endswith(b"\n")
                    if not (rest and partial):
                        reader.line(number, line.decode("utf-8").rstrip("\r\n"))
                    start += len(line)
        except OSError as error:
            raise RunFileError(f"run file {path} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise RunFileError(f"run file {path} is not UTF-8 text: {error.reason}") from error
        reader.ended &= partial or not rest  # an end line without its end is a cut one
        header = reader.finish(partial=partial)
        if not reader.ended:
            reader.failures.append(f"partial: {reader.records} of {header.planned} planned comparisons")
        run = cls.of(header, findings, reader.failures, reader.timings)
        return replace(run, records=index.stored(path, stamp, reader.schema)) if again else run
