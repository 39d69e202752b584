"""The command line. Start-up imports click and nothing else of weight; each command imports what it needs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .errors import AdapterError, DtypeError, XentcheckError
from .vocabulary import DTYPES

if TYPE_CHECKING:
    from .subjects import Spec

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


def specs_of(adapters: tuple[str, ...], implementation: str | None, framework: str | None) -> list[Spec]:
    """The subjects named on the command line. Raises AdapterError."""
    from xentcheck.adapters import names

    from .subjects import Spec

    for name in adapters:
        if name not in names():
            raise AdapterError(f"unknown adapter {name!r}; allowed: {', '.join(names())}")
    specs = [Spec(name) for name in dict.fromkeys(adapters)]
    if framework and not implementation:
        raise AdapterError("--framework goes with --impl package.module:function")
    if implementation:
        if not framework:
            raise AdapterError(f"--impl {implementation} needs --framework torch, jax or numpy")
        specs.append(Spec(implementation, framework))
    return specs


adapter_option = click.option(
    "--adapter", "adapters", multiple=True, metavar="NAME", help="Built-in adapter; repeatable."
)
impl_option = click.option("--impl", "implementation", metavar="PKG.MOD:FN", help="A function of your own.")
framework_option = click.option("--framework", metavar="torch|jax|numpy", help="What --impl is written in.")


@cli.command()
@adapter_option
@impl_option
@framework_option
@click.option("--profile", default="quick", show_default=True, metavar="quick|full|deep", help="How many cases.")
@click.option("--dtype", "dtypes", multiple=True, metavar="|".join(DTYPES), help="Repeatable; default all.")
@click.option("--device", "devices", multiple=True, metavar="cpu|cuda|gpu", help="Repeatable; default all there are.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Another draw of every case.")
@click.option("-j", "--jobs", default="1", show_default=True, metavar="N|auto", help="Worker processes.")
@click.option(
    "--accuracy",
    "rounds",
    default=0,
    type=click.IntRange(min=0),
    metavar="ROUNDS",
    help="Also search the largest errors.",
)
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
    out: Path | None,
    report_dir: Path | None,
) -> int:
    """Check implementations against the exact values.

    Exit code 0: all agreed; 1: a disagreement, an error or a blind group; 2: bad input.
    """
    from .command_run import RunRequest, run_command

    specs = specs_of(adapters, implementation, framework)
    request = RunRequest(tuple(specs), profile, dtypes, devices, seed, _jobs(jobs), out, report_dir, rounds)
    return run_command(request)


def _jobs(text: str) -> int:
    import os

    if text == "auto":
        return os.cpu_count() or 1
    if not text.isdecimal() or int(text) < 1:
        raise click.BadParameter(f"{text!r}; allowed: a number of processes from 1, or auto", param_hint="-j")
    return int(text)


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
@click.option("--dtype", "dtypes", multiple=True, metavar="|".join(DTYPES), help="Repeatable; default all.")
@click.option("--device", "devices", multiple=True, metavar="cpu|cuda|gpu", help="Repeatable; default all there are.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Another draw of every case.")
@click.option("-j", "--jobs", default="1", show_default=True, metavar="N|auto", help="Worker processes.")
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
    return grade_command(RunRequest(tuple(specs), profile, dtypes, devices, seed, _jobs(jobs), None, None))


@cli.command()
@adapter_option
@impl_option
@framework_option
@click.option("--dtype", "dtypes", multiple=True, metavar="|".join(DTYPES), help="Repeatable; default all.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Another search.")
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
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Another draw.")
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
@click.option("--logits", default="1,2,3", show_default=True, help="Comma-separated numbers.")
@click.option("--target", default=1, show_default=True, help="Index of the right class.")
@click.option("--a-prev", default="0.5,-1", show_default=True, help="Activations of the layer before.")
@click.option("--dtype", default="float64", show_default=True, metavar="|".join(DTYPES))
def explain(logits: str, target: int, a_prev: str, dtype: str) -> int:
    """The derivation of dC/db = a - y in numbers, beside PyTorch's and JAX's."""
    from rich.console import Console

    from .explain import explain as explanation_of
    from .explain import render

    render(explanation_of(_numbers(logits, "--logits"), target, _numbers(a_prev, "--a-prev"), dtype), Console())
    return 0


def _numbers(text: str, option: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise click.BadParameter(f"{text!r}; allowed: numbers separated by commas", param_hint=option) from None


@cli.command("adapters")
def list_adapters() -> int:
    """What is installed: versions, devices, contracts and capabilities."""
    from .command_adapters import adapters_command

    return adapters_command()
