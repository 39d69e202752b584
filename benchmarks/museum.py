"""The kill table: which case of `quick` and of `full` is the first to catch each planted fault, and by which check.

`python benchmarks/museum.py --out docs/museum.md` writes the table; it needs PyTorch and JAX, and takes minutes. The
exit code is 1 if `full` misses a fault, or `quick` more than one in twenty.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import click
from rich.console import Console
from rich.progress import track

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from xentcheck.cases import Case
from xentcheck.checks import check_of
from xentcheck.museum import jax as jax_museum
from xentcheck.museum import numpy as numpy_museum
from xentcheck.museum import torch as torch_museum
from xentcheck.museum.base import Fault
from xentcheck.profiles import cases
from xentcheck.reports.markdown import table
from xentcheck.runner import run_case
from xentcheck.subjects import subjects_of

MUSEUMS = {"numpy": numpy_museum, "torch": torch_museum, "jax": jax_museum}
PROFILES = ("quick", "full")
COLUMNS = ["fault", "reported as", "in", *(f"{profile}: {what}" for profile in PROFILES for what in ("by", "case"))]


def first_kill(museum: Any, fault: Fault, chosen: Sequence[Case]) -> tuple[str, str]:
    """The check and the case that catch a fault first, of all cases of its dtype; empty if none does."""
    subjects = subjects_of(museum.adapter(fault.implementation, fault.contract))[:1]
    for case in chosen:
        if case.dtype == fault.dtype and not case.inputs:
            for record in run_case(case, subjects):
                if check := check_of(record):
                    return check, str(case)
    return "", ""


def rows_of(name: str, museum: ModuleType, console: Console) -> list[list[str]]:
    """One row per fault of a framework's museum."""
    profiles = [cases(profile) for profile in PROFILES]
    rows = []
    for fault in track(museum.FAULTS, name, console=console):
        kills = [cell for chosen in profiles for cell in first_kill(museum, fault, chosen)]
        rows.append([fault.name, fault.issue, name, *(cell or "-" for cell in kills)])
    return rows


@click.command()
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path))
def main(out: Path) -> None:
    """Run the museum and write the table."""
    console = Console()
    rows = [row for name, museum in MUSEUMS.items() for row in rows_of(name, museum, console)]
    missed = {profile: [row[0] for row in rows if row[3 + 2 * i] == "-"] for i, profile in enumerate(PROFILES)}
    counts = [f"`{profile}` catches {len(rows) - len(found)} of {len(rows)}" for profile, found in missed.items()]
    versions = ", ".join(f"{p} {version(p)}" for p in ("xentcheck", "torch", "jax", "numpy"))
    head = f"# The museum\n\nWritten by `python benchmarks/museum.py` (seed 0; {versions}). {'; '.join(counts)}.\n\n"
    text = "For each planted fault, the first case of a profile that catches it, and the check that does.\n\n"
    out.write_text(head + text + table((COLUMNS, sorted(rows))) + "\n", encoding="utf-8")
    console.print(f"{'; '.join(counts)}; wrote {out}")
    sys.exit(int(bool(missed["full"]) or 20 * len(missed["quick"]) > len(rows)))


if __name__ == "__main__":
    main()
