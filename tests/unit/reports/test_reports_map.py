"""The map: each cell says the worst of its comparisons and leads to it, by an address that stays."""

from __future__ import annotations

from dataclasses import replace

import pytest
from samples import NAN, many, record, run

from xentcheck.records.record import SHARE_EDGES, Record
from xentcheck.records.run import RunFile
from xentcheck.reports.analysis.summary import summarize
from xentcheck.reports.formats.drawn import Drawn
from xentcheck.reports.formats.plots import POINTS, margin_figure
from xentcheck.reports.sections.cases import CARDS, case_id, cases, chosen_of
from xentcheck.reports.sections.comparisons import PARTS, agreement
from xentcheck.reports.sections.heat import Cell, HeatMap, heat_map
from xentcheck.reports.sections.page import ROWS
from xentcheck.reports.sections.section import Column, Section


def drawn(*records: Record) -> HeatMap:
    """The map of some records."""
    return heat_map(summarize(run(*records)))


def only(*records: Record) -> Cell:
    """The one cell of a map."""
    (row,) = drawn(*records).rows
    (cell,) = row[2]
    return cell


def test_a_row_is_a_place_and_a_column_a_quantity() -> None:
    """In the order of the vocabulary; where nothing was compared there is a cell that says so."""
    found = drawn(record(), record(quantity="a"), record(dtype="float64"), record(adapter="jax", device="cuda"))
    assert found.quantities == ("a", "dC/dz")
    assert [names for names, _, _ in found.rows] == [
        ("jax eager", "cuda", "float32"),
        ("torch eager", "cpu", "float32"),
        ("torch eager", "cpu", "float64"),
    ]
    assert [[cell.text for cell in cells] for _, _, cells in found.rows] == [
        ["-", "0.25"],
        ["0.25", "0.25"],
        ["-", "0.25"],
    ]


@pytest.mark.parametrize(
    ("records", "text", "level", "case"),
    [
        ([record(share=0.1)], "0.1", "0", "a"),
        ([record(share=0.6), record(share=0.1, case="b")], "0.6", "3", "a"),
        ([record(share=0.9), record(outcome="disagree", share=12.0, case="b")], "✗ 12", "fail", "b"),
        ([record(share=0.9), record(outcome="crash", share=None, case="b")], "✗ crash", "fail", "b"),
        ([record(outcome="disagree", share=float("nan"))], "✗ nan", "fail", "a"),
        ([record(share=2.0)], "✗ 2", "fail", "a"),
        ([record(share=0.9), record(outcome="deviation", share=6750.0, case="b")], "0.9 ◆", "4", "a"),
        ([record(outcome="deviation", share=6750.0)], "◆", "none", "a"),
        ([record(outcome="vacuous", share=0.3)], "0.3 ○", "2", "a"),
        ([record(outcome="unsupported", share=None)], "-", "none", ""),
        ([record(outcome="convention", **NAN, share=None, ulp=None)], "-", "none", ""),
    ],
)
def test_a_cell_says_its_worst_and_leads_to_it(records: list[Record], text: str, level: str, case: str) -> None:
    """A failure by a symbol as well as by its colour; a known deviation has no part in the number."""
    found = [replace(r, case="a") if r.case == record().case else r for r in records]
    cell = only(*found)
    assert (cell.text, cell.level) == (text, level)
    assert cell.target == (case_id(replace(found[0], case=case)) if case else "")


def test_a_cell_tells_what_is_in_it() -> None:
    """The counts, and how far the known deviations go, for who sees no colour."""
    cell = only(record(), record(case="b"), record(outcome="deviation", share=6750.0, case="c"))
    assert cell.told == "1 deviation, 2 agree, deviations up to a share of 6.75e+03"


def test_addresses_differ_and_stay() -> None:
    """By implementation, quantity and case; whatever else is in the run, and whatever the names contain."""
    differing = (
        {},
        {"adapter": "jax"},
        {"variant": "jit"},
        {"device": "cuda"},
        {"dtype": "float64"},
        {"quantity": "a"},
    )
    records = [record(**changes) for changes in (*differing, {"case": "b"}, {"case": "b c"}, {"case": '"<\ud800'})]
    ids = [case_id(r) for r in records]
    assert len(set(ids)) == len(records)
    assert all(c.isalnum() or c in "-_.~/%" for c in "".join(ids))
    assert {cell.target for _, _, cells in drawn(*records).rows for cell in cells} - {""} <= set(ids)


def test_every_target_has_a_card() -> None:
    """Of cells and of rows; the failures come first, the worst of them first."""
    sample = run(
        record(share=0.4),
        record(outcome="disagree", share=3.0, case="b", quantity="a"),
        record(outcome="disagree", share=5.0, case="c", quantity="a"),
    )
    summary = summarize(sample)
    section = cases(sample, summary)
    ids = [mark.id for mark in section.marks]
    assert [row[section.columns.index(Column("case", "code"))] for row in section.rows] == ["c", "b", record().case]
    targets = {cell.target for _, _, cells in heat_map(summary).rows for cell in cells}
    assert targets | {mark.target for mark in agreement(sample, summary).marks} <= set(ids)


@pytest.fixture(scope="module")
def large() -> RunFile:
    """More of everything than a page has room for."""
    return many(6_000)


def test_a_page_has_room_for_so_many_cards(large: RunFile) -> None:
    """Seen here alone: failures come before what agrees; what is left out is counted, and where it is."""
    summary = summarize(large)
    chosen = chosen_of(summary)
    assert len(chosen) == CARDS < len(summary.failing)
    assert all(r.outcome == "disagree" for r in chosen.values())
    section = cases(large, summary)
    assert len(section.rows) == CARDS
    assert f"{CARDS} of {len(summary.failing)} failures are shown; the run file has the rest." in section.prose
    assert "80 cells have no card: report.json has their worst cases." in section.prose
    assert sum(cell.target == "" for _, _, cells in heat_map(summary).rows for cell in cells) == 80


def test_a_page_has_room_for_so_many_rows() -> None:
    """A longer section says how many are left out; one that just fits says nothing."""
    rows = tuple((str(i),) for i in range(ROWS + 7))
    section = Section("Weather", (Column("sky"),), rows, "What is above.")
    assert section.cut(ROWS).rows == rows[:ROWS]
    assert section.cut(ROWS).prose == "What is above. 7 more rows are in the run file."
    assert section.cut(ROWS + 7) == section


def test_a_plot_has_room_for_so_many_points(large: RunFile) -> None:
    """Here alone one is drawn: a picture, in which the point farthest beyond its bound is never left out."""
    beyond = record(dtype="float64", adapter="jax", variant="eager", margins=((5.0, 1.0, 1e-9),))
    figure = margin_figure(Drawn((*large.records, beyond)), "float64")
    (axes,) = figure.axes
    points = [point for c in axes.collections for point in c.get_offsets().tolist()]
    assert POINTS / 2 < len(points) <= POINTS + len(axes.collections)
    assert [5.0, 1.0] in points
    assert all(c.get_rasterized() for c in axes.collections)
    (few,) = margin_figure(Drawn([beyond]), "float64").axes
    assert sum(len(c.get_offsets()) for c in few.collections) == 1


def test_no_edge_of_a_bin_is_shown_as_a_number() -> None:
    """Each has words of its own."""
    assert set(PARTS) == {*SHARE_EDGES[1:], float("inf")}
    assert not [words for words in PARTS.values() if any(c.isdigit() for c in words)]
    assert len(set(PARTS.values())) == len(PARTS)
