"""Rows: what the comparisons of one quantity at one place add up to, one record after the other."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import add
from statistics import median

from xentcheck.records.record import SHARE_EDGES, Place, Record, place_of, rank
from xentcheck.vocabulary import FAILING, OUTCOMES


@dataclass(frozen=True)
class Row:
    """All comparisons of one quantity at one place; worst: the record of the largest share, known deviations apart.

    known: the deviation of the largest share. farthest: the record of the most units in the last place, deviations
    apart, None if every exact value is below the normal range. median: of the comparisons' shares. most: a limit that
    the shares of 99 % of the elements are below, an edge of a bin.
    """

    place: Place
    quantity: str
    counts: dict[str, int]
    elements: int
    worst: Record | None
    known: Record | None
    farthest: Record | None
    median: float | None
    most: float | None

    @property
    def ulp(self) -> float | None:
        """The largest error in units in the last place."""
        return self.farthest.ulp if self.farthest else None

    @property
    def failing(self) -> int:
        """Comparisons with a failing outcome."""
        return sum(self.counts.get(outcome, 0) for outcome in FAILING)


class Rows:
    """The rows of records that come in canonical order."""

    def __init__(self) -> None:
        self._found: dict[tuple[Place, str], _Sums] = {}

    def add(self, r: Record) -> None:
        """The next record."""
        key = place_of(r), r.quantity
        if key not in self._found:
            self._found[key] = _Sums()
        self._found[key].add(r)

    def rows(self) -> tuple[Row, ...]:
        """A row for each quantity at each place."""
        return tuple(sums.row(*key) for key, sums in self._found.items())


class _Sums:
    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.elements = 0
        self.worst: Record | None = None
        self.known: Record | None = None
        self.farthest: Record | None = None
        self.shares = array("d")
        self.bins: list[int] = []

    def add(self, r: Record) -> None:
        self.counts[r.outcome] += 1
        self.elements += r.elements
        if r.share is None:
            return
        if r.outcome == "deviation":
            self.known = larger(self.known, r)
            return
        self.worst = larger(self.worst, r)
        if r.ulp is not None and (self.farthest is None or rank(r.ulp) > rank(self.farthest.ulp)):
            self.farthest = r
        self.shares.append(rank(r.share))
        if r.share_counts:
            self.bins = list(map(add, self.bins, r.share_counts)) if self.bins else list(r.share_counts)

    def row(self, place: Place, quantity: str) -> Row:
        return Row(
            place,
            quantity,
            ordered(self.counts),
            self.elements,
            worst=self.worst,
            known=self.known,
            farthest=self.farthest,
            median=median(self.shares) if self.shares else None,
            most=share_limit(self.bins, 0.99),
        )


def larger(best: Record | None, r: Record) -> Record:
    """The one with the larger share, the first of two that are equal."""
    return r if best is None or rank(r.share) > rank(best.share) else best


def ordered(counts: Mapping[str, int]) -> dict[str, int]:
    """Outcomes in the order of the vocabulary, those that there are."""
    return {outcome: counts[outcome] for outcome in OUTCOMES if counts.get(outcome)}


def share_limit(bins: Sequence[int], part: float) -> float | None:
    """The smallest edge of a bin below which this part of all elements' shares lies; inf beyond 1, None of no bins."""
    below = 0
    for n, edge in zip(bins, (*SHARE_EDGES[1:], float("inf")), strict=False):
        below += n
        if below >= part * sum(bins):
            return edge
    return None
