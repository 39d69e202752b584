"""`xentcheck replay`."""

from __future__ import annotations

from pathlib import Path

import click

from xentcheck.adapters.spec import resolve, specs_of
from xentcheck.cli.options import (
    FROM_1,
    adapter_option,
    contract_option,
    contracts_of,
    framework_option,
    impl_option,
    isolation_option,
    overwrites_option,
    timeout_option,
)
from xentcheck.errors import AdapterError
from xentcheck.reproduce.replay import replay as replay_case


@click.command()
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
@click.option("--show", default=10, show_default=True, type=FROM_1, help="Elements per quantity.")
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
