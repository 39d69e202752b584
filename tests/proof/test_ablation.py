"""Ablation: for every check there is a fault that slips through if just that check is switched off."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from xentcheck.adapters.base import Adapter
from xentcheck.cases import Case
from xentcheck.cases.profiles.named import cases
from xentcheck.museum import numpy as numpy_museum
from xentcheck.museum import outputs
from xentcheck.records.facts import CHECKS
from xentcheck.running.comparison import run_case
from xentcheck.running.subjects import subjects_of
from xentcheck.vocabulary import QUANTITIES

CASES = [case for case in cases("quick") if case.dtype == "float32"]
FEW = CASES[::6]

WITNESSES = {
    "raises": outputs.adapter("numpy", outputs.raises),
    "inputs": numpy_museum.adapter(numpy_museum.WeightsScaledInPlace),
    "present": outputs.adapter("numpy", outputs.gradient_missing),
    "shape": outputs.adapter("numpy", outputs.loss_with_an_axis),
    "dtype": outputs.adapter("numpy", outputs.gradient_narrowed),
    **{f"bound of {q}": outputs.adapter("numpy", outputs.largest_off(q)) for q in QUANTITIES},
}
"""Check -> the implementation that nothing else notices."""


def noticing(adapter: Adapter, chosen: Sequence[Case]) -> set[str]:
    """The checks that notice an implementation on some cases."""
    subjects = [subjects_of(adapter)[0].outcomes_only()]
    return {record.check for case in chosen for record in run_case(case, subjects)} - {""}


@pytest.mark.parametrize("chosen", [FEW, pytest.param(CASES, marks=pytest.mark.nightly)], ids=["few", "all"])
@pytest.mark.parametrize("check", CHECKS)
def test_fault_slips_through_without_the_one_check_that_notices_it(check: str, chosen: Sequence[Case]) -> None:
    """Each check is switched off in turn: the fault is caught with any other one off, and slips through without it."""
    found = noticing(WITNESSES[check], chosen)
    assert {off: bool(found - {off}) for off in CHECKS} == {off: off != check for off in CHECKS}


def test_every_check_has_its_fault() -> None:
    """No check without a fault, and no fault without a check."""
    assert set(WITNESSES) == set(CHECKS)
