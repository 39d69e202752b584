"""Markdown, HTML, plots and terminal: complete, escaped, and equal for equal runs."""

from __future__ import annotations

import io
import json
import math
import re
import sys
from collections import Counter
from dataclasses import replace
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from samples import record, run, varied

from xentcheck.errors import OutputError, UnavailableError
from xentcheck.records.paths import policy_hash
from xentcheck.records.rules import rules
from xentcheck.records.run import RunFile
from xentcheck.reports.formats.markdown import markdown
from xentcheck.reports.formats.terminal import print_summary
from xentcheck.reports.formats.write import write_report
from xentcheck.reports.sections import page as page_module
from xentcheck.reports.sections.cases import FAILURES_SHOWN
from xentcheck.reports.sections.section import KINDS, Column, Section

pytest.importorskip("matplotlib", reason="the extra `report` is not installed")
pytest.importorskip("jinja2", reason="the extra `report` is not installed")
from matplotlib.colors import to_hex

from xentcheck.reports.formats.drawn import Drawn
from xentcheck.reports.formats.html import html


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages without plots, which cost most of a page: for what stands in its text."""
    monkeypatch.setattr("xentcheck.reports.formats.html.plots", lambda records: [])


def panels(figure: Any) -> list[Any]:
    """The axes of a figure; untyped, since matplotlib's types say little of what was drawn."""
    return list(figure.axes)


def test_rendering_is_deterministic_and_ignores_order() -> None:
    """From the reversed run the same bytes, each drawn anew: alone this compares whole pages with their plots."""
    sample = varied()
    reversed_run = replace(sample, records=sample.records[::-1], accuracies=sample.accuracies[::-1])
    assert page() == html(reversed_run)
    assert markdown(sample) == markdown(reversed_run)


def test_two_hosts_differ_in_the_last_section_only() -> None:
    """Host and timings stand apart."""
    sample = varied()
    other = html(replace(sample, header=replace(sample.header, host={"cores": 64}), timings=(("5x10.f32", 9.0),)))
    cut = "Host and timings"
    assert page().split(cut)[0] == other.split(cut)[0]
    assert page() != other


@cache
def page() -> str:
    """The page of the varied run, whose plots are drawn."""
    return html(varied())


def test_hostile_text_is_escaped() -> None:
    """What an implementation says cannot become markup."""
    assert page().count("<script") == OWN
    assert "&lt;script&gt;" in page()
    assert "<script" not in markdown(varied())


def test_the_page_needs_no_network() -> None:
    """Nothing is fetched: only links that one may follow point outside, and the page's own policy forbids the rest."""
    fetched = re.findall(r'<(?!a )[^>]*(?:src|href)="([^"]*)"', page())
    assert fetched
    assert all(address.startswith(("#", "data:")) for address in fetched)
    assert "@import" not in page()
    assert "default-src 'none'" in page()


def test_only_web_addresses_become_links() -> None:
    """A link of another scheme stays text; the others lead to sections of the page."""
    nothing_to_draw: dict[str, Any] = {"margins": (), "ulp_counts": (), "share": None}
    other = html(run(record(outcome="deviation", reason="known", link="javascript:alert(1)", **nothing_to_draw)))
    assert "javascript:alert(1)" in other
    assert set(re.findall(r"<a href=\"(.)", other)) == {"#"}
    assert '<a href="https://example.org/1"' in page()


OWN = 1
"""Scripts of a page: its own, which the policy allows by its hash."""


def test_the_policy_allows_the_script_and_the_style_by_their_hashes() -> None:
    """And nothing else: no attribute has a style or a handler. One more byte in either, and it is another hash."""
    policy = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page())[0]
    for kind, tag in (("style", "style"), ("script", "script")):
        (text,) = re.findall(f"<{tag}>(.*?)</{tag}>", page(), re.DOTALL)
        assert f"{kind}-src '{policy_hash(text)}'" in policy.replace("&#39;", "'")
        assert policy_hash(f"{text} ") not in policy
    assert "unsafe" not in policy
    assert not re.search(r"""<[^>]*\s(style|on\w+)=["']""", page())


