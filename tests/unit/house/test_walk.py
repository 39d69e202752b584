"""The walk of a case through the house, traced: each wing is entered once, in the order of the floors."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import house
import numpy as np
import pytest

from xentcheck.adapters import from_numpy
from xentcheck.adapters.base import Adapter
from xentcheck.cases import Case
from xentcheck.records.record import Record
from xentcheck.running.comparison import run_case
from xentcheck.running.subjects import subjects_of

CONDUCTOR = "running"
"""The wing that the walk starts in, and that calls every other one."""

GROUND = tuple(wing for wing, known in house.WINGS.items() if not known)
"""Wings that know no other: the mathematics, which every wing asks, and plain data, which every wing hands on."""

WALK = ("cases", "adapters", "judging", "diagnosis", "records")
"""The wings in the order of a case; the record, which lies at the ground, is written when all else is known."""

CASE = "gaussian.5x10.f32.index.plain.mean.up-one.contig.s0"


def stays(case: str, adapter: Adapter) -> tuple[list[str], list[Record]]:
    """The wings that a case enters, one after the other, and its records.

    A wing is entered by a call from a function of the conductor to one of that wing, and left by the next call of the
    conductor into another: what a wing calls below itself belongs to its stay. Calls to the ground are none, but for
    that which makes a record.
    """
    entered: list[str] = []

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event != "call" or frame.f_back is None:
            return
        module = frame.f_globals.get("__name__", "")
        here, before = house.wing_of(module), house.wing_of(frame.f_back.f_globals.get("__name__", ""))
        stay = (here in house.WINGS and here not in (CONDUCTOR, *GROUND)) or module == Record.__module__
        if before == CONDUCTOR and stay and entered[-1:] != [here]:
            entered.append(here)

    subjects = subjects_of(adapter, ["cpu"], "")
    parsed = Case.parse(case)
    sys.setprofile(note)
    try:
        records = run_case(parsed, subjects)
    finally:
        sys.setprofile(None)
    return entered, records


def zeros(logits: Any, target: Any, reduction: str = "mean") -> Any:
    """Wrong, so that the reason is looked for, too."""
    return np.float32(0), np.zeros(logits.shape, np.float32)


def test_a_case_enters_each_wing_once_and_in_the_order_of_the_floors() -> None:
    """From the case to its records, whose causes were looked for; the walk is in the order of the table of wings."""
    walked, records = stays(CASE, from_numpy(zeros, contract="fused"))
    assert [r.outcome for r in records] == ["disagree", "disagree"]
    assert all(r.suspects for r in records)
    assert tuple(walked) == WALK
    assert sorted(WALK[:-1], key=list(house.WINGS).index) == list(WALK[:-1])


def test_a_way_back_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """An adapter that is asked once more after the verdict is one more stay."""
    recorded = sys.modules["xentcheck.running.comparison.run"]
    original = recorded.described  # type: ignore[attr-defined]  # a module by its name
    monkeypatch.setattr(
        recorded, "described", lambda problem, asked, q: original(problem, recorded.Asked.of(problem, asked.subject), q)
    )
    walked, _ = stays(CASE, from_numpy(zeros, contract="fused"))
    assert walked.count("adapters") > 1
