"""`xentcheck project`."""

from __future__ import annotations

import click

from xentcheck.adapters.spec import resolve, specs_of
from xentcheck.cli.options import (
    FROM_1,
    contract_option,
    contracts_of,
    framework_option,
    impl_option,
    seed_option,
    sizes_of,
)
from xentcheck.errors import AdapterError
from xentcheck.studies.projection.check import check_projection


@click.command()
@click.argument("adapter", required=False)
@impl_option
@framework_option
@click.option("--shape", required=True, metavar="N,C", help="Shape of the logits.")
@click.option("--dtype", default="float64", show_default=True, metavar="float64|float32")
@click.option("--probes", default=20, show_default=True, type=FROM_1, help="Random directions.")
@click.option("--rows", type=FROM_1, help="Rows at a time; default: what keeps below 8 GiB.")
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
    promised = contracts_of(contracts)
    specs = specs_of((adapter,) if adapter else (), implementation, framework, contracts=promised)
    if len(specs) != 1:
        raise AdapterError("project needs one implementation: ADAPTER, or --impl with --framework")
    sizes = sizes_of(shape, "--shape")
    found = check_projection(resolve(specs[0]), sizes, dtype=dtype, probes=probes, seed=seed, device=device, rows=rows)
    click.echo(f"{'agreed' if found.ok else 'FAILED'}: {found}")
    return int(not found.ok)
