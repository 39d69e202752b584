"""Largest errors: of each library, dtype and quantity in one or several runs, each with its witness, as plain data."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from xentcheck.errors import RunFileError
from xentcheck.records.codec import Plain
from xentcheck.records.record import Element, Record, rank
from xentcheck.records.run import RunFile
from xentcheck.records.words import printable
from xentcheck.reports.analysis.summary import in_order, summarize
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
    found: dict[tuple[str, str, str], list[Record]] = defaultdict(list)
    for r in in_order(run.records):
        if r.outcome in (*COMPARED, *FAILING, "deviation"):
            library = printable(" ".join(filter(None, (r.adapter, r.version, r.variant, r.device))))
            found[library, r.dtype, r.quantity].append(r)
    return Table((_source(run),), tuple(_cell(*key, members) for key, members in found.items()))


def _source(run: RunFile) -> Source:
    header, summary = run.header, summarize(run)
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


def _cell(library: str, dtype: str, quantity: str, members: Sequence[Record]) -> Cell:
    judged = [r for r in members if r.outcome in COMPARED and r.share is not None]
    excused: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for r in members:
        if r.outcome == "deviation":
            excused[printable(r.reason), printable(r.link)].append(r)
    return Cell(
        library=library,
        dtype=dtype,
        quantity=quantity,
        comparisons=len(judged),
        elements=sum(r.elements for r in judged),
        failing=dict(Counter(r.outcome for r in members if r.outcome in FAILING)),
        share=_worst(judged),
        ulp=_most_ulps(judged),
        excuses=tuple(
            Excuse(told=told, link=link, comparisons=len(found), worst=_worst(found))
            for (told, link), found in excused.items()
        ),
    )


def _worst(records: Iterable[Record]) -> Witness | None:
    """The comparison of the largest share, and its worst element."""
    r = max(records, key=lambda r: rank(r.share), default=None)
    return None if r is None or r.share is None else replace(_witness(r, r.share), **_numbers(r))


def _most_ulps(records: Iterable[Record]) -> Witness | None:
    """The comparison of the most ULPs; a record of an older schema has the element of its largest share only."""
    r = max(records, key=lambda r: rank(r.ulp), default=None)
    if r is None or r.ulp is None:
        return None
    found = r.of_ulp
    return replace(_witness(r, r.ulp), **_numbers(found) if found else {})


def _witness(r: Record, value: float) -> Witness:
    case, replay, contract = map(printable, (r.case, r.replay, r.judged_by))
    return Witness(value=value, case=case, replay=replay, contract=contract)


def _numbers(found: Record | Element) -> dict[str, Any]:
    return {"index": found.index, "got": found.got, "exact": found.expected, "bound": found.bound}
