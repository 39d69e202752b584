"""What tests cost: CPU seconds of these processes and of their children, by folder, each of which has a budget."""

from __future__ import annotations

import json
import resource
from collections import Counter
from collections.abc import Iterator
from statistics import fmean
from time import process_time
from typing import Any

import pytest

BUDGETS = {"unit": 200, "frameworks": 450, "proof": 800, "processes": 700, "absent": 30, "types": 100}
"""CPU seconds that the tests of a folder may cost in the gate, where `slowness` is 1: half as much again as they cost
on two busy cores, as the same work costs up to twice as much where others use the caches.
"""

UNIT = 1.0
"""CPU seconds of a unit test above which its docstring has to say what it alone proves, where `slowness` is 1."""

FRAMEWORKS = ("'torch'", "'jax'", "'optax'", "torch is not", "jax is not", "optax is not")
"""What the reason of a skip names where one of them is missing."""

DEAREST = 12
"""How many modules are named with what their tests cost."""

SAMPLED = 50
"""`slowness` is measured before the first of so many tests: it changes while a session runs."""

LOOP = 0.012
"""CPU seconds of the loop of `slowness` on the machine of these figures, when it is idle."""


def used() -> float:
    """The CPU seconds of this process and of its children that have ended."""
    both = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def slowness() -> float:
    """How many times what it costs there a short loop costs here and now, beside other programs; at least 1."""
    times = []
    for _ in range(3):
        start = process_time()
        sum(i * i for i in range(200_000))
        times.append(process_time() - start)
    return max(1.0, min(times) / LOOP)


def folder_of(nodeid: str) -> str:
    """The folder of `tests` that a test stands in.

    >>> folder_of("tests/unit/judging/test_judge.py::test_nan"), folder_of("unit/test_a.py::test_b")
    ('unit', 'unit')
    """
    return nodeid.removeprefix("tests/").partition("/")[0]


def explained(item: pytest.Item) -> bool:
    """Whether the docstring of a test says what it alone proves."""
    text = (getattr(getattr(item, "function", None), "__doc__", None) or "").lower()
    return "alone" in text or "nothing else" in text


def beyond(costs: Counter[str], slower: float = 1.0) -> list[str]:
    """A line for each folder whose tests cost more than its budget, on a machine that is so many times slower.

    >>> beyond(Counter({"unit": 1e6, "absent": 0.1}), slower=2.0)
    ['the tests of unit cost 1000000 CPU seconds; allowed: 400 (200 on a machine 2.0 times as fast)']
    """
    return [
        f"the tests of {folder} cost {cost:.0f} CPU seconds; allowed: {slower * BUDGETS[folder]:g} "
        f"({BUDGETS[folder]:g} on a machine {slower:.1f} times as fast)"
        for folder, cost in costs.items()
        if cost > slower * BUDGETS.get(folder, float("inf"))
    ]


class Budgets:
    """Measures every test, on the controller also those of the workers, and fails a session that is too dear."""

    def __init__(self, config: pytest.Config) -> None:
        self.costs = Counter[str]()
        self.modules = Counter[str]()
        self.slowness: list[float] = []
        self.tests = 0
        self.slow: list[str] = []  # what is wrong with single tests
        self.nightly = "not nightly" not in config.getoption("markexpr", "")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        if self.tests % SAMPLED == 0:
            self.slowness.append(slowness())
        self.tests += 1
        before = used()
        result = yield
        cost = used() - before
        folder = folder_of(item.nodeid)
        self.costs[folder] += cost
        self.modules[item.path.stem] += cost
        if folder == "unit" and cost > UNIT and not explained(item) and cost > UNIT * slowness():
            self.slow.append(f"{item.nodeid} costs {cost:.1f} CPU seconds, and does not say what it alone proves")
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A unit test that waits for a framework runs nowhere: where unit tests are run there is none."""
        text = str(report.longrepr)
        if report.skipped and folder_of(report.nodeid) == "unit" and any(name in text for name in FRAMEWORKS):
            self.slow.append(f"{report.nodeid} needs what is never there; its place is tests/frameworks")

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        found = json.loads(getattr(node, "workeroutput", {}).get("costs", "{}"))
        self.costs.update(found.get("costs", {}))
        self.modules.update(found.get("modules", {}))
        self.slow += found.get("slow", [])
        self.slowness += found.get("slowness", [])

    def beyond(self) -> list[str]:
        """A line for each folder that was too dear on this machine."""
        return beyond(self.costs, fmean(self.slowness or [1.0]))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workeroutput"):
            self.slow = [line for line in self.slow if " costs " in line]  # reports are sent to the controller anyway
            session.config.workeroutput["costs"] = json.dumps(
                {"costs": self.costs, "modules": self.modules, "slow": self.slow, "slowness": self.slowness}
            )
        elif not self.nightly and (self.beyond() or self.slow) and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if not self.nightly:
            for line in (*self.beyond(), *self.slow):
                terminalreporter.write_line(line, red=True)
        told = ", ".join(f"{folder} {cost:.0f}" for folder, cost in sorted(self.costs.items()))
        terminalreporter.write_line(f"CPU seconds: {told}; slowness {fmean(self.slowness or [1.0]):.1f}")
        dearest = ", ".join(f"{module} {cost:.0f}" for module, cost in self.modules.most_common(DEAREST))
        terminalreporter.write_line(f"dearest modules: {dearest}")
