"""Records that many tests look at: of the run that the session was given by `--xentcheck-from`, or computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import pytest

from xentcheck import adapters
from xentcheck.cases import Case
from xentcheck.records.record import Record
from xentcheck.running.subjects import subjects_of
from xentcheck.testing.kept import Kept
from xentcheck.testing.options import option

RecordsOf = Callable[[str, Sequence[Case]], list[Record]]
"""The name of a built-in adapter, cases -> the records of all of its variants."""


@pytest.fixture(scope="session")
def records_of(pytestconfig: pytest.Config) -> RecordsOf:
    """Where they are found."""
    path = option(pytestconfig, "from")

    @cache
    def kept(name: str) -> Kept:
        return Kept(Path(path) if path else None, subjects_of(adapters.get(name)))

    return lambda name, chosen: [r for case in chosen for r in kept(name).of(case, subjects_of(adapters.get(name)))]
