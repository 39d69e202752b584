"""`xentcheck fuzz`: random cases for so many minutes, with progress; failures with their replay."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from xentcheck import adapters as registry
from xentcheck.adapters.promises import Promised
from xentcheck.adapters.spec import Spec
from xentcheck.cli.asked import asks_any
from xentcheck.cli.options import FROM_1, deviations_option, device_option, dtype_option, finite, seed_option
from xentcheck.errors import UnavailableError
from xentcheck.records.paths import prepare_file
from xentcheck.records.words import describe
from xentcheck.reports.analysis.causes.suspicion import suspicion
from xentcheck.running.deviations import Deviations, known_with
from xentcheck.running.subjects import subjects_named
from xentcheck.vocabulary import DTYPES

if TYPE_CHECKING:
    from xentcheck.studies.fuzzing import Fuzzed

SHOWN = 5


@dataclass(frozen=True)
class FuzzRequest:
    """The options of `xentcheck fuzz`."""

    specs: tuple[Spec, ...]
    dtypes: Sequence[str]
    devices: Sequence[str]
    seconds: float
    seed: int
    saved: Path
    deviations: Path | None
    most: int
    contracts: Promised = ()


def fuzz_command(request: FuzzRequest) -> int:
    """Fuzz and say what was found; exit code 1 if anything failed, or nothing could have. Raises XentcheckError."""
    try:
        from xentcheck.studies.fuzzing import SavedFile
        from xentcheck.studies.fuzzing import fuzz as fuzzed
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
        raise UnavailableError("fuzz needs hypothesis, which is not installed: pip install hypothesis") from None
    console = Console()
    prepare_file(request.saved, make=False)
    specs = request.specs or tuple(Spec(name, contracts=request.contracts) for name in registry.available())
    subjects = subjects_named(specs, request.devices, request.dtypes, by_name=bool(request.specs))
    dtypes = request.dtypes or [d for d in DTYPES if any(d in s.adapter.capabilities.dtypes for s in subjects)]
    known = Deviations(known_with(request.deviations))
    saved = SavedFile(request.saved)
    with _progress(request.seconds) as progress:
        found = fuzzed(
            [s for s in subjects if not s.missing],
            dtypes,
            seconds=request.seconds,
            seed=request.seed,
            saved=saved,
            known=known,
            most=request.most,
            progress=progress,
        )
    for line in _lines(found, request):
        console.print(Text(line), soft_wrap=True)
    return int(bool(found.failing) or not found.decided)


def _lines(found: Fuzzed, request: FuzzRequest) -> Iterator[str]:
    first = {r.case: r for r in reversed(found.failing)}
    for case in found.failing_cases[:SHOWN]:
        yield describe(first[case])
        yield f"  {first[case].replay}"
    if found.mended:
        yield f"no longer failing, and saved no longer: {', '.join(map(str, found.mended))}"
    yield from filter(None, [suspicion(found.failing)])
    told = ", ".join(f"{n} {outcome}" for outcome, n in sorted(found.counts.items()) if outcome != "agree")
    rest = f" ({told})" if told else ""
    counts = f"{found.counts['agree']} of {found.executed} comparisons of {found.cases} cases agree{rest}"
    if found.failing:
        failing = len(found.failing_cases)
        yield f"FAILED: {failing} case{'s' * (failing > 1)}, saved in {request.saved}; {counts}"
    elif not found.decided:
        why = "could have failed" if found.executed else "was executed"
        yield f"FAILED: no comparison {why}; {counts}"
    else:
        yield f"agreed: {counts}"


@contextmanager
def _progress(seconds: float) -> Iterator[Callable[[Fuzzed], None]]:
    """A bar on a terminal, a line every tenth of the time elsewhere, on stderr."""
    console = Console(stderr=True)
    start = monotonic()

    def told(found: Fuzzed) -> str:
        return f"fuzzing: {found.cases} cases, {len(found.failing_cases)} fail"

    if console.is_terminal:
        columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("fuzzing", total=seconds)
            yield lambda found: bar.update(task, completed=monotonic() - start, description=told(found))
        return
    lines = 0

    def line(found: Fuzzed) -> None:
        nonlocal lines
        if (monotonic() - start) * 10 > seconds * (lines + 1):
            lines = int((monotonic() - start) * 10 / seconds)
            console.print(told(found), highlight=False)

    yield line


@click.command()
@asks_any
@click.option(
    "--minutes",
    default=1.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True, max=1e6),
    callback=finite("minutes"),
    help="How long to go on.",
)
@dtype_option
@device_option
@seed_option
@click.option(
    "--saved",
    default=".xentcheck/fuzz.txt",
    show_default=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="File of the cases that failed; they are run first.",
)
@deviations_option
@click.option(
    "--most",
    default=20,
    show_default=True,
    type=FROM_1,
    help="Failing cases after which to stop.",
)
def fuzz(
    specs: tuple[Spec, ...],
    promised: Promised,
    minutes: float,
    dtypes: tuple[str, ...],
    devices: tuple[str, ...],
    seed: int,
    saved: Path,
    deviations: Path | None,
    most: int,
) -> int:
    """Random cases; those that fail are saved, and come first the next time. Exit code 1 if any fails."""
    fuzzing = FuzzRequest(specs, dtypes, devices, 60 * minutes, seed, saved, deviations, most, promised)
    return fuzz_command(fuzzing)
