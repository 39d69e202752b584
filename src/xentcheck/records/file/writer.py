"""Writing a run file line by line, as a run goes."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from xentcheck.errors import OutputError

from .lines import FINDINGS, SCHEMA, TOOL, Finding, Header


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
