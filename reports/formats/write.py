"""Writing a run's report: report.html, report.md and report.json, each whole or not at all."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from xentcheck.records.codec import plain
from xentcheck.records.file import in_order
from xentcheck.records.paths import data, keep_others, prepare, write_parts
from xentcheck.records.record import place_of
from xentcheck.records.run import RunFile
from xentcheck.records.words import printable
from xentcheck.reports.analysis.causes.found import Cause
from xentcheck.reports.analysis.rows import Row
from xentcheck.reports.analysis.summary import Summary, summarize
from xentcheck.reports.sections.page import page_of
from xentcheck.reports.table.parquet import PARQUET, require_table, write_table

from .drawn import Drawn
from .html import page_html
from .markdown import REPORT, markdown

PAGES = ("html", "md", "json")
"""Formats of a report: a page, one that is short enough for a comment, and what programs read."""

TABLE = "parquet"
"""The format of all records, for queries."""

FORMATS = (*PAGES, TABLE)

KINDS = {"html": REPORT, "md": REPORT, "json": data("report", "report"), TABLE: PARQUET}
"""What may be replaced by each file."""


def keep_other_reports(out_dir: Path, formats: Collection[str] = PAGES) -> None:
    """Raise OutputError if a file of the report would take the place of one of another kind."""
    for name in formats:
        keep_others(_path(out_dir, name), KINDS[name])


def _path(out_dir: Path, name: str) -> Path:
    return out_dir / f"{'records' if name == TABLE else 'report'}.{name}"


def prepare_report(out_dir: Path, formats: Collection[str] = PAGES) -> None:
    """Make the folder, and see that the files can be written. Raises OutputError: better before a long run."""
    keep_other_reports(out_dir, formats)
    prepare(out_dir)


def write_report(run: RunFile, out_dir: Path, formats: Collection[str] = PAGES) -> list[Path]:
    """Write the files of some FORMATS into a folder, and return their paths.

    Raises OutputError if it cannot be written, UnavailableError without the packages of the extra `report`, or of the
    extra `parquet`.
    """
    keep_other_reports(out_dir, formats)
    if TABLE in formats:
        require_table()
    texts = _texts(run, formats) if set(PAGES) & set(formats) else {}
    prepare(out_dir)
    paths = [write_parts(_path(out_dir, name), parts, "report", KINDS[name]) for name, parts in texts.items()]
    if TABLE in formats:
        paths.append(write_table(in_order(run.records), run.header.catalogue, _path(out_dir, TABLE)))
    return paths


def _texts(run: RunFile, formats: Collection[str]) -> dict[str, Iterable[str]]:
    """The pages by format, made of one reading of the records."""
    drawn = Drawn()
    summary = summarize(run, *([drawn] if "html" in formats else []))
    page = page_of(run, summary)
    made: dict[str, Callable[[], Iterable[str]]] = {
        "html": lambda: [page_html(page, drawn)],
        "md": lambda: [markdown(run, page)],
        "json": lambda: _json_parts(run, summary),
    }
    return {name: made[name]() for name in PAGES if name in formats}


def to_json(run: RunFile, summary: Summary | None = None) -> str:
    """The summary for programs, without host and timings; summary: that of the run, if it was made before."""
    return "".join(_json_parts(run, summary or summarize(run)))


def _json_parts(run: RunFile, s: Summary) -> Iterator[str]:
    """The text piece by piece, as there may be more failures than memory has room for."""
    found = {
        "ok": s.ok,
        "verdict": s.verdict,
        "counts": s.counts,
        "executed": s.executed,
        "elements": s.elements,
        "reasons": s.reasons,
        "weaker": s.weaker,
        "blind": {g.name: g.blind for g in s.blind},
        "undecided": s.undecided,
        "not_exercised": {g.name: g.not_exercised for g in s.not_exercised},
        "rows": [_row(row) for row in s.rows],
        "grades": {"/".join(g.place): g.contract for g in s.grades},
        "not_asked": s.not_asked,
        "causes": [_cause(cause) for cause in s.causes],
        "failing": [],
        "environment": run.header.environment,
        "run": {k: v for k, v in asdict(run.header).items() if k not in ("environment", "host")},
    }
    text = '{\n  "tool": "xentcheck", "kind": "report",' + json.dumps(found, indent=2, sort_keys=True).removeprefix("{")
    head, empty, tail = (text + "\n").partition('\n  "failing": []')
    yield head
    yield empty[:-1]
    between = ""
    for r in s.failing:
        yield between + textwrap.indent("\n" + json.dumps(r.to_json(), indent=2, sort_keys=True), "    ")
        between = ","
    yield ("\n  ]" if s.failing else "]") + tail


def _cause(cause: Cause) -> dict[str, Any]:
    """A cause without its records, but for the smallest."""
    smallest = {name: getattr(cause.smallest, name) for name in ("case", "quantity", "replay")}
    return {
        "code": cause.code,
        "sentence": printable(cause.sentence),
        "mend": cause.mend,
        "failures": len(cause.records),
        "only": cause.only,
        "smallest": {"place": "/".join(place_of(cause.smallest)), **smallest},
    }


def _row(row: Row) -> dict[str, Any]:
    """What a baseline would keep of one quantity at one place."""
    worst = row.worst.to_json() if row.worst else {}
    return {
        "place": "/".join(row.place),
        "quantity": row.quantity,
        "counts": row.counts,
        "elements": row.elements,
        "worst": {name: worst.get(name) for name in ("share", "ulp", "case", "replay")},
        "ulp": plain(row.ulp),
    }
