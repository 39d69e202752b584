"""`xentcheck adapters`: what is installed here, and what each adapter declares."""

from __future__ import annotations

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from xentcheck import adapters as registry
from xentcheck.adapters.base import Adapter
from xentcheck.errors import AdapterError
from xentcheck.reference.bounds.contracts import DEFAULT
from xentcheck.vocabulary import OPTIONS


def adapters_command() -> int:
    """Print the adapters one below the other, so that nothing is cut on a narrow terminal.

    One of another package that fails is listed with its error; the exit code is then 1.
    """
    table = Table("adapter", "", "what it declares")
    failed = 0
    for name in registry.names():
        try:
            facts = _facts(registry.get(name))
        except AdapterError as error:
            facts = [("fails", str(error))]
            failed = 1
        for i, (what, value) in enumerate(facts):
            table.add_row(name if i == 0 else "", what, Text(value))
        table.add_section()
    Console().print(table)
    return failed


def _facts(adapter: Adapter) -> list[tuple[str, str]]:
    c = adapter.capabilities
    reason = adapter.unavailable()
    devices = reason or ", ".join(adapter.devices()) or adapter.unavailable()
    rules = [(" ".join(word for word in place if word != "*"), contract) for *place, contract in adapter.declared]
    contracts = "; ".join(f"{place}: {contract}" if place else contract for place, contract in rules)
    return [
        ("version", adapter.version() or "-"),
        ("devices", devices),
        ("dtypes", ", ".join(c.dtypes)),
        ("variants", ", ".join(adapter.variants)),
        ("contracts", contracts or DEFAULT),
        ("options", "all" if c.options == frozenset(OPTIONS) else ", ".join(sorted(c.options))),
    ]


@click.command("adapters")
def adapters() -> int:
    """What is installed: versions, devices, contracts and capabilities."""
    return adapters_command()
