"""A run's causes as annotations of a pull request: GitHub's workflow commands, and SARIF 2.1.0."""

from __future__ import annotations

import json
from typing import Any

from xentcheck.records.rules import rules
from xentcheck.records.run import RunFile
from xentcheck.records.words import printable
from xentcheck.reports.analysis.causes.found import Cause, where
from xentcheck.reports.analysis.summary import Summary, summarize

FORMATS = ("text", "github", "sarif")

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def annotated(run: RunFile, kind: str, summary: Summary | None = None) -> str:
    """The causes of a run, and what is wrong with it as a whole, in a format of FORMATS but text.

    summary: that of the run, if it was made before.
    """
    summary = summary or summarize(run)
    return _github(summary) if kind == "github" else _sarif(run, summary)


def _message(cause: Cause) -> str:
    parts = (
        f"{cause.title}: {len(cause.records)} failures.",
        f"{where(cause)}{'; ' + cause.only if cause.only else ''}.",
        cause.mend,
        f"Again: {cause.smallest.replay}",
    )
    return "\n".join(printable(part) for part in parts if part)


def _github(summary: Summary) -> str:
    """One error per cause and per reason: ::error title=...::..., a warning of what contracts would not notice.

    >>> _escaped("50 %\\nnext")
    '50 %25%0Anext'
    """
    titles = [_property(f"xentcheck {cause.code}") for cause in summary.causes]
    told = [_escaped(_message(cause)) for cause in summary.causes]
    lines = [f"::error title={title}::{text}" for title, text in zip(titles, told, strict=True)]
    lines += [f"::error title=xentcheck::{_escaped(printable(text))}" for text in summary.reasons]
    lines += [f"::warning title=xentcheck::{_escaped(printable(text))}" for text in summary.weaker]
    lines.append(f"::{'notice' if summary.ok else 'error'} title=xentcheck::{_escaped(printable(summary.verdict))}")
    return "".join(f"{line}\n" for line in lines)


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(text.strip()).replace(":", "%3A").replace(",", "%2C")


def _sarif(run: RunFile, summary: Summary) -> str:
    codes = list(dict.fromkeys(cause.code or "unknown" for cause in summary.causes))
    results = [_result(cause.code or "unknown", _message(cause), cause) for cause in summary.causes]
    results += [_result("run", printable(text), None) for text in summary.reasons]
    if summary.reasons:
        codes.append("run")
    described = [_rule(code) for code in codes]
    driver = {"name": "xentcheck", "version": run.header.version, "rules": described}
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}
    return json.dumps(log, indent=2, sort_keys=True) + "\n"


def _rule(code: str) -> dict[str, Any]:
    found = rules().get(code)
    if found is None:
        return {"id": code, "shortDescription": {"text": "no known mistake explains it"}}
    texts = {"shortDescription": found.title, "fullDescription": found.what, "help": found.mend}
    return {"id": code, **{name: {"text": text} for name, text in texts.items()}}


def _result(code: str, message: str, cause: Cause | None) -> dict[str, Any]:
    found: dict[str, Any] = {"ruleId": code, "level": "error", "message": {"text": message}}
    if cause:
        names = map("/".join, cause.places)
        found["locations"] = [{"logicalLocations": [{"fullyQualifiedName": printable(name)} for name in names]}]
    return found
