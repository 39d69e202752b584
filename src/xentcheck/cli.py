"""The command line. Start-up imports click and nothing else of weight; each command imports what it needs."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .errors import AdapterError, DtypeError, XentcheckError
from .options import (
    adapter_option,
    device_option,
    dtype_option,
    framework_option,
    impl_option,
    jobs_of,
    jobs_option,
    numbers_of,
    seed_option,
    specs_of,
)
from .vocabulary import DTYPES

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(context_settings=CONTEXT)
@click.version_option(package_name="xentcheck")
def cli() -> None:
    """Is a softmax cross-entropy right, is its gradient right, and how right, for its dtype?"""


def main() -> None:
    """Entry point: bad input is one line and exit code 2, never a traceback."""
    try:
        code = cli.main(standalone_mode=False)
    except XentcheckError as error:
        code = _refuse(str(error))
    except click.Abort:
        code = _refuse("interrupted")
    except click.ClickException as error:
        code = _refuse(error.format_message())
    sys.exit(code if isinstance(code, int) else 0)


def _refuse(text: str) -> int:
    click.echo("xentcheck: " + " ".join(text.split()), err=True)
    return 2


@cli.command()
@adapter_option
@impl_option
@framework_option
@click.option("--profile", default="quick", show_default=True, metavar="quick|full|deep", help="How many cases.")
@dtype_option
@device_option
@seed_option
@jobs_option
@click.option(
    "--accuracy",
    "rounds",
    default=0,
    type=click.IntRange(min=0),
    metavar="ROUNDS",
    help="Also search the largest errors.",
)
@click.option("--faults", is_flag=True, help="Also prove on planted faults that they are caught; minutes.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Run file to write (JSON Lines).")
@click.option("--report", "report_dir", type=click.Path(path_type=Path, file_okay=False), help="Folder for the report.")
def run(
    adapters: tuple[str, ...],
    implementation: str | None,
    framework: str | None,
    profile: str,
    dtypes: tuple[str, ...],
    devices: tuple[str, ...],
    seed: int,
    jobs: str,
    rounds: int,
    faults: bool,
    out: Path | None,
    report_dir: Path | None,
) -> int:
    """Check implementations against the exact values.

    Exit code 0: all agreed; 1: a disagreement, an error or a blind group; 2: bad input.
    """
    from .command_run import RunRequest, run_command

    specs = specs_of(adapters, implementation, framework)
    request = RunRequest(tuple(specs), profile, dtypes, devices, seed, jobs_of(jobs), out, report_dir, rounds, faults)
    return run_command(request)


@cli.command()
@click.argument("run_file", type=click.Path(path_type=Path))
@click.option("--out", "out_dir", default="reports/out", show_default=True, type=click.Path(path_type=Path))
def report(run_file: Path, out_dir: Path) -> int:
    """Write report.html, report.md and report.json of a run file."""
    from xentcheck.reports.report import write_report
    from xentcheck.reports.runfile import RunFile

    for path in write_report(RunFile.load(run_file), out_dir):
        click.echo(str(path))
    return 0


@cli.command()
@click.argument("case_id")
@adapter_option
@impl_option
@framework_option
@click.option("--device", default="cpu", show_default=True)
@click.option("--variant", help="How to call it; default: the main one.")
@click.option("--show", default=10, show_default=True, type=click.IntRange(min=1), help="Elements per quantity.")
def replay(
    case_id: str,
    adapters: tuple[str, ...],
    implementation: str | None,
    framework: str | None,
    device: str,
    variant: str | None,
    show: int,
) -> int:
    """One case on one implementation, with its worst elements. Exit code 1 if it does not agree."""
    from .command_replay import replay as replay_case
    from .subjects import resolve

    specs = specs_of(adapters, implementation, framework)
    if len(specs) != 1:
        raise AdapterError("replay needs one implementation: --adapter NAME, or --impl with --framework")
    spec = specs[0]
    return replay_case(resolve(spec), case_id, device=device, variant=variant, show=show, command=spec.command)


@cli.command()
@click.argument("adapter", required=False)
@impl_option
@framework_option
@click.option("--profile", default="full", show_default=True, metavar="quick|full|deep", help="How many cases.")
@dtype_option
@device_option
@seed_option
@jobs_option
def grade(
    adapter: str | None,
    implementation: str | None,
    framework: str | None,
    profile: str,
    dtypes: tuple[str, ...],
    devices: tuple[str, ...],
    seed: int,
    jobs: str,
) -> int:
    """The arithmetic that ADAPTER does: the strictest contract it meets, per dtype and kind of quantity.

    Exit code 1 if it exceeds the contract that it declares.
    """
    from .command_grade import grade_command
    from .command_run import RunRequest

    specs = specs_of((adapter,) if adapter else (), implementation, framework)
    if len(specs) != 1:
        raise AdapterError("grade needs one implementation: ADAPTER, or --impl with --framework")
    return grade_command(RunRequest(tuple(specs), profile, dtypes, devices, seed, jobs_of(jobs), None, None))


@cli.command()
@adapter_option
@impl_option
@framework_option
@dtype_option
@seed_option
@click.option("--rounds", default=30, show_default=True, type=click.IntRange(min=0), help="Steps of the climb.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Markdown file to write.")
def accuracy(
    adapters: tuple[str, ...],
    implementation: str | None,
    framework: str | None,
    dtypes: tuple[str, ...],
    seed: int,
    rounds: int,
    out: Path | None,
) -> int:
    """The largest error of each implementation, dtype and quantity that a directed search finds, with its input."""
    from .command_accuracy import accuracy_command

    for dtype in dtypes:
        if dtype not in DTYPES:
            raise DtypeError(f"dtype {dtype!r} is not judged; allowed: {', '.join(DTYPES)}")
    return accuracy_command(specs_of(adapters, implementation, framework), dtypes, seed, rounds, out)


@cli.command()
@click.option("--atol", required=True, type=float, help="Absolute tolerance.")
@click.option("--rtol", required=True, type=float, help="Relative tolerance.")
@click.option("--shape", required=True, metavar="N,C", help="Shape of the logits.")
@click.option("--reduction", default="mean", show_default=True, metavar="mean|sum|none")
@click.option("--dtype", default="float32", show_default=True, metavar="|".join(DTYPES))
@click.option("--upstream", default="ones", show_default=True, metavar="ones|negative|random")
@click.option("--scale", default=1.0, show_default=True, type=float, help="Standard deviation of the logits.")
@seed_option
def audit(
    atol: float, rtol: float, shape: str, reduction: str, dtype: str, upstream: str, scale: float, seed: int
) -> int:
    """What an assertion of another suite on the gradient would accept: zeros, and wrong gradients.

    Exit code 1 if it accepts a wrong gradient.
    """
    from .audit import Assertion
    from .command_audit import audit_command

    sizes = shape.split(",")
    if len(sizes) != 2 or not all(part.strip().isdecimal() for part in sizes):
        raise click.BadParameter(f"{shape!r}; allowed: N,C, two numbers", param_hint="--shape")
    n, classes = map(int, sizes)
    assertion = Assertion(
        atol=atol, rtol=rtol, shape=(n, classes), reduction=reduction, dtype=dtype, upstream=upstream, scale=scale
    )
    return audit_command(assertion, seed)


@cli.command()
@click.option("--framework", "frameworks", multiple=True, metavar="numpy|torch|jax", help="Repeatable; default all.")
@click.option(
    "--profile", "profiles", multiple=True, default=("quick", "full"), show_default=True, metavar="quick|full|deep"
)
@click.option("--rivals", is_flag=True, help="Also what assert_close, gradcheck and check_grads notice.")
@jobs_option
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Markdown file to write.")
def faults(frameworks: tuple[str, ...], profiles: tuple[str, ...], rivals: bool, jobs: str, out: Path | None) -> int:
    """Which check catches each of the planted faults first, and on which case.

    Exit code 1 if a profile misses a fault.
    """
    from .command_faults import faults_command

    return faults_command(frameworks, profiles, rivals, jobs_of(jobs), out)


@cli.command()
@click.option("--logits", default="1,2,3", show_default=True, help="Comma-separated numbers.")
@click.option("--target", default=1, show_default=True, help="Index of the right class.")
@click.option("--a-prev", default="0.5,-1", show_default=True, help="Activations of the layer before.")
@click.option("--dtype", default="float64", show_default=True, metavar="|".join(DTYPES))
def explain(logits: str, target: int, a_prev: str, dtype: str) -> int:
    """The derivation of dC/db = a - y in numbers, beside PyTorch's and JAX's."""
    from rich.console import Console

    from .explain import explain as explanation_of
    from .explain import render

    render(explanation_of(numbers_of(logits, "--logits"), target, numbers_of(a_prev, "--a-prev"), dtype), Console())
    return 0


@cli.command("adapters")
def list_adapters() -> int:
    """What is installed: versions, devices, contracts and capabilities."""
    from .command_adapters import adapters_command

    return adapters_command()
