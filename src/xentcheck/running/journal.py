"""The journal of a run: what its tasks have found so far, in a file beside the run file, which a killed run leaves."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TextIO

from xentcheck.errors import OutputError, RunFileError
from xentcheck.records.file import OF_A_PLAN, Header, Reader, RunWriter, journal_of
from xentcheck.records.paths import RUN_FILE, keep_others
from xentcheck.records.run import RunFile

from .tasks import Finished, Task

try:
    import fcntl
except ImportError:  # Windows: two runs to one file are not noticed there
    fcntl = None  # type: ignore[assignment]  # a module that is missing


BEGINNING = '{"catalogue": '
"""The first characters of a journal, of which a killed run may have written some."""


class Journal:
    """What a run has found so far: the lines of a run file, and after those of each task the line of its time.

    resume: go on with what a killed run of the same plan has left; else it is thrown away. The file of another run that
    is still going on is refused, and so is a run file that is none. Raises OutputError and RunFileError.
    """

    def __init__(self, out: Path, header: Header, *, resume: bool = False) -> None:
        self.out, self.path = out, journal_of(out)
        keep_others(out, RUN_FILE)
        self.known: dict[str, Finished] = {}
        self._stream = _opened(self.path, out)
        try:
            self._keep_others()
            whole = self._read(header) if resume else 0
            self._stream.truncate(whole)
            self._stream.seek(whole)
            self._writer = RunWriter(self.path, header, stream=self._stream, begun=bool(whole))
        except BaseException:
            self._stream.close()
            raise

    def _keep_others(self) -> None:
        """Raises OutputError for a file that no run has left; a run may have been killed within the first line."""
        if not BEGINNING.encode().startswith(self._stream.buffer.read(len(BEGINNING))):
            told = "and is no journal of xentcheck: it is kept; allowed: another --out"
            raise OutputError(f"{self.path} is there, {told}")
        self._stream.seek(0)

    def _read(self, header: Header) -> int:
        """Keep what each finished task has found, and say up to which byte that is. Raises RunFileError."""
        text = self._stream.read()
        if "\n" not in text:
            return 0
        reader = Reader(self.path)
        whole = before = 0
        end = 0
        for number, line in enumerate(text[: text.rindex("\n")].split("\n"), 1):
            reader.line(number, line)
            end += len(line.encode()) + 1
            if number == 1:
                _same(self.path, reader, header)
                whole = end
            if len(reader.timings) > len(self.known):
                name, seconds = reader.timings[-1]
                self.known[name] = Finished(name, tuple(reader.findings[before:]), seconds)
                before, whole = len(reader.findings), end
        return whole

    def all(self, tasks: Sequence[Task], finished: Iterator[Finished]) -> Iterator[Finished]:
        """What all tasks have found, in their order: what was known, and what is found now, which is written down.

        finished: the results of the tasks that are not known, in their order.
        """
        for task in tasks:
            if task.signature in self.known:
                yield self.known[task.signature]
            else:
                done = next(finished)
                self.add(done)
                yield done

    def left(self, tasks: Iterable[Task]) -> list[Task]:
        """The tasks whose findings are not known."""
        return [task for task in tasks if task.signature not in self.known]

    def add(self, done: Finished) -> None:
        """Write down what a task has found. Raises OutputError."""
        for found in done.findings:
            self._writer.add(found)
        self._writer.timing(done.name, done.seconds)

    def complete(self, run: RunFile) -> None:
        """Put the run file in its place; the journal has done its work. Raises OutputError."""
        run.save(self.out)
        with suppress(OSError):
            self.path.unlink()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._stream.close()


def _opened(path: Path, out: Path) -> TextIO:
    """The journal's file, which no other process has open. Raises OutputError, with the name of the run file."""
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            stream = path.open("a+", encoding="utf-8")
        except OSError as error:
            raise OutputError(f"run file {out} cannot be written: {error.strerror}") from error
        stream.seek(0)
        try:
            if fcntl:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            stream.close()
            raise OutputError(f"{path} is being written by another run; allowed: one run at a time") from None
        with suppress(OSError):
            if os.fstat(stream.fileno()).st_ino == path.stat().st_ino:
                return stream
        stream.close()  # the other run has just put it in its place


def _same(path: Path, reader: Reader, header: Header) -> None:
    """Raises RunFileError for the journal of another plan or of another installation."""
    assert reader.header is not None
    for name in (*OF_A_PLAN, "shard"):
        there, here = getattr(reader.header, name), getattr(header, name)
        if there != here:
            told = (
                "" if name in ("catalogue", "environment", "plan", "code") else f", {there!r} there and {here!r} here"
            )
            raise RunFileError(f"{path} is of another run: its {name} differs{told}; allowed: without --resume")
