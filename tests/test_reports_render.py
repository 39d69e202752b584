"""Markdown, HTML, plots and terminal: complete, escaped, and equal for equal runs."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from samples import record, run, varied

from xentcheck.errors import OutputError
from xentcheck.reports.markdown import markdown
from xentcheck.reports.report import write_report
from xentcheck.reports.runfile import RunFile
from xentcheck.reports.terminal import print_summary

pytest.importorskip("matplotlib", reason="the extra `report` is not installed")
pytest.importorskip("jinja2", reason="the extra `report` is not installed")
from xentcheck.reports.html import html


def test_rendering_is_deterministic_and_ignores_order() -> None:
    """Twice, and from the reversed run: the same bytes."""
    sample = varied()
    reversed_run = RunFile(sample.header, sample.records[::-1], sample.failures, sample.timings)
    assert html(sample) == html(sample) == html(reversed_run)
    assert markdown(sample) == markdown(reversed_run)


def test_two_hosts_differ_in_the_last_section_only() -> None:
    """Host and timings stand apart."""
    sample = varied()
    other = replace(sample, header=replace(sample.header, host={"cores": 64}), timings=(("5x10.f32", 9.0),))
    cut = "Host and timings"
    assert html(sample).split(cut)[0] == html(other).split(cut)[0]
    assert html(sample) != html(other)


def test_hostile_text_is_escaped() -> None:
    """What an implementation says cannot become markup."""
    page = html(varied())
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "<script" not in markdown(varied())


def test_the_page_needs_no_network() -> None:
    """No address is fetched: every src and href is inside the page or a data URL."""
    for address in re.findall(r'(?:src|href)="([^"]*)"', html(varied())):
        assert address.startswith(("#", "data:"))
    assert "@import" not in html(varied())


def test_ids_of_inline_plots_do_not_clash() -> None:
    """Several SVGs share one page."""
    ids = Counter(re.findall(r'\bid="([^"]+)"', html(varied())))
    assert ids
    assert {name: n for name, n in ids.items() if n > 1} == {}
    for target in re.findall(r"url\(#([^)]+)\)", html(varied())):
        assert target in ids


@pytest.mark.parametrize("render", [html, markdown], ids=["html", "markdown"])
def test_every_section_is_there(render: object) -> None:
    """Verdict, reasons, failures, agreement, grades, deviations, conventions, power and environment."""
    assert callable(render)
    text = re.sub(r"\\", "", render(varied()))
    for part in (
        "FAILED: 1 disagree",
        "deviation x matches no comparison",
        "xentcheck replay gaussian",
        "https://example.org/1",
        "all-ignored",
        "absent is not installed",
        "stash",
        "2.13.0",
    ):
        assert part in text


def test_margin_plot_shows_the_bound_as_a_line() -> None:
    """The figure has a point per margin and one line, the derived bound."""
    from xentcheck.reports.plots import margin_figure

    figure = margin_figure([record()], "float32")
    (axes,) = figure.axes
    assert [len(c.get_offsets()) for c in axes.collections] == [2]  # type: ignore[arg-type]
    (line,) = axes.lines
    assert list(line.get_ydata()) == [1e-6, 2e-2]


def test_report_is_written_whole(tmp_path: Path) -> None:
    """Three files, no leftovers; the JSON says what the verdict is."""
    written = write_report(varied(), tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(p.name for p in written)
    data = json.loads((tmp_path / "out" / "report.json").read_text())
    assert data["ok"] is False
    assert data["failing"][0]["adapter"] == "mine"


def test_an_unwritable_folder_is_one_line(tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputError, match=r"report folder .* cannot be written: ") as caught:
        write_report(varied(), tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_the_terminal_ends_with_the_verdict() -> None:
    """A table, failures with their replay, and the verdict last."""
    console = Console(width=80, record=True, file=io.StringIO())
    print_summary(run(record(), record(outcome="disagree", share=3.0, case="z")), console)
    lines = console.export_text().strip().splitlines()
    assert lines[-1] == "FAILED: 1 disagree; 1 of 2 comparisons agree"
    assert any(line.strip().startswith("xentcheck replay") for line in lines)
