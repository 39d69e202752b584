"""Counting which pairs of option levels the comparisons of a run really met."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import cache, lru_cache
from itertools import combinations, product
from typing import Any

from xentcheck.cases import Case
from xentcheck.cases.profiles.arrays.covering import feasible
from xentcheck.cases.profiles.arrays.lattice import FACTORS, FORBIDDEN, levels_of
from xentcheck.records.findings import Coverage
from xentcheck.records.record import Record
from xentcheck.records.sizes import decides

Levels = tuple[tuple[str, Any], ...]

Pair = tuple[tuple[str, Any], tuple[str, Any]]


@cache
def possible_pairs() -> tuple[Pair, ...]:
    """All pairs of levels that go together, in the order of the factors."""
    return tuple(
        pair
        for f, g in combinations(FACTORS, 2)
        for pair in product(((f, x) for x in FACTORS[f]), ((g, y) for y in FACTORS[g]))
        if feasible(dict(pair), FORBIDDEN)
    )


def coverages(records: Iterable[Record]) -> list[Coverage]:
    """One per implementation and device that met a pair at all: a case counts if a comparison of it could have failed.

    What has no elements, what a result of zeros would pass, and a convention's answer meet nothing.
    """
    met = Met()
    for r in records:
        met.add(r)
    return met.coverages()


class Met:
    """The pairs that were met by records that come one after the other."""

    def __init__(self) -> None:
        self._levels: dict[tuple[str, str, str], set[Levels]] = defaultdict(set)

    def add(self, r: Record) -> None:
        """The next record."""
        if decides(r):
            self._levels[r.adapter, r.variant, r.device].add(_levels(r.case))

    def coverages(self) -> list[Coverage]:
        """Those of `coverages`."""
        found = []
        for (adapter, variant, device), combined in self._levels.items():
            met = {pair for levels in combined for pair in combinations(levels, 2)}
            gaps = tuple(f"{f} {x} x {g} {y}" for (f, x), (g, y) in possible_pairs() if ((f, x), (g, y)) not in met)
            count = len(possible_pairs())
            if len(gaps) < count:
                place = {"adapter": adapter, "variant": variant, "device": device}
                found.append(Coverage(**place, possible=count, met=count - len(gaps), gaps=gaps))
        return found


@lru_cache(2**14)
def _levels(case: str) -> Levels:
    return tuple(levels_of(Case.parse(case)).items())
