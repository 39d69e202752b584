"""Executors: the same findings in the same order, whoever does the tasks, and whichever process dies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import pytest

import xentcheck
from xentcheck.adapters.numpy.adapter import value_and_gradient
from xentcheck.adapters.spec import Spec
from xentcheck.api import tasks_of
from xentcheck.cases import Case
from xentcheck.cli import cli
from xentcheck.errors import AdapterError, UnavailableError
from xentcheck.records.run import RunFile
from xentcheck.running.executors.dask import execute_on_dask
from xentcheck.running.executors.futures import Asked, execute_on, lost, subjects_asked
from xentcheck.running.executors.local import execute, execute_parallel
from xentcheck.studies.accuracy import AccuracySearch
from xentcheck.studies.kill_table.faults import FaultSearch

CASES = [f"gaussian.5x{classes}.f32.index.plain.mean.up-one.contig.s0" for classes in (3, 4, 5, 6, 7, 8)]
DIES = """
import os, signal
from pathlib import Path
from xentcheck.adapters.numpy.adapter import value_and_gradient

def always(logits, target, **options):
    if logits.shape[-1] == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return value_and_gradient(logits, target, **options)

def right(logits, target, **options):
    return value_and_gradient(logits, target, **options)

def once(logits, target, **options):
    if logits.shape[-1] == 5 and not Path("died").exists():
        Path("died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return value_and_gradient(logits, target, **options)
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with losses that kill their process."""
    (tmp_path / "dies.py").write_text(DIES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def tasks() -> list[Any]:
    """Six groups, without laws and probes."""
    return tasks_of(list(map(Case.parse, CASES)), "quick")[2:]


def findings(finished: Any) -> list[str]:
    """What was found, in its order."""
    return [json.dumps(found.to_json(), sort_keys=True) for done in finished for found in done.findings]


def test_every_executor_finds_the_same_in_the_same_order() -> None:
    """In this process, in others, and in threads of an executor that somebody brings along."""
    asked = Asked((Spec("numpy"),))
    here = findings(execute(tasks(), subjects_asked(asked)))
    assert len(here) == 24
    assert findings(execute_parallel(tasks(), asked, 2)) == here
    with ThreadPoolExecutor(2) as pool:
        assert findings(execute_on(pool, tasks(), asked)) == here


def test_whoever_stops_listening_wants_no_more() -> None:
    """What has not begun is cancelled."""
    with ThreadPoolExecutor(1) as pool:
        finished = execute_on(pool, tasks(), Asked((Spec("numpy"),)))
        assert next(finished).name == tasks()[0].signature
        finished.close()
    assert pool._work_queue.qsize() <= 1  # the sentinel of the shutdown


@pytest.mark.parametrize(("name", "crashes"), [("always", 2), ("once", 0)])
def test_a_worker_that_dies_is_replaced(here: Path, name: str, crashes: int) -> None:
    """Its task is done again; one that always dies is a crash of its comparisons, and of no others."""
    found = execute_parallel(tasks(), Asked((Spec(f"dies:{name}", "numpy"),)), 2)
    records = [record for done in found for record in done.records]
    assert [r.case for r in records] == [case for case in CASES for _ in range(2)]
    assert Counter(r.outcome for r in records)["crash"] == crashes
    assert {r.case for r in records if r.outcome == "crash"} == ({CASES[2]} if crashes else set())
    assert all("died twice" in r.reason for r in records if r.outcome == "crash")


ENDS = """
import os, signal, subprocess, sys, time
from test_executors import CASES, tasks
from xentcheck.adapters.spec import Spec
from xentcheck.running.executors.futures import Asked
from xentcheck.running.executors.local import execute_parallel

def children(parent, text):
    table = subprocess.run(["ps", "-ww", "-eo", "pid=,ppid=,args="], capture_output=True, text=True).stdout
    rows = (line.split(None, 2) for line in table.splitlines())
    return sorted(int(pid) for pid, ppid, args in rows if int(ppid) == parent and text in args)

if __name__ == "__main__":
    found = execute_parallel(tasks(), Asked((Spec("numpy"),)), 2)
    names = [next(found).name, next(found).name]
    time.sleep(3)  # until both workers wait for more, one of them with the lock that the other one waits for
    for worker in children(os.getpid(), "spawn_main")[int(sys.argv[1]):][:1]:
        for guard in children(worker, "-I -S -c"):
            os.kill(guard, signal.SIGKILL)
            print("killed", flush=True)
    if sys.argv[2] == "end":
        names += [done.name for done in found]
    else:
        found.close()
    print(len(names), flush=True)
"""


@pytest.mark.parametrize("worker", [0, 1])
@pytest.mark.parametrize(("how", "count"), [("end", 6), ("close", 2)])
def test_a_pool_ends_also_where_a_guard_was_killed(worker: int, how: str, count: int, tmp_path: Path) -> None:
    """Each of two workers in turn, at the end of the tasks and before it: nobody waits for one that nobody ends.

    Alone shows that the end of a pool does not depend on its guards; it starts a pool in a process of its own.
    """
    (tmp_path / "ends.py").write_text(ENDS)
    paths = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    command = [sys.executable, "ends.py", str(worker), how]
    named = {"capture_output": True, "text": True, "check": False, "timeout": 60}
    done = subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": paths}, **named)  # type: ignore[call-overload]  # as named
    assert done.stdout.split() == ["killed", str(count)], done.stderr


@pytest.fixture
def cluster(here: Path) -> Any:
    """A scheduler of dask.distributed and two workers, on this machine.

    On a busy machine a worker is away for long after it was killed; a LocalCluster lets it go after 15 s, for good.
    """
    distributed = pytest.importorskip("distributed")
    patient = import_module("dask.config").set({"distributed.deploy.lost-worker-timeout": "10 minutes"})
    with patient, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own, of ports and of memory
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        ) as found:
            yield found


@pytest.mark.filterwarnings("ignore")
def test_dask_finds_the_same_in_the_same_order(cluster: Any) -> None:
    """With a worker that is killed in the middle, and with a task that kills each worker that it meets.

    Alone shows that tasks and findings survive the way to other machines and back; it starts three processes.
    """
    address = cluster.scheduler_address.removeprefix("tcp://")
    here = findings(execute(tasks(), subjects_asked(Asked((Spec("numpy"),)))))
    assert findings(execute_on_dask(tasks(), Asked((Spec("numpy"),)), address)) == here
    expected = findings(execute(tasks(), subjects_asked(Asked((Spec("dies:right", "numpy"),)))))
    once = findings(execute_on_dask(tasks(), Asked((Spec("dies:once", "numpy"),)), address))
    assert Path("died").exists()
    assert [line.replace("once", "right") for line in once] == expected
    always = execute_on_dask(tasks(), Asked((Spec("dies:always", "numpy"),)), address)
    records = [record for done in always for record in done.records]
    assert {r.case for r in records if r.outcome == "crash"} == {CASES[2]}
    assert [r.case for r in records] == [case for case in CASES for _ in range(2)]


@pytest.mark.filterwarnings("ignore")
def test_a_scheduler_without_workers_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for ever where the last worker is gone: that alone is seen here, with a scheduler that has none."""
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr("xentcheck.running.executors.dask.PATIENCE", 0.5)
    with distributed.LocalCluster(n_workers=0, dashboard_address=None, silence_logs=50) as none:
        address = none.scheduler_address.removeprefix("tcp://")
        with pytest.raises(UnavailableError, match=f"the scheduler at {address} has had no worker for 0.5 s"):
            list(execute_on_dask(tasks(), Asked((Spec("numpy"),)), address))


class Cancelling(ThreadPoolExecutor):
    """An executor that is lost, as one whose scheduler ends: it cancels what it was given."""

    def submit(self, *args: Any, **named: Any) -> Future[Any]:
        """A future that is cancelled."""
        given: Future[Any] = Future()
        given.cancel()
        return given


def test_an_executor_that_cancels_is_one_line() -> None:
    """Its tasks are no findings, and no traceback."""
    with Cancelling(1) as pool, pytest.raises(UnavailableError, match="the executor has cancelled its tasks"):
        list(execute_on(pool, tasks(), Asked((Spec("numpy"),))))


NO_PORTS = ("x", "0", "65536", "99999", "\u0663", "9" * 5000)


@pytest.mark.parametrize("text", ["", "8786", "dask://", "dask://host", *(f"dask://host:{p}" for p in NO_PORTS)])
def test_a_bad_address_is_one_line(text: str) -> None:
    """What is no dask://HOST:PORT."""
    with pytest.raises((AdapterError, click.ClickException)) as caught:
        cli.main(["run", "--executor", text], standalone_mode=False)
    assert len(str(caught.value)) < 200


def test_no_scheduler_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody answers, or the package is missing."""
    pytest.importorskip("distributed")
    monkeypatch.setattr("xentcheck.running.executors.dask.PATIENCE", 0.2)
    with pytest.raises(UnavailableError, match=r"no scheduler of dask\.distributed answers at 127\.0\.0\.1:9"):
        list(execute_on_dask(tasks(), Asked((Spec("numpy"),)), "127.0.0.1:9"))
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UnavailableError, match=r"pip install xentcheck\[dask\]"):
        list(execute_on_dask(tasks(), Asked((Spec("numpy"),)), "127.0.0.1:9"))


def test_check_takes_any_executor(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same records; what cannot be sent, and an executor that is closed, are one line each."""
    monkeypatch.setattr("xentcheck.cases.selection.cases", lambda profile, seed: list(map(Case.parse, CASES)))
    here = xentcheck.check(value_and_gradient, "numpy")
    with ThreadPoolExecutor(2) as pool:
        assert xentcheck.check(value_and_gradient, "numpy", executor=pool).records == here.records
        with pytest.raises(AdapterError, match="cannot be sent to an executor"):
            xentcheck.check(lambda *given, **named: value_and_gradient(*given, **named), "numpy", executor=pool)
    with pytest.raises(UnavailableError, match="takes no tasks"):
        xentcheck.check(value_and_gradient, "numpy", executor=pool)


def test_a_run_with_a_dying_worker_is_complete_and_fails(here: Path) -> None:
    """The run file has every record, and the exit code is 1."""
    mine = ("--impl", "dies:always", "--framework", "numpy", "--isolation", "none", "-j", "2")
    chosen = [f"*.{shape}.f32.index.plain.mean.up-one.contig.s0" for shape in ("4x11", "130x10")]
    patterns = [word for pattern in chosen for word in ("--case", pattern)]
    (here / "dies.py").write_text(DIES.replace("== 5", "== 10"))
    assert cli.main(["run", *mine, *patterns, "--out", "run.jsonl"], standalone_mode=False) == 1
    run = RunFile.load(here / "run.jsonl")
    assert len(run.records) == run.header.planned
    outcomes = {r.outcome for r in run.records if ".4x11." in r.case}
    assert "crash" not in outcomes
    assert {r.outcome for r in run.records if ".130x10." in r.case} == {"crash"}


def test_a_lost_study_is_never_a_good_one() -> None:
    """Laws, probes, searches and planted faults whose process dies: none of them passes."""
    asked = Asked((Spec("numpy"),))
    laws, probes = tasks_of([Case.parse(CASES[0])], "quick")[:2]
    assert all(not law.kept for law in lost(laws, asked, "died").findings)  # type: ignore[union-attr]  # laws
    assert [found.value for found in lost(probes, asked, "died").findings] == ["died"]  # type: ignore[union-attr]  # probes
    (worst,) = lost(AccuracySearch("float32", 0, 1), asked, "died").findings
    assert not worst.share <= 1  # type: ignore[union-attr, operator]  # an accuracy
    (fault,) = lost(FaultSearch("numpy", "E54-zero-gradient", ("quick",), False), asked, "died").findings
    assert not fault.ok  # type: ignore[union-attr]  # a fault
