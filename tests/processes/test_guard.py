"""Nothing is left behind, however a run ends: workers, isolated implementations, and what they have started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from processes import descendants, left_after

from xentcheck.adapters.process.adapter import ProcessAdapter
from xentcheck.adapters.process.program import TAIL, Program
from xentcheck.adapters.process.wire import Message
from xentcheck.cases import Case
from xentcheck.errors import ProcessEnded
from xentcheck.running.comparison import run_case
from xentcheck.running.subjects import subjects_of

pytestmark = pytest.mark.skipif(not hasattr(os, "killpg"), reason="there are no process groups")

LOSS = """
import time
from xentcheck.adapters.numpy.adapter import value_and_gradient

def slow(logits, target, **options):
    time.sleep(0.5)
    return value_and_gradient(logits, target, **options)
"""
MAIN = "from xentcheck.cli import main; main()"
MINE = ("--impl", "slow_here:slow", "--framework", "numpy")


@contextmanager
def ending(run: subprocess.Popen[bytes]) -> Iterator[None]:
    """A process that nothing in it has ended is killed: a test that fails does not hang."""
    try:
        yield
    finally:
        run.kill()


ENDED = {
    "one": (3, MINE),
    "two": (8, (*MINE, "-j", "2")),
    "inside": (5, (*MINE, "-j", "2", "--isolation", "none")),
}
"""Runs, and how many processes each has at least: the command, its workers, their guards and their implementations."""


def begun(folder: Path, arguments: tuple[str, ...]) -> subprocess.Popen[bytes]:
    """A run in a folder of its own."""
    folder.mkdir()
    (folder / "slow_here.py").write_text(LOSS)
    command = [sys.executable, "-c", MAIN, "run", *arguments, "--dtype", "float32", "--out", "run.jsonl"]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def processes_of(run: subprocess.Popen[bytes], folder: Path, least: int) -> list[int]:
    """All processes of a run, once it has found something and they are as many as there have to be."""
    start = time.monotonic()
    while not (folder / "run.jsonl.partial").exists() or len(descendants(run.pid)) < least:
        assert run.poll() is None
        assert time.monotonic() - start < 90
        time.sleep(0.05)
    return descendants(run.pid)


def test_no_process_outlives_a_run(tmp_path: Path) -> None:
    """5 seconds after a command has been ended all that it has started has ended, busy or not; six are ended at once.

    Alone shows that signals, which nothing in the process can answer to, leave no worker and no implementation.
    """
    runs: dict[tuple[str, signal.Signals], subprocess.Popen[bytes]] = {}
    with ExitStack() as stack:
        for name, (_, arguments) in ENDED.items():
            for number in (signal.SIGTERM, signal.SIGKILL):
                run = runs[name, number] = begun(tmp_path / f"{name}-{number}", arguments)
                stack.enter_context(run)
                stack.enter_context(ending(run))
        started = {
            (name, number): processes_of(run, tmp_path / f"{name}-{number}", ENDED[name][0])
            for (name, number), run in runs.items()
        }
        for (_, number), run in runs.items():
            run.send_signal(number)
        for (name, number), run in runs.items():
            code = run.wait(timeout=20)
            told = run.stderr.read().decode() if run.stderr else ""
            if number == signal.SIGKILL:
                assert code == -number, name
            else:
                assert (code, "xentcheck: interrupted" in told) == (2, True), name
            assert not left_after(started[name, number]), name
            assert (tmp_path / f"{name}-{number}" / "run.jsonl.partial").exists(), name


def test_a_grandchild_that_holds_the_pipe_is_no_timeout() -> None:
    """The program has ended: that is told at once, and not after the time that an answer may take."""
    code = f"import subprocess, sys; subprocess.Popen([{sys.executable!r}, '-c', 'import time; time.sleep(20)'], "
    code += "start_new_session=True); sys.exit(3)"
    program = Program([sys.executable, "-c", code], {})
    begun = time.monotonic()
    with pytest.raises(ProcessEnded, match="it exited with code 3"):
        program.exchange(Message({"kind": "hello"}, {}), 60.0)
    assert time.monotonic() - begun < 30
    program.stop()


def test_the_last_of_endless_standard_error_is_kept() -> None:
    """However much a program writes there, it is read, so that it does not wait, and the end of it is told."""
    code = "import sys; sys.stderr.write('x' * 79 + '\\n' * 1); sys.stderr.write(('y' * 79 + '\\n') * 50_000)"
    code += "; sys.stderr.write('the end'); sys.exit(4)"
    program = Program([sys.executable, "-c", code], {})
    with pytest.raises(ProcessEnded, match=r"it exited with code 4; stderr ends: .*\| the end"):
        program.exchange(Message({"kind": "hello"}, {}), 60.0)
    assert len(program._errors) <= TAIL
    program.stop()


KILLED = """
import os, signal
from pathlib import Path
from xentcheck.adapters.numpy.adapter import value_and_gradient

def once(logits, target, **options):
    if not Path("killed").exists():
        Path("killed").touch()
        os.kill(os.getpid(), signal.SIGTERM)
    return value_and_gradient(logits, target, **options)

def always(logits, target, **options):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("name", "outcome"), [("once", "agree"), ("always", "crash")])
def test_an_implementation_that_is_killed_is_asked_once_more(
    name: str, outcome: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever killed it from outside does not do it again; what gets itself killed is a crash."""
    (tmp_path / "killed_here.py").write_text(KILLED)
    monkeypatch.chdir(tmp_path)
    worker = (sys.executable, "-m", "xentcheck.worker", f"killed_here:{name}", "numpy")
    adapter = ProcessAdapter(worker, name=name, timeout=30.0).greet()
    case = Case.parse("gaussian.5x3.f32.index.plain.mean.up-one.contig.s0")
    records = run_case(case, subjects_of(adapter, ["cpu"]))
    adapter.close()
    assert {r.outcome for r in records} == {outcome}
    assert len(records) == 2
