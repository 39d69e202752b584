"""Records that stay in their file: in order, read again, and never all in memory."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from subprocess import Popen

import pytest
from samples import record, run

from xentcheck.errors import RunFileError
from xentcheck.records.file import chosen, in_order, sorting
from xentcheck.records.record import Record, order_key
from xentcheck.records.run import RunFile
from xentcheck.reports.analysis.summary import summarize

MIB = 2**20

CASE = "gaussian.5x10.f32.index.plain.mean.up-one.contig.s{}"


def varied(n: int) -> list[Record]:
    """Records in no order, some with the same place in it."""
    kinds = [(adapter, quantity) for adapter in ("torch", "jax") for quantity in ("cost", "a", "mine")]
    found = [record(adapter=a, quantity=q, case=CASE.format(i // 8), elements=i) for i in range(n) for a, q in kinds]
    Random(1).shuffle(found)
    return found


@pytest.fixture
def saved(tmp_path: Path) -> RunFile:
    """A run whose records are in a file."""
    run(*varied(20)).save(tmp_path / "run.jsonl")
    return RunFile.load(tmp_path / "run.jsonl")


def test_records_of_a_file_are_a_sequence(saved: RunFile) -> None:
    """As those of a tuple: in the order of the file, from either end, some of them; and equal to no others."""
    there, here = saved.records, tuple(varied(20))
    assert tuple(there) == here == tuple(there)
    assert len(there) == len(here) == 120
    assert (there[3], there[-1], tuple(there[5:100:7])) == (here[3], here[-1], here[5:100:7])
    others = here, list(here), here[:-1], (*here[:-1], here[0]), 7
    assert [there == other for other in others] == [True, True, False, False, False]
    assert tuple(chosen(there, [7, 3])) == chosen(here, [7, 3]) == (here[7], here[3])
    with pytest.raises(IndexError):
        there[120]


def test_the_order_of_a_file_is_the_canonical_one(saved: RunFile) -> None:
    """That of `order_key`, the first in the file of those that are equal, also in a part; the file has another."""
    here = varied(20)
    ordered = sorted(here, key=order_key)
    assert list(in_order(saved.records)) == ordered != here
    assert list(in_order(saved.records)[10:20]) == ordered[10:20]
    assert len({order_key(r) for r in here}) < len(here)


def peak(work: Callable[[], object]) -> float:
    """MiB that some work takes at its peak."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / MIB
    finally:
        tracemalloc.stop()


def test_a_summary_of_a_file_takes_little_memory_whatever_its_size(tmp_path: Path) -> None:
    """A list of the records takes several times as much; alone this measures that a run is never all in memory."""
    path = tmp_path / "run.jsonl"
    few = {"margins": (), "ulp_counts": (), "share_counts": (), "shares": {}}
    run(*(record(case=CASE.format(i), **few) for i in range(4000))).save(path)
    summarize(RunFile.load(path))  # what is made once, as caches
    streamed = peak(lambda: summarize(RunFile.load(path)))
    listed = peak(lambda: list(RunFile.load(path).records))
    assert 4 * streamed < 10 < listed, (streamed, listed)


def test_a_file_that_has_changed_is_not_read_as_if_it_had_not(saved: RunFile, tmp_path: Path) -> None:
    """A line more, another file, and none are told in one line; of a run that goes on, lines may follow."""
    path = tmp_path / "run.jsonl"
    text = path.read_text()
    going = RunFile.load(path, partial=True)
    path.write_text(f"{text}\n")
    with pytest.raises(RunFileError, match="has changed since it was read"):
        list(saved.records)
    assert list(going.records) == varied(20)
    path.write_text(text[::-1])
    with pytest.raises(RunFileError, match="has changed since it was read"):
        list(going.records)
    path.unlink()
    with pytest.raises(RunFileError, match="cannot be read"):
        saved.records[0]


def test_what_comes_through_a_pipe_is_kept(saved: RunFile, tmp_path: Path) -> None:
    """A pipe is read once, and what it had stays."""
    os.mkfifo(tmp_path / "pipe")
    with Popen(["cp", str(tmp_path / "run.jsonl"), str(tmp_path / "pipe")]):
        found = RunFile.load(tmp_path / "pipe")
    assert found == saved
    assert found.records == tuple(saved.records)


def test_a_digest_is_that_of_all_lines_in_order_however_many(saved: RunFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of parts in files the same as of one in memory, with texts of several lines between; of other records another."""
    whole = replace(saved, failures=("b\na", '{"b'))
    at_once = whole.digest
    monkeypatch.setattr(sorting, "PART", 7)
    assert whole.digest == at_once != replace(whole, records=whole.records[1:]).digest
    lines = [f"{i:03}" for i in range(50)]
    shuffled = Random(2).sample(lines, 50)
    assert list(sorting.sorted_lines(shuffled, ["007\n", "01"])) == sorted([*lines, "007\n", "01"])


def test_no_two_records_share_what_can_be_changed(saved: RunFile) -> None:
    """Defaults are made anew: what is put into one record is in no other."""
    data = {**record().to_json()}
    del data["shares"]
    one, other = Record.from_json(dict(data)), Record.from_json(dict(data))
    one.shares["fused"] = 1.0
    assert other.shares == {} != one.shares
