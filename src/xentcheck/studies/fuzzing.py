"""Fuzzing: cases that Hypothesis draws, until the time is up; what fails is saved, and comes first in the next run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity, given, settings

from xentcheck.cases import Case
from xentcheck.errors import CaseError
from xentcheck.records.paths import write_whole
from xentcheck.records.record import Record
from xentcheck.running.comparison import run_case
from xentcheck.running.deviations import Deviations
from xentcheck.running.subjects import Subject
from xentcheck.strategies import cases
from xentcheck.vocabulary import EXECUTED, FAILING, HEADS, OPTIONS, REDUCTIONS

ROUND = 500
"""Cases that Hypothesis remembers, so as not to draw them again."""


@dataclass
class Fuzzed:
    """What was found: cases run, comparisons by outcome, failing records, saved cases that no longer fail."""

    cases: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    failing: list[Record] = field(default_factory=list)
    mended: list[Case] = field(default_factory=list)

    @property
    def executed(self) -> int:
        """Comparisons in which numbers were compared."""
        return sum(self.counts[outcome] for outcome in EXECUTED)

    @property
    def decided(self) -> int:
        """Comparisons that could have failed: where zeros would pass, nothing is shown."""
        return self.counts["agree"] + self.counts["deviation"]

    @property
    def failing_cases(self) -> list[str]:
        """Their ids, each once, in the order in which they were found."""
        return list(dict.fromkeys(r.case for r in self.failing))


@dataclass(frozen=True)
class Saved:
    """One case that failed, and the options that name its implementation on the command line."""

    case: Case
    command: str


class SavedFile:
    """The file of cases that failed: one id per line, followed by the implementation's options."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries = self._read()

    def _read(self) -> list[Saved]:
        """Raises CaseError with file and line."""
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as error:
            raise CaseError(f"saved cases {self.path} cannot be read: {error}") from error
        found = []
        for number, line in enumerate(text.splitlines(), 1):
            case, _, command = line.strip().partition(" ")
            try:
                found += [Saved(Case.parse(case), command)] if case else []
            except CaseError as error:
                raise CaseError(f"saved cases {self.path}, line {number}: {error}") from None
        return list(dict.fromkeys(found))

    def write(self, entries: Sequence[Saved]) -> None:
        """Write the file anew, before anything else can happen to it. Raises OutputError."""
        kept = list(dict.fromkeys(entries))
        if kept == self.entries:
            return
        write_whole(self.path, "".join(f"{entry.case} {entry.command}\n" for entry in kept), "saved cases")
        self.entries = kept


class _Over(Exception):
    """The time is up, or enough has been found."""


def fuzz(
    subjects: Sequence[Subject],
    dtypes: Sequence[str],
    *,
    seconds: float,
    seed: int,
    saved: SavedFile,
    known: Deviations,
    most: int,
    progress: Callable[[Fuzzed], None] = lambda found: None,
) -> Fuzzed:
    """Run the saved cases of these subjects, then new ones; `most`: failing cases after which it stops.

    A saved case is forgotten once all its comparisons were executed and none fails any more.
    """
    found, start, met = Fuzzed(), monotonic(), set[Case]()
    heads, options, reductions = (_declared(subjects, name) for name in ("heads", "options", "reductions"))

    def use(case: Case, some: Sequence[Subject]) -> list[Record]:
        records = [known.apply(record) for record in run_case(case, some)]
        found.cases += 1
        found.counts.update(record.outcome for record in records)
        found.failing += [r for r in records if r.outcome in FAILING and not r.not_called]
        progress(found)
        return records

    for entry in saved.entries:
        some = [s for s in subjects if s.command == entry.command]
        records = use(entry.case, some) if some else []
        if records and all(r.outcome in EXECUTED and r.outcome not in FAILING for r in records):
            found.mended.append(entry.case)
            saved.write([other for other in saved.entries if other != entry])

    def over() -> bool:
        return monotonic() - start > seconds or len(found.failing_cases) >= most

    def one(case: Case) -> None:
        if over():
            raise _Over
        if case in met:
            return
        met.add(case)
        before = len(found.failing)
        use(case, subjects)
        commands = {s.adapter.name: s.command for s in subjects}
        new = [Saved(case, commands[r.adapter]) for r in found.failing[before:]]
        saved.write([*saved.entries, *new])

    strategy = cases(dtypes=dtypes, heads=heads, options=options, reductions=reductions)
    while not over():
        _draw(strategy, one, seed)
        seed += 1
    return found


def _draw(strategy: hypothesis.strategies.SearchStrategy[Case], one: Callable[[Case], None], seed: int) -> None:
    """A round of cases, or less if `one` raises _Over."""

    @hypothesis.seed(seed)
    @settings(
        max_examples=ROUND,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def drawn(case: Case) -> None:
        one(case)

    try:
        drawn()
    except _Over:
        return


def _declared(subjects: Sequence[Subject], name: str) -> list[str]:
    """What any of the subjects supports, in the vocabulary's order."""
    order = {"heads": HEADS, "options": OPTIONS, "reductions": REDUCTIONS}[name]
    union = {word for s in subjects for word in getattr(s.adapter.capabilities, name)}
    return [word for word in order if word in union]
