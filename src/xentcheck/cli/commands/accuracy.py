"""`xentcheck accuracy`: the largest errors of implementations, with the inputs that make them, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from xentcheck import adapters as registry
from xentcheck.adapters.spec import Spec, resolve, specs_of
from xentcheck.cli.asked import ADAPTERS, IMPLEMENTATION
from xentcheck.cli.options import FROM_0, dtype_option, out_option, seed_option
from xentcheck.errors import DtypeError
from xentcheck.records.findings import Accuracy
from xentcheck.records.paths import page, prepare_file, write_whole
from xentcheck.reports.formats.markdown import table
from xentcheck.reports.sections.accuracy import accuracy_section
from xentcheck.running.subjects import subjects_of
from xentcheck.studies.accuracy import accuracies
from xentcheck.vocabulary import DTYPES

PAGE = page("accuracy")

TEXT = """# Accuracy

Written by `xentcheck accuracy --out docs/accuracy.md` (seed {seed}, {rounds} rounds; {versions}).

The largest error found for each implementation, dtype and quantity, by a directed search that starts from the families
of the harness and climbs on the logits: in units in the last place of the exact value, and as share of the bound of the
declared contract. `loss` is that of one example, `dC/dz` its gradient. Elements below the normal range are left out of
the ULPs. A large number of ULPs is no fault where the exact value cancels: a loss near 0 and a_y - 1 near 0 lose all
digits in every implementation that does not sum the other activations; the share says whether the error is within what
the arithmetic promises. Largest error found does not mean largest error.

"""


def accuracy_command(specs: Sequence[Spec], dtypes: Sequence[str], seed: int, rounds: int, out: Path | None) -> int:
    """Search the main variants on all devices there are; print the table, or write it. Raises OutputError.

    The exit code is 1 if an implementation gave no result that could be measured, or there is none.
    """
    if out:
        prepare_file(out, own=PAGE)
    chosen = list(specs) or [Spec(name) for name in registry.available()]
    subjects = [
        s for spec in chosen for s in subjects_of(resolve(spec), None, spec.command) if s.is_main and not s.missing
    ]
    plan = [(s, dtype) for s in subjects for dtype in dtypes or DTYPES if dtype in s.adapter.capabilities.dtypes]
    found: list[Accuracy] = []
    silent: list[str] = []
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as bar:
        for subject, dtype in bar.track(plan, description="searching"):
            place = f"{subject.adapter.name} {subject.variant} {subject.device}"
            if not console.is_terminal:
                click.echo(f"searching: {place} {dtype}", err=True)
            here = accuracies(subject, dtype, seed=seed, rounds=rounds)
            found += here
            if not here:
                silent.append(f"{place} {dtype}")
    if silent or not found:
        names = ", ".join(silent) or "no implementation that is installed here"
        click.echo(f"xentcheck: nothing to measure: {names}; `xentcheck run` shows what it answers", err=True)
    if not found:
        return 1
    versions = dict.fromkeys(f"{s.adapter.package} {s.adapter.version()}" for s in subjects)
    text = TEXT.format(seed=seed, rounds=rounds, versions=", ".join(versions)) + table(accuracy_section(found)) + "\n"
    if out is None:
        click.echo(text)
        return int(bool(silent))
    write_whole(out, f"{PAGE.words[0]}\n\n{text}", own=PAGE)
    click.echo(f"wrote {out}")
    return int(bool(silent))


@click.command()
@ADAPTERS
@IMPLEMENTATION[0]
@IMPLEMENTATION[1]
@dtype_option
@seed_option
@click.option("--rounds", default=30, show_default=True, type=FROM_0, help="Rounds of the search.")
@out_option
def accuracy(
    adapters: tuple[str, ...],
    implementation: str | None,
    framework: str | None,
    dtypes: tuple[str, ...],
    seed: int,
    rounds: int,
    out: Path | None,
) -> int:
    """The largest error of each implementation, dtype and quantity that a directed search finds, with its input."""
    for dtype in dtypes:
        if dtype not in DTYPES:
            raise DtypeError(f"dtype {dtype!r} is not judged; allowed: {', '.join(DTYPES)}")
    return accuracy_command(specs_of(adapters, implementation, framework), dtypes, seed, rounds, out)
