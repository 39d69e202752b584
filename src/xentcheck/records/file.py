"""The lines of a run file: JSON with a header, a line per finding of each kind, timings, and an end line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from xentcheck.errors import OutputError, RunFileError

from .codec import Plain
from .findings import Accuracy, Coverage, FaultResult, LawResult, ProbeResult
from .record import Record

SCHEMA = 2
READABLE = (1, SCHEMA)
"""Schemas that are read: the first one lacks a plan and shards."""

TOOL = "xentcheck"

Finding = Record | Accuracy | Coverage | ProbeResult | LawResult | FaultResult
FINDINGS: dict[str, type[Finding]] = {
    "record": Record,
    "accuracy": Accuracy,
    "coverage": Coverage,
    "probe": ProbeResult,
    "law": LawResult,
    "fault": FaultResult,
}
"""Kinds of the lines that each hold one finding."""

BODY = (*FINDINGS, "failure", "timing", "end")
"""Kinds of the lines after the header."""


@dataclass(frozen=True, kw_only=True)
class Header(Plain):
    """The first line: what was run, with what. `host` is where equal runs may differ.

    catalogue: contract names in the order in which a grade is looked for. planned: number of records of a whole run.
    selection, dtypes, devices: what narrowed the profile; none means all of its cases. plan: digest of all tasks and of
    whom they ask; shard: which of them this run has, as "2/3"; empty where it has all. code: digest of the sources.
    """

    version: str
    generator: int
    seed: int
    profile: str
    catalogue: tuple[str, ...]
    environment: dict[str, Any]
    host: dict[str, Any]
    planned: int
    selection: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    plan: str = ""
    code: str = ""
    shard: str = ""

    @property
    def complete(self) -> bool:
        """Whether the run has all cases of its profile."""
        return not (self.selection or self.dtypes or self.devices or self.shard)


def journal_of(out: Path) -> Path:
    """Where a run keeps what it has found so far, beside its run file.

    >>> journal_of(Path("run.jsonl")).name
    'run.jsonl.partial'
    """
    return out.with_name(f"{out.name}.partial")


OF_A_PLAN = (
    *("version", "generator", "profile", "seed", "selection", "dtypes", "devices"),
    *("catalogue", "environment", "plan", "code"),
)
"""Fields of the header that all parts of one run share."""


class Reader:
    """Reads line by line and knows what may come next."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.header: Header | None = None
        self.findings: list[Finding] = []
        self.failures: list[str] = []
        self.timings: list[tuple[str, float]] = []
        self.records = 0
        self.ended = False

    def line(self, number: int, line: str) -> None:
        where = f"run file {self.path}, line {number}"
        try:
            data = json.loads(line)
        except (ValueError, RecursionError):
            raise RunFileError(f"{where} is not JSON: truncated, or not a run file of xentcheck") from None
        if not isinstance(data, dict):
            raise RunFileError(f"{where} is not an object; allowed: lines of a run file of xentcheck")
        kind = data.pop("kind", None)
        if self.header is None:
            self.header = _header(where, kind, data)
            return
        if self.ended:
            raise RunFileError(f"{where} comes after the end line")
        if kind not in BODY:
            raise RunFileError(f"{where} is of kind {kind!r}; allowed: {', '.join(BODY)}")
        try:
            self._body(kind, data)
        except KeyError as error:
            raise RunFileError(f"{where}: malformed {kind}: {error.args[0]} is missing") from error
        except (TypeError, ValueError, OverflowError) as error:
            raise RunFileError(f"{where}: malformed {kind}: {error}") from error

    def _body(self, kind: str, data: dict[str, Any]) -> None:
        if kind in FINDINGS:
            self.findings.append(FINDINGS[kind].from_json(data))
            self.records += kind == "record"
        elif kind == "failure":
            self.failures.append(str(data["text"]))
        elif kind == "timing":
            self.timings.append((str(data["name"]), float(data["seconds"])))
        else:
            if data["records"] != self.records:
                raise ValueError(f"{data['records']} records were written, {self.records} are here")
            self.ended = True

    def finish(self, *, partial: bool = False) -> Header:
        """See that the file ended as it should, if it is not partial; its header. Raises RunFileError."""
        if self.header is None:
            raise RunFileError(f"run file {self.path} is empty")
        if not self.ended and not partial:
            told = "`xentcheck report --partial` shows what is there"
            raise RunFileError(f"run file {self.path} is truncated: no end line after {self.records} records; {told}")
        return self.header


def _header(where: str, kind: object, data: dict[str, Any]) -> Header:
    if kind == "baseline" and data.get("tool") == TOOL:
        raise RunFileError(f"{where} is the header of a baseline; allowed: a run file, as `run --out` writes it")
    if kind != "header" or data.pop("tool", None) != TOOL:
        raise RunFileError(f"{where} is no header of {TOOL}: another program's file?")
    schema = data.pop("schema", None)
    if schema not in READABLE:
        allowed = " or ".join(map(str, READABLE))
        raise RunFileError(f"{where} has schema {schema!r}; allowed: {allowed} (written by another version of {TOOL})")
    try:
        return Header.from_json(data)
    except (TypeError, ValueError, OverflowError) as error:
        raise RunFileError(f"{where}: malformed header: {error}") from error


class RunWriter:
    """Writes lines to a run file as they come; `begun`: it has a header already. Raises OutputError.

    As a context manager it writes the end line only if nothing was raised inside: what was cut short reads as such.

    >>> import tempfile
    >>> plain = dict(version="1", generator=1, seed=0, profile="quick", catalogue=(), environment={}, host={})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with RunWriter(Path(folder) / "run.jsonl", Header(**plain, planned=0)) as writer:
    ...         writer.failure("nothing was planned")
    ...     (Path(folder) / "run.jsonl").read_text().splitlines()[-2:]
    ['{"kind": "failure", "text": "nothing was planned"}', '{"kind": "end", "records": 0}']
    """

    def __init__(self, path: Path, header: Header, *, stream: IO[str] | None = None, begun: bool = False) -> None:
        self.path = path
        self._count = 0
        try:
            if stream is None:
                path.parent.mkdir(parents=True, exist_ok=True)
                stream = path.open("w", encoding="utf-8")
        except OSError as error:
            raise OutputError(f"run file {path} cannot be written: {error.strerror}") from error
        self._file = stream
        if not begun:
            self._line("header", {"tool": TOOL, "schema": SCHEMA, **header.to_json()})

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._file.close()

    def add(self, finding: Finding) -> None:
        """Write one finding of any kind."""
        kind = next(kind for kind, cls in FINDINGS.items() if isinstance(finding, cls))
        self._line(kind, finding.to_json())
        self._count += kind == "record"

    def failure(self, text: str) -> None:
        """Write what is wrong with the run as a whole."""
        self._line("failure", {"text": text})

    def timing(self, name: str, seconds: float) -> None:
        """Write how long a part took; equal runs differ here."""
        self._line("timing", {"name": name, "seconds": round(seconds, 3)})

    def close(self) -> None:
        """Write the end line: the run is whole."""
        self._line("end", {"records": self._count})
        self._file.close()

    def _line(self, kind: str, data: dict[str, Any]) -> None:
        try:
            self._file.write(json.dumps({"kind": kind, **data}, sort_keys=True, allow_nan=False) + "\n")
            self._file.flush()
        except OSError as error:
            raise OutputError(f"run file {self.path} cannot be written: {error.strerror}") from error
