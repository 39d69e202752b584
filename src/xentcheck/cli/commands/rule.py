"""`xentcheck rule`."""

from __future__ import annotations

import textwrap

import click

from xentcheck.records.rules import rule as rule_of
from xentcheck.records.rules import rules, word


@click.command()
@click.argument("code", required=False)
def rule(code: str | None) -> int:
    """What CODE means: a code of a cause, as B20, or a word of a report, as apart.

    Of a code: what is done wrong, how it looks, how to mend it, and in whose issue tracker it was reported. Without
    CODE: the list of all codes.
    """
    if code is None:
        for found in rules().values():
            click.echo(f"{found.code}  {found.title}")
        return 0
    if meant := word(code):
        click.echo(textwrap.fill(f"{meant.name}: {meant.text}", 80, subsequent_indent="  "))
        return 0
    found = rule_of(code)
    click.echo(f"{found.code}: {found.title}")
    seen = ", ".join(found.seen)
    for name, text in (("what", found.what), ("looks", found.looks), ("mend", found.mend), ("seen", seen)):
        if text:
            click.echo(textwrap.fill(text, 80, initial_indent=f"  {name:7}", subsequent_indent=" " * 9))
    return 0
