"""The conformance tests of an implementation: one test per comparison, or per signature, and one for the laws.

`pytest --pyargs xentcheck.conformance --xentcheck-impl pkg.mod:fn --xentcheck-framework torch`
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import pytest

from xentcheck.cases import Case
from xentcheck.records.record import Record
from xentcheck.records.words import describe
from xentcheck.running.deviations import Deviations
from xentcheck.running.subjects import Subject
from xentcheck.studies.law_study import laws
from xentcheck.testing.plan import Key, Plan
from xentcheck.testing.plugin import COLLECTOR, plan_of

from .vocabulary import FAILING

__all__ = ["pytest_generate_tests", "records", "test_laws", "test_matrix"]


Rows = tuple[tuple[Case, Key], ...]
"""The comparisons of one test."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The comparisons and laws that the options of the plugin ask for."""
    plan = plan_of(metafunc.config)
    if "rows" in metafunc.fixturenames:
        metafunc.parametrize("rows", [pytest.param(rows, id=name) for name, rows in plan.tests()])
    if "subject" in metafunc.fixturenames:
        found = [pytest.param(s, d, id=f"{s.adapter.name}-{s.variant}-{s.device}-{d}") for s, d in plan.law_rows()]
        metafunc.parametrize(("subject", "dtype"), found)


PROVES_NOTHING = ("unavailable", "unsupported", "convention", "vacuous")
"""Outcomes that are skipped: a test that passes says that it could have failed."""


@pytest.fixture(scope="module")
def records(pytestconfig: pytest.Config) -> Callable[[Case], dict[Key, Record]]:
    """The records of a case on all implementations, found when the first of its tests asks for them."""
    plan = plan_of(pytestconfig)

    @cache
    def of(case: Case) -> dict[Key, Record]:
        return {(r.case, r.adapter, r.variant, r.device, r.quantity): r for r in plan.kept.of(case, plan.subjects)}

    return of


def test_matrix(rows: Rows, records: Callable[[Case], dict[Key, Record]], request: pytest.FixtureRequest) -> None:
    """The implementation is within its derived bound, or the reason why it was not judged is on record.

    Where a test has more than one comparison, what is not simply right in one is a subtest.
    """
    config = request.config
    for case, key in rows:
        record = records(case)[key]
        config.stash[COLLECTOR].records.append(record)
        told = partial(tell, record, plan_of(config))
        if len(rows) == 1:
            told()
        elif record.outcome in (*FAILING, *PROVES_NOTHING):
            with request.getfixturevalue("subtests").test("-".join(key)):
                told()


def tell(record: Record, plan: Plan) -> None:
    """End the test as the record says."""
    if record.outcome in PROVES_NOTHING:
        pytest.skip(f"{record.outcome}: {record.reason}")
    if (known := Deviations(plan.known).apply(record)).outcome == "deviation":
        pytest.xfail(f"deviation: {known.reason}")
    if record.outcome in FAILING:
        pytest.fail(f"{describe(record)}\n  {record.replay}", pytrace=False)


def test_laws(subject: Subject, dtype: str, pytestconfig: pytest.Config) -> None:
    """What needs no exact value: sums, shifts, permutations, batches, memory."""
    found = list(laws(subject, dtype))
    pytestconfig.stash[COLLECTOR].laws.extend(found)
    if not found:
        pytest.skip("unsupported: no law asks what the implementation supports")
    if broken := [str(law) for law in found if not law.kept]:
        pytest.fail("\n".join(broken), pytrace=False)
