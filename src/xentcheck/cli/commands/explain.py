"""`xentcheck explain`."""

from __future__ import annotations

import textwrap
from pathlib import Path

import click

from xentcheck.cli.options import numbers_of
from xentcheck.studies.explain.derivation import derivation, lines
from xentcheck.studies.explain.picture import write_picture
from xentcheck.studies.explain.steps import explain as explanation_of
from xentcheck.vocabulary import DTYPES

WIDTH = 80


@click.command()
@click.option("--logits", default="1,2,3", show_default=True, help="The logits z, with commas between them.")
@click.option("--target", default=1, show_default=True, help="Index of the right class; it counts from 0.")
@click.option("--a-prev", default="0.5,-1", show_default=True, help="The activations of the layer before, for dC/dw.")
@click.option(
    "--dtype",
    default="float64",
    show_default=True,
    metavar="|".join(DTYPES),
    help="What logits and activations are rounded to.",
)
@click.option("--steps", is_flag=True, help="Tables instead: each step exactly, and in PyTorch and JAX.")
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE", help="A page with a slider instead.")
def explain(logits: str, target: int, a_prev: str, dtype: str, steps: bool, html: Path | None) -> int:
    """Why dC/db = a - y: the chain rule, with your numbers."""
    given = numbers_of(logits, "--logits"), target, numbers_of(a_prev, "--a-prev"), dtype
    if html:
        click.echo(f"written: {write_picture(derivation(*given), html)}")
    elif steps:
        from rich.console import Console

        from xentcheck.studies.explain.tables import render

        render(explanation_of(*given), Console())
    else:
        for line in lines(derivation(*given)):
            click.echo(textwrap.fill(line, WIDTH, subsequent_indent="     ", break_on_hyphens=False))
    return 0
