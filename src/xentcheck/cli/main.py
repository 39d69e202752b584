"""The command line. Start-up imports click and nothing else of weight; each command imports what it needs."""

from __future__ import annotations

import sys
from errno import EBADF
from io import TextIOWrapper
from pathlib import Path

import click

from xentcheck.adapters.spec import specs_of
from xentcheck.errors import AdapterError, XentcheckError

from .early_exit import noticed_exit
from .options import (
    adapter_option,
    contract_option,
    contracts_of,
    deviations_option,
    device_option,
    dtype_option,
    framework_option,
    impl_option,
    isolation_option,
    jobs_of,
    jobs_option,
    overwrites_option,
    seed_option,
    timeout_option,
)
from .tools import TOOLS

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Named(click.Group):
    """Commands whose arguments all name something: an empty one is a variable that is not set, and no default."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Raises click.UsageError for an argument or a value that is empty or blank."""
        for before, argument in zip(["", *args], args, strict=False):
            option, given, value = argument.partition("=")
            if argument.startswith("-") and given and not value.strip():
                raise click.UsageError(f"{option} is {value!r}, which names nothing")
            if not argument.strip():
                what = before if before.startswith("-") else "an argument"
                raise click.UsageError(f"{what} is {argument!r}, which names nothing")
        return super().resolve_command(ctx, args)


@click.group(cls=Named, context_settings=CONTEXT)
@click.version_option(package_name="xentcheck", prog_name="xentcheck")
def cli() -> None:
    """Is a softmax cross-entropy right, is its gradient right, and how right, for its dtype?"""


def main() -> None:
    """Entry point: bad input is one line and exit code 2, never a traceback; nor is text that a console cannot show."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    with noticed_exit(_refuse):
        try:
            code = cli.main(standalone_mode=False)
        except XentcheckError as error:
            code = _refuse(str(error))
        except click.Abort:
            code = _refuse("interrupted")
        except click.ClickException as error:
            code = _refuse(error.format_message())
        except SystemExit as error:  # nothing of xentcheck's own: a run that does not end by itself is no green one
            code = _refuse(f"something that was imported called sys.exit({error.code!r})")
        except OSError as error:
            if error.errno != EBADF:
                raise
            sys.stdout = None  # as Python has it where there is none; nothing is flushed then
            code = _refuse(f"its output was closed by something that it called: {error}")
    sys.exit(code if isinstance(code, int) else 0)


def _refuse(text: str) -> int:
    click.echo("xentcheck: " + " ".join(text.split()), err=True)
    return 2


@cli.command()
@adapter_option
@impl_option
@framework_option
@overwrites_option
@isolation_option
@timeout_option
@click.option("--profile", default="quick", show_default=True, metavar="quick|full|deep", help="How many cases.")
@dtype_option
@device_option
@seed_option
@jobs_option
@contract_option
@click.option(
    "--accuracy",
    "rounds",
    default=0,
    type=click.IntRange(min=0),
    metavar="ROUNDS",
    help="Also search the largest errors.",
)
@click.option("--case", "patterns", multiple=True, metavar="GLOB", help="Only cases whose id matches; repeatable.")
@click.option("--list-cases", is_flag=True, help="Print the ids of the cases, and run nothing.")
@click.option("-x", "stop", is_flag=True, help="Stop at the first group of cases with a failure.")
@deviations_option
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON, and everything else on stderr.")
@click.option("--faults", is_flag=True, help="Also prove on planted faults that they are caught; minutes.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Run file to write (JSON Lines).")
@click.option("--save", metavar="NAME", help="Baseline to write: a path, or a name in baselines/.")
@click.option(
    "--repeats",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    help="Run so many times for the baseline, which then knows what the machine does not reproduce.",
)
@click.option("--report", "report_dir", type=click.Path(path_type=Path, file_okay=False), help="Folder for the report.")
def run(
    adapters: tuple[str, ...],
    implementation: str | None,
    framework: str | None,
    overwrites: tuple[str, ...],
    isolation: str,
    timeout: float,
    profile: str,
    dtypes: tuple[str, ...],
    devices: tuple[str, ...],
    seed: int,
    jobs: str,
    contracts: tuple[str, ...],
    rounds: int,
    patterns: tuple[str, ...],
    list_cases: bool,
    stop: bool,
    deviations: Path | None,
    as_json: bool,
    faults: bool,
    out: Path | None,
    save: str | None,
    repeats: int,
    report_dir: Path | None,
) -> int:
    """Check implementations against the exact values.

    Exit code 0: all agreed; 1: a disagreement, an error or a blind group; 2: bad input.
    """
    from xentcheck.cli.commands.run import RunRequest, run_command
    from xentcheck.cli.commands.run import list_cases as print_cases

    if repeats > 1 and save is None:
        raise click.UsageError("--repeats goes with --save NAME: what repeated runs span is kept in a baseline")
    promised = contracts_of(contracts)
    limit = timeout if isolation == "process" else 0
    found = specs_of(adapters, implementation, framework, limit, contracts=promised, overwrites=overwrites)
    specs = tuple(found)
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
        deviations=deviations,
        save=save,
        repeats=repeats,
        contracts=promised,
    )
    return print_cases(request) if list_cases else run_command(request)


@cli.command()
@click.argument("run_file", type=click.Path(path_type=Path))
@click.option("--out", "out_dir", default="reports/out", show_default=True, type=click.Path(path_type=Path))
def report(run_file: Path, out_dir: Path) -> int:
    """Write report.html, report.md and report.json of a run file."""
    from xentcheck.records.run import RunFile
    from xentcheck.reports.formats.write import write_report

    for path in write_report(RunFile.load(run_file), out_dir):
        click.echo(str(path))
    return 0


@cli.command()
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

    Exit code 1 if something got worse: a row's worst share or ULP above its range in BASE, or a new failure.
    """
    from xentcheck.cli.commands.compare import CompareRequest, compare_command

    return compare_command(CompareRequest(base, new, repeats, markdown, page))


