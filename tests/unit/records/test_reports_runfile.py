"""The run file: what is written is read again, and nothing else is."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from samples import accuracy, coverage, record, run, varied

from xentcheck.errors import OutputError, RunFileError
from xentcheck.records.file import RunWriter
from xentcheck.records.record import Record
from xentcheck.records.run import RunFile


def write(path: Path, sample: RunFile) -> Path:
    """A run as a file."""
    sample.save(path)
    return path


def test_a_run_survives_the_round_trip(tmp_path: Path) -> None:
    """Header, records, accuracies, failures and timings come back equal."""
    sample = varied()
    assert RunFile.load(write(tmp_path / "deep" / "run.jsonl", sample)) == sample


@pytest.mark.parametrize("share", [math.inf, 0.0, 1e-300])
def test_special_floats_survive(share: float) -> None:
    """Infinities travel as strings, since JSON has none; a share of 0 is not lost."""
    sample = record(share=share, shares={"fused": share}, margins=((1.0, share, share),))
    assert Record.from_json(json.loads(json.dumps(sample.to_json(), allow_nan=False))) == sample


def test_a_record_with_nothing_known_survives() -> None:
    """An implementation that is not installed has no version, no numbers, nothing."""
    sample = record(version="", share=None, ulp=None, shares={}, index=(), outcome="unavailable")
    assert Record.from_json(json.loads(json.dumps(sample.to_json()))) == sample


def test_nan_survives() -> None:
    """nan comes back as nan."""
    again = Record.from_json(json.loads(json.dumps(record(share=math.nan).to_json(), allow_nan=False)))
    assert again.share is not None
    assert math.isnan(again.share)


def test_a_file_cut_anywhere_is_truncated(tmp_path: Path) -> None:
    """Cut at each line boundary, and inside each line, loading says so in one line."""
    text = write(tmp_path / "run.jsonl", varied()).read_text()
    ends = [i + 1 for i, c in enumerate(text) if c == "\n"][:-1]
    assert len(ends) == text.count("\n") - 1 > len(varied().records)
    cut = tmp_path / "cut.jsonl"
    for end in [0, *ends, *(e - 5 for e in ends), len(text) - 1]:
        cut.write_text(text[:end])
        with pytest.raises(RunFileError, match=r"(truncated|empty)") as caught:
            RunFile.load(cut)
        assert "\n" not in str(caught.value)


MET = {"kind": "coverage", **coverage().to_json()}
OTHER = {"kind": "accuracy", **accuracy().to_json()}


def edited(tmp_path: Path, line: int, change: dict[str, object] | str) -> Path:
    """A run file with one line replaced, or changed in some fields."""
    path = write(tmp_path / "run.jsonl", run(record()))
    lines = path.read_text().splitlines()
    whole = isinstance(change, str) or (change.get("kind") in ("accuracy", "coverage") and len(change) > 1)
    fields = change if whole else {**json.loads(lines[line]), **change}
    lines[line] = fields if isinstance(fields, str) else json.dumps(fields)
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    ("line", "change", "text"),
    [
        (0, {"schema": 4}, "line 1 has schema 4; allowed: 1, 2, 3"),
        (0, {"tool": "other"}, "line 1 is no header of xentcheck"),
        (0, {"planned_": 1}, "line 1: malformed header: fields planned_ are unknown"),
        (0, "[]", "line 1 is not an object"),
        (1, {"colour": "red"}, "line 2: malformed record: fields colour are unknown; allowed: check, raised"),
        (
            1,
            {"kind": "picture"},
            "line 2 is of kind 'picture'; allowed: record, accuracy, coverage, probe, law, fault, failure, timing, end",
        ),
        (1, {"share": "much"}, "line 2: malformed record: share is 'much'; allowed: a number"),
        (0, {"planned": "7"}, "malformed header: planned is of type str; allowed: int"),
        (0, {"catalogue": 5}, "malformed header: catalogue is of type int; allowed: list"),
        (0, {"environment": []}, "malformed header: environment is of type list; allowed: dict"),
        (
            1,
            {"kind": "header"},
            "line 2 is of kind 'header'; allowed: record, accuracy, coverage, probe, law, fault, failure, timing, end",
        ),
        (1, {"kind": "accuracy"}, "line 2: malformed accuracy: fields "),
        (1, {**MET, "gaps": ["x"]}, "line 2: malformed coverage: 2 pairs met of 2, and 1 gaps"),
        (1, {"kind": "law"}, "line 2: malformed law: fields "),
        (1, {"kind": "probe"}, "line 2: malformed probe: fields "),
        (1, {**MET, "met": "2"}, "line 2: malformed coverage: met is of type str; allowed: int"),
        (1, {**OTHER, "ulp": "much"}, "line 2: malformed accuracy: ulp is 'much'; allowed: a number"),
        (1, {**OTHER, "dtype": "f8"}, "line 2: malformed accuracy: unknown dtype 'f8'; allowed: float64, float32"),
        (1, {**OTHER, "adapter": 5}, "line 2: malformed accuracy: adapter is of type int; allowed: str"),
        (1, {"kind": "failure"}, "line 2: malformed failure: text is missing"),
        (1, {"outcome": "fine"}, "line 2: malformed record: unknown outcome 'fine'; allowed: crash, timeout"),
        (1, {"adapter": 5}, "line 2: malformed record: adapter is of type int; allowed: str"),
        (1, {"got": "much"}, "line 2: malformed record: invalid hexadecimal floating-point string"),
        (1, {"shares": [1.0]}, "line 2: malformed record: shares is of type list; allowed: dict"),
        (1, {"share": 10**400}, "line 2: malformed record: int too large to convert to float"),
        (1, {"ulp_counts": [1]}, "line 2: malformed record: ulp_counts has 1 numbers; allowed: 12"),
        (1, {"margins": [[1.0]]}, "line 2: malformed record: margins has 1 entries; allowed: 3"),
        (1, {"required": "zero"}, "line 2: malformed record: required is of type str; allowed: list"),
        (1, "[" * 100_000, "line 2 is not JSON"),
        (-1, {"records": 7}, "malformed end: 7 records were written, 1 are here"),
        (-1, {"records": None}, "malformed end"),
    ],
)
def test_foreign_and_malformed_files_are_refused(
    tmp_path: Path, line: int, change: dict[str, object] | str, text: str
) -> None:
    """Another program's file, another schema, unknown fields, wrong counts: one line each."""
    with pytest.raises(RunFileError) as caught:
        RunFile.load(edited(tmp_path, line, change))
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).count("run file") <= 2


