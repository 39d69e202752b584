"""Which tests need not be repeated for every set of installed frameworks, and which share a worker."""

from __future__ import annotations

import re
from typing import Any

import pytest

from xentcheck.cases import Case, selection
from xentcheck.testing.scheduling import by_signature

ONCE = {
    "test_ablation",
    "test_audit",
    "test_baseline_file",
    "test_bounds",
    "test_bounds_simulated",
    "test_cases",
    "test_compare",
    "test_conventions",
    "test_coverage",
    "test_covering",
    "test_derived_bounds",
    "test_deviations",
    "test_directions",
    "test_docs",
    "test_double_double",
    "test_exercises",
    "test_families",
    "test_faults",
    "test_fuzz",
    "test_handed_on",
    "test_judge",
    "test_kill_table",
    "test_lattice",
    "test_laws",
    "test_layer_bounds",
    "test_linear",
    "test_matrix_workers",
    "test_no_alarm",
    "test_oracle",
    "test_packaging",
    "test_pinned_bounds",
    "test_plugins",
    "test_power",
    "test_process",
    "test_projection",
    "test_public_interface",
    "test_pytest_plugin",
    "test_reference_activations",
    "test_reference_chain_rule",
    "test_reference_costs",
    "test_reference_inputs",
    "test_reference_loss",
    "test_reference_network",
    "test_reports_browser",
    "test_reports_differences",
    "test_reports_render",
    "test_reports_runfile",
    "test_reports_summary",
    "test_reserved",
    "test_search",
    "test_sensitivity",
    "test_shrink",
    "test_suspects",
    "test_trying",
    "test_typing",
    "test_wire",
    "test_witnesses",
    "test_wrapping",
}
"""Modules whose tests with all frameworks hold those with fewer: CI runs them with all only."""


@pytest.fixture
def ordinary(monkeypatch: pytest.MonkeyPatch) -> None:
    """Profiles of the ordinary cases of one shape: for what is done with a run, whatever it finds in all of them."""
    cases = selection.cases

    def of_one_shape(profile: str, seed: int = 0) -> list[Case]:
        return [case for case in cases(profile, seed) if (case.family, case.shape) == ("gaussian", (5, 10))]

    monkeypatch.setattr(selection, "cases", of_one_shape)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them."""
    for item in items:
        if item.path.stem in ONCE:
            item.add_marker("once")


def sharing(nodeid: str) -> str:
    """Simulated arithmetic is measured once per dtype, by the worker that has all its tests."""
    found = re.search(r"test_bounds_simulated\.py::.*\b(float64|float32|bfloat16|float16)\b", nodeid)
    return f"simulated {found[1]}" if found else ""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """The plugin's scheduler, which keeps these together as well."""
    return by_signature(config, log, sharing) if config.getoption("dist") == "load" else None
