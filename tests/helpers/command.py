"""The command line, called in this process as a shell would call it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from subprocess import CompletedProcess

from xentcheck.adapters.spec import resolve
from xentcheck.cli.main import main


def xentcheck(*arguments: str, cwd: Path | None = None) -> CompletedProcess[str]:
    """Exit code and output of one command, in a folder; what it imported from there is forgotten.

    Everything but the start of an interpreter is that of a process of its own, which costs half a second more.
    """
    out, err = StringIO(), StringIO()
    with chdir(cwd or "."), redirect_stdout(out), redirect_stderr(err), own_state(["xentcheck", *arguments]):
        try:
            main()
            code: object = None
        except SystemExit as left:
            code = left.code
    assert isinstance(code, int), f"main left with {code!r}"
    return CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


@contextmanager
def own_state(argv: list[str]) -> Iterator[None]:
    """What a process has of its own: arguments, search path, modules of the folder, the handler of SIGTERM."""
    before, known = (sys.argv, sys.path[:]), set(sys.modules)
    handler, here = signal.getsignal(signal.SIGTERM), Path.cwd()
    sys.argv = argv
    resolve.cache_clear()
    try:
        yield
    finally:
        sys.argv, sys.path[:] = before
        signal.signal(signal.SIGTERM, handler)
        resolve.cache_clear()
        for name in set(sys.modules) - known:
            if (file := getattr(sys.modules[name], "__file__", None)) and Path(file).is_relative_to(here):
                del sys.modules[name]
