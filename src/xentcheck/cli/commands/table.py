"""`xentcheck table`: the largest errors of libraries side by side, to cite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from xentcheck.adapters.spec import specs_of
from xentcheck.cli.options import device_option, dtype_option, jobs_of, jobs_option, seed_option
from xentcheck.cli.request import RunRequest, execute_request
from xentcheck.errors import OutputError
from xentcheck.records.paths import prepare_file, write_whole
from xentcheck.records.run import RunFile
from xentcheck.reports.table.file import SUFFIX, TABLE, load, to_json
from xentcheck.reports.table.largest import Table, merged, table_of
from xentcheck.reports.table.markdown import TABLE_PAGE, markdown

PAGE = ".md"

PLAIN = RunRequest((), "quick", (), (), 0, 1, None, None)
"""A run without options."""


def table_command(sources: Sequence[str], request: RunRequest, out: Path | None) -> int:
    """Print the table of files, and of a run of those that are named, or write it.

    The exit code is 1 if a run in it failed, or nothing was compared. Raises XentcheckError for bad input.
    """
    if out and out.suffix not in (PAGE, SUFFIX):
        raise OutputError(f"--out is {out}; allowed: a file that ends with {PAGE} (a page) or {SUFFIX} (data)")
    own = TABLE if out and out.suffix == SUFFIX else TABLE_PAGE
    if out:
        prepare_file(out, own=own)
    files = [name for name in sources if _is_file(name)]
    tables = [(name, _read(Path(name))) for name in files]
    names = tuple(name for name in sources if name not in files)
    if names or not files:
        tables.append(("this run", _run(names, request)))
    elif request != PLAIN:
        raise click.UsageError("--profile, --dtype, --device, --seed and -j go with implementations that are to be run")
    table = merged(tables)
    if out is None:
        click.echo(markdown(table, witnesses=False), nl=False)
        click.echo(f"\n`--out table{PAGE}` adds the case behind each number, and the command that repeats it.")
        return int(not table.ok)
    write_whole(out, to_json(table) if out.suffix == SUFFIX else markdown(table, witnesses=True), "table", own)
    click.echo(f"wrote {out}")
    return int(not table.ok)


def _is_file(name: str) -> bool:
    """Whether a source is a file, be it there or not, and no implementation."""
    return Path(name).suffix in (SUFFIX, ".jsonl") or len(Path(name).parts) > 1


def _read(path: Path) -> Table:
    return load(path) if path.suffix == SUFFIX else table_of(RunFile.load(path))


def _run(names: tuple[str, ...], request: RunRequest) -> Table:
    """The table of implementations that are run now."""
    found = execute_request(replace(request, specs=tuple(specs_of(names, None, None))))
    return table_of(found.file)


@click.command()
@click.argument("sources", nargs=-1, metavar="[ADAPTER|RUN.jsonl|TABLE.json]...")
@click.option("--profile", default="quick", show_default=True, metavar="quick|full|deep", help="How many cases.")
@dtype_option
@device_option
@seed_option
@jobs_option
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="File to write: .md a page, .json data to keep."
)
def table(
    sources: tuple[str, ...],
    profile: str,
    dtypes: tuple[str, ...],
    devices: tuple[str, ...],
    seed: int,
    jobs: str,
    out: Path | None,
) -> int:
    """The largest errors of libraries side by side, each with the case that shows it.

    Each argument is an adapter, which is run now, a run file, as `xentcheck run --out` writes it, or a table that was
    written as .json; without any, all that is installed is run. Exit code 1: something in it failed; 2: bad input.
    """
    request = RunRequest((), profile, dtypes, devices, seed, jobs_of(jobs), None, None)
    return table_command(sources, request, out)
