"""Runs that are compared: of the same installation nothing differs, and of a planted fault something does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import xentcheck
from xentcheck.adapters.numpy.adapter import value_and_gradient
from xentcheck.cases import Case, selection
from xentcheck.cli.main import cli
from xentcheck.museum import tables
from xentcheck.museum.catalogue import planted
from xentcheck.records.run import RunFile
from xentcheck.reports.baselines.baseline import baseline_of
from xentcheck.reports.baselines.compare import Comparison, compare
from xentcheck.reports.baselines.file import load
from xentcheck.studies.kill_table.faults import LAW


def compared(base: RunFile, new: RunFile) -> Comparison:
    """The comparison of a run with another."""
    return compare(baseline_of([base]), baseline_of([new]))


@pytest.mark.usefixtures("ordinary")
def test_a_run_saves_what_a_later_run_is_compared_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`run --save NAME --repeats 2`, then `compare NAME RUN`: alone this takes both ways of the command."""
    monkeypatch.chdir(tmp_path)
    command = ["run", "--adapter", "numpy", "--dtype", "float32", "--case", "gaussian.5x10.*"]
    assert cli.main([*command, "--save", "first", "--repeats", "2"], standalone_mode=False) == 0
    assert cli.main([*command, "--out", "second.jsonl"], standalone_mode=False) == 0
    assert cli.main(["compare", "first", "second.jsonl"], standalone_mode=False) == 0
    assert load(Path("baselines/first.jsonl")).rows


def test_runs_of_numpy_do_not_differ_and_a_planted_fault_always_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs of one installation are equal; with a fault of NumPy's museum something got worse, in a run of the cases
    that must kill it: alone this compares runs of what is wrong.
    """
    right, *faults = [p for p in planted("numpy") if p.fault.dtype == "float32" and p.found_in == "logits"]
    kills = tables.read(tables.KILLS)["numpy"]
    killers = [w for p in faults[::16] for side, w in kills[p.fault.name].items() if side != LAW]
    assert len(set(killers)) > 3
    chosen = [Case.parse(text) for text in dict.fromkeys(killers)]
    monkeypatch.setattr(selection, "cases", lambda profile, seed: chosen)
    base = xentcheck.check(right.adapter(), dtypes=["float32"]).file
    assert compared(base, xentcheck.check(right.adapter(), dtypes=["float32"]).file).changes == ()
    for fault in faults[::16]:
        wrong = fault.adapter()
        wrong.name = base.records[0].adapter
        assert not compared(base, xentcheck.check(wrong, dtypes=["float32"]).file).ok


@pytest.mark.usefixtures("ordinary")
def test_what_moved_within_its_bound_is_told() -> None:
    """A gradient that is off by two more units in the last place still agrees; the comparison alone sees it."""

    def loss(logits: Any, target: Any, **options: Any) -> Any:
        value, gradient = value_and_gradient(logits, target, **options)
        return value, (gradient * (1 + 2 * off * np.finfo(np.float32).eps)).astype(gradient.dtype)

    off = 0
    base = xentcheck.check(loss, "numpy", dtypes=["float32"])
    off = 1
    new = xentcheck.check(loss, "numpy", dtypes=["float32"])
    assert base.ok
    assert new.ok
    found = compared(base.file, new.file)
    assert found.ok
    (moved,) = (c for c in found.changes if c.kind == "moved")
    assert moved.where == "loss/eager/cpu/float32/dC/dz"
    assert moved.what.partition(", ")[2] in moved.again
