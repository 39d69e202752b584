"""The laws that an implementation keeps and breaks."""

from __future__ import annotations

import pytest

from xentcheck.adapters.base import Adapter
from xentcheck.records.findings import LawResult
from xentcheck.running.subjects import Subject, subjects_of
from xentcheck.studies.law_study import laws


def of_one_subject(adapter: Adapter) -> Subject:
    """The first way to run an adapter on the CPU; without its framework the test is skipped."""
    if missing := adapter.unavailable():
        pytest.skip(missing)
    return subjects_of(adapter, ["cpu"])[0]


def found(adapter: Adapter, dtype: str) -> dict[str, LawResult]:
    """What each law that is asked says."""
    return {result.law: result for result in laws(of_one_subject(adapter), dtype)}


def broken(adapter: Adapter, dtype: str = "float32") -> set[str]:
    """The laws that do not hold."""
    return {name for name, result in found(adapter, dtype).items() if not result.kept}
