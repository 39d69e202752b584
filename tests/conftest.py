"""What the tests of all folders share: a fixture, what they may cost, and which of them share a worker."""

from __future__ import annotations

import re
from typing import Any

import pytest
from budgets import Budgets
from kept_records import records_of as records_of

from xentcheck.cases import Case, selection
from xentcheck.testing.scheduling import by_signature


@pytest.fixture
def ordinary(monkeypatch: pytest.MonkeyPatch) -> None:
    """Profiles of the ordinary cases of one shape: for what is done with a run, whatever it finds in all of them."""
    cases = selection.cases

    def of_one_shape(profile: str, seed: int = 0) -> list[Case]:
        return [case for case in cases(profile, seed) if (case.family, case.shape) == ("gaussian", (5, 10))]

    monkeypatch.setattr(selection, "cases", of_one_shape)


def pytest_configure(config: pytest.Config) -> None:
    """Measure what the tests cost."""
    config.pluginmanager.register(Budgets(config), "budgets")


def sharing(nodeid: str) -> str:
    """Simulated arithmetic is measured once per dtype, by the worker that has all its tests."""
    found = re.search(r"test_bounds_simulated\.py::.*\b(float64|float32|bfloat16|float16)\b", nodeid)
    return f"simulated {found[1]}" if found else ""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """The plugin's scheduler, which keeps these together as well."""
    return by_signature(config, log, sharing) if config.getoption("dist") == "load" else None
