"""`os._exit` of an implementation in the tool's own process: no run that ends so is green."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn


@contextmanager
def noticed_exit(tell: Callable[[str], object]) -> Iterator[None]:
    """Within it `os._exit` tells in one line that it was called, and its code 0 becomes 2.

    In forks of this process it is what it was. What C code or a signal ends is not noticed.
    """
    leave, process = os._exit, os.getpid()

    def noticed(status: int) -> NoReturn:
        if os.getpid() != process:
            leave(status)
        tell(f"something that was called ended the run by os._exit({status})")
        leave(status or 2)

    os._exit = noticed
    try:
        yield
    finally:
        os._exit = leave
