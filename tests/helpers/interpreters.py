"""Fresh interpreters for many scripts that import a framework only once: each script runs in a fork of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, CompletedProcess, Popen
from typing import Any

SERVER = """
import json, os, sys, tempfile
import MODULE
for line in sys.stdin:
    folder, script = json.loads(line)
    files = [tempfile.TemporaryFile() for _ in range(2)]
    child = os.fork()
    if not child:
        os.chdir(folder)
        for number, file in enumerate(files, 1):
            os.dup2(file.fileno(), number)
        break
    code, texts = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), []
    for file in files:
        file.seek(0)
        texts.append(file.read().decode())
        file.close()
    print(json.dumps([code, *texts]), flush=True)
else:
    sys.exit()
del line, folder, files, child, json, os, sys, tempfile
exec(compile(script, "<script>", "exec"), {"__name__": "__main__"})
"""
"""An interpreter that has imported a module, and nothing else of ours, answers each script with how its fork ended."""


class Interpreter:
    """Runs scripts as `python -c SCRIPT` would, less the time of importing one module."""

    def __init__(self, process: Popen[str]) -> None:
        self.process = process

    def run(self, script: str, folder: Path | None = None) -> CompletedProcess[str]:
        """Exit code and output of one script in a folder."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([str(folder or Path.cwd()), script]) + "\n")
        self.process.stdin.flush()
        code, out, err = json.loads(self.process.stdout.readline())
        return CompletedProcess(script, code, out, err)

    def run_command(self, command: list[str], **options: Any) -> CompletedProcess[str]:
        """In place of `subprocess.run([sys.executable, "-c", SCRIPT], ...)`."""
        assert command[:2] == [sys.executable, "-c"]
        return self.run(command[2])


@contextmanager
def interpreter(module: str) -> Iterator[Interpreter]:
    """One that has imported a module."""
    command = [sys.executable, "-c", SERVER.replace("MODULE", module)]
    with Popen(command, stdin=PIPE, stdout=PIPE, text=True) as process:
        yield Interpreter(process)
        assert process.stdin is not None
        process.stdin.close()
