"""`xentcheck audit`: what another suite's tolerance would accept, as a table."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from xentcheck.studies.audit import WRONG, Assertion, audit


def audit_command(assertion: Assertion, seed: int) -> int:
    """Print the blind fraction and the fate of each wrong gradient; exit code 1 if one is accepted."""
    found = audit(assertion, seed)
    n, classes = assertion.shape
    console = Console()
    place = f"{assertion.dtype} dC/dz {n}x{classes}, reduction {assertion.reduction}, upstream {assertion.upstream}"
    text = f"|actual - expected| <= {assertion.atol:g} + {assertion.rtol:g} |expected|, {place}"
    console.print(text, highlight=False, soft_wrap=True)
    console.print(
        f"blind: {found.blind:.1%} of the elements could be 0 unnoticed "
        f"(normal logits times {assertion.scale:g}, {found.rows} rows looked at)",
        highlight=False,
        soft_wrap=True,
    )
    table = Table("wrong gradient", "what it is", "error / tol", "verdict", box=box.SIMPLE_HEAD, pad_edge=False)
    for name, margin in found.margins.items():
        accepted = name in found.accepted
        verdict = Text("accepted", style="bold red") if accepted else Text("rejected", style="green")
        table.add_row(name, WRONG[name], f"{margin:.3g}", verdict)
    console.print(table)
    if left := [name for name in WRONG if name not in found.margins]:
        console.print(f"the same as the right one on this input: {', '.join(left)}", highlight=False, soft_wrap=True)
    return int(bool(found.accepted))
