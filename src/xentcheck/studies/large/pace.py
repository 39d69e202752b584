"""Progress through elements: how many are done, how fast, and how long the others will take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

Told = Callable[[int], object]


def rate(done: float, seconds: float) -> str:
    """Elements per second in words.

    >>> rate(3e6, 2.0), rate(0, 0.0)
    ('1.5e+06 elements/s', '')
    """
    return f"{done / seconds:.2g} elements/s" if done and seconds > 0 else ""


def left(seconds: float) -> str:
    """A time that is left in words.

    >>> left(3720.0), left(59.2)
    ('1 h 2 min left', '59 s left')
    """
    minutes = round(seconds / 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min left"
    return f"{minutes} min left" if seconds >= 90 else f"{round(seconds)} s left"


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        """The rate since the start."""
        return Text(rate(task.completed, task.finished_time or task.elapsed or 0.0))


@contextmanager
def pace(total: int | None, console: Console | None = None, clock: Callable[[], float] = monotonic) -> Iterator[Told]:
    """What is told the elements that are done shows them on stderr: a bar on a terminal, else a line each tenth.

    total: elements in all; None where nobody knows, and a line comes each time that their number has doubled.
    """
    console = console or Console(stderr=True)
    if console.is_terminal:
        columns = TextColumn("checking"), BarColumn(), TaskProgressColumn(), _Rate(), TimeRemainingColumn()
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("checking", total=total)
            yield lambda elements: bar.advance(task, elements)
        return
    done, start, shown = 0, clock(), 0

    def line(elements: int) -> None:
        nonlocal done, shown
        done += elements
        step = done.bit_length() if total is None else done * 10 // max(1, total)
        if step == shown:
            return
        shown, seconds = step, clock() - start
        words = [f"checking: {done} elements" if total is None else f"checking: {done} of {total} elements"]
        words += filter(None, [rate(done, seconds)])
        words += [left(seconds * (total - done) / done)] if total is not None and 0 < done < total else []
        console.print(", ".join(words), highlight=False, soft_wrap=True)

    yield line
