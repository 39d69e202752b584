"""`xentcheck explain`."""

from __future__ import annotations

import click
from rich.console import Console

from xentcheck.cli.options import numbers_of
from xentcheck.studies.explain import explain as explanation_of
from xentcheck.studies.explain import render
from xentcheck.vocabulary import DTYPES


@click.command()
@click.option("--logits", default="1,2,3", show_default=True, help="Comma-separated numbers.")
@click.option("--target", default=1, show_default=True, help="Index of the right class.")
@click.option("--a-prev", default="0.5,-1", show_default=True, help="Activations of the layer before.")
@click.option("--dtype", default="float64", show_default=True, metavar="|".join(DTYPES))
def explain(logits: str, target: int, a_prev: str, dtype: str) -> int:
    """The derivation of dC/db = a - y in numbers, beside PyTorch's and JAX's."""
    render(explanation_of(numbers_of(logits, "--logits"), target, numbers_of(a_prev, "--a-prev"), dtype), Console())
    return 0
