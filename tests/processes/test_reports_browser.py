"""Pages in a real browser, from files: what one sees, clicks, types and prints, and what a screen reader is told."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
from samples import many, record, run, varied

from xentcheck.reports.baselines.baseline import baseline_of
from xentcheck.reports.baselines.compare import compare
from xentcheck.reports.formats.html import comparison_html
from xentcheck.reports.formats.write import write_report
from xentcheck.reports.sections.cases import case_id
from xentcheck.studies.explain.derivation import derivation
from xentcheck.studies.explain.picture import write_picture

pytestmark = pytest.mark.browser

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

PAPER = 1045
"""CSS pixels of the width of a landscape A4 page between its margins."""

BAD = record(adapter="mine", outcome="disagree", share=12.0, case="f")
"""The failure of the failing report that most tests look for; its case is on the page of `varied`."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's chromium; missing it is a failure under CI, else a skip."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    executable = shutil.which("chromium")
    if executable is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("chromium is not installed")
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=executable, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each page, made once."""
    pytest.importorskip("matplotlib", reason="the extra `report` is not installed")
    pytest.importorskip("jinja2", reason="the extra `report` is not installed")
    folder = tmp_path_factory.mktemp("pages")
    known = record(outcome="deviation", reason="known", share=6750.0, case="e")
    calm = run(record(), record(quantity="cost", share=0.9), record(adapter="jax", share=0.5), known)
    more = (record(adapter="mine", quantity="loss", outcome="crash", share=None, case=f"g{i}") for i in range(3))
    named = record(adapter="mine", outcome="disagree", share=12.0, suspects=("B20: divides by all rows",), case="h")
    wrong = replace(varied(), records=(*varied().records, *more, named))
    changed = compare(baseline_of([run(record())]), baseline_of([run(record(share=0.5), record(case="b"))]))
    (folder / "compared.html").write_text(comparison_html(changed))
    return {
        "passing": write_report(calm, folder / "passing")[0],
        "failing": write_report(wrong, folder / "failing")[0],
        "compared": folder / "compared.html",
        "explained": write_picture(derivation([1.0, 2.0, 3.0], 1, [0.5]), folder / "why.html"),
    }


class Trouble(list[str]):
    """What a page should not do: write to the console, raise, or fetch anything but itself."""

    def of(self, page: Any, own: str) -> None:
        page.on("console", lambda message: self.append(message.text))
        page.on("pageerror", lambda error: self.append(str(error)))
        page.on("request", lambda r: None if r.url.startswith((own, "data:")) else self.append(r.url))


@pytest.fixture
def opened(browser: Any, files: dict[str, Path]) -> Iterator[Any]:
    """Opens a page, by its name; at the end of the test nothing may have gone wrong in any."""
    trouble, contexts = Trouble(), []

    def open_page(name: str, width: int = 1280, fragment: str = "", **options: Any) -> Any:
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, **options))
        page = contexts[-1].new_page()
        trouble.of(page, files[name].as_uri())
        page.goto(files[name].as_uri() + fragment)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert trouble == []


def sideways(page: Any) -> int:
    """Pixels by which a page is wider than its window."""
    found: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return found


def shown(page: Any, selector: str) -> list[str]:
    """The texts of the visible elements."""
    return [element.inner_text() for element in page.locator(selector).all() if element.is_visible()]


@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_opens_cleanly(opened: Any, width: int) -> None:
    """Plots have a size, ids are unique, links lead somewhere, and nothing is cut: on a desk no table, else no page."""
    page = opened("failing", width)
    boxes = [plot.bounding_box() for plot in page.locator("figure svg").all()]
    assert len(boxes) == 3
    assert all(box and box["width"] > 200 and box["height"] > 100 for box in boxes)
    links = page.locator("a[href^='#']").evaluate_all("found => found.map(a => a.getAttribute('href').slice(1))")
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(element => element.id)")
    assert len(ids) == len(set(ids))
    assert len(links) > 20
    assert set(links) <= set(ids)
    assert sideways(page) <= 0
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    wider = "boxes => boxes.filter(b => b.scrollWidth > b.clientWidth + 1).map(b => b.getAttribute('aria-label'))"
    assert width < 1280 or page.locator(".scroll").evaluate_all(wider) == []


@pytest.mark.parametrize("name", ["passing", "failing"])
def test_the_first_screen_has_verdict_causes_and_map(opened: Any, name: str) -> None:
    """In this order, and without scrolling."""
    page = opened(name)
    selectors = [".verdict", *(["#causes article"] if name == "failing" else []), ".heat tbody tr"]
    tops = [page.locator(selector).first.bounding_box()["y"] for selector in selectors]
    assert tops == sorted(tops)
    assert tops[-1] < 900


def test_a_cell_leads_to_its_worst_case(opened: Any) -> None:
    """By keyboard: the folded list opens, and the card with the numbers and the command has the focus."""
    page = opened("failing")
    row = page.locator(".heat tbody tr", has_text="mine")
    cell = row.locator("td.sfail a").last
    assert cell.inner_text().startswith("✗ 12")
    assert not page.locator("#cases article").first.is_visible()
    cell.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("article:focus")
    card = page.locator(f"[id='{case_id(BAD)}']")
    assert page.evaluate("document.activeElement.id") == case_id(BAD)
    assert page.url.endswith(f"#{case_id(BAD)}")
    text = card.inner_text()
    parts = (
        "disagree",
        "mine/eager/cpu/float32",
        "dC/dz",
        "[0, 3]",
        "got",
        "0.5",
        "exact",
        "0.25",
        "bound",
        "share",
        "12",
    )
    assert [part for part in (*parts, "ULP", "8.39e+06", BAD.replay) if part not in text] == []
    box = card.bounding_box()
    assert 0 <= box["y"] < 900


def test_an_address_leads_to_a_case(opened: Any) -> None:
    """A page that is opened with it shows the case, although its list is folded; another address shows nothing."""
    page = opened("failing", fragment=f"#{case_id(BAD)}")
    assert page.locator(f"[id='{case_id(BAD)}']").is_visible()
    assert page.evaluate("document.activeElement.id") == case_id(BAD)
    other = opened("failing", fragment="#case-nobody")
    assert not other.locator("#cases article").first.is_visible()


def test_a_click_on_a_head_sorts_by_its_column(opened: Any) -> None:
    """Numbers from the largest, failures before them and what was not compared last; words from a; then the reverse."""
    page = opened("failing")
    head = page.locator(".heat thead th", has_text="dC/dz")
    column = head.evaluate("head => head.cellIndex")

    def cells(index: int) -> list[str]:
        text = "cells => cells.map(cell => (cell.querySelector('a, span') || cell).firstChild.textContent)"
        found: list[str] = page.locator(f".heat tbody tr > :nth-child({index + 1})").evaluate_all(text)
        return found

    assert head.get_attribute("aria-sort") == "none"
    head.locator("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert cells(column) == ["✗ 12", "0.25", "0.25 ◆", "-"]
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert cells(column) == ["0.25", "0.25 ◆", "✗ 12", "-"]
    page.locator(".heat thead th", has_text="implementation").locator("button").click()
    assert head.get_attribute("aria-sort") == "none"
    assert cells(0) == ["absent eager", "jax jit", "mine eager", "torch eager"]


def test_the_filter_takes_words_and_an_outcome(opened: Any) -> None:
    """Of the map, of the table below it and of the cases; what is hidden is counted, and a link still leads to it."""
    page = opened("failing")
    everything = shown(page, "tr[data-outcomes]")
    page.locator("#words").fill("mine")
    assert len(shown(page, "tr[data-outcomes]")) < len(everything)
    assert all("mine" in text for text in shown(page, "tr[data-outcomes]"))
    page.locator("#outcome").select_option("crash")
    rows = shown(page, "tr[data-outcomes]")
    assert len(rows) == 2
    assert page.locator("#found").inner_text() == f"2 of {len(everything)} rows, 3 of 9 cases"
    page.evaluate(f"location.hash = {case_id(record(adapter='jax', variant='jit'))!r}")
    page.wait_for_selector("article:focus")
    assert page.locator("#words").input_value() == ""
    assert len(shown(page, "tr[data-outcomes]")) == len(everything)
    page.locator("#words").fill("no such row")
    assert shown(page, "tr[data-outcomes]") == []
    page.get_by_role("button", name="All").click()
    page.wait_for_selector("[data-outcomes][hidden]", state="detached")


def test_heads_stay_in_sight(opened: Any) -> None:
    """Of a table that is longer than the window."""
    page = opened("failing")
    page.locator("#agreement .scroll").evaluate("box => { box.style.maxHeight = '120px'; box.scrollTop = 80; }")
    box, head = (page.locator(f"#agreement {part}").first.bounding_box() for part in (".scroll", "thead th"))
    assert abs(head["y"] - box["y"]) <= 2


def test_print_cuts_nothing_and_folds_nothing(opened: Any) -> None:
    """On paper all is open, no table is wider than the page, and colours are light; afterwards it is as before."""
    page = opened("failing", PAPER, color_scheme="dark")
    folded = page.locator("details:not([open])").count()
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert folded > 3
    assert page.locator("details:not([open])").count() == 0
    assert page.locator(f"[id='{case_id(BAD)}']").is_visible()
    for side in ("Width", "Height"):
        beyond = f"boxes => boxes.filter(b => b.scroll{side} > b.client{side} + 1).length"
        assert page.locator(".scroll").evaluate_all(beyond) == 0, side
    assert sideways(page) <= 0
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("nav").is_visible()
    assert len(page.pdf(prefer_css_page_size=True)) > 20_000
    assert page.locator("details:not([open])").count() == folded


def violations(page: Any) -> list[str]:
    """What axe-core says, in a line each."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    found = axe.Axe().run(page).response["violations"]
    return [f"{v['id']}: {node['html'][:200]}" for v in found for node in v["nodes"]]


