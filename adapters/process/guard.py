"""A guard: a small process that ends what this one has started when this one ends, however that comes about.

A process that is killed cannot tidy up, and what it has started in sessions of their own hears nothing of it. The guard
holds one end of a pipe whose other end only this process has: the end of the pipe is the end of the process.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
from contextlib import suppress
from threading import Lock

SCRIPT = """
import os, select, signal, sys

def end(kill, pid):
    try:
        kill(pid, signal.SIGKILL)
    except OSError:
        pass

owner, pipes, groups, rest = int(sys.argv[1]), [0, *map(int, sys.argv[2:])], set(), b""
while True:
    ready = select.select(pipes, [], [])[0]
    if ready != [0]:
        end(os.kill, owner)
        break
    data = os.read(0, 65536)
    if not data:
        break
    *lines, rest = (rest + data).split(b"\\n")
    for line in lines:
        (groups.add if line[:1] == b"+" else groups.discard)(int(line[1:]))
for group in groups:
    end(os.killpg, group)
"""
"""What the guard does. On standard input come process groups, "+PID" to be ended and "-PID" no longer; further pipes,
whose end is the end of the process that has started this one, which then ends, too.
"""


PATIENCE = 2.0
"""Seconds that a guard has to end what is left at the end of its process."""


class Guard:
    """The guard of this process. `watching`: file descriptors of pipes at whose end this process is ended as well."""

    def __init__(self, watching: tuple[int, ...] = ()) -> None:
        command = [sys.executable, "-I", "-S", "-c", SCRIPT, str(os.getpid()), *map(str, watching)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=watching,
            start_new_session=True,
        )
        self._owner = os.getpid()
        atexit.register(self._end)

    def _end(self) -> None:
        """At the end of this process, but not of its forks: the guard ends what is left, and itself."""
        if os.getpid() == self._owner and self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(PATIENCE)

    def add(self, group: int) -> None:
        """End a process group together with this process."""
        self._tell(f"+{group}\n")

    def remove(self, group: int) -> None:
        """It has ended: its number may soon be that of another one."""
        self._tell(f"-{group}\n")

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        with suppress(OSError, ValueError):  # a guard that somebody has killed, or that has ended, guards no more
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()


_lock = Lock()
_guards: dict[int, Guard] = {}


def guard(watching: tuple[int, ...] = ()) -> Guard | None:
    """The guard of this process, started when it is first asked for; None where there are no process groups."""
    if not hasattr(os, "killpg"):
        return None
    with _lock:
        here = os.getpid()  # a fork has the guards of the process before, which guard that one
        if here not in _guards:
            _guards[here] = Guard(watching)
        return _guards[here]
