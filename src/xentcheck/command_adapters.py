"""`xentcheck adapters`: what is installed here, and what each adapter declares."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from xentcheck import adapters as registry

from .vocabulary import OPTIONS


def adapters_command() -> int:
    """Print one row per built-in adapter."""
    table = Table("adapter", "version", "devices", "dtypes", "variants", "contract", "options")
    for name in registry.names():
        adapter = registry.get(name)
        reason = adapter.unavailable()
        devices = reason or ", ".join(adapter.devices()) or adapter.unavailable()
        c = adapter.capabilities
        options = "all" if c.options == frozenset(OPTIONS) else ", ".join(sorted(c.options))
        contract = ", ".join(dict.fromkeys(contract for *_, contract in adapter.contracts)) or "stable"
        row = (name, adapter.version() or "-", devices, ", ".join(c.dtypes), ", ".join(adapter.variants))
        table.add_row(*row, contract, options)
    Console().print(table)
    return 0
