"""`xentcheck faults`: the kill table of the planted faults."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from xentcheck import adapters
from xentcheck.cases.profiles.named import PROFILES
from xentcheck.cli.options import jobs_of, jobs_option, out_option
from xentcheck.errors import ProfileError
from xentcheck.records.findings import FaultResult
from xentcheck.records.paths import page, prepare_file, write_whole
from xentcheck.reports.formats.markdown import table
from xentcheck.reports.sections.faults import PROSE, fault_section, fault_text
from xentcheck.running.executors.futures import Asked
from xentcheck.running.executors.local import execute, execute_parallel
from xentcheck.studies.kill_table.faults import fault_searches, frameworks_of

PAGE = page("faults")

TEXT = """# The museum

Written by `{command}` (seed 0; {versions}).

{what}

{counts}

A fault is looked for in all cases of its dtype. The other checks judge the cases of `quick` in float64 and float32 in
which nothing is degenerate: assert_close all of them, told the exact value, and by itself those that a unit test would
have; gradcheck and check_grads those that they can take (float64, 5x10 and 5x3, moderate logits). The reading is the
most favourable one for them: cases on which one rejects the right implementation, `none` in the table, are left out.
gradcheck and check_grads compare a gradient with differences of the implementation's own value: a wrong value with the
gradient that belongs to it is right for them. Fast gradcheck projects the gradient on one random direction, with a
tolerance that grows with its norm: of a mean over 64x1024 logits it accepts a gradient of zeros.

"""


def faults_command(
    frameworks: Sequence[str], profiles: Sequence[str], rivals: bool, jobs: int, out: Path | None
) -> int:
    """Look for every fault; print the table, or write it. The exit code is 1 if a profile misses one.

    Raises AdapterError, UnavailableError, ProfileError or OutputError.
    """
    for profile in profiles:
        if profile not in PROFILES:
            raise ProfileError(f"unknown profile {profile!r}; allowed: {', '.join(PROFILES)}")
    tasks = fault_searches(frameworks_of(frameworks), profiles, rivals)
    if out:
        prepare_file(out, own=PAGE)
    console = Console(stderr=True)
    finished = execute_parallel(tasks, Asked(()), jobs) if jobs > 1 else execute(tasks, ())
    found: list[FaultResult] = []
    with Progress(console=console, disable=not console.is_terminal) as bar:
        for done in bar.track(finished, total=len(tasks), description="looking for planted faults"):
            found += [fault for fault in done.findings if isinstance(fault, FaultResult)]
    wrong = [str(fault) for fault in found if not fault.ok]
    if out:
        command = " ".join(["xentcheck faults", *["--rivals"] * rivals, f"--out {out}"])
        _write(out, command, found)
    else:
        _print(found)
    for line in wrong:
        click.echo(line)
    return int(bool(wrong))


def _write(out: Path, command: str, found: Sequence[FaultResult]) -> None:
    tested = [adapters.get(name) for name in dict.fromkeys(f.framework for f in found)]
    versions = ", ".join(f"{a.package} {a.version()}" for a in tested)
    text = TEXT.format(command=command, versions=versions, what=PROSE, counts=fault_text(found))
    write_whole(out, f"{PAGE.words[0]}\n\n{text}{table(fault_section(found))}\n", own=PAGE)
    click.echo(f"{fault_text(found)} Wrote {out}")


def _print(found: Sequence[FaultResult]) -> None:
    """Per fault a line for each profile, and one for the other checks; as wide as its cells, also in a file."""
    lines = Table("fault", "in", "by", "check", "first case", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in lines.columns:
        column.no_wrap = True
    for f in sorted(found, key=lambda f: (f.fault, f.framework)):
        head = [f.fault, f.framework]
        for profile in f.profiles:
            check, case = f.kills.get(profile, (f.silence(profile), ""))
            lines.add_row(*map(Text, [*head, profile, check, case]), style="" if f.ok else "red")
            head = ["", ""]
        if f.rivals:
            rest = ", ".join(f"{rival}: {verdict}" for rival, verdict in f.rivals.items())
            lines.add_row(*map(Text, [*head, "others", "", rest]))
    console = Console()
    console.width = max(console.width, 150)
    console.print(lines)
    console.print(Text(fault_text(found)), soft_wrap=True)


@click.command()
@click.option(
    "--framework",
    "frameworks",
    multiple=True,
    metavar="numpy|torch|jax",
    help="Faults in this framework; repeatable. Default: all.",
)
@click.option(
    "--profile",
    "profiles",
    multiple=True,
    default=("quick", "full"),
    show_default=True,
    metavar="quick|full|deep",
    help="Repeatable.",
)
@click.option("--rivals", is_flag=True, help="Also show what assert_close, gradcheck and check_grads notice.")
@jobs_option
@out_option
def faults(frameworks: tuple[str, ...], profiles: tuple[str, ...], rivals: bool, jobs: str, out: Path | None) -> int:
    """Which check catches each of the planted faults first, and on which case.

    Exit code 1 if a profile misses a fault.
    """
    return faults_command(frameworks, profiles, rivals, jobs_of(jobs), out)
