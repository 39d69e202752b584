"""The commands that search, measure and explain: fuzz, grade, accuracy, audit, project, faults, explain."""

from __future__ import annotations

from pathlib import Path

import click

from xentcheck.adapters.spec import specs_of
from xentcheck.errors import AdapterError, DtypeError
from xentcheck.vocabulary import DTYPES

from .options import (
    adapter_option,
    contract_option,
    contracts_of,
    deviations_option,
    device_option,
    dtype_option,
    finite,
    framework_option,
    impl_option,
    isolation_option,
    jobs_of,
    jobs_option,
    numbers_of,
    overwrites_option,
    seed_option,
    sizes_of,
    timeout_option,
)


@click.command()
@adapter_option
@impl_option
@framework_option
@overwrites_option
@isolation_option
@timeout_option
@click.option(
    "--minutes",
    default=1.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    callback=finite("minutes"),
    help="How long to go on.",
)
@contract_option
@dtype_option
@device_option
@seed_option
@click.option(
    "--saved",
    default=".xentcheck/fuzz.txt",
    show_default=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="File of the cases that failed; they are run first.",
)
@deviations_option
@click.option(
    "--most", default=20, show_default=True, type=click.IntRange(min=1), help="Failing cases after which to stop."
)
def fuzz(
    adapters: tuple[str, ...],
    implementation: str | None,
    framework: str | None,
    overwrites: tuple[str, ...],
    isolation: str,
    timeout: float,
    minutes: float,
    contracts: tuple[str, ...],
    dtypes: tuple[str, ...],
    devices: tuple[str, ...],
    seed: int,
    saved: Path,
    deviations: Path | None,
    most: int,
) -> int:
    """Random cases; those that fail are saved, and come first the next time. Exit code 1 if any fails."""
    from xentcheck.cli.commands.fuzz import FuzzRequest, fuzz_command

    promised = contracts_of(contracts)
    limit = timeout if isolation == "process" else 0
    specs = specs_of(adapters, implementation, framework, limit, contracts=promised, overwrites=overwrites)
    fuzzing = FuzzRequest(tuple(specs), dtypes, devices, 60 * minutes, seed, saved, deviations, most, promised)
    return fuzz_command(fuzzing)


@click.command()
@click.argument("adapter", required=False)
@impl_option
@framework_option
@click.option("--profile", default="full", show_default=True, metavar="quick|full|deep", help="How many cases.")
@contract_option
@dtype_option
@device_option
@seed_option
@jobs_option
def grade(
    adapter: str | None,
    implementation: str | None,
    framework: str | None,
    profile: str,
    contracts: tuple[str, ...],
    dtypes: tuple[str, ...],
    devices: tuple[str, ...],
    seed: int,
    jobs: str,
) -> int:
    """The arithmetic that ADAPTER does: the strictest contract it meets, per dtype and kind of quantity.

    Exit code 1 if it exceeds the contract that it declares.
    """
    from xentcheck.cli.commands.grade import grade_command
    from xentcheck.cli.commands.run import RunRequest

    promised = contracts_of(contracts)
    specs = specs_of((adapter,) if adapter else (), implementation, framework, contracts=promised)
    if len(specs) != 1:
        raise AdapterError("grade needs one implementation: ADAPTER, or --impl with --framework")
    return grade_command(RunRequest(tuple(specs), profile, dtypes, devices, seed, jobs_of(jobs), None, None))


@click.command()
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
    from xentcheck.cli.commands.accuracy import accuracy_command

    for dtype in dtypes:
        if dtype not in DTYPES:
            raise DtypeError(f"dtype {dtype!r} is not judged; allowed: {', '.join(DTYPES)}")
    return accuracy_command(specs_of(adapters, implementation, framework), dtypes, seed, rounds, out)


@click.command()
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
    from xentcheck.cli.commands.audit import audit_command
    from xentcheck.studies.audit import Assertion

    assertion = Assertion(
        atol=atol,
        rtol=rtol,
        shape=sizes_of(shape, "--shape"),
        reduction=reduction,
        dtype=dtype,
        upstream=upstream,
        scale=scale,
    )
    return audit_command(assertion, seed)


@click.command()
@click.argument("adapter", required=False)
@impl_option
@framework_option
@click.option("--shape", required=True, metavar="N,C", help="Shape of the logits.")
@click.option("--dtype", default="float64", show_default=True, metavar="float64|float32")
@click.option("--probes", default=20, show_default=True, type=click.IntRange(min=1), help="Random directions.")
@click.option("--rows", type=click.IntRange(min=1), help="Rows at a time; default: what keeps below 8 GiB.")
@click.option("--device", default="cpu", show_default=True)
@contract_option
@seed_option
def project(
    adapter: str | None,
    implementation: str | None,
    framework: str | None,
    shape: str,
    dtype: str,
    probes: int,
    rows: int | None,
    device: str,
    contracts: tuple[str, ...],
    seed: int,
) -> int:
    """Losses and gradient of one large problem, by random projections, in few calls. Exit code 1 if they disagree."""
    from xentcheck.adapters.spec import resolve
    from xentcheck.studies.projection.check import check_projection

    promised = contracts_of(contracts)
    specs = specs_of((adapter,) if adapter else (), implementation, framework, contracts=promised)
    if len(specs) != 1:
        raise AdapterError("project needs one implementation: ADAPTER, or --impl with --framework")
    sizes = sizes_of(shape, "--shape")
    found = check_projection(resolve(specs[0]), sizes, dtype=dtype, probes=probes, seed=seed, device=device, rows=rows)
    click.echo(f"{'agreed' if found.ok else 'FAILED'}: {found}")
    return int(not found.ok)


@click.command()
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
    from xentcheck.cli.commands.faults import faults_command

    return faults_command(frameworks, profiles, rivals, jobs_of(jobs), out)


@click.command()
@click.option("--logits", default="1,2,3", show_default=True, help="Comma-separated numbers.")
@click.option("--target", default=1, show_default=True, help="Index of the right class.")
@click.option("--a-prev", default="0.5,-1", show_default=True, help="Activations of the layer before.")
@click.option("--dtype", default="float64", show_default=True, metavar="|".join(DTYPES))
def explain(logits: str, target: int, a_prev: str, dtype: str) -> int:
    """The derivation of dC/db = a - y in numbers, beside PyTorch's and JAX's."""
    from rich.console import Console

    from xentcheck.studies.explain import explain as explanation_of
    from xentcheck.studies.explain import render

    render(explanation_of(numbers_of(logits, "--logits"), target, numbers_of(a_prev, "--a-prev"), dtype), Console())
    return 0


TOOLS = (fuzz, grade, accuracy, audit, project, faults, explain)
