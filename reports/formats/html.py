"""report.html: one self-contained page, without network assets; everything from the run is escaped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

from xentcheck.errors import UnavailableError
from xentcheck.records.paths import Kind, page, policy_hash
from xentcheck.records.run import RunFile
from xentcheck.reports.analysis.summary import summarize
from xentcheck.reports.baselines.compare import Comparison
from xentcheck.reports.sections.heat import SYMBOLS
from xentcheck.reports.sections.page import Page, page_of

from .drawn import Drawn
from .markdown import REPORT
from .plots import plots

COMPARISON = page("comparison")


def html(run: RunFile) -> str:
    """The page of a run. Raises UnavailableError without jinja2 or matplotlib."""
    drawn = Drawn()
    return page_html(page_of(run, summarize(run, drawn)), drawn)


def page_html(page: Page, drawn: Drawn) -> str:
    """A page with its plots. Raises UnavailableError without jinja2 or matplotlib."""
    return _render("report.html.j2", REPORT, lambda: {"page": page, "plots": plots(drawn), "symbols": SYMBOLS})


def comparison_html(found: Comparison) -> str:
    """The page of a comparison. Raises UnavailableError without jinja2."""
    told = {"title": "What changed", "ok": found.ok, "verdict": found.verdict, "section": found.section}
    return _render("compare.html.j2", COMPARISON, lambda: told)


def _render(template: str, kind: Kind, values: Callable[[], Mapping[str, Any]]) -> str:
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise UnavailableError('the HTML report needs jinja2: pip install "xentcheck[report]"') from error
    environment = Environment(
        loader=PackageLoader("xentcheck.reports.formats"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    folder = files("xentcheck.reports.formats") / "templates"
    style, script = ((folder / f"report.{kind}").read_text("utf-8") for kind in ("css", "js"))
    policy = f"default-src 'none'; style-src '{policy_hash(style)}'; script-src '{policy_hash(script)}'; img-src data:"
    given = {"mark": kind.words[0], "style": style, "script": script, "policy": policy}
    return environment.get_template(template).render(values(), **given)
