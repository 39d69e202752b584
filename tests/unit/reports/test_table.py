"""The table to cite: the largest errors of what could have failed, each with its witness, of runs or of a file."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import click
import pytest
from samples import record, run

from xentcheck.cli.commands import table as command
from xentcheck.errors import RunFileError
from xentcheck.records.record import Element
from xentcheck.records.run import RunFile
from xentcheck.reports.table.file import load, to_json
from xentcheck.reports.table.largest import Cell, Table, merged, table_of
from xentcheck.reports.table.markdown import anchor, markdown

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs" / "agreement"

ULP, UNIT = 2.0**-25, 2.0**23
"""Of 0.25 in float32; how many of them the error of a sample is."""


def dated(*records: object, started: str = "2026-01-31T12:00:00+00:00") -> RunFile:
    """A run of a day."""
    found = run(*records)  # type: ignore[arg-type]  # records
    return replace(found, header=replace(found.header, host={"started": started, "processor": "x86_64"}))


def only(table: Table) -> Cell:
    """The one cell of a table."""
    (cell,) = table.cells
    return cell


def test_the_largest_share_and_the_most_ulps_have_their_own_witness() -> None:
    """And the element, where the record has it: that of the largest share always, that of the most ULPs if it is it."""
    wide = record(share=0.75, ulp=3.0, case="wide", index=(1, 2), replay="xentcheck replay wide")
    many = record(share=0.5, ulp=1e6, case="many", replay="xentcheck replay many")
    cell = only(table_of(run(record(), wide, many)))
    assert (cell.library, cell.dtype, cell.quantity) == ("torch 2.13.0 eager cpu", "float32", "dC/dz")
    assert (cell.comparisons, cell.elements, cell.failing) == (3, 150, {})
    assert cell.share is not None
    assert cell.ulp is not None
    assert (cell.share.value, cell.share.case, cell.share.index, cell.share.exact) == (
        0.75,
        "wide",
        (1, 2),
        (0.25).hex(),
    )
    assert (cell.ulp.value, cell.ulp.replay, cell.ulp.index, cell.ulp.got) == (1e6, "xentcheck replay many", (), "")
    same = only(table_of(run(record(got=(0.25 + ULP).hex(), ulp=1.0))))
    assert same.ulp is not None
    assert (same.ulp.value, same.ulp.index) == (1.0, (0, 3))


@pytest.mark.parametrize("outcome", ["vacuous", "trivial", "convention", "unsupported", "deviation", "error"])
def test_what_could_not_have_failed_or_is_known_does_not_count(outcome: str) -> None:
    """However large its error is; a failure that has numbers does, as an agreement does."""
    far = {"share": 99.0, "ulp": 1e9, "case": "far", "reason": "known"}
    cell = only(table_of(run(record(), record(outcome=outcome, **far))))
    assert (cell.share and cell.share.value, cell.ulp and cell.ulp.value) == (0.25, 1.5)
    assert cell.comparisons == 1
    assert [(e.told, e.comparisons, e.worst and e.worst.value) for e in cell.excuses] == (
        [("known", 1, 99.0)] if outcome == "deviation" else []
    )
    assert cell.failing == ({"error": 1} if outcome == "error" else {})
    failed = only(table_of(run(record(), record(outcome="disagree", **far))))
    assert failed.share is not None
    assert (failed.share.value, failed.failing) == (99.0, {"disagree": 1})


def test_below_the_normal_range_there_are_no_ulps() -> None:
    """The page says so, and a number where one of the comparisons has one."""
    assert only(table_of(run(record(ulp=None)))).ulp is None
    assert "| 0.25 · subnormal |" in markdown(table_of(run(record(ulp=None))), witnesses=False)
    assert "| 0.25 · 1.5 |" in markdown(table_of(run(record(ulp=None), record())), witnesses=False)


def test_a_nan_is_the_largest_error() -> None:
    """It is no number, and no small one."""
    cell = only(table_of(run(record(share=0.5), record(outcome="disagree", share=float("nan"), ulp=float("nan")))))
    assert "**nan · nan · 1 disagree**" in markdown(Table((), (cell,)), witnesses=False)


def test_libraries_are_columns_and_dtypes_by_quantity_rows() -> None:
    """In the order of the vocabulary, and a gap where a library has no such number."""
    found = table_of(run(record(), record(adapter="jax", variant="jit", quantity="a"), record(dtype="float64")))
    lines = [line for line in markdown(found, witnesses=False).splitlines() if line.startswith("|")]
    assert lines == [
        "| dtype | quantity | jax 2.13.0 jit cpu | torch 2.13.0 eager cpu |",
        "|---|---|---|---|",
        "| float64 | dC/dz | - | 0.25 · 1.5 |",
        "| float32 | a | 0.25 · 1.5 | - |",
        "| float32 | dC/dz | - | 0.25 · 1.5 |",
    ]


def test_each_number_leads_to_its_witness() -> None:
    """A link to a heading of the page, below which the numbers and the command stand; deviations are notes."""
    known = record(outcome="deviation", share=6750.0, reason="known | fault", link="https://example.org", case="e")
    page = markdown(table_of(run(record(), known, record(quantity="log_a"))), witnesses=True)
    links = re.findall(r"\]\(#([^)]+)\)", page)
    headings = re.findall(r"^### (\S+) (\S+)$", page, re.MULTILINE)
    assert links == [anchor(dtype, quantity.replace("\\", "")) for dtype, quantity in headings]
    assert len(links) == 2
    below = page.partition("### float32 dC/dz")[2]
    case = record().case
    again = f"`xentcheck replay {case} --adapter torch`"
    assert f"| 0.25 of the bound (stash) | `{case}` | \\[0, 3\\] | 0.5 | 0.25 | 1 | {again} |" in below
    assert f"| 1.5 ULP | `{case}` | - | - | - | - | {again} |" in below
    far = Element(index=(4, 9), got=(1.5).hex(), expected=(1.25).hex(), bound=(2.0).hex())
    page = markdown(table_of(run(record(farthest=far), known)), witnesses=True)
    assert f"| 0.25 of the bound (stash) | `{case}` | \\[0, 3\\] | 0.5 | 0.25 | 1 | {again} |" in page
    assert f"| 1.5 ULP | `{case}` | \\[4, 9\\] | 1.5 | 1.25 | 2 | {again} |" in page
    assert "[0.25 · 1.5](#float32-dcdz) [^1] |" in page
    assert "[^1]: 1 recorded deviation apart, at most 6.75e+03 times the bound: known \\| fault (https:" in page
    assert "6.75e+03" not in markdown(table_of(run(record())), witnesses=True)


def test_a_run_is_named_by_its_digest_its_day_and_its_versions() -> None:
    """All that it takes to repeat it, and its verdict; a day that no run file has is not made up."""
    found = dated(record())
    page = markdown(table_of(found), witnesses=False)
    assert f"* run {found.digest} of 2026-01-31; xentcheck 0.1.0; profile quick, seed 0; torch 2.13.0, python" in page
    assert "; x86\\_64: agreed: 1 of 1" in page
    assert f"run {found.digest} of a day that was not recorded;" in markdown(table_of(run(record())), witnesses=False)


def test_equal_runs_have_one_digest_and_others_another() -> None:
    """Whatever the host and the order of the records; any number, setting or failure of the run changes it."""
    one, other = record(), record(case="b")
    found = run(one, other).digest
    assert dated(other, one).digest == found
    header = run(one, other).header
    different = [
        run(one, replace(other, share=0.2500001)),
        run(one),
        run(one, other, failures=("blind",)),
        replace(run(one, other), header=replace(header, environment={})),
        replace(run(one, other), header=replace(header, seed=1)),
    ]
    assert len({found, *(r.digest for r in different)}) == 6


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    """With infinities, deviations and text of others; what is no table is one line that says what it is."""
    known = record(outcome="deviation", share=float("inf"), reason='"<b>', case="e")
    table = table_of(dated(record(), known, record(adapter="mine", outcome="error", share=None, ulp=None)))
    path = tmp_path / "table.json"
    path.write_text(to_json(table))
    assert load(path) == table
    assert markdown(load(path), witnesses=True) == markdown(table, witnesses=True)
    good = json.loads(path.read_text())
    bad = {
        "is not JSON": path.read_text()[:-9],
        "is no table": json.dumps({"tool": "other"}),
        "schema 2": json.dumps(good | {"schema": 2}),
        "'cells'": json.dumps({k: v for k, v in good.items() if k != "cells"}),
        "unknown quantity 'x'": json.dumps(good | {"cells": [good["cells"][0] | {"quantity": "x"}]}),
        "comparisons is of type str": json.dumps(good | {"cells": [good["cells"][0] | {"comparisons": "1"}]}),
        "share is of type int": json.dumps(good | {"cells": [good["cells"][0] | {"share": 1}]}),
    }
    for told, text in bad.items():
        path.write_text(text)
        with pytest.raises(RunFileError, match=re.escape(told)):
            load(path)
    with pytest.raises(RunFileError, match="cannot be read"):
        load(tmp_path / "absent.json")


def test_runs_are_put_side_by_side_unless_they_have_the_same_library() -> None:
    """Which of two numbers was meant, nobody could tell."""
    torch, jax = table_of(run(record())), table_of(run(record(adapter="jax")))
    both = merged([("t.jsonl", torch), ("j.jsonl", jax)])
    assert (len(both.sources), [cell.library.split()[0] for cell in both.cells]) == (2, ["torch", "jax"])
    with pytest.raises(RunFileError, match=re.escape("t.jsonl and u.jsonl both have torch 2.13.0 eager cpu")):
        merged([("t.jsonl", torch), ("u.jsonl", torch)])


@pytest.mark.parametrize(
    ("records", "code"),
    [((record(),), 0), ((record(outcome="disagree", share=2.0),), 1), ((record(outcome="convention", share=None),), 1)],
    ids=["agrees", "fails", "nothing"],
)
def test_the_command_reads_files(
    records: tuple[object, ...], code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run file or a table, on the terminal or into a file; whether something in it failed is its exit code."""
    path = tmp_path / "run.jsonl"
    dated(*records).save(path)
    assert command.table_command([str(path)], command.PLAIN, None) == code
    shown = capsys.readouterr().out
    for name in ("table.json", "table.md"):
        assert command.table_command([str(path)], command.PLAIN, tmp_path / name) == code
    assert command.table_command([str(tmp_path / "table.json")], command.PLAIN, tmp_path / "again.md") == code
    assert (tmp_path / "again.md").read_bytes() == (tmp_path / "table.md").read_bytes()
    capsys.readouterr()
    assert command.table_command([str(tmp_path / "table.json")], command.PLAIN, None) == code
    assert capsys.readouterr().out == shown


