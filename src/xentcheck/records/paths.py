"""Files that are written: whether they can be, before a long run, and each whole or not at all."""

from __future__ import annotations

import os
import tempfile
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from errno import EISDIR
from hashlib import sha256
from pathlib import Path
from typing import IO

from xentcheck.errors import OutputError


def prepare(out_dir: Path) -> None:
    """Make the folder, and see that a file can be made there. Raises OutputError: better before a long run."""
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out_dir):
            pass
    except OSError as error:
        raise OutputError(f"report folder {out_dir} cannot be written: {error.strerror}") from error


LONGEST = 1 << 24
"""Bytes of a line that are read; a header of many cases is long."""


@dataclass(frozen=True)
class Kind:
    """A kind of files that xentcheck writes: its name, and the words that the first two lines of each have."""

    name: str
    words: tuple[str, ...]


def page(name: str) -> Kind:
    """A kind of pages, Markdown or HTML, whose one word is a comment that a reader does not see.

    >>> page("report").words
    ('<!-- xentcheck: report -->',)
    """
    return Kind(f"{name} page", (f"<!-- xentcheck: {name} -->",))


def data(name: str, kind: str) -> Kind:
    """A kind of files of JSON, or of lines of it."""
    return Kind(name, ('"tool": "xentcheck"', f'"kind": "{kind}"'))


RUN_FILE = data("run file", "header")


def keep_others(path: Path, own: Kind | None) -> None:
    """Raise OutputError for a file that is there, and is none of those that may be replaced; an empty one may be.

    own: the kind of files that may be; None: any file.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
    ...     _ = file.write("def loss(): ..."), file.flush()
    ...     keep_others(Path(file.name), RUN_FILE)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
      ...
    xentcheck.errors.OutputError: ...py is there, and is no run file of xentcheck: it is kept; allowed: another name
    """
    if own is None or not path.is_file():
        return
    try:
        with path.open("rb") as file:
            first = file.readline(LONGEST) + file.readline(LONGEST)
    except OSError as error:
        raise OutputError(f"{path} is there, and cannot be read ({error.strerror}): it is kept") from error
    if first and not all(word.encode() in first for word in own.words):
        raise OutputError(f"{path} is there, and is no {own.name} of xentcheck: it is kept; allowed: another name")


def prepare_file(path: Path, *, make: bool = True, own: Kind | None = None) -> None:
    """See that a file can be made at a path. Raises OutputError: better before a long run.

    make: also make its folder; else see that the nearest one that there is can be written to. own: as in `keep_others`.
    """
    keep_others(path, own)
    try:
        folder = path.parent
        if make:
            folder.mkdir(parents=True, exist_ok=True)
        while not make and not folder.exists():
            folder = folder.parent
        with tempfile.TemporaryFile(dir=folder):
            pass
        if path.is_dir():
            raise IsADirectoryError(EISDIR, os.strerror(EISDIR))
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}") from error


@contextmanager
def written(path: Path, what: str = "", own: Kind | None = None) -> Iterator[IO[str]]:
    """A stream of UTF-8 whose text becomes the file when it is complete; a reader sees the old file or the new one.

    A device or a pipe, which nothing can take the place of, is written to as it is. what: the kind of file, for the
    error. own: as in `keep_others`. Raises OutputError: the folder cannot be made or written, the disk is full.
    """
    keep_others(path, own)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():
            with path.open("w", encoding="utf-8", errors="backslashreplace") as stream:
                yield stream
            return
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as stream:
            yield stream
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"{f'{what} {path}'.strip()} cannot be written: {error.strerror}") from error
    finally:
        if temporary:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def write_whole(path: Path, text: str, what: str = "", own: Kind | None = None) -> Path:
    """A text as a file, by `written`; the path."""
    return write_parts(path, [text], what, own)


def write_parts(path: Path, parts: Iterable[str], what: str = "", own: Kind | None = None) -> Path:
    """A text that comes piece by piece as a file, by `written`; the path."""
    with written(path, what, own) as stream:
        stream.writelines(parts)
    return path


def policy_hash(text: str) -> str:
    """What the content-security policy of a page allows an inline style or script of this text by.

    >>> policy_hash("")
    'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='
    """
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()