def test_the_page_has_little_script_of_its_own() -> None:
    """At most 100 lines, none of them long."""
    lines = (Path(page_module.__file__).parents[1] / "formats/templates/report.js").read_text().splitlines()
    assert len(lines) <= 100
    assert max(map(len, lines)) <= 140


FIELDS = ("adapter", "variant", "device", "dtype", "contract", "quantity", "case", "replay")


def hostile(*fields: str) -> RunFile:
    """A run with markup in some fields of its records."""
    names = dict.fromkeys(fields, '_$x 畳 --> "><script>alert(1)</script>')
    return run(record(**names), record(**{**names, "outcome": "disagree", "share": 9.0}))


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("field", FIELDS)
def test_hostile_names_are_escaped_everywhere(field: str) -> None:
    """Names reach headings and tables, and stay text."""
    shown = html(hostile(field))
    assert "alert" in shown
    assert shown.count("<script") == OWN
    assert "<script" not in markdown(hostile(field))


def test_hostile_names_are_escaped_in_plots() -> None:
    """In their titles, comments and ids: alone this draws all names at once."""
    text = html(hostile(*FIELDS))
    assert text.count("<svg") == 3
    assert text.count("<script") == OWN


@pytest.mark.usefixtures("undrawn")
def test_control_characters_do_not_reach_the_reader() -> None:
    """An exception's text cannot move the cursor, and needs no encoding that a file lacks."""
    sample = run(record(outcome="error", reason="\x1b[2J gone \ud800"), record(case="z"))
    console = Console(width=80, record=True, file=io.StringIO())
    print_summary(sample, console)
    for text in (html(sample), markdown(sample), console.export_text()):
        assert "[2J gone" in re.sub(r"\\", "", text)
        assert "\x1b" not in text
        assert "\ud800" not in text


@pytest.mark.usefixtures("undrawn")
def test_lone_surrogates_can_be_written(tmp_path: Path) -> None:
    """A name that no encoding knows does not keep the report from being written."""
    written = write_report(run(record(case="\ud800")), tmp_path)
    assert "\\ud800" in written[0].read_text(encoding="utf-8")


def test_ids_of_inline_plots_do_not_clash() -> None:
    """Several SVGs share one page."""
    ids = Counter(re.findall(r'\bid="([^"]+)"', page()))
    assert ids
    assert {name: n for name, n in ids.items() if n > 1} == {}
    for target in re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", page()):
        assert target in ids


def test_plots_have_names_for_those_who_do_not_see_them() -> None:
    """Each SVG is an image with a title and a description."""
    for part in ("<svg ", 'role="img"', "<title id=", "<desc id="):
        assert page().count(part) == 3


def test_plots_survive_what_is_not_finite() -> None:
    """nan and infinities in margins, errors, bounds and shares are drawn at the edge or left out."""
    strange = (math.nan, math.inf, -math.inf, 0.0)
    margins = tuple((m, e, b) for m in strange for e in strange for b in strange)
    bad = [record(outcome="disagree", share=s, ulp=s, margins=margins, case=str(s)) for s in strange]
    assert html(run(*bad)) == html(run(*bad[::-1]))
    assert html(run(record(margins=(), ulp_counts=(), share=None, outcome="convention"))).count("<svg") == 0


BRIEFLY = ("FAILED: 1 disagree", "deviation x matches no comparison", "xentcheck replay gaussian")
"""What stands in the short report, too."""


def test_every_section_is_there() -> None:
    """Verdict, reasons, failures, agreement, grades, accuracy, deviations, conventions, power and environment."""
    short = re.sub(r"\\", "", markdown(varied()))
    assert all(part in short for part in BRIEFLY)
    for part in (
        *BRIEFLY,
        "https://example.org/1",
        "all-ignored",
        "absent is not installed",
        "stash",
        "0x1.8p+1 -0x1p+6 label 1",
        "2.13.0",
    ):
        assert part in page()


