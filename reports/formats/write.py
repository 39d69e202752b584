"""Writing a run's report: report.html, report.md and report.json, each whole or not at all."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from xentcheck.records.codec import plain
from xentcheck.records.paths import data, keep_others, prepare, write_whole
from xentcheck.records.record import place_of
from xentcheck.records.run import RunFile
from xentcheck.records.words import printable
from xentcheck.reports.analysis.causes import Cause
from xentcheck.reports.analysis.summary import Row, summarize

from .html import html
from .markdown import REPORT, markdown

KINDS = {"report.html": REPORT, "report.md": REPORT, "report.json": data("report", "report")}
"""The files of a report, and what may be replaced by each."""


def keep_other_reports(out_dir: Path) -> None:
    """Raise OutputError if a file of the report would take the place of one that is none."""
    for name, kind in KINDS.items():
        keep_others(out_dir / name, kind)


def prepare_report(out_dir: Path) -> None:
    """Make the folder, and see that the files can be written. Raises OutputError: better before a long run."""
    keep_other_reports(out_dir)
    prepare(out_dir)


def write_report(run: RunFile, out_dir: Path) -> list[Path]:
    """Write the three files into a folder, and return their paths.

    Raises OutputError if it cannot be written, UnavailableError without the packages of the extra `report`.
    """
    keep_other_reports(out_dir)
    texts = {"report.html": html(run), "report.md": markdown(run), "report.json": to_json(run)}
    prepare(out_dir)
    return [write_whole(out_dir / name, text, "report", KINDS[name]) for name, text in texts.items()]


def to_json(run: RunFile) -> str:
    """The summary for programs, without host and timings."""
    s = summarize(run)
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
        "failing": [r.to_json() for r in s.failing],
        "environment": run.header.environment,
        "run": {k: v for k, v in asdict(run.header).items() if k not in ("environment", "host")},
    }
    head = '{\n  "tool": "xentcheck", "kind": "report",'
    return head + json.dumps(found, indent=2, sort_keys=True).removeprefix("{") + "\n"


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
