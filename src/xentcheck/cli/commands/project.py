"""`xentcheck project`."""

from __future__ import annotations

import click

from xentcheck.adapters.spec import Spec, resolve
from xentcheck.cli.asked import asks_one
from xentcheck.cli.options import FROM_1, seed_option, sizes_of
from xentcheck.studies.projection.check import check_projection


@click.command()
@asks_one
@click.option("--shape", required=True, metavar="N,C", help="Shape of the logits.")
@click.option("--dtype", default="float64", show_default=True, metavar="float64|float32", help="Of the logits.")
@click.option("--probes", default=20, show_default=True, type=FROM_1, help="How many random directions.")
@click.option("--rows", type=FROM_1, help="Rows at a time; default: as many as fit into 8 GiB.")
@click.option("--device", default="cpu", show_default=True, help="Where to run it.")
@seed_option
def project(
    spec: Spec,
    shape: str,
    dtype: str,
    probes: int,
    rows: int | None,
    device: str,
    seed: int,
) -> int:
    """Losses and gradient of one large problem, by random projections, in few calls.

    Exit code 1 if they disagree, if nothing could have, as with one class, or if a call fails: by an exception, by an
    answer of another shape, or by an input that it overwrites.
    """
    sizes = sizes_of(shape, "--shape")
    found = check_projection(resolve(spec), sizes, dtype=dtype, probes=probes, seed=seed, device=device, rows=rows)
    click.echo(f"{'agreed' if found.ok else 'FAILED'}: {found}")
    return int(not found.ok)
