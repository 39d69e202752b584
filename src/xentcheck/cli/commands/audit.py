"""`xentcheck audit`: what another suite's tolerance would accept, as a table."""

from __future__ import annotations

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from xentcheck.cli.options import seed_option, sizes_of
from xentcheck.records.rules import words
from xentcheck.studies.audit import WRONG, Assertion
from xentcheck.studies.audit import audit as wrong_gradients
from xentcheck.vocabulary import DTYPES


def percent(share: float) -> str:
    """A share in percent, which is 0 or 100 only where it is nothing or all.

    >>> percent(0.5), percent(0.99997), percent(1.0), percent(1e-5)
    ('50.0%', 'over 99.9%', '100.0%', 'under 0.1%')
    """
    if 0.0 < share < 0.001:
        return "under 0.1%"
    return "over 99.9%" if 0.999 < share < 1.0 else f"{share:.1%}"


def audit_command(assertion: Assertion, seed: int) -> int:
    """Print the blind fraction and the fate of each wrong gradient; exit code 1 if one is accepted."""
    found = wrong_gradients(assertion, seed)
    n, classes = assertion.shape
    console = Console()
    place = f"{assertion.dtype} dC/dz {n}x{classes}, reduction {assertion.reduction}, upstream {assertion.upstream}"
    text = f"|actual - expected| <= {assertion.atol:g} + {assertion.rtol:g} |expected|, {place}"
    console.print(text, highlight=False, soft_wrap=True)
    console.print(
        f"blind: {percent(found.blind)} of the elements could be 0 unnoticed "
        f"(normal logits times {assertion.scale:g}, {found.rows} rows looked at)",
        highlight=False,
        soft_wrap=True,
    )
    table = Table("wrong gradient", "what it is", "error / tol", "verdict", box=box.SIMPLE_HEAD, pad_edge=False)
    for name, margin in found.margins.items():
        accepted = name in found.accepted
        verdict = Text("accepted", style="bold red") if accepted else Text("rejected", style="green")
        table.add_row(name, words()[name].text, f"{margin:.3g}", verdict)
    console.print(table)
    if left := [name for name in WRONG if name not in found.margins]:
        console.print(f"the same as the right one on this input: {', '.join(left)}", highlight=False, soft_wrap=True)
    return int(bool(found.accepted))


@click.command()
@click.option("--atol", required=True, type=float, help="Absolute tolerance.")
@click.option("--rtol", required=True, type=float, help="Relative tolerance.")
@click.option("--shape", required=True, metavar="N,C", help="Shape of the logits.")
@click.option("--reduction", default="mean", show_default=True, metavar="mean|sum|none", help="Of the losses.")
@click.option("--dtype", default="float32", show_default=True, metavar="|".join(DTYPES), help="Of the logits.")
@click.option(
    "--upstream", default="ones", show_default=True, metavar="ones|negative|random", help="Upstream gradient."
)
@click.option("--scale", default=1.0, show_default=True, type=float, help="Standard deviation of the logits.")
@seed_option
def audit(
    atol: float, rtol: float, shape: str, reduction: str, dtype: str, upstream: str, scale: float, seed: int
) -> int:
    """What the tolerances of another test suite would accept as gradient: zeros, and wrong ones.

    Exit code 1 if it accepts a wrong gradient.
    """
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
