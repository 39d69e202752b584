"""`xentcheck compare`: what changed between runs, on the terminal or as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from xentcheck.reports.compare import Change, Comparison, compare
from xentcheck.reports.markdown import table
from xentcheck.reports.runfile import RunFile

from .errors import OutputError

SHOWN = 50


def compare_command(base: Sequence[Path], new: Path, markdown: Path | None) -> int:
    """Print what changed, or write it; exit code 1 if something got worse. Raises RunFileError or OutputError."""
    found = compare([RunFile.load(path) for path in base], RunFile.load(new))
    if markdown:
        try:
            markdown.write_text(_markdown(found), encoding="utf-8")
        except OSError as error:
            raise OutputError(f"{markdown} cannot be written: {error.strerror}") from error
    console = Console()
    for change in (*found.versions, *found.changes[:SHOWN]):
        style = {"worse": "red", "failure": "red", "better": "green"}.get(change.kind, "")
        console.print(Text(_line(change), style=style), soft_wrap=True)
    if len(found.changes) > SHOWN:
        console.print(f"... and {len(found.changes) - SHOWN} more")
    console.print(Text(found.verdict, style="bold green" if found.ok else "bold red"), soft_wrap=True)
    return int(not found.ok)


def _line(change: Change) -> str:
    moved = " -> ".join(part or "nothing" for part in (change.before, change.after))
    return f"{change.kind}: {change.where} {change.what}: {moved}"


def _markdown(found: Comparison) -> str:
    rows = table(found.table) if found.table[1] else ""
    return f"**{found.verdict}**\n\n{rows}\n"
