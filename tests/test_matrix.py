"""The matrix: one test per adapter variant x device x dtype x quantity x case, judged together with its signature.

`pytest tests/test_matrix.py -n 2 --xentcheck-profile full --xentcheck-out run.jsonl`
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
from conftest import PLAN, RECORDS, Plan

from xentcheck.deviations import Deviations, load
from xentcheck.execution import Group, run_group
from xentcheck.reports.record import Record
from xentcheck.reports.summary import describe
from xentcheck.runner import quantities_of
from xentcheck.vocabulary import FAILING

Key = tuple[str, str, str, str, str]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    plan = metafunc.config.stash[PLAN]
    rows = []
    for g, group in enumerate(plan.groups):
        for case in group.cases:
            for subject in (s for s in plan.subjects if s.takes(case)):
                place = (subject.adapter.name, subject.variant, subject.device)
                for quantity in quantities_of(case):
                    if quantity in subject.adapter.capabilities.quantities:
                        key = (*place, quantity, str(case))
                        rows.append(pytest.param(g, key, id="-".join(key)))
    metafunc.parametrize(("group", "key"), rows)


@pytest.fixture(scope="module")
def records(pytestconfig: pytest.Config) -> Callable[[int], dict[Key, Record]]:
    """The records of a group of cases, computed when the first of its tests asks for them."""
    plan: Plan = pytestconfig.stash[PLAN]

    @cache
    def of(index: int) -> dict[Key, Record]:
        group: Group = plan.groups[index]
        found = run_group(group, plan.subjects).records
        return {(r.adapter, r.variant, r.device, r.quantity, r.case): r for r in found}

    return of


def test_matrix(
    group: int,
    key: Key,
    records: Callable[[int], dict[Key, Record]],
    pytestconfig: pytest.Config,
) -> None:
    """The implementation is within its derived bound, or the reason why it was not judged is on record."""
    record = records(group)[key]
    pytestconfig.stash[RECORDS].append(record)
    if record.outcome in ("unavailable", "unsupported"):
        pytest.skip(f"{record.outcome}: {record.reason}")
    if (known := Deviations(load()).apply(record)).outcome == "deviation":
        pytest.xfail(f"deviation: {known.reason}")
    if record.outcome in FAILING:
        pytest.fail(
            f"{describe(record)}\n  {record.replay}",
            pytrace=False,
        )
