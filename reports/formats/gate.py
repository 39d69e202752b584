"""What a gate says: lines for a terminal, and Markdown for a comment."""

from __future__ import annotations

import textwrap

from xentcheck.records.paths import page
from xentcheck.records.words import printable
from xentcheck.reports.baselines.gate import Gate, Reason

from .markdown import FAILING, escaped

WIDTH = 80

GATE_PAGE = page("gate")


def told(gate: Gate, shown: int) -> list[str]:
    """Red first; each finding in lines of 80 columns, but for its command."""
    lines: list[str] = []
    for colour, found in (("red", gate.red), ("yellow", gate.yellow)):
        for finding in found[:shown]:
            lines += _wrapped(f"{colour}: {printable(finding.what)}", "   ")
            lines += _wrapped(f"   where {printable(finding.where)}", " " * 9)
            lines += [f"   again {printable(finding.command)}"] if finding.command else []
        if len(found) > shown:
            lines.append(f"... and {len(found) - shown} more {colour}")
    for cause in gate.causes:
        if cause.mend:
            lines += _wrapped(f"{cause.code or cause.title}: {cause.advice}", "   ")
    return lines


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def gate_markdown(gate: Gate) -> str:
    """The same as Markdown of at most 16,000 bytes; what does not fit is counted."""
    parts = [*GATE_PAGE.words, f"**{escaped(gate.verdict)}**"]
    mends = [
        f"{f'`{cause.code}`' if cause.code else escaped(cause.title)}: {escaped(cause.mend)}"
        for cause in gate.causes
        if cause.mend
    ][:5]
    items = [*(("red", f) for f in gate.red), *(("yellow", f) for f in gate.yellow)]
    for i, (colour, finding) in enumerate(items):
        text = _item(colour, finding)
        if sum(len(part.encode()) + 2 for part in (*parts, *mends, text)) > FAILING - 100:
            parts.append(f"... and {len(items) - i} more")
            break
        parts.append(text)
    return "\n\n".join([*parts, *mends]) + "\n"


def _item(colour: str, finding: Reason) -> str:
    mark = {"red": "&#x1F534;", "yellow": "&#x1F7E1;"}[colour]
    command = f"<br><code>{escaped(finding.command)}</code>" if finding.command else ""
    return f"- {mark} {escaped(finding.what)}: {escaped(finding.where)}{command}"
