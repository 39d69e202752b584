"""Which tests need not be repeated for every set of installed frameworks."""

from __future__ import annotations

import pytest

ONCE = {
    "test_ablation",
    "test_bounds",
    "test_bounds_simulated",
    "test_cases",
    "test_compare",
    "test_conventions",
    "test_docs",
    "test_double_double",
    "test_exercises",
    "test_families",
    "test_faults",
    "test_fuzz",
    "test_kill_table",
    "test_linear",
    "test_no_alarm",
    "test_oracle",
    "test_packaging",
    "test_power",
    "test_process",
    "test_projection",
    "test_pytest_plugin",
    "test_reference_activations",
    "test_reference_chain_rule",
    "test_reference_costs",
    "test_reference_inputs",
    "test_reference_loss",
    "test_reference_network",
    "test_reports_browser",
    "test_reserved",
    "test_search",
    "test_sensitivity",
    "test_suspects",
    "test_trying",
    "test_typing",
    "test_wire",
}
"""Modules whose tests with all frameworks hold those with fewer: CI runs them with all only."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them."""
    for item in items:
        if item.path.stem in ONCE:
            item.add_marker("once")
