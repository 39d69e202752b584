"""Tasks on other machines: by the workers of a scheduler of dask.distributed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

from xentcheck.errors import AdapterError, UnavailableError, told
from xentcheck.running.tasks import Finished, Task

from .futures import Ends, Whom, execute_on

SCHEME = "dask://"
PATIENCE = 30.0
"""Seconds until a scheduler has to answer, and until it has to have a worker."""

PORTS = range(1, 2**16)


def address_of(text: str) -> str:
    """HOST:PORT of dask://HOST:PORT. Raises AdapterError.

    >>> address_of("dask://localhost:8786")
    'localhost:8786'
    """
    host, _, port = text.removeprefix(SCHEME).rpartition(":")
    if not text.startswith(SCHEME) or not host or not _is_port(port):
        raise AdapterError(f"executor is {text[:80]!r}; allowed: {SCHEME}HOST:PORT, a port from 1 to {PORTS[-1]}")
    return f"{host}:{port}"


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 6 and int(text) in PORTS


def execute_on_dask(tasks: Sequence[Task], whom: Whom, address: str) -> Iterator[Finished]:
    """The tasks by the workers of the scheduler at an address, in the order of the tasks.

    A worker that dies is replaced by another one; a task that takes several with it is a crash. Raises
    UnavailableError where dask.distributed is not installed, no scheduler answers, the versions differ, or no worker is
    left for `PATIENCE` seconds.
    """
    try:
        distributed: Any = import_module("distributed")
        killed: Any = import_module("distributed.scheduler").KilledWorker
    except ImportError as error:
        raise UnavailableError("dask.distributed is not installed: pip install xentcheck[dask]") from error
    try:
        client = distributed.Client(f"tcp://{address}", timeout=PATIENCE, set_as_default=False)
    except (OSError, TimeoutError) as error:
        raise UnavailableError(f"no scheduler of dask.distributed answers at {address}: {told(error)}") from error

    def alive() -> None:
        with suppress(OSError):  # a scheduler that is lost cancels the tasks
            try:
                client.wait_for_workers(1, timeout=PATIENCE)
            except TimeoutError:
                raise UnavailableError(f"the scheduler at {address} has had no worker for {PATIENCE:g} s") from None

    with client:
        yield from execute_on(client.get_executor(pure=False), tasks, whom, Ends((killed,), alive, PATIENCE))
