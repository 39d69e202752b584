"""Processes as `ps` sees them: what a process has started, and what of it is left."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterable

PATIENCE = 5.0
"""Seconds after which nothing of a process that has ended may be left."""


def descendants(root: int) -> list[int]:
    """A process and all that it has started, and they; the process itself comes first."""
    table = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = {int(pid): int(parent) for pid, parent in map(str.split, table.splitlines())}
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and is not waited for does not."""
    state = subprocess.run(["ps", "-o", "state=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return state.strip()[:1] not in ("", "Z")


def left_after(pids: Iterable[int]) -> list[int]:
    """The processes that are still there when nobody waits any longer."""
    pids, deadline = list(pids), time.monotonic() + PATIENCE
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return [pid for pid in pids if alive(pid)]
