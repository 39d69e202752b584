"""The conformance tests of an implementation: one test per comparison, and one for the laws.

`pytest --pyargs xentcheck.conformance --xentcheck-impl pkg.mod:fn --xentcheck-framework torch`
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from xentcheck.cases import Case
from xentcheck.records.record import Record
from xentcheck.records.words import describe
from xentcheck.running.comparison import run_case
from xentcheck.running.deviations import Deviations
from xentcheck.running.subjects import Subject
from xentcheck.studies.laws import laws
from xentcheck.testing.plan import Key
from xentcheck.testing.plugin import COLLECTOR, plan_of

from .vocabulary import FAILING

__all__ = ["pytest_generate_tests", "records", "test_laws", "test_matrix"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The comparisons and laws that the options of the plugin ask for."""
    plan = plan_of(metafunc.config)
    if "key" in metafunc.fixturenames:
        rows = [pytest.param(case, key, id="-".join(key)) for case, key in plan.rows()]
        metafunc.parametrize(("case", "key"), rows)
    if "subject" in metafunc.fixturenames:
        found = [pytest.param(s, d, id=f"{s.adapter.name}-{s.variant}-{s.device}-{d}") for s, d in plan.law_rows()]
        metafunc.parametrize(("subject", "dtype"), found)


@pytest.fixture(scope="module")
def records(pytestconfig: pytest.Config) -> Callable[[Case], dict[Key, Record]]:
    """The records of a case on all implementations, computed when the first of its tests asks for them."""
    plan = plan_of(pytestconfig)

    @cache
    def of(case: Case) -> dict[Key, Record]:
        found = run_case(case, plan.subjects)
        return {(r.case, r.adapter, r.variant, r.device, r.quantity): r for r in found}

    return of


def test_matrix(
    case: Case, key: Key, records: Callable[[Case], dict[Key, Record]], pytestconfig: pytest.Config
) -> None:
    """The implementation is within its derived bound, or the reason why it was not judged is on record."""
    record = records(case)[key]
    pytestconfig.stash[COLLECTOR].records.append(record)
    if record.outcome in ("unavailable", "unsupported"):
        pytest.skip(f"{record.outcome}: {record.reason}")
    if (known := Deviations(plan_of(pytestconfig).known).apply(record)).outcome == "deviation":
        pytest.xfail(f"deviation: {known.reason}")
    if record.outcome in FAILING:
        pytest.fail(f"{describe(record)}\n  {record.replay}", pytrace=False)


def test_laws(subject: Subject, dtype: str, pytestconfig: pytest.Config) -> None:
    """What needs no exact value: sums, shifts, permutations, batches, memory."""
    found = list(laws(subject, dtype))
    pytestconfig.stash[COLLECTOR].laws.extend(found)
    if broken := [str(law) for law in found if not law.kept]:
        pytest.fail("\n".join(broken), pytrace=False)
