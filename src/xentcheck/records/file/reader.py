"""Reading a run file line by line: each kind where it may come, facts for older schemas, one line on what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from xentcheck.errors import RunFileError

from .lines import BODY, FINDINGS, READABLE, SCHEMA, TOOL, WITHOUT_FACTS, Finding, Header
from .old import with_facts


class Reader:
    """Reads line by line and knows what may come next; keep: what is done with a finding, by default it is kept."""

    def __init__(self, path: Path, keep: Callable[[Finding], None] | None = None) -> None:
        self.path = path
        self.header: Header | None = None
        self.schema = SCHEMA
        self.findings: list[Finding] = []
        self._keep = keep or self.findings.append
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
            self.header, self.schema = _header(where, kind, data)
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
            told = with_facts(data) if kind == "record" and self.schema in WITHOUT_FACTS else data
            self._keep(FINDINGS[kind].from_json(told))
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


def _header(where: str, kind: object, data: dict[str, Any]) -> tuple[Header, int]:
    """The header, and the schema of the lines below it."""
    if kind == "baseline" and data.get("tool") == TOOL:
        raise RunFileError(f"{where} is the header of a baseline; allowed: a run file, as `run --out` writes it")
    if kind != "header" or data.pop("tool", None) != TOOL:
        raise RunFileError(f"{where} is no header of {TOOL}: another program's file?")
    schema = data.pop("schema", None)
    if schema not in READABLE:
        allowed = ", ".join(map(str, READABLE))
        raise RunFileError(f"{where} has schema {schema!r}; allowed: {allowed} (written by another version of {TOOL})")
    try:
        return Header.from_json(data), schema
    except (TypeError, ValueError, OverflowError) as error:
        raise RunFileError(f"{where}: malformed header: {error}") from error
