"""`xentcheck grade`: what arithmetic an implementation does, and in how many sums, found from its results."""

from __future__ import annotations

from itertools import groupby

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from xentcheck.adapters.spec import Spec
from xentcheck.cli.asked import asks_one
from xentcheck.cli.options import MANY_CASES, device_option, dtype_option, jobs_of, jobs_option, seed_option
from xentcheck.cli.request import RunRequest, asked_of, execute_request
from xentcheck.reports.analysis.grades import EVERYTHING
from xentcheck.reports.analysis.summary import Summary, summarize
from xentcheck.running.subjects import subjects_named
from xentcheck.studies.heights import Height, heights, held_to
from xentcheck.vocabulary import DTYPES


def grade_command(request: RunRequest) -> int:
    """Run the cases and print the grades; the exit code is 1 if the run is not ok, or nothing was graded."""
    console = Console()
    run = execute_request(request)
    summary = summarize(run.file)
    console.print(_table(summary))
    for grade in (*summary.grades, *summary.family_grades):
        place = f"{' '.join(grade.place)} {grade.family}"
        if grade.proof:
            console.print(Text(f"{place}: {grade.proof}"), soft_wrap=True)
        if grade.hint:
            console.print(Text(f"{place}: {grade.hint}", style="yellow"), soft_wrap=True)
    if found := _heights(request):
        console.print(_height_table(found))
    console.print(Text(summary.verdict, style="bold green" if summary.ok else "bold red"), soft_wrap=True)
    return 0 if summary.grades and summary.ok else 1


def _table(summary: Summary) -> Table:
    """A row per place and family of quantities."""
    table = Table("implementation", "quantities", "judged by", "grade", box=box.SIMPLE_HEAD, pad_edge=False)
    for grade in sorted((*summary.grades, *summary.family_grades), key=lambda g: (g.place, g.family != EVERYTHING)):
        table.add_row(" ".join(grade.place), grade.family, grade.declared, grade.contract)
    return table


def _heights(request: RunRequest) -> list[Height]:
    """The heights of the sums of what was run."""
    subjects = subjects_named(asked_of(request), request.devices, request.dtypes, by_name=bool(request.specs))
    return list(heights(subjects, request.dtypes or DTYPES))


def _height_table(found: list[Height]) -> Table:
    """A row per place: the rung at each size, and the first that all sizes meet."""
    sizes = list(dict.fromkeys(h.classes for h in found))
    columns = ("implementation", *(f"sums over {n}" for n in sizes), "at all sizes")
    table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
    for place, group in groupby(found, key=lambda h: h.place):
        here = list(group)
        rungs = {h.classes: h.rung or "none" for h in here}
        table.add_row(" ".join(place), *(rungs.get(n, "") for n in sizes), held_to(here) or "none")
    return table


@click.command()
@asks_one
@click.option("--profile", default="full", show_default=True, metavar="quick|full|deep", help=MANY_CASES)
@dtype_option
@device_option
@seed_option
@jobs_option
def grade(
    spec: Spec,
    profile: str,
    dtypes: tuple[str, ...],
    devices: tuple[str, ...],
    seed: int,
    jobs: str,
) -> int:
    """The arithmetic that ADAPTER does: the strictest contract it meets, per dtype and kind of quantity.

    Exit code 1 if the run behind it is not ok, as where the declared contract is exceeded.
    """
    return grade_command(RunRequest((spec,), profile, dtypes, devices, seed, jobs_of(jobs), None, None))
