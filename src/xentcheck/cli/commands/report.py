"""`xentcheck report`."""

from __future__ import annotations

from pathlib import Path

import click

from xentcheck.records.run import RunFile
from xentcheck.reports.formats.write import write_report


@click.command()
@click.argument("run_file", type=click.Path(path_type=Path))
@click.option("--out", "out_dir", default="reports/out", show_default=True, type=click.Path(path_type=Path))
def report(run_file: Path, out_dir: Path) -> int:
    """Write report.html, report.md and report.json of a run file."""
    for path in write_report(RunFile.load(run_file), out_dir):
        click.echo(str(path))
    return 0
