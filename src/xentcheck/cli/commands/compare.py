"""`xentcheck compare`: what changed between runs, on the terminal, as Markdown or as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from xentcheck.errors import RunFileError
from xentcheck.records.paths import write_whole
from xentcheck.records.run import RunFile
from xentcheck.reports.baselines.baseline import Baseline, baseline_of, path_of
from xentcheck.reports.baselines.compare import BAD, Change, Comparison
from xentcheck.reports.baselines.compare import compare as comparison_of
from xentcheck.reports.baselines.file import load
from xentcheck.reports.formats.html import COMPARISON, comparison_html
from xentcheck.reports.formats.markdown import table

SHOWN = 50

TOLD = (*BAD, "moved")
"""Changes whose command stands on the terminal."""


@dataclass(frozen=True)
class CompareRequest:
    """The options of `xentcheck compare`."""

    base: str
    new: str
    repeats: Sequence[Path] = ()
    markdown: Path | None = None
    page: Path | None = None


def compare_command(request: CompareRequest) -> int:
    """Print what changed, or write it; exit code 1 if something got worse. Raises RunFileError or OutputError."""
    base, new = _baseline(request.base, request.repeats), _baseline(request.new, ())
    if not base.rows and not new.rows:
        raise RunFileError(
            f"neither {request.base} nor {request.new} has a comparison; allowed: runs that compared something"
        )
    found = comparison_of(base, new)
    if request.markdown:
        write_whole(request.markdown, _markdown(found), own=COMPARISON)
    if request.page:
        write_whole(request.page, comparison_html(found), own=COMPARISON)
    console = Console()
    for change in (*found.versions, *found.changes[:SHOWN]):
        style = "red" if change.kind in BAD else {"moved": "yellow", "better": "green"}.get(change.kind, "")
        console.print(Text(_line(change), style=style), soft_wrap=True)
        if change.again and change.kind in TOLD:
            console.print(Text(f"   again {change.again}"), soft_wrap=True)
    if len(found.changes) > SHOWN:
        console.print(f"... and {len(found.changes) - SHOWN} more")
    style = "bold red" if not found.ok else "bold yellow" if found.moved else "bold green"
    console.print(Text(found.verdict, style=style), soft_wrap=True)
    return int(not found.ok)


def _baseline(name: str, repeats: Sequence[Path]) -> Baseline:
    """The baseline of a file, which may be a run file, or of several run files of one installation."""
    path = Path(name)
    if not path.exists() and path_of(name).exists():
        path = path_of(name)
    return baseline_of([RunFile.load(p) for p in (path, *repeats)]) if repeats else load(path)


def _line(change: Change) -> str:
    moved = " -> ".join(part or "nothing" for part in (change.before, change.after))
    return f"{change.kind}: {' '.join(filter(None, (change.where, change.what)))}: {moved}"


def _markdown(found: Comparison) -> str:
    rows = table(found.section) if found.section.rows else ""
    return f"{COMPARISON.words[0]}\n\n**{found.verdict}**\n\n{rows}\n"


@click.command()
@click.argument("base")
@click.argument("new")
@click.option(
    "--repeat",
    "repeats",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Another run file of BASE's installation: what differs between them is no change. Repeatable.",
)
@click.option("--markdown", type=click.Path(path_type=Path, dir_okay=False), help="Markdown file to write.")
@click.option("--html", "page", type=click.Path(path_type=Path, dir_okay=False), help="HTML file to write.")
def compare(base: str, new: str, repeats: tuple[Path, ...], markdown: Path | None, page: Path | None) -> int:
    """What changed from BASE to NEW: versions, devices or machines. Each is a run file, a baseline, or its name.

    Exit code 1 if something got worse: a new failure or one farther beyond its bound, a lower grade, a row that is gone
    or compares less. A worst share that moved below 1 is told, and exit code 0.
    """
    return compare_command(CompareRequest(base, new, repeats, markdown, page))
