"""Records of an earlier run: taken where all that they depend on is the same, and computed where anything differs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from xentcheck import adapters
from xentcheck.adapters.base import Adapter
from xentcheck.adapters.numpy.adapter import value_and_gradient
from xentcheck.cases import Case
from xentcheck.records.record import Record
from xentcheck.records.run import RunFile
from xentcheck.running.comparison import run_case
from xentcheck.running.environment import header_of
from xentcheck.running.subjects import subjects_of
from xentcheck.testing.kept import Kept

CASES = [
    Case.parse("gaussian.5x10.f32.index.plain.mean.up-one.contig.s0"),
    Case.parse("ties.5x10.f32.index.plain.mean.up-neg.contig.s0"),
]
PLANTED = "of the file"


def run_of(adapter: Adapter) -> RunFile:
    """A run of the cases, whose records say that they are those of the file."""
    subjects = subjects_of(adapter)
    records = [replace(r, notes=(PLANTED,)) for case in CASES for r in run_case(case, subjects)]
    return RunFile(header_of(CASES, subjects, "quick", 0, jobs=1), tuple(records))


def taken(run: RunFile, adapter: Adapter, folder: Path) -> list[bool]:
    """For each record of the two cases, whether it is that of the file; all others are those of a run now."""
    run.save(folder / "run.jsonl")
    subjects = subjects_of(adapter)
    kept = Kept(folder / "run.jsonl", subjects)
    found = []
    for case in CASES:
        computed = run_case(case, subjects)
        records = kept.of(case, subjects)
        assert [replace(r, notes=()) for r in records] == computed
        found += [r.notes == (PLANTED,) for r in records]
    assert sorted(kept.counts.values()) == sorted([sum(found), len(found) - sum(found)])
    return found


def test_records_are_taken(tmp_path: Path) -> None:
    """All of them, where nothing differs."""
    numpy = adapters.get("numpy")
    assert all(taken(run_of(numpy), numpy, tmp_path))


HEADER: dict[str, Callable[[RunFile], dict[str, Any]]] = {
    "version": lambda run: {"version": "0.0"},
    "generator": lambda run: {"generator": 1},
    "code": lambda run: {"code": "0" * 16},
    "python": lambda run: {"environment": {**run.header.environment, "python": "3.9"}},
    "numpy": lambda run: {"environment": {**run.header.environment, "numpy": "1.0"}},
    "framework": lambda run: {"environment": {**run.header.environment, "adapters": {"numpy": {"version": "1.0"}}}},
    "machine": lambda run: {"host": {**run.header.host, "platform": "another"}},
}


@pytest.mark.parametrize("what", HEADER)
def test_nothing_of_another_installation_or_machine_is_taken(what: str, tmp_path: Path) -> None:
    """Each difference alone."""
    numpy = adapters.get("numpy")
    run = run_of(numpy)
    assert not any(taken(replace(run, header=replace(run.header, **HEADER[what](run))), numpy, tmp_path))


RECORD: dict[str, dict[str, Any]] = {
    "other inputs": {"digest": "0" * 16},
    "another contract": {"replay": f"xentcheck replay {CASES[0]} --adapter numpy --contract fused"},
    "a known deviation": {"outcome": "deviation"},
}


@pytest.mark.parametrize("what", RECORD)
def test_a_case_with_one_record_that_does_not_fit_is_computed(what: str, tmp_path: Path) -> None:
    """And the other case is taken."""
    numpy = adapters.get("numpy")
    run = run_of(numpy)
    first, *others = run.records
    found = taken(replace(run, records=(replace(first, **RECORD[what]), *others)), numpy, tmp_path)
    own = [r.case == first.case for r in run.records]
    assert found == [not one for one in own]
    assert found == taken(replace(run, records=tuple(others)), numpy, tmp_path)


def test_nothing_of_what_does_not_come_with_the_package_is_taken(tmp_path: Path) -> None:
    """A function may have been edited since, also one that is called as an adapter is, and one in a file."""
    mine = adapters.from_numpy(value_and_gradient, name="numpy")
    assert not any(taken(run_of(mine), mine, tmp_path))
    assert not any(taken(run_of(adapters.get("numpy")), mine, tmp_path))
    mine.command = "--impl mine:numpy --framework numpy"
    assert not any(taken(run_of(mine), mine, tmp_path))
    mine.command = "--adapter numpyro"
    assert not any(taken(run_of(mine), mine, tmp_path))


def test_the_digest_of_the_code_sees_every_wing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is that of the sources: another byte in any file of them is another digest."""
    from xentcheck.running import environment

    before = environment.code_digest()
    read = Path.read_bytes
    for name in ("vocabulary.py", "softmax_errors.py", "suspects.py", "record.py", "spec.py", "subjects.py"):
        monkeypatch.setattr(Path, "read_bytes", lambda path, n=name: read(path) + b"#" * (path.name == n))
        environment.code_digest.cache_clear()
        assert environment.code_digest() != before, name
    monkeypatch.undo()
    environment.code_digest.cache_clear()
    assert environment.code_digest() == before


def test_the_records_of_a_file_are_those_of_its_kind(tmp_path: Path) -> None:
    """What is written down and read is the record, to the bit."""
    subjects = subjects_of(adapters.get("numpy"))
    records: list[Record] = run_case(CASES[0], subjects)
    run = RunFile(header_of(CASES, subjects, "quick", 0, jobs=1), tuple(records))
    run.save(tmp_path / "run.jsonl")
    assert Kept(tmp_path / "run.jsonl", subjects).of(CASES[0], subjects) == records
