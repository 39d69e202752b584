"""What `xentcheck gate` asks for: the cases, dtypes and devices of its baseline, by the contracts that are named."""

from __future__ import annotations

import pytest

from xentcheck.cli.commands.gate import GateRequest, planned
from xentcheck.cli.main import cli
from xentcheck.cli.request import RunRequest, asked_of
from xentcheck.reports.baselines.baseline import Baseline, Span


def test_every_dtype_and_device_of_the_baseline_is_run() -> None:
    """Once each: what is not run would be gone, or no row of it would be compared."""
    places = ("cpu/float32", "cuda/bfloat16", "cpu/float16")
    rows = {f"torch/eager/{place}/{q}": Span("1f2e", ({"agree": 3},)) for place in places for q in ("cost", "dC/dz")}
    header = {"profile": "full", "seed": 3, "selection": ["*.5x10.*"]}
    found = planned(RunRequest((), "quick", (), (), 0, 1, None, None), Baseline(header, rows))
    assert (found.dtypes, found.devices) == (("float32", "bfloat16", "float16"), ("cpu", "cuda"))
    assert (found.profile, found.seed, found.patterns, found.large) == ("full", 3, ("*.5x10.*",), ())


def test_the_contract_that_is_named_is_that_of_all_implementations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no implementation is named, those that come with the package are judged by it, not by what they declare."""
    asked: list[GateRequest] = []
    monkeypatch.setattr("xentcheck.cli.commands.gate.gate_command", asked.append)
    cli.main(["gate", "base", "--contract", "stash"], standalone_mode=False)
    (request,) = asked
    assert {spec.contracts for spec in asked_of(request.run)} == {(("*", "stash"),)}