@pytest.mark.parametrize("name", ["passing", "failing", "compared", "explained"])
def test_axe_finds_nothing(opened: Any, name: str) -> None:
    """At both widths, in both colours, with all that is folded opened."""
    page = opened(name, bypass_csp=True)
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    for width in (400, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert violations(page) == [], (width, scheme)


def test_axe_would_find_something(opened: Any) -> None:
    """A planted grey and a planted picture without a name."""
    page = opened("passing", bypass_csp=True)
    planted = '<p style="color: #ccc">nobody reads this</p><img src="data:,">'
    page.locator("main").evaluate("(main, html) => main.insertAdjacentHTML('afterbegin', html)", planted)
    assert {line.partition(":")[0] for line in violations(page)} == {"color-contrast", "image-alt"}


@pytest.mark.parametrize("width", [1280, 400])
def test_a_slider_moves_one_logit_of_the_derivation(opened: Any, width: int) -> None:
    """What the script computes is what Python computes for the moved logit; nothing is fetched or reported."""
    page = opened("explained", width)

    def told(name: str) -> list[str]:
        return page.locator(f"[data-of={name}]").all_inner_texts()  # type: ignore[no-any-return]

    colours = page.locator("[data-of=jacobian]").evaluate_all("cells => cells.map(c => c.style.background)")
    before = told("gradient")
    page.locator("#which").select_option("2")
    page.locator("#slider").fill("-4.5")
    moved = derivation([1.0, 2.0, -4.5], 1, [0.5])
    assert len(set(colours)) > 3
    assert told("gradient") != before
    assert told("gradient") == [f"{x:.6g}" for x in moved.gradient]
    assert [float(x) for x in told("jacobian")] == [float(f"{x:.6g}") for x in moved.jacobian.ravel()]
    assert page.locator("#cost").inner_text() == f"{moved.cost:.6g}"
    assert sideways(page) <= 0


@pytest.mark.nightly
def test_a_hundred_thousand_records_are_a_page_of_two_megabytes(browser: Any, tmp_path: Path) -> None:
    """Which opens within two seconds. The caps that keep it so are in the gate."""
    file = write_report(many(100_000), tmp_path)[0]
    assert file.stat().st_size < 2_000_000
    page = browser.new_page()
    start = perf_counter()
    page.goto(file.as_uri())
    seconds = perf_counter() - start
    assert page.locator(".heat tbody tr").count() == 48
    page.close()
    assert seconds < 2.0