def test_a_record_that_lacks_a_field_is_refused(tmp_path: Path) -> None:
    """Each field without a default is needed."""
    path = write(tmp_path / "run.jsonl", run(record()))
    header, line, *rest = path.read_text().splitlines()
    for name in ("adapter", "outcome", "group"):
        short = {key: value for key, value in json.loads(line).items() if key != name}
        path.write_text("\n".join((header, json.dumps(short), *rest, "")))
        with pytest.raises(RunFileError, match=f"line 2: malformed record: fields {name} are missing"):
            RunFile.load(path)


def test_a_second_run_in_the_same_file_is_refused(tmp_path: Path) -> None:
    """Two runs are two files."""
    path = write(tmp_path / "run.jsonl", run(record()))
    path.write_text(path.read_text() * 2)
    with pytest.raises(RunFileError, match="line 5 comes after the end line"):
        RunFile.load(path)


def test_equal_runs_are_equal_files(tmp_path: Path) -> None:
    """Keys are sorted: the bytes depend on the contents only."""
    sample = run(record(shares={"a": 1.0, "b": 2.0}))
    other = run(record(shares={"b": 2.0, "a": 1.0}))
    assert write(tmp_path / "1", sample).read_bytes() == write(tmp_path / "2", other).read_bytes()


def test_a_writer_can_be_closed_by_hand(tmp_path: Path) -> None:
    """`close` writes the end line."""
    writer = RunWriter(tmp_path / "run.jsonl", run(record()).header)
    writer.add(record())
    writer.close()
    assert RunFile.load(tmp_path / "run.jsonl").records == (record(),)


def test_missing_and_unwritable_files(tmp_path: Path) -> None:
    """Typed errors that name the file."""
    with pytest.raises(RunFileError, match="cannot be read: No such file"):
        RunFile.load(tmp_path / "absent.jsonl")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        RunWriter(tmp_path / "file" / "run.jsonl", run().header)


def test_a_killed_run_keeps_its_lines_and_is_known_as_truncated(tmp_path: Path) -> None:
    """Lines are written as they come; without the end line the file does not pass for a whole run."""
    writer = RunWriter(tmp_path / "run.jsonl", run().header)
    writer.add(replace(record(), case="x"))
    assert len((tmp_path / "run.jsonl").read_text().splitlines()) == 2
    writer.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    with pytest.raises(RunFileError, match="truncated: no end line after 1 records"):
        RunFile.load(tmp_path / "run.jsonl")
