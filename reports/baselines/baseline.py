"""Baselines: what one or several runs of one installation found, as a small file to keep in git and to compare with.

One line per row of the report, sorted, whatever the order of the records. A row holds the range of its worst share and
worst ULP over the runs: what the machine itself does not reproduce.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from xentcheck.errors import OutputError
from xentcheck.records.codec import plain
from xentcheck.records.paths import data, write_whole
from xentcheck.records.record import Record, place_of, rank
from xentcheck.records.run import RunFile
from xentcheck.records.words import printable
from xentcheck.reports.analysis.rows import Row
from xentcheck.reports.analysis.summary import Summary, summarize
from xentcheck.vocabulary import EXECUTED, FAILING

SCHEMA = 4
TOOL = "xentcheck"
BASELINE = data("baseline", "baseline")
FOLDER = Path("baselines")
"""Where a baseline lies that is given by its name alone."""

Range = tuple[float, float]

Counts = Mapping[str, int]
"""Outcome -> how many comparisons of a row had it, in the order of the vocabulary."""

HEADER = {"version": str, "generator": int, "profile": str, "seed": int, "selection": list, "environment": dict}
"""Fields of the first line; beside them the catalogue of contracts, strictest first, in newer files."""

TEXTS = ("answer", "grade", "failing", "failure")
"""Kinds of lines that hold texts: one for each different run."""


@dataclass(frozen=True)
class Span:
    """One row over all runs: the cases by a digest, the counts of each different run, ranges of the worst numbers.

    Known deviations have a part in the worst share here: one that grows is seen.

    case, replay: that of the worst share, and the command that repeats it; empty in a file of an older schema.
    """

    cases: str
    outcomes: tuple[Counts, ...]
    share: Range | None = None
    ulp: Range | None = None
    case: str = ""
    replay: str = ""


@dataclass(frozen=True)
class Baseline:
    """What runs of one installation found; `texts` by kind and name."""

    header: Mapping[str, Any]
    rows: Mapping[str, Span]
    texts: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)

    def lines(self) -> Iterator[str]:
        """The lines of its file."""
        yield json.dumps({"kind": "baseline", "tool": TOOL, "schema": SCHEMA, **self.header}, sort_keys=True)
        for name, row in sorted(self.rows.items()):
            numbers = {"share": row.share, "ulp": row.ulp}
            given = {key: plain(value) for key, value in numbers.items() if value is not None}
            worst = {key: text for key, text in (("case", row.case), ("replay", row.replay)) if text}
            yield json.dumps({"row": name, "outcomes": row.outcomes, "cases": row.cases, **given, **worst})
        for kind in TEXTS:
            for name, seen in sorted(self.texts.get(kind, {}).items()):
                yield json.dumps({kind: name, "seen": seen})
        yield json.dumps({"kind": "end", "rows": len(self.rows), "texts": sum(map(len, self.texts.values()))})

    def save(self, path: Path) -> None:
        """Write the file. Raises OutputError."""
        write_whole(path, "".join(f"{line}\n" for line in self.lines()), "baseline", BASELINE)


def path_of(name: str | Path) -> Path:
    """The file of a baseline: a path as it is, a plain name in the folder `baselines`.

    >>> path_of("torch-2.13").as_posix(), path_of("a/b.jsonl").as_posix()
    ('baselines/torch-2.13.jsonl', 'a/b.jsonl')
    """
    if not str(name).strip():
        raise OutputError("the name of a baseline is empty; allowed: a name, or a path that ends with .jsonl")
    path = Path(name)
    return path if path.suffix == ".jsonl" or len(path.parts) > 1 else FOLDER / f"{name}.jsonl"


def baseline_of(runs: Sequence[RunFile]) -> Baseline:
    """The baseline of runs of one installation.

    >>> from xentcheck.records.file import Header
    >>> plain = dict(version="1", generator=1, seed=0, profile="quick", catalogue=(), environment={}, host={})
    >>> baseline_of([RunFile(Header(**plain, planned=0), ())]).texts["failure"]
    {'no comparison was executed': ('',)}
    """
    return baseline_of_parts([part_of(run) for run in runs])


class Part(NamedTuple):
    """What one run has for a baseline."""

    run: RunFile
    summary: Summary
    kept: Kept


class Kept:
    """Of the records of a run, beside its summary: the cases of each row, and what degenerate cases gave."""

    def __init__(self) -> None:
        self._cases: dict[str, list[str]] = defaultdict(list)
        self._once: dict[str, str] = {}
        self.answers: dict[tuple[str, str], None] = {}

    def add(self, r: Record) -> None:
        """The next record."""
        name = _name(place_of(r), r.quantity)
        self._cases[name].append(self._once.setdefault(r.case, r.case))
        if r.outcome == "convention":
            self.answers[f"{name} {r.convention}", r.returned] = None

    def cases(self) -> dict[str, str]:
        """A digest of the ids of each row's cases."""
        return {
            name: hashlib.sha256("\n".join(sorted(found)).encode()).hexdigest()[:8]
            for name, found in self._cases.items()
        }


