"""The power of the quick profile, found in all records of the NumPy adapter."""

from __future__ import annotations

import pytest
from kept_records import RecordsOf

from xentcheck.cases.profiles.named import cases
from xentcheck.reports.analysis.power import ANY_SHAPE, power_of
from xentcheck.vocabulary import DTYPES


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_quick_cases_reject_all_that_is_required(dtype: str, records_of: RecordsOf) -> None:
    """No group of the NumPy adapter is blind, by kind or by size; none by kind lacks a case of what it must reject, but
    for a transposed gradient, which may be refused by its shape.
    """
    records = records_of("numpy", [case for case in cases("quick") if case.dtype == dtype])
    groups = power_of(records).groups()
    assert {g.name: g.blind for g in groups if g.blind or g.undecided} == {}
    kinds = {r.group for r in records}
    assert {g.name: g.not_exercised for g in groups if g.name in kinds and set(g.not_exercised) - ANY_SHAPE} == {}
    assert sum(bool(g.rejected) for g in groups) > 40
