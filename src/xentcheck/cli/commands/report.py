"""`xentcheck report`: a run file as pages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from xentcheck.records.file import changed
from xentcheck.records.run import RunFile
from xentcheck.reports.formats.write import FORMATS, PAGES, TABLE, write_report
from xentcheck.reports.table.parquet import require_table
from xentcheck.running.deviations import Deviations, load


@click.command()
@click.argument("run_file", type=click.Path(path_type=Path))
@click.option(
    "--out", "out_dir", default="reports/out", show_default=True, type=click.Path(path_type=Path), help="Folder."
)
@click.option(
    "--format",
    "formats",
    multiple=True,
    default=PAGES,
    show_default=True,
    type=click.Choice(FORMATS),
    help="A page, one for a comment, data; parquet: all records as a table. Repeatable.",
)
@click.option("--partial", is_flag=True, help="Accept a run that was cut short, or is still going on.")
def report(run_file: Path, out_dir: Path, formats: tuple[str, ...], partial: bool) -> int:
    """Write report.html, report.md and report.json of a run file; or records.parquet, a table for queries."""
    if TABLE in formats:
        require_table()
    run = RunFile.load(run_file, partial=partial)
    if partial:  # known deviations are found out when a run is complete
        run = replace(run, records=changed(run.records, Deviations(load()).apply))
    for path in write_report(run, out_dir, formats):
        click.echo(str(path))
    return 0
