"""Tasks by any executor of `concurrent.futures`: what is sent to another process, and what comes back."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from xentcheck.adapters.spec import Spec, resolve
from xentcheck.adapters.wrap.implementation import adapter_of
from xentcheck.adapters.wrap.trying.refusals import tried
from xentcheck.errors import AdapterError, UnavailableError, told
from xentcheck.running.subjects import Subject, subjects_of
from xentcheck.running.tasks import Finished, Task, run_task


class Whom(Protocol):
    """Who is asked, as plain data that can be sent and compared."""

    def subjects(self) -> Sequence[Subject]:
        """The subjects, found in this process."""

    def __hash__(self) -> int: ...


@dataclass(frozen=True)
class Asked:
    """Specs of implementations, and devices; None: all that there are."""

    specs: tuple[Spec, ...]
    devices: tuple[str, ...] | None = None

    def subjects(self) -> Sequence[Subject]:
        """The subjects that the specs name."""
        return [s for spec in self.specs for s in subjects_of(resolve(spec), self.devices, spec.command)]


@dataclass(frozen=True)
class Sent:
    """An implementation that somebody has at hand, pickled; with how it is to be wrapped, and devices."""

    payload: bytes

    @classmethod
    def of(cls, implementation: object, devices: Sequence[str] | None, **wrapped: Any) -> Sent:
        """Raises AdapterError for one that cannot be pickled, as a lambda."""
        try:
            return cls(pickle.dumps((implementation, tuple(devices) if devices else None, wrapped)))
        except Exception as error:
            text = "cannot be sent to an executor; allowed: what can be pickled, as a function of a module"
            raise AdapterError(f"{implementation!r} {text} ({told(error)})") from error

    def subjects(self) -> Sequence[Subject]:
        """The subjects of the implementation."""
        implementation, devices, wrapped = pickle.loads(self.payload)
        return subjects_of(wrapped_as(implementation, wrapped), devices)


def wrapped_as(implementation: Any, wrapped: Mapping[str, Any]) -> Any:
    """The adapter of an implementation, without what it refuses. Raises AdapterError."""
    return tried(adapter_of(implementation, **wrapped))


@cache
def subjects_asked(whom: Whom) -> tuple[Subject, ...]:
    """The subjects, found once in each process."""
    return tuple(whom.subjects())


def work(task: Task, whom: Whom) -> Finished:
    """A task, in whatever process."""
    return run_task(task, subjects_asked(whom))


def lost(task: Task, whom: Whom, reason: str) -> Finished:
    """The record of a task that took its process with it."""
    return Finished(task.signature, tuple(task.lost(subjects_asked(whom), reason)), 0.0)


@dataclass(frozen=True)
class Ends:
    """How an executor says that it can go on no longer.

    dead: exceptions by which it says that a task took several processes with it. alive: raises UnavailableError if
    nobody is left to do the work; asked every `patience` seconds.
    """

    dead: tuple[type[BaseException], ...] = ()
    alive: Callable[[], None] = lambda: None
    patience: float | None = None

    def result(self, future: Future[Finished]) -> Finished:
        """What a future comes to."""
        while True:
            try:
                return future.result(self.patience)
            except TimeoutError:
                if future.done():  # its own
                    return future.result()
                self.alive()

    def again(self, executor: Executor, task: Task, whom: Whom) -> Finished:
        """A task whose processes died, once more: it may have shared them with another one that took them along."""
        try:
            return self.result(executor.submit(work, task, whom))
        except self.dead as error:
            return lost(task, whom, f"the processes that ran it died ({type(error).__name__})")


NEVER = Ends()
"""Of an executor that breaks, if it does."""


def execute_on(executor: Executor, tasks: Sequence[Task], whom: Whom, ends: Ends = NEVER) -> Iterator[Finished]:
    """The tasks by an executor; results come in the order of the tasks.

    A task that takes several processes with it is a crash. Whoever stops listening cancels what has not begun. Raises
    UnavailableError for an executor that is broken.
    """
    try:
        futures = [executor.submit(work, task, whom) for task in tasks]
    except RuntimeError as error:
        raise UnavailableError(f"the executor takes no tasks: {error}") from error
    try:
        for task, future in zip(tasks, futures, strict=True):
            try:
                yield ends.result(future)
            except ends.dead:
                yield ends.again(executor, task, whom)
            except BrokenExecutor as error:
                raise UnavailableError(f"the executor is broken: {error}") from error
            except CancelledError:
                raise UnavailableError("the executor has cancelled its tasks: it was shut down, or is lost") from None
    finally:
        for future in futures:
            future.cancel()