@cli.command()
@click.argument("case_id")
@adapter_option
@impl_option
@framework_option
@overwrites_option
@isolation_option
@timeout_option
@contract_option
@click.option("--device", default="cpu", show_default=True)
@click.option("--variant", help="How to call it; default: the main one.")
@click.option("--show", default=10, show_default=True, type=click.IntRange(min=1), help="Elements per quantity.")
@click.option("--shrink", is_flag=True, help="Look for the smallest problem that fails, and print a script of it.")
@click.option("--script", type=click.Path(path_type=Path, dir_okay=False), help="File for that script.")
def replay(
    case_id: str,
    adapters: tuple[str, ...],
    implementation: str | None,
    framework: str | None,
    overwrites: tuple[str, ...],
    isolation: str,
    timeout: float,
    contracts: tuple[str, ...],
    device: str,
    variant: str | None,
    show: int,
    shrink: bool,
    script: Path | None,
) -> int:
    """One case on one implementation: inputs, worst elements, exact steps. Exit code 1 if it does not agree."""
    from xentcheck.adapters.spec import resolve
    from xentcheck.reproduce.replay import replay as replay_case

    limit, promised = timeout if isolation == "process" else 0, contracts_of(contracts)
    specs = specs_of(adapters, implementation, framework, limit, contracts=promised, overwrites=overwrites)
    if len(specs) != 1:
        raise AdapterError("replay needs one implementation: --adapter NAME, or --impl with --framework")
    spec = specs[0]
    return replay_case(
        resolve(spec),
        case_id,
        device=device,
        variant=variant,
        show=show,
        command=spec.command,
        smallest=spec if shrink or script else None,
        script=script,
    )


@cli.command("adapters")
def list_adapters() -> int:
    """What is installed: versions, devices, contracts and capabilities."""
    from xentcheck.cli.commands.adapters import adapters_command

    return adapters_command()


for tool in TOOLS:
    cli.add_command(tool)