def test_the_command_runs_those_that_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the options given, beside the files given; all that is installed if nothing is named."""
    asked = []

    def execute(request: command.RunRequest) -> object:
        asked.append(request)
        return type("Run", (), {"file": run(record())})

    monkeypatch.setattr(command, "execute_request", execute)
    wanted = replace(command.PLAIN, profile="full", dtypes=("float32",))
    assert command.table_command(["numpy"], wanted, None) == 0
    assert ([spec.name for spec in asked[0].specs], asked[0].profile, asked[0].dtypes) == (
        ["numpy"],
        "full",
        ("float32",),
    )
    assert command.table_command([], command.PLAIN, None) == 0
    assert asked[1] == command.PLAIN
    assert "| 0.25 · 1.5 |" in capsys.readouterr().out


def test_bad_input_of_the_command_is_told_before_anything_runs(tmp_path: Path) -> None:
    """Options that would be ignored, a file of another kind, and one that is not there."""
    path = tmp_path / "run.jsonl"
    run(record()).save(path)
    with pytest.raises(click.UsageError, match="go with implementations"):
        command.table_command([str(path)], replace(command.PLAIN, seed=1), None)
    for out in ("table.html", "table"):
        with pytest.raises(OSError, match=re.escape("allowed: a file that ends with .md (a page) or .json (data)")):
            command.table_command(["numpy"], command.PLAIN, tmp_path / out)
    for name in ("absent.jsonl", "absent.json", "folder/absent"):
        with pytest.raises(RunFileError, match="cannot be read"):
            command.table_command([str(tmp_path / name)], command.PLAIN, None)


@pytest.mark.skipif(not DOCS.is_dir(), reason="the docs are not installed")
def test_the_kept_pages_are_of_the_tested_versions() -> None:
    """docs/agreement has the table that its data make, of the versions in constraints.txt; the report is of its run."""
    table = load(DOCS / "table.json")
    assert markdown(table, witnesses=True) == (DOCS / "table.md").read_text(encoding="utf-8")
    (source,) = table.sources
    tested = dict(re.findall(r"^(\w+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    versions = {name: version.partition("+")[0] for name, version in source.versions if name != "python"}
    assert versions == {name: tested[name] for name in ("jax", "numpy", "torch")}
    assert (source.profile, source.selection, source.ok) == ("quick", (), True)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", source.date)
    assert f"\n**{source.verdict}**\n" in (DOCS / "report.md").read_text(encoding="utf-8")
    assert {cell.library.split()[0] for cell in table.cells} == set(versions)
