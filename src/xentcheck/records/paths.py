"""Files that are written: whether they can be, before a long run, and each whole or not at all."""

from __future__ import annotations

import os
import tempfile
from errno import EISDIR
from pathlib import Path

from xentcheck.errors import OutputError


def prepare(out_dir: Path) -> None:
    """Make the folder, and see that a file can be made there. Raises OutputError: better before a long run."""
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out_dir):
            pass
    except OSError as error:
        raise OutputError(f"report folder {out_dir} cannot be written: {error.strerror}") from error


def prepare_file(path: Path, *, make: bool = True) -> None:
    """See that a file can be made at a path. Raises OutputError: better before a long run.

    make: also make its folder; else see that the nearest one that there is can be written to.
    """
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


def write_whole(path: Path, text: str) -> Path:
    """Write beside the file and rename, so that a reader sees the old file or the new one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return path
