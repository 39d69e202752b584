"""`xentcheck gate`: a run beside a baseline, red for what may not be merged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from xentcheck.adapters.promises import Promised
from xentcheck.adapters.spec import Spec, resolve
from xentcheck.cases import Case
from xentcheck.cases.profiles.named import cases
from xentcheck.cli.asked import asks_any
from xentcheck.cli.options import deviations_option, jobs_of, jobs_option
from xentcheck.cli.request import RunRequest, asked_of, execute_request
from xentcheck.errors import AdapterError, CaseError
from xentcheck.records.paths import prepare_file, write_whole
from xentcheck.reports.baselines.baseline import BASELINE, Baseline, baseline_of, path_of
from xentcheck.reports.baselines.file import load
from xentcheck.reports.baselines.gate import Limit
from xentcheck.reports.baselines.gate import gate as gate_of
from xentcheck.reports.formats.annotations import FORMATS, annotated
from xentcheck.reports.formats.gate import GATE_PAGE, gate_markdown, told
from xentcheck.reports.formats.write import prepare_report, write_report

SHOWN = 20


@dataclass(frozen=True)
class GateRequest:
    """The options of `xentcheck gate`."""

    base: Path
    run: RunRequest
    limits: tuple[Limit, ...] = ()
    markdown: Path | None = None
    update: bool = False
    output_format: str = "text"


def gate_command(request: GateRequest) -> int:
    """Run what the baseline has, and judge it; exit code 1 if it is red. Raises XentcheckError for bad input."""
    missing = request.update and not request.base.exists()
    base = None if missing else load(request.base)
    if request.update:
        prepare_file(request.base, own=BASELINE)
    if request.markdown:
        prepare_file(request.markdown, own=GATE_PAGE)
    if request.run.report_dir:
        prepare_report(request.run.report_dir)
    if base and not request.update:
        require_known(base, asked_of(request.run))
    console = Console(stderr=request.output_format != "text")
    run = execute_request(planned(request.run, base))
    found = gate_of(base or Baseline({}, {}), run.file, request.limits)
    for line in told(found, SHOWN):
        console.print(Text(line), soft_wrap=True)
    if request.run.report_dir:
        write_report(run.file, request.run.report_dir)
    if request.markdown:
        write_whole(request.markdown, gate_markdown(found), own=GATE_PAGE)
    if request.output_format != "text":
        click.echo(annotated(run.file, request.output_format), nl=False)
    if request.update:
        baseline_of([run.file]).save(request.base)
        console.print(f"wrote {request.base}", highlight=False, soft_wrap=True)
    style = "bold red" if not found.ok else "bold yellow" if found.yellow else "bold green"
    console.print(Text(found.verdict, style=style), soft_wrap=True)
    return int(not found.ok)


def require_known(base: Baseline, specs: Sequence[Spec]) -> None:
    """Raise AdapterError where the baseline has none of the implementations that would be run."""
    known = dict.fromkeys(name.partition("/")[0] for name in base.rows)
    named = [resolve(spec).name for spec in specs]
    if known and known.keys().isdisjoint(named):
        allowed = "an --impl or --adapter of that name, or --update"
        raise AdapterError(f"the baseline is of {', '.join(known)}, not of {', '.join(named)}; allowed: {allowed}")


def planned(request: RunRequest, base: Baseline | None) -> RunRequest:
    """The run of the cases, dtypes and devices that the baseline has."""
    if base is None:
        return request
    places = [name.split("/", 4) for name in base.rows]
    profile, seed, selection = str(base.header["profile"]), int(base.header["seed"]), tuple(base.header["selection"])
    large = of_no_profile(selection, profile, seed)
    return replace(
        request,
        profile=profile,
        seed=seed,
        patterns=() if large else selection,
        large=selection if large else (),
        dtypes=tuple(dict.fromkeys(parts[3] for parts in places)),
        devices=tuple(dict.fromkeys(parts[2] for parts in places)),
    )


def of_no_profile(selection: Sequence[str], profile: str, seed: int) -> bool:
    """Whether cases were selected as `run --large` does it: by their ids, of which the profile has none."""
    try:
        ids = {str(Case.parse(name)) for name in selection}
    except CaseError:
        return False
    return bool(ids) and ids.isdisjoint(map(str, cases(profile, seed)))


@click.command()
@click.argument("base")
@asks_any
@jobs_option
@deviations_option
@click.option("--fail-if", "limits", multiple=True, metavar="LIMIT", help='Red, too: "share > 0.5", "ratio > 2".')
@click.option("--update", is_flag=True, help="Write what is found to BASE, which need not be there yet.")
@click.option("--markdown", type=click.Path(path_type=Path, dir_okay=False), help="Markdown file to write.")
@click.option(
    "--output-format", default="text", show_default=True, type=click.Choice(FORMATS), help="Format of what is printed."
)
@click.option(
    "--report",
    "report_dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to write report.html, .md and .json to.",
)
def gate(
    base: str,
    specs: tuple[Spec, ...],
    promised: Promised,
    jobs: str,
    deviations: Path | None,
    limits: tuple[str, ...],
    update: bool,
    markdown: Path | None,
    output_format: str,
    report_dir: Path | None,
) -> int:
    """Run what BASE has, and judge it beside BASE, a baseline or its name.

    Red, and exit code 1: a new failure, a lower grade, a row that is gone or compares less, a run that fails as a
    whole. Yellow, and exit code 0: a worst share that moved below 1, or a grade of a wide dtype, as rounding may.
    """
    run = RunRequest(
        specs, "quick", (), (), 0, jobs_of(jobs), None, report_dir, deviations=deviations, contracts=promised
    )
    parsed = tuple(map(Limit.parse, limits))
    return gate_command(GateRequest(path_of(base), run, parsed, markdown, update, output_format))
