"""A program that answers messages on its pipes: started, asked, and ended with all that it has started itself."""

from __future__ import annotations

import os
import signal
import subprocess
import weakref
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from time import monotonic
from typing import IO, Any

from xentcheck.errors import ProcessEnded, ProcessTimeout, UnavailableError

from . import wire
from .guard import guard
from .wire import Message

TAIL = 20_000
"""The last bytes of standard error, which are kept."""

KEPT = 6
"""Lines of them that are told."""


JOINING = 1.0
"""Seconds that the thread has to notice the end; a grandchild in a session of its own may hold the pipe open."""

Questions = SimpleQueue[tuple[Message, Future[Message | None]] | None]


class Program:
    """A running program: its pipes, the end of its standard error, and a thread that talks to it."""

    def __init__(self, command_line: Sequence[str], variables: Mapping[str, str]) -> None:
        try:
            self._process = subprocess.Popen(
                command_line,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, **variables},
                start_new_session=True,
            )
        except OSError as error:
            raise UnavailableError(f"program {command_line[0]!r} cannot start: {error.strerror}") from error
        if guarding := guard():
            guarding.add(self._process.pid)
        self._questions: Questions = SimpleQueue()
        self._errors = bytearray()
        self._listener = _started(_listen, self._process.stderr, self._errors)
        talker = _started(_talk, self._process, self._questions)
        self._stop = weakref.finalize(self, _end, self._process, self._questions, talker)

    def exchange(self, message: Message, limit: float) -> Message:
        """The answer to a message. Raises ProcessTimeout, ProcessEnded or ProtocolError."""
        future: Future[Message | None] = Future()
        self._questions.put((message, future))
        try:
            answer = self._answer(future, limit)
        except FutureTimeout:
            _kill(self._process)
            raise ProcessTimeout(f"no answer after {limit:g} s{self._tail()}") from None
        except OSError:  # it closed its end of a pipe
            answer = None
        except KeyboardInterrupt:  # of which a session of its own hears nothing
            _kill(self._process)
            raise
        if answer is None:
            text = f"{_death(self._process)}{self._tail()}"
            raise ProcessEnded(text, killed=self._process.returncode in (-signal.SIGKILL, -signal.SIGTERM))
        return answer

    def _answer(self, future: Future[Message | None], limit: float) -> Message | None:
        """The answer, or None if the program ended. Raises FutureTimeout.

        What it has started may hold its pipes open when it has ended, so that its end is looked for, too.
        """
        deadline = monotonic() + limit
        while True:
            ended = self._process.poll() is not None
            try:
                return future.result(max(0.0, min(JOINING, deadline - monotonic())))
            except FutureTimeout:
                if ended:
                    return None
                if monotonic() >= deadline:
                    raise

    def stop(self) -> None:
        """Close its standard input, which ends it, or kill it."""
        self._stop()

    def _tail(self) -> str:
        """The end of its standard error, on one line."""
        self._process.wait()
        self._listener.join(JOINING)
        kept = last_lines(bytes(self._errors[-TAIL:]).decode(errors="replace"))
        return f"; stderr ends: {' | '.join(kept)}" if kept else ""


def last_lines(text: str) -> list[str]:
    """The last lines of standard error; of a dump of Python's faulthandler the first ones, which are the innermost.

    >>> last_lines("start\\nFatal Python error: Aborted\\n\\nStack:\\n" + "File a\\n" * 50 + "Extension modules: x")
    ['start', 'Fatal Python error: Aborted', 'Stack:', 'File a', 'File a', 'File a']
    """
    lines = [line.strip() for line in text.split("\n") if line.strip() and not line.startswith("Extension modules:")]
    fatal = next((i for i, line in enumerate(lines) if line.startswith("Fatal Python error")), None)
    return lines[-KEPT:] if fatal is None else lines[max(0, fatal - 1) :][:KEPT]


def _started(target: Callable[..., None], *arguments: Any) -> Thread:
    """A thread that nobody need wait for."""
    thread = Thread(target=target, args=arguments, name=f"xentcheck{target.__name__}", daemon=True)
    thread.start()
    return thread


def _listen(stream: IO[bytes], kept: bytearray) -> None:
    """Read standard error to its end, and keep the last of it, however much there is."""
    with suppress(OSError, ValueError):
        while text := os.read(stream.fileno(), TAIL):
            kept += text
            del kept[:-TAIL]
    with suppress(OSError):
        stream.close()


def _talk(process: subprocess.Popen[bytes], questions: Questions) -> None:
    """Exchange messages until there are no more; then close the pipes."""
    while (asked := questions.get()) is not None:
        message, future = asked
        try:
            future.set_result(_exchange(process, message))
        except Exception as error:
            future.set_exception(error)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):  # what was still to be flushed has nobody to read it
                pipe.close()


def _exchange(process: subprocess.Popen[bytes], message: Message) -> Message | None:
    assert process.stdin is not None
    assert process.stdout is not None
    wire.write(process.stdin, message)
    return wire.read(process.stdout)


def _end(process: subprocess.Popen[bytes], questions: Questions, thread: Thread) -> None:
    _kill(process)
    process.wait()
    if guarding := guard():
        guarding.remove(process.pid)
    questions.put(None)
    thread.join(JOINING)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End it and what it has started, which would keep its pipes open."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def _death(process: subprocess.Popen[bytes]) -> str:
    """How a process ended."""
    try:
        code = process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        _kill(process)
        return "it closed its standard output"
    if code >= 0:
        return f"it exited with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
