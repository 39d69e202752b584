"""`xentcheck rule`."""

from __future__ import annotations

import textwrap

import click

from xentcheck.records.rules import rule as rule_of
from xentcheck.records.rules import rules


@click.command()
@click.argument("code", required=False)
def rule(code: str | None) -> int:
    """What a code like B20 means: what is done wrong, how it looks, the mend; without a code, all of them."""
    if code is None:
        for found in rules().values():
            click.echo(f"{found.code}  {found.title}")
        return 0
    found = rule_of(code)
    click.echo(f"{found.code}: {found.title}")
    seen = ", ".join(found.seen)
    for name, text in (("what", found.what), ("looks", found.looks), ("mend", found.mend), ("seen", seen)):
        if text:
            click.echo(textwrap.fill(text, 80, initial_indent=f"  {name:7}", subsequent_indent=" " * 9))
    return 0
