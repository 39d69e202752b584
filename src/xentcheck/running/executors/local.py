"""Executing tasks, in this process or in several, with the same findings in the same order either way."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor

from xentcheck.adapters.spec import Spec, resolve
from xentcheck.running.subjects import Subject, subjects_of
from xentcheck.running.tasks import Finished, Task, run_task


def execute(tasks: Sequence[Task], subjects: Sequence[Subject]) -> Iterator[Finished]:
    """The tasks one after another, in this process."""
    return (run_task(task, subjects) for task in tasks)


def execute_parallel(
    tasks: Sequence[Task], specs: Sequence[Spec], devices: Sequence[str] | None, jobs: int
) -> Iterator[Finished]:
    """The tasks in several processes; results come in the order of the tasks, whatever the number of workers."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_start, initargs=(specs, devices)) as pool:
        try:
            yield from pool.map(_work, tasks)
        finally:
            pool.shutdown(cancel_futures=True)  # whoever stops listening wants no more


_subjects: list[Subject] = []


def _start(specs: Sequence[Spec], devices: Sequence[str] | None) -> None:
    _subjects.extend(s for spec in specs for s in subjects_of(resolve(spec), devices, spec.command))


def _work(task: Task) -> Finished:
    return run_task(task, _subjects)
