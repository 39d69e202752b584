"""The matrix under `pytest -n`: the cases of one signature stay together."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from xentcheck.cases import Case
from xentcheck.testing.scheduling import by_signature, signature_in

ROOT = Path(__file__).parents[2]


def matrix(*options: str) -> str:
    """The output of the NumPy rows of some cases of the matrix."""
    chosen = [
        "--xentcheck-adapter",
        "numpy",
        "--xentcheck-ids",
        "comparison",
        "-k",
        "ties or masked",
        "-p",
        "no:cacheprovider",
        "-v",
    ]
    command = [sys.executable, "-m", "pytest", "tests/proof/test_matrix.py", *chosen, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-2000:]
    return done.stdout


def test_cases_of_one_signature_share_a_worker() -> None:
    """Each signature is compiled by one worker only, and both workers have some."""
    workers = defaultdict(set)
    pattern = r"^\[(gw\d)\].*\[(\S*?)-numpy-eager-cpu-"
    for worker, case in re.findall(pattern, matrix("-n", "2"), re.MULTILINE):
        workers[Case.parse(case).signature].add(worker)
        assert signature_in(f"x.py::test_matrix[{case}-numpy-eager-cpu-a]") == Case.parse(case).signature
    assert len(workers) > 20
    assert {len(found) for found in workers.values()} == {1}
    assert set.union(*workers.values()) == {"gw0", "gw1"}


class Worker:
    """What a scheduler of xdist knows of a worker, which takes tests until it is dead."""

    def __init__(self, name: str) -> None:
        self.gateway = SimpleNamespace(id=name)
        self.shutting_down = self.dead = False
        self.given: list[int] = []

    def send_runtest_some(self, indices: list[int]) -> None:
        if self.dead:
            raise OSError("cannot send (already closed?)")
        self.given += indices

    def shutdown(self) -> None:
        self.shutting_down = True


def scheduled(tests: int, *workers: Worker) -> Any:
    """The scheduler of that many tests, which begins."""
    config: Any = SimpleNamespace(
        getvalue=lambda name: ["popen"] * len(workers), option=SimpleNamespace(loadscopereorder=False)
    )
    found = by_signature(config, SimpleNamespace(loadscopesched=lambda *words: None))
    for worker in workers:
        found.add_node(worker)
        found.add_node_collection(worker, [f"test_a.py::test[{i}]" for i in range(tests)])
    found.schedule()
    return found


def test_a_worker_has_tests_before_it_needs_them() -> None:
    """A worker begins a test when it has the next one, too: both are there before the controller hears of the last."""
    first, second = workers = (Worker("gw0"), Worker("gw1"))
    scheduler = scheduled(40, *workers)
    for done in range(1, 21):
        for worker in workers:
            assert len(worker.given) - done >= 2 or len(first.given + second.given) == 40
            scheduler.mark_test_complete(worker, worker.given[done - 1])
    assert sorted(first.given + second.given) == list(range(40))
    assert not any(scheduler.assigned_work.values())
    assert first.shutting_down
    assert second.shutting_down


def test_what_a_dead_worker_was_given_goes_to_the_others() -> None:
    """The controller gives it more before it hears of the death: that is no error, and no test is lost."""
    dying, other = Worker("gw0"), Worker("gw1")
    scheduler = scheduled(20, dying, other)
    dying.dead = True
    scheduler.mark_test_complete(dying, dying.given[0])
    assert scheduler.remove_node(dying) == f"test_a.py::test[{dying.given[1]}]"
    for done in range(19):
        scheduler.mark_test_complete(other, other.given[done])
    assert sorted([dying.given[0], *other.given]) == list(range(20))


def test_a_worker_ends_without_taking_anything_apart() -> None:
    """What is registered for its end is done first, whenever it was; a process that ends as usual takes more apart."""
    script = (
        "import atexit, sys\nfrom xentcheck.testing.ending import end_at_once\n"
        "class Kept:\n    def __del__(self): print('taken apart')\n"
        "kept = Kept()\natexit.register(print, 'before')\n"
        "if sys.argv[1:]: end_at_once()\n"
        "sys.stdout.write('the last words ')\n"
    )
    for given, said in ((["at once"], "the last words before"), ([], "the last words before taken apart")):
        found = subprocess.run([sys.executable, "-c", script, *given], capture_output=True, text=True, check=True)
        assert found.stdout.split() == said.split()
