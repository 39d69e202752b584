"""A gate is asked for an implementation that its baseline has."""

from __future__ import annotations

import pytest

from xentcheck.adapters.spec import Spec
from xentcheck.cli.commands.gate import require_known
from xentcheck.errors import AdapterError
from xentcheck.reports.baselines.baseline import Baseline, Span

NUMPY, TORCH = Spec("numpy"), Spec("torch")


def of(*names: str) -> Baseline:
    """A baseline of some implementations."""
    return Baseline({}, {f"{name}/eager/cpu/float32/cost": Span("digest", ({"agree": 1},)) for name in names})


def refused(base: Baseline, *specs: Spec) -> str:
    """What is said of implementations that a baseline does not know, or an empty string."""
    try:
        require_known(base, specs)
    except AdapterError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("base", [of("numpy"), of("mine", "numpy"), of()])
def test_one_that_is_known_is_enough(base: Baseline) -> None:
    """Others are new to it, and an empty baseline knows nothing that could be missing."""
    assert [refused(base, NUMPY), refused(base, NUMPY, TORCH)] == ["", ""]


def test_none_that_is_known_is_bad_input() -> None:
    """In one line, with all names."""
    assert refused(of("mine"), NUMPY).startswith("the baseline is of mine, not of numpy; allowed: an --impl ")
    assert refused(of("mine"), NUMPY, TORCH).startswith("the baseline is of mine, not of numpy, torch; allowed: ")
