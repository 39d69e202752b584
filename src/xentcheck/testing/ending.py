"""How a worker of pytest-xdist ends: at once, as the controller waits for it."""

from __future__ import annotations

import atexit
import os
import sys


def end_at_once() -> None:
    """From here on the process ends without taking its modules apart, which takes a second with PyTorch.

    What is registered for its end is done, and its streams are flushed.
    """
    atexit.register(_end)  # what is registered last comes first


def _end() -> None:
    atexit.unregister(_end)
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
