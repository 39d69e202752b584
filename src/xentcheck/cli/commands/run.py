"""`xentcheck run`: execute a profile with progress, write the run file and the report, print the verdict."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from time import perf_counter

import click
from rich.console import Console

from xentcheck.adapters.promises import Promised
from xentcheck.adapters.spec import Spec
from xentcheck.api import Run
from xentcheck.cases.selection import selected
from xentcheck.cli.asked import asks_any
from xentcheck.cli.options import (
    FROM_0,
    FROM_1,
    MANY_CASES,
    deviations_option,
    device_option,
    dtype_option,
    jobs_of,
    jobs_option,
    seed_option,
    shard_of,
)
from xentcheck.cli.request import RunRequest, execute_request
from xentcheck.records.paths import prepare_file
from xentcheck.reports.baselines.baseline import BASELINE, baseline_of, path_of
from xentcheck.reports.formats.annotations import FORMATS, annotated
from xentcheck.reports.formats.terminal import print_summary
from xentcheck.reports.formats.write import prepare_report, to_json, write_report
from xentcheck.running.executors.dask import address_of

OUT = "Run file to write (JSON Lines), in the place of an older one; any other file is kept, and refused."
"""What --out says."""


def run_command(request: RunRequest) -> int:
    """Run it; the exit code is 0 if everything agreed, else 1. Raises XentcheckError for bad input."""
    console = Console(stderr=request.as_json or request.output_format != "text")
    if request.report_dir:
        prepare_report(request.report_dir)
    if request.save is not None:
        prepare_file(path_of(request.save), own=BASELINE)
    start = perf_counter()
    run = execute_request(request)
    seconds = perf_counter() - start
    each = 1000 * seconds / max(len(run.records), 1)
    again: list[Run] = []
    if request.save is not None:
        again = [execute_request(replace(request, out=None, resume=False)) for _ in range(request.repeats - 1)]
        path = path_of(request.save)
        baseline_of([run.file, *(r.file for r in again)]).save(path)
        console.print(f"wrote {path}", highlight=False, soft_wrap=True)
    console.print(f"{len(run.records)} comparisons in {seconds:.1f} s, {each:.1f} ms each", highlight=False)
    code = _conclude(run, request, console)
    for number, repeat in enumerate(again, 2):
        if not repeat.ok:
            click.echo(f"run {number} of {request.repeats}: {repeat.summary()}", err=console.stderr)
            code = 1
    return code


def _conclude(run: Run, request: RunRequest, console: Console) -> int:
    summary = run.verdict
    print_summary(run.file, console, summary)
    if request.report_dir:
        for path in write_report(run.file, request.report_dir):
            console.print(f"wrote {path}", highlight=False, soft_wrap=True)
    if request.as_json:
        click.echo(to_json(run.file, summary), nl=False)
    elif request.output_format != "text":
        click.echo(annotated(run.file, request.output_format, summary), nl=False)
    return 0 if summary.ok else 1


def print_cases(request: RunRequest) -> int:
    """Print the ids of the cases that a run would have, one per line."""
    for case in selected(request.profile, request.dtypes or None, request.seed, request.patterns):
        click.echo(str(case))
    return 0


@click.command()
@asks_any
@click.option("--profile", default="quick", show_default=True, metavar="quick|full|deep", help=MANY_CASES)
@dtype_option
@device_option
@seed_option
@jobs_option
@click.option(
    "--accuracy",
    "rounds",
    default=0,
    show_default=True,
    type=FROM_0,
    metavar="ROUNDS",
    help="Also search for the largest errors, in so many rounds.",
)
@click.option(
    "--case", "patterns", multiple=True, metavar="GLOB", help='Only cases whose id matches, as "*.f32.*"; repeatable.'
)
@click.option(
    "--large",
    multiple=True,
    metavar="ROWSxCLASSES",
    help="Only a problem of this size, in blocks of rows; or the id of a case of any size; repeatable.",
)
@click.option("--list-cases", is_flag=True, help="Print the ids of the cases, and run nothing.")
@click.option("-x", "stop", is_flag=True, help="Stop at the first group of cases with a failure.")
@deviations_option
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON, and everything else on stderr.")
@click.option(
    "--output-format",
    default="text",
    show_default=True,
    type=click.Choice(FORMATS),
    help="github, sarif: print the causes as annotations.",
)
@click.option("--faults", is_flag=True, help="Also check that planted faults are caught; takes minutes.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help=OUT)
@click.option("--resume", is_flag=True, help="Go on with a run to --out that was cut short.")
@click.option("--shard", metavar="K/N", help="Only the K-th of N parts; `xentcheck merge` puts them together.")
@click.option("--executor", metavar="dask://HOST:PORT", help="Let the workers of this scheduler do the work.")
@click.option(
    "--save", metavar="NAME", help="Baseline to write, in the place of an older one: a path, or a name in baselines/."
)
@click.option(
    "--repeats",
    default=1,
    show_default=True,
    type=FROM_1,
    help="Run so many times for the baseline: what differs between these runs is then no change.",
)
@click.option(
    "--report",
    "report_dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to write report.html, .md and .json to.",
)
def run(
    specs: tuple[Spec, ...],
    promised: Promised,
    profile: str,
    dtypes: tuple[str, ...],
    devices: tuple[str, ...],
    seed: int,
    jobs: str,
    rounds: int,
    patterns: tuple[str, ...],
    large: tuple[str, ...],
    list_cases: bool,
    stop: bool,
    deviations: Path | None,
    as_json: bool,
    output_format: str,
    faults: bool,
    out: Path | None,
    resume: bool,
    shard: str | None,
    executor: str | None,
    save: str | None,
    repeats: int,
    report_dir: Path | None,
) -> int:
    """Check implementations against the exact values.

    Exit code 0: all agreed; 1: a disagreement, an error or a blind group; 2: bad input.
    """
    if repeats > 1 and save is None:
        raise click.UsageError("--repeats goes with --save NAME: what repeated runs span is kept in a baseline")
    if as_json and output_format != "text":
        raise click.UsageError("--json and --output-format do not go together: both are on stdout")
    if large and (patterns or list_cases or rounds or faults or shard is not None):
        raise click.UsageError("--large does not go with --case, --list-cases, --accuracy, --faults or --shard")
    if resume and out is None:
        raise click.UsageError("--resume goes with --out FILE: what was found is beside that file")
    if executor is not None and jobs != "1":
        raise click.UsageError("--executor and -j do not go together: the workers of the scheduler do the work")
    request = RunRequest(
        specs,
        profile,
        dtypes,
        devices,
        seed,
        jobs_of(jobs),
        out,
        report_dir,
        accuracy_rounds=rounds,
        faults=faults,
        patterns=patterns,
        stop=stop,
        as_json=as_json,
        output_format=output_format,
        deviations=deviations,
        save=save,
        repeats=repeats,
        contracts=promised,
        resume=resume,
        shard=shard_of(shard) if shard is not None else None,
        executor=address_of(executor) if executor is not None else None,
        large=large,
    )
    return print_cases(request) if list_cases else run_command(request)
