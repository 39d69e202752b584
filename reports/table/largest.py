"""Largest errors: of each library, dtype and quantity in one or several runs, each with its witness, as plain data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from xentcheck.errors import RunFileError
from xentcheck.records.codec import Plain
from xentcheck.records.record import Element, Record, rank
from xentcheck.records.run import RunFile
from xentcheck.records.words import printable
from xentcheck.reports.analysis.rows import larger
from xentcheck.reports.analysis.summary import Summary, summarize
from xentcheck.vocabulary import DTYPES, FAILING, QUANTITIES

COMPARED = ("agree", "disagree")
"""Outcomes whose errors count: what is vacuous or trivial could not have failed, and deviations stand apart."""


@dataclass(frozen=True, kw_only=True)
class Source(Plain):
    """A run that the table is made of.

    digest: of all that it found. date: the day on which it was started, or an empty string. versions: (package,
    version), those of the adapters first.
    """

    digest: str
    date: str
    version: str
    profile: str
    seed: int
    selection: tuple[str, ...] = ()
    versions: tuple[tuple[str, str], ...]
    processor: str = ""
    verdict: str
    ok: bool = False


@dataclass(frozen=True, kw_only=True)
class Witness(Plain):
    """The comparison with the largest error of its kind, and the element of it.

    value: a share of the bound, or a number of ULPs. contract: whose bound it is. index, got, exact, bound: as in a
    record; empty where an older run did not keep them.
    """

    value: float
    case: str
    replay: str
    contract: str
    index: tuple[int, ...] = ()
    got: str = ""
    exact: str = ""
    bound: str = ""

    def validate(self) -> None:
        """Raise ValueError for a number that is no hexadecimal float."""
        for text in filter(None, (self.got, self.exact, self.bound)):
            float.fromhex(text)


@dataclass(frozen=True, kw_only=True)
class Excuse(Plain):
    """Recorded deviations with one reason: how many comparisons, and the one of the largest share."""

    told: str
    link: str
    comparisons: int
    worst: Witness | None = None


@dataclass(frozen=True, kw_only=True)
class Cell(Plain):
    """What one library does in one quantity and dtype.

    library: its name, version, variant and device. comparisons, elements: those whose errors count. failing: outcome ->
    number. share: None where nothing was compared; ulp: nor where no exact value is in the normal range.
    """

    library: str
    dtype: str
    quantity: str
    comparisons: int
    elements: int
    failing: dict[str, int] = field(default_factory=dict)
    share: Witness | None = None
    ulp: Witness | None = None
    excuses: tuple[Excuse, ...] = ()

    def validate(self) -> None:
        """Raise ValueError for a dtype or quantity that is not in the vocabulary."""
        for name, value, allowed in (("dtype", self.dtype, DTYPES), ("quantity", self.quantity, QUANTITIES)):
            if value not in allowed:
                raise ValueError(f"unknown {name} {value!r}; allowed: {', '.join(allowed)}")


@dataclass(frozen=True)
class Table:
    """Runs, and the cells of their libraries in the canonical order of records."""

    sources: tuple[Source, ...]
    cells: tuple[Cell, ...]

    @property
    def ok(self) -> bool:
        """Whether all runs are ok, and there is something to show."""
        return bool(self.cells) and all(source.ok for source in self.sources)


def merged(tables: Sequence[tuple[str, Table]]) -> Table:
    """Tables with the names of their files as one. Raises RunFileError where two have the same library."""
    owner: dict[str, str] = {}
    for name, table in tables:
        for library in dict.fromkeys(cell.library for cell in table.cells):
            if library in owner:
                raise RunFileError(f"{owner[library]} and {name} both have {library}; allowed: each library once")
            owner[library] = name
    return Table(*(tuple(part for _, table in tables for part in getattr(table, of)) for of in ("sources", "cells")))


def table_of(run: RunFile) -> Table:
    """The table of one run, whatever the order of its records."""
    cells = Cells()
    return Table((_source(run, summarize(run, cells)),), cells.cells())


def _source(run: RunFile, summary: Summary) -> Source:
    header = run.header
    adapters = header.environment.get("adapters", {})
    versions = {name: about.get("version", "") for name, about in adapters.items()}
    versions |= {name: header.environment[name] for name in ("numpy", "python") if name in header.environment}
    return Source(
        digest=run.digest,
        date=str(header.host.get("started", ""))[:10],
        version=header.version,
        profile=header.profile,
        seed=header.seed,
        selection=(*header.selection, *header.dtypes, *header.devices),
        versions=tuple((printable(name), printable(str(version))) for name, version in versions.items()),
        processor=printable(str(header.host.get("processor", ""))),
        verdict=printable(summary.verdict),
        ok=summary.ok,
    )


class Cells:
    """The cells of records that come in canonical order."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str], _Errors] = {}

    def add(self, r: Record) -> None:
        """The next record."""
        if r.outcome in (*COMPARED, *FAILING, "deviation"):
            library = printable(" ".join(filter(None, (r.adapter, r.version, r.variant, r.device))))
            self._found.setdefault((library, r.dtype, r.quantity), _Errors()).add(r)

    def cells(self) -> tuple[Cell, ...]:
        """The cells, in the order in which the libraries came."""
        return tuple(errors.cell(*key) for key, errors in self._found.items())


class _Errors:
    """The largest errors of one quantity so far; of deviations by reason and link."""

    def __init__(self) -> None:
        self.comparisons = self.elements = 0
        self.failing: Counter[str] = Counter()
        self.share: Record | None = None
        self.ulp: Record | None = None
        self.excused: dict[tuple[str, str], tuple[int, Record]] = {}

    def add(self, r: Record) -> None:
        if r.outcome == "deviation":
            key = printable(r.reason), printable(r.link)
            n, worst = self.excused.get(key, (0, r))
            self.excused[key] = n + 1, larger(worst, r)
            return
        if r.outcome in FAILING:
            self.failing[r.outcome] += 1
        if r.outcome in COMPARED and r.share is not None:
            self.comparisons += 1
            self.elements += r.elements
            self.share = larger(self.share, r)
            self.ulp = r if self.ulp is None or rank(r.ulp) > rank(self.ulp.ulp) else self.ulp

    def cell(self, library: str, dtype: str, quantity: str) -> Cell:
        return Cell(
            library=library,
            dtype=dtype,
            quantity=quantity,
            comparisons=self.comparisons,
            elements=self.elements,
            failing=dict(self.failing),
            share=_worst(self.share),
            ulp=_most_ulps(self.ulp),
            excuses=tuple(
                Excuse(told=told, link=link, comparisons=n, worst=_worst(worst))
                for (told, link), (n, worst) in self.excused.items()
            ),
        )


def _worst(r: Record | None) -> Witness | None:
    """The comparison of the largest share, and its worst element."""
    return None if r is None or r.share is None else replace(_witness(r, r.share), **_numbers(r))


def _most_ulps(r: Record | None) -> Witness | None:
    """The comparison of the most ULPs; a record of an older schema has the element of its largest share only."""
    if r is None or r.ulp is None:
        return None
    found = r.of_ulp
    return replace(_witness(r, r.ulp), **_numbers(found) if found else {})


def _witness(r: Record, value: float) -> Witness:
    case, replay, contract = map(printable, (r.case, r.replay, r.judged_by))
    return Witness(value=value, case=case, replay=replay, contract=contract)


def _numbers(found: Record | Element) -> dict[str, Any]:
    return {"index": found.index, "got": found.got, "exact": found.expected, "bound": found.bound}
