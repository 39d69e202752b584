"""Tasks in this process, or in several of this machine, with the same findings in the same order either way."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection

from xentcheck.adapters.process.guard import guard
from xentcheck.running.subjects import Subject
from xentcheck.running.tasks import Finished, Task, run_task

from .futures import Asked, lost, work


def execute(tasks: Sequence[Task], subjects: Sequence[Subject]) -> Iterator[Finished]:
    """The tasks one after another, in this process."""
    return (run_task(task, subjects) for task in tasks)


def execute_parallel(tasks: Sequence[Task], asked: Asked, jobs: int) -> Iterator[Finished]:
    """The tasks in several processes; results come in the order of the tasks, whatever the number of workers.

    Where a process dies, the tasks that may have been in it are done again, each in a process of its own; the one that
    takes that with it, too, is recorded as a crash.
    """
    left = list(tasks)
    while left:
        try:
            for done in _pooled(left, asked, jobs):
                left.pop(0)
                yield done
        except BrokenProcessPool:
            for task in left[: jobs + QUEUED]:
                left.pop(0)
                yield _alone(task, asked)


QUEUED = 1
"""A pool hands its workers this many tasks more than there are workers."""


def _pooled(tasks: Sequence[Task], asked: Asked, jobs: int) -> Iterator[Finished]:
    """The tasks by processes that share them. Raises BrokenProcessPool."""
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    alive, ours = context.Pipe(duplex=False)
    with (
        alive,
        ours,
        ProcessPoolExecutor(min(jobs, len(tasks)), context, initializer=_begin, initargs=(alive,)) as pool,
    ):
        try:
            yield from pool.map(work, tasks, [asked] * len(tasks))
        except BaseException:  # whoever stops listening wants no more
            for worker in set(multiprocessing.active_children()) - others:
                worker.kill()  # all of them: one that dies alone may hold a lock that another one waits for
            pool.shutdown(cancel_futures=True)
            raise


def _begin(alive: Connection) -> None:
    """In a worker: end with the process that has started it, at the latest."""
    guard((alive.fileno(),))


def _alone(task: Task, asked: Asked) -> Finished:
    """A task in a process of its own, or the crash that it is."""
    try:
        (done,) = _pooled([task], asked, 1)
    except BrokenProcessPool:
        return lost(task, asked, "the process that ran it died twice")
    return done
