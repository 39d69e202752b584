"""The table of a run in Parquet, and the queries of docs/queries.md, as DuckDB answers them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from samples import record, run

from xentcheck.errors import OutputError
from xentcheck.records.file import in_order
from xentcheck.records.record import Record
from xentcheck.reports.formats.write import write_report
from xentcheck.reports.table import parquet

PAGE = Path(__file__).parents[2] / "docs" / "queries.md"

CASE = "gaussian.5x10.f32.index.{}.mean.up-one.contig.s0"
WEIGHTED, BOTH, PLAIN = (CASE.format(options) for options in ("w", "w+ign", "plain"))

BEFORE = (
    record(case=WEIGHTED, outcome="disagree", share=8.0, suspects=("B20: divides by all rows",), replay="again w"),
    record(
        case=BOTH, outcome="disagree", share=4.0, suspects=("B20: divides by all rows", "B24: twice"), replay="again"
    ),
    record(case=PLAIN, share=0.25),
    record(case=PLAIN, quantity="cost", share=0.5, rejected=(), size="1-30 classes/1-100 rows"),
    record(adapter="jax", case=WEIGHTED, share=0.125),
    record(case="odd", outcome="unsupported", share=None, ulp=None, got="", expected="", bound="", elements=0),
)

AFTER = (
    *(record(case=case) for case in (WEIGHTED, BOTH)),
    record(case=PLAIN, share=0.75),
    record(adapter="jax", case=WEIGHTED, share=0.2),
)

ANSWERS: dict[str, list[tuple[Any, ...]]] = {
    "What is the worst share of each implementation and quantity?": [
        ("torch", "eager", "float32", "dC/dz", 8.0, "again w"),
        ("torch", "eager", "float32", "cost", 0.5, record().replay),
        ("jax", "eager", "float32", "dC/dz", 0.125, record().replay),
    ],
    "With which options do comparisons fail?": [("torch", "w", 2, 2), ("torch", "ign", 1, 1)],
    "Which comparisons do two runs judge differently?": [
        ("torch", "eager", "cpu", "dC/dz", BOTH, "disagree", "agree"),
        ("torch", "eager", "cpu", "dC/dz", WEIGHTED, "disagree", "agree"),
    ],
    "Which shares grew most between two runs?": [("torch", "dC/dz", PLAIN, 0.25, 0.75)],
    "Which cases does one implementation alone fail?": [(WEIGHTED, "float32", "dC/dz", "torch")],
    "Which known mistakes explain the failures?": [("B20", 2, BOTH)],
    "Where could nothing have failed?": [("torch", "float32", "cost", "1-30 classes/1-100 rows", 1)],
}

Ask = Callable[[str], list[tuple[Any, ...]]]


def queries() -> dict[str, str]:
    """The queries of the page by their headings."""
    return dict(re.findall(r"^## (.*?)\n.*?```sql\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE))


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Asks DuckDB about the tables of two runs."""
    for name in ("duckdb", "pyarrow"):
        if find_spec(name) is None:
            (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{name} is not installed")
    import duckdb

    monkeypatch.chdir(tmp_path)
    for name, records in (("before", BEFORE), ("after", AFTER)):
        assert write_report(run(*records), Path(name), ["parquet"]) == [Path(name, "records.parquet")]
    return lambda query: duckdb.sql(query).fetchall()


def test_each_query_of_the_page_answers_its_question(ask: Ask) -> None:
    """All of them, on two runs in which each has something to find; with a failure less the answer is another."""
    assert {heading: ask(query) for heading, query in queries().items()} == ANSWERS
    write_report(run(*BEFORE[1:]), Path("before"), ["parquet"])
    different = {heading for heading, query in queries().items() if ask(query) != ANSWERS[heading]}
    assert different == {*ANSWERS} - {"Which shares grew most between two runs?", "Where could nothing have failed?"}


def test_the_table_has_every_record_in_canonical_order(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """In row groups, with numbers as numbers, NULL where there is none, and infinities as they are."""
    from pyarrow.parquet import ParquetFile

    monkeypatch.setattr(parquet, "ROWS", 4)
    strange = record(case="strange", share=float("inf"), got="nan", index=(0, 3), shares={"fused-lse": float("nan")})
    write_report(run(*BEFORE, strange), Path("more"), ["parquet"])
    file = ParquetFile("more/records.parquet")
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [4, 3]
    rows = file.read().to_pylist()
    ordered: list[Record] = list(in_order((*BEFORE, strange)))
    for name, column in (("case", "case_id"), ("share", "share"), ("reason", "reason"), ("elements", "elements")):
        assert [getattr(r, name) for r in ordered] == [row[column] for row in rows]
    (odd,) = (row for row in rows if row["case_id"] == "odd")
    assert (odd["share"], odd["got"], odd["share_fused"], odd["options"]) == (None, None, 1.5, "")
    (found,) = (row for row in rows if row["case_id"] == "strange")
    assert (found["share"], found["element"], found["expected"]) == (float("inf"), "0; 3", 0.25)
    assert str((found["got"], found["share_fused_lse"], found["share_fused"])) == "(nan, nan, None)"
    assert found["rejected"] == "doubled; zero"


def test_a_foreign_table_is_kept_before_a_page_is_written(tmp_path: Path) -> None:
    """A file of another kind under that name stops all of the report."""
    (tmp_path / "records.parquet").write_text("mine")
    with pytest.raises(OutputError, match="is no Parquet table of xentcheck: it is kept"):
        write_report(run(*BEFORE), tmp_path, ["md", "parquet"])
    assert [path.name for path in tmp_path.iterdir()] == ["records.parquet"]
