"""Pages in a real browser: no console errors, no requests, every plot visible, and a slider that moves a logit."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from samples import varied

from xentcheck.reports.formats.write import write_report
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


@pytest.fixture(scope="module")
def executable() -> str:
    """Debian's chromium; missing it is a failure under CI, else a skip."""
    found = shutil.which("chromium")
    if found is None and os.environ.get("CI"):
        pytest.fail("chromium is not installed, and CI needs it")
    if found is None:
        pytest.skip("chromium is not installed")
    return found


@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_opens_cleanly(executable: str, tmp_path: Path, width: int) -> None:
    """Nothing is fetched or reported, plots have a size, ids are unique, and the page does not scroll sideways."""
    pytest.importorskip("matplotlib", reason="the extra `report` is not installed")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    page_file = write_report(varied(), tmp_path)[0]
    trouble: list[str] = []
    requests: list[str] = []
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=executable, args=list(ARGUMENTS))
        page: Any = browser.new_page(viewport={"width": width, "height": 900})
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(page_file.as_uri())
        boxes = [plot.bounding_box() for plot in page.locator("figure svg").all()]
        visible = [plot.is_visible() for plot in page.locator("figure svg").all()]
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        links = page.locator("nav a").evaluate_all("found => found.map(a => a.hash.slice(1))")
        ids = page.evaluate("[...document.querySelectorAll('[id]')].map(element => element.id)")
        page.screenshot(path=str(tmp_path / "report.png"), full_page=True)
        browser.close()
    assert trouble == []
    assert [url for url in requests if not url.startswith("data:")] == [page_file.as_uri()]
    assert len(boxes) == 3
    assert all(visible)
    assert all(box and box["width"] > 200 and box["height"] > 100 for box in boxes)
    assert overflow <= 0
    assert ids
    assert len(ids) == len(set(ids))
    assert links
    assert set(links) <= set(ids)
    assert (tmp_path / "report.png").stat().st_size > 10_000


@pytest.mark.parametrize("width", [1280, 400])
def test_a_slider_moves_one_logit_of_the_derivation(executable: str, tmp_path: Path, width: int) -> None:
    """What the script computes is what Python computes for the moved logit; nothing is fetched or reported."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    page_file = write_picture(derivation([1.0, 2.0, 3.0], 1, [0.5]), tmp_path / "why.html")
    trouble: list[str] = []
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=executable, args=list(ARGUMENTS))
        page: Any = browser.new_page(viewport={"width": width, "height": 900})
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.goto(page_file.as_uri())

        def shown(name: str) -> list[str]:
            return page.locator(f"[data-of={name}]").all_inner_texts()  # type: ignore[no-any-return]

        colours = page.locator("[data-of=jacobian]").evaluate_all("cells => cells.map(c => c.style.background)")
        before = shown("gradient")
        page.locator("#which").select_option("2")
        page.locator("#slider").fill("-4.5")
        moved = derivation([1.0, 2.0, -4.5], 1, [0.5])
        after, jacobian, cost = shown("gradient"), shown("jacobian"), page.locator("#cost").inner_text()
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        browser.close()
    assert trouble == []
    assert len(set(colours)) > 3
    assert after != before
    assert after == [f"{x:.6g}" for x in moved.gradient]
    assert [float(x) for x in jacobian] == [float(f"{x:.6g}") for x in moved.jacobian.ravel()]
    assert cost == f"{moved.cost:.6g}"
    assert overflow <= 0