ONE_OF_EACH = Section(
    "Weather",
    tuple(Column(f"sky {kind}", kind, good="blue" if kind == "text" else "") for kind in KINDS),
    (tuple(f"grey {kind}" if kind != "link" else "https://example.org/sky" for kind in KINDS),),
    "What is above.",
    brief=True,
)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("cards", [False, True])
def test_a_new_section_needs_no_format_to_know_it(cards: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """One row of the table of sections: each format shows title, prose, columns and cells, by their kinds.

    What is folded is on the page only, where a card folds it.
    """
    made = (lambda run, summary: replace(ONE_OF_EACH, cards=cards), *page_module.SECTIONS)
    monkeypatch.setattr(page_module, "SECTIONS", made)
    shown = html(varied())
    for text in (shown, markdown(varied())):
        for part in (
            "Weather",
            "What is above.",
            *(f"grey {kind}" for kind in KINDS if kind not in ("link", "folded")),
        ):
            assert part in text
    assert "grey folded" not in markdown(varied())
    assert ("<details><summary>sky text: grey text</summary><p>grey folded</p></details>" in shown) == cards
    assert "grey folded" in shown
    assert ('<td class="text bad">grey text</td>' in shown) != cards


@pytest.mark.usefixtures("undrawn")
def test_a_cause_says_what_its_code_means_without_a_network() -> None:
    """What is wrong, how it looks and where it was reported stand folded in its card; an unknown cause has no such."""
    rule = rules()["B20"]
    told = f"B20, {rule.title}. {rule.what} How it looks: {rule.looks} Reported in {', '.join(rule.seen)}."
    known = record(outcome="disagree", share=6.0, suspects=("B20: divides by all rows",))
    shown = html(run(known, record(adapter="jax", outcome="disagree", share=6.0)))
    causes = shown[shown.index('<section id="causes">') :].partition("</section>")[0]
    assert causes.count(f"(xentcheck rule B20)</summary><p>{escape(told)}</p>") == 1
    assert (causes.count("<details"), causes.count("<article")) == (1, 2)


def test_formats_know_kinds_and_no_titles() -> None:
    """Neither a title nor a column of any section stands in the code or the template of a format."""
    folder = Path(page_module.__file__).parents[1] / "formats"
    shown = "".join((folder / name).read_text() for name in ("markdown.py", "html.py", "templates/report.html.j2"))
    sections = page_module.page_of(varied()).sections
    assert len(sections) > 10
    titles = {s.title for s in sections} | {c.title for s in sections for c in s.columns if " " in c.title}
    assert not [title for title in titles if f'"{title}"' in shown or f">{title}<" in shown]


def test_margin_plot_shows_the_bound_as_a_line() -> None:
    """The figure has a point per margin and one line, the derived bound."""
    from xentcheck.reports.formats.plots import margin_figure

    (axes,) = panels(margin_figure(Drawn([record()]), "float32"))
    assert [len(c.get_offsets()) for c in axes.collections] == [2]
    (line,) = axes.lines
    assert list(line.get_ydata()) == [1e-6, 2e-2]


def test_margin_plot_has_each_bound_beside_its_implementation() -> None:
    """In its colour, and next to it in the legend; a weaker contract does not hide the bound of a stricter one."""
    from xentcheck.reports.formats.plots import margin_figure

    strict = record(contract="fused", adapter="jax", margins=((2.0, 1e-8, 1e-7), (15.0, 1e-3, 1e-2)))
    (axes,) = panels(margin_figure(Drawn([record(), strict]), "float32"))
    lines = {str(line.get_label()): list(line.get_ydata()) for line in axes.lines}
    assert lines == {"its bound, fused": [1e-7, 1e-2], "its bound, stash": [1e-6, 2e-2]}
    legend = axes.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == [
        *("jax eager cpu", "its bound, fused"),
        *("torch eager cpu", "its bound, stash"),
    ]
    for label, line in zip(("jax eager cpu", "torch eager cpu"), axes.lines, strict=True):
        assert to_hex(line.get_color()) == Drawn([record(), strict]).styles[label][0]


def test_an_implementation_has_one_colour_in_all_plots() -> None:
    """Also where it shares a panel with others, or with none."""
    from xentcheck.reports.formats.plots import margin_figure

    records = [record(), record(adapter="jax", dtype="float64")]
    both = Drawn(records).styles
    assert len(set(both.values())) == 2
    for dtype, label in (("float32", "torch eager cpu"), ("float64", "jax eager cpu")):
        (axes,) = panels(margin_figure(Drawn(records), dtype))
        (points,) = axes.collections
        assert to_hex(points.get_facecolor()[0][:3]) == both[label][0]


def test_ulp_plot_counts_every_element() -> None:
    """The bars of one implementation and dtype add up to one, in a panel per dtype."""
    from xentcheck.reports.formats.plots import ulp_figure

    found = panels(ulp_figure(Drawn([record(), record(case="z"), record(dtype="float64")])))
    for axes in found:
        heights = [patch.get_height() for patch in axes.patches]
        assert [round(h * sum(range(len(heights)))) for h in heights] == list(range(len(heights)))
    assert [axes.get_title(loc="left") for axes in found] == ["float32", "float64"]


def test_share_plot_reaches_the_worst() -> None:
    """The whiskers end at the smallest and the largest share, and the limit is a line."""
    from xentcheck.reports.formats.plots import share_figure

    (axes,) = panels(share_figure(Drawn([record(share=s, case=str(s)) for s in (0.5, 0.0, 3.0)])))
    heights = [float(y) for line in axes.lines for y in line.get_ydata()]
    assert (min(heights), max(heights)) == (1e-6, 3.0)
    assert 1.0 in heights


def test_share_plot_leaves_known_deviations_out() -> None:
    """Above 1 is a disagreement, which they are not; without anything else there is no such plot."""
    from xentcheck.reports.formats.plots import share_figure

    known = record(outcome="deviation", share=6750.0, case="known")
    (axes,) = panels(share_figure(Drawn([record(share=0.5), known])))
    assert max(float(y) for line in axes.lines for y in line.get_ydata()) == 1.0
    assert "Share of the bound" not in html(run(known))


@pytest.mark.usefixtures("undrawn")
def test_failures_beyond_the_list_are_counted() -> None:
    """A long list is cut, and says so."""
    many = run(*(record(outcome="disagree", share=2.0, case=f"c{i}") for i in range(FAILURES_SHOWN + 3)))
    assert f"{FAILURES_SHOWN} of {FAILURES_SHOWN + 3} failures are shown" in html(many)
    assert html(many).count("<article") == FAILURES_SHOWN + 1  # and the one cause


@pytest.mark.usefixtures("undrawn")
def test_gaps_of_power_are_shown() -> None:
    """A blind group is named with what it is blind to; without gaps there is no such table."""
    blind = run(record(rejected=("zero",)), record(group="torch/other", applicable=("zero",), rejected=("zero",)))
    shown = html(blind)
    assert '<td class="text bad">doubled</td>' in shown
    assert "rejected 2, blind (would have gone unnoticed) 1, not exercised 1" in shown
    assert "Groups with a gap" in shown
    assert "Groups with a gap" not in html(run(record()))


@pytest.mark.usefixtures("undrawn")
def test_report_is_written_whole(tmp_path: Path) -> None:
    """Three files, no leftovers; the JSON says what the verdict is."""
    written = write_report(varied(), tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(p.name for p in written)
    data = json.loads((tmp_path / "out" / "report.json").read_text())
    assert data["ok"] is False
    assert data["failing"][0]["adapter"] == "mine"
    (row,) = (row for row in data["rows"] if row["place"] == "mine/eager/cpu/float32")
    assert row["worst"] == {"share": 12.0, "ulp": 1.5, "case": "f", "replay": record().replay}
    assert "host" not in data["run"]


@pytest.mark.usefixtures("undrawn")
def test_a_failed_write_leaves_the_old_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new file replaces the old one at once or not at all, and leaves nothing behind."""
    old = "<!-- xentcheck: report -->"
    (tmp_path / "report.html").write_text(old)

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputError, match="cannot be written: No space left on device"):
        write_report(varied(), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    assert (tmp_path / "report.html").read_text() == old


@pytest.mark.parametrize("package", ["matplotlib", "jinja2"])
def test_a_missing_package_is_named_in_one_line(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to install; nothing is written."""
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UnavailableError, match=r'pip install "xentcheck\[report\]"') as caught:
        write_report(varied(), tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("undrawn")
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
    assert any(line.strip().startswith("again xentcheck replay") for line in lines)
