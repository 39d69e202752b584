"""`xentcheck replay`."""

from __future__ import annotations

from pathlib import Path

import click

from xentcheck.adapters.promises import Promised
from xentcheck.adapters.spec import Spec, resolve
from xentcheck.cli.asked import asks_any, only
from xentcheck.cli.options import FROM_1, deviations_option
from xentcheck.reproduce.replay import replay as replay_case


@click.command()
@click.argument("case_id")
@asks_any
@click.option("--device", default="cpu", show_default=True, help="Where to run it.")
@click.option("--variant", help="jit or eager; default: the adapter's first.")
@click.option("--show", default=10, show_default=True, type=FROM_1, help="How many elements to print, the worst first.")
@click.option(
    "--shrink", is_flag=True, help="Look for the smallest problem that fails, and print a script that shows it."
)
@click.option(
    "--script", type=click.Path(path_type=Path, dir_okay=False), help="As --shrink, with the script in this file."
)
@deviations_option
def replay(
    specs: tuple[Spec, ...],
    promised: Promised,
    case_id: str,
    device: str,
    variant: str | None,
    show: int,
    shrink: bool,
    script: Path | None,
    deviations: Path | None,
) -> int:
    """One case on one implementation: inputs, worst elements, exact steps.

    Exit code 1 if it does not agree, or if nothing of it could have failed, as where all is convention.
    """
    spec = only(specs, "replay")
    return replay_case(
        resolve(spec),
        case_id,
        device=device,
        variant=variant,
        show=show,
        command=spec.command,
        smallest=spec if shrink or script else None,
        script=script,
        deviations=deviations,
    )