def part_of(run: RunFile) -> Part:
    """What a run has for a baseline."""
    kept = Kept()
    return Part(run, summarize(run, kept), kept)


def baseline_of_parts(parts: Sequence[Part]) -> Baseline:
    """The baseline of runs of one installation of which that is known already."""
    first = parts[0].run.header
    summaries = [part.summary for part in parts]
    header = {
        "version": first.version,
        "generator": first.generator,
        "profile": first.profile,
        "seed": first.seed,
        "selection": list(first.selection),
        "environment": first.environment,
        "catalogue": list(first.catalogue),
    }
    cases = [part.kept.cases() for part in parts]
    rows: dict[str, list[tuple[Row, str]]] = defaultdict(list)
    for summary, digests in zip(summaries, cases, strict=True):
        for row in summary.rows:
            if {*EXECUTED, *FAILING, "convention"} & set(row.counts):
                name = _name(row.place, row.quantity)
                rows[name].append((row, digests[name]))
    texts = {
        "answer": _seen(parts, _answers),
        "grade": _seen(summaries, lambda s: (("/".join(g.place), g.contract) for g in s.grades)),
        "failing": _seen(summaries, _failing),
        "failure": _seen(summaries, lambda s: ((text, "") for text in s.reasons)),
    }
    return Baseline(header, {name: _span(found) for name, found in rows.items()}, texts)


def _name(place: Sequence[str], quantity: str) -> str:
    return "/".join((*place, quantity))


def _span(found: Sequence[tuple[Row, str]]) -> Span:
    counts = {counted(row.counts): row.counts for row, _ in found}
    kinds = ([record for record in (row.worst, row.known) if record is not None] for row, _ in found)
    judged = [max(records, key=lambda r: rank(r.share)) for records in kinds if records]
    shares = [worst.share for worst in judged]
    worst = max(judged, key=lambda r: rank(r.share), default=None)
    return Span(
        cases="+".join(sorted({digest for _, digest in found})),
        outcomes=tuple(counts[text] for text in sorted(counts)),
        share=_range(shares),
        ulp=_range([row.ulp for row, _ in found]),
        case=printable(worst.case) if worst else "",
        replay=printable(worst.replay) if worst else "",
    )


def counted(counts: Counts) -> str:
    """The counts of a row in words.

    >>> counted({"agree": 3, "vacuous": 2})
    '3 agree, 2 vacuous'
    """
    return ", ".join(f"{n} {outcome}" for outcome, n in counts.items())


def _range(values: Iterable[float | None]) -> Range | None:
    """The smallest and the largest, to six digits; nan is larger than all."""
    known = sorted((x for x in values if x is not None), key=rank)
    return (float(f"{known[0]:.6g}"), float(f"{known[-1]:.6g}")) if known else None


def _seen(runs: Iterable[Any], told: Callable[[Any], Iterable[tuple[str, str]]]) -> dict[str, tuple[str, ...]]:
    """Name -> the texts of the runs, each once."""
    found: dict[str, set[str]] = defaultdict(set)
    for run in runs:
        parts: dict[str, set[str]] = defaultdict(set)
        for name, text in told(run):
            parts[printable(name)].add(printable(text))
        for name, texts in parts.items():
            found[name].add(" or ".join(sorted(texts)))
    return {name: tuple(sorted(texts)) for name, texts in found.items()}


def _answers(part: Part) -> Iterator[tuple[str, str]]:
    """What degenerate cases and probes gave."""
    yield from part.kept.answers
    for p in part.run.probes:
        yield f"{p.adapter}/{p.variant}/{p.device} probe {p.probe}", f"{p.value}; {p.gradient}"


def _failing(summary: Summary) -> Iterator[tuple[str, str]]:
    """Each comparison that fails, how, and the known mistake that explains it."""
    for cause in summary.causes:
        for r in cause.records:
            told = f"{r.outcome}, {cause.title}" if cause.code else r.outcome
            yield f"{_name(place_of(r), r.quantity)} of {r.case}", told
