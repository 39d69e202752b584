"""`xentcheck rule`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

import click

from xentcheck.errors import CaseError
from xentcheck.records.rules import rule as rule_of
from xentcheck.records.rules import rules, word, words

WIDTH = 80


@click.command()
@click.argument("code", required=False)
def rule(code: str | None) -> int:
    """What CODE means: a code of a cause, as B20, a word of a report, as apart, a contract, or a case id.

    Of a code: what is wrong, how it looks, how to mend it, and in whose issue tracker it was reported. Of a case id:
    each of its fields. Without CODE: lists of all codes, words and contracts.
    """
    if code is None:
        from xentcheck.reference.bounds.contracts import CATALOGUE

        for found in rules().values():
            click.echo(f"{found.code}  {found.title}")
        click.echo()
        _listed([("words    ", ", ".join(words())), ("contracts", ", ".join(CATALOGUE))])
        return 0
    if "." in code:
        from xentcheck.cases.case import Case
        from xentcheck.cases.reading import fields_of

        fields = fields_of(Case.parse(code))
        click.echo(code)
        _listed((f"{name:10} {here:13}", meaning) for name, here, meaning in fields)
        return 0
    if meant := word(code):
        click.echo(textwrap.fill(f"{meant.name}: {meant.text}", WIDTH, subsequent_indent="  "))
        return 0
    if code.upper() not in rules():
        return _contract(code)
    found = rule_of(code)
    click.echo(f"{found.code}: {found.title}")
    told = {"what": found.what, "looks": found.looks, "mend": found.mend, "seen": ", ".join(found.seen)}
    _listed((f"{name:6}", text) for name, text in told.items())
    return 0


def _contract(name: str) -> int:
    """What a contract rounds, its forms, and the stricter ones. Raises CaseError for another name."""
    from xentcheck.reference.bounds.contracts import CATALOGUE, MEANING_OF_FORMS, STAGES

    found = CATALOGUE.get(name)
    if found is None:
        allowed = "a code like B20, a word like apart, a contract like stash, a case id; `xentcheck rule` lists them"
        raise CaseError(f"unknown code {name!r}; allowed: {allowed}")
    names = [*CATALOGUE]
    told = {
        "rounds": ", ".join(stage for stage in STAGES if stage in found.stored),
        "log a": MEANING_OF_FORMS[found.log_form],
        "softmax": f"{MEANING_OF_FORMS[found.gradient_form]}, in the gradient",
        "stricter": ", ".join(names[: names.index(name)]),
    }
    click.echo(f"{name}: a contract")
    _listed((f"{label:9}", text) for label, text in told.items())
    return 0


def _listed(pairs: Iterable[tuple[str, str]]) -> None:
    """Names, and texts beside them in a column; without those that are empty."""
    for name, text in pairs:
        if text:
            wide = f"  {name} "
            click.echo(textwrap.fill(text, WIDTH, initial_indent=wide, subsequent_indent=" " * len(wide)))
