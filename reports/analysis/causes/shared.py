"""What all failures of a cause share, and no agreement, or as few agreements as may be: traits of their cases."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from itertools import combinations

from xentcheck.records.record import Record

from .traits import Traits, size_of, traits_of

Counts = Mapping[tuple[str, Traits, int], int]
"""Quantity, traits and number of classes of some comparisons -> how many there are."""


class Agreements:
    """The comparisons that agree: how many have which traits, by implementation."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._counts: dict[tuple[str, str], Counter[tuple[str, Traits, int]]] = defaultdict(Counter)
        for r in records:
            self.add(r)

    def add(self, r: Record) -> None:
        """The next record."""
        if r.outcome == "agree":
            self._counts[r.adapter, r.variant][r.quantity, traits_of(r), size_of(r)[0]] += 1

    def of(self, places: Collection[tuple[str, str]]) -> Counts:
        """Those of some implementations and variants."""
        found: Counter[tuple[str, Traits, int]] = Counter()
        for place in places:
            found.update(self._counts.get(place, {}))
        return found


def shared(failing: Counts, agreeing: Counts) -> str:
    """In words what is in all failures and in no agreement of the same quantities, or in as few of them as may be.

    Traits that all failures have, as few of them as tell as much; and one of two, where each failure has either.
    """
    quantities = {quantity for quantity, _, _ in failing}
    beside: Counter[Traits] = Counter()
    fewest = min(classes for _, _, classes in failing)
    large = frozenset({f"{fewest} classes and more"} if fewest else ())
    for (quantity, traits, classes), n in agreeing.items():
        if quantity in quantities:
            beside[traits | large if classes >= fewest else traits] += n
    if not beside:
        return "in everything that was asked for"
    failed = {traits | large for _, traits, _ in failing}
    shared = frozenset.intersection(*failed)
    left = {traits: n for traits, n in beside.items() if shared <= traits}
    pairs = combinations(sorted(frozenset.union(*failed) - shared), 2)
    either = [pair for pair in pairs if all(not traits.isdisjoint(pair) for traits in failed)]
    best = min(either, key=lambda pair: _many(left, pair), default=())
    after = _many(left, best) if best else sum(left.values())
    if best and after >= sum(left.values()):
        best, after = (), sum(left.values())
    needed = sorted(shared)
    for text in sorted(shared, key=lambda text: (-_many(beside, (text,)), text)):
        fewer = [other for other in needed if other != text]
        having = {traits: n for traits, n in beside.items() if traits.issuperset(fewer)}
        others = _many(having, best) if best else sum(having.values())
        if others <= after and (fewer or best):
            needed = fewer
    told = [*needed, *([" or ".join(best)] if best else [])]
    if after == sum(beside.values()):
        return ""
    if after:
        return f"all with {', '.join(told)} ({after} agreement{'s have' if after > 1 else ' has'} that, too)"
    return f"only with {', '.join(told)}"


def _many(counts: Mapping[Traits, int], either: Iterable[str]) -> int:
    """How many have one of some traits."""
    return sum(n for traits, n in counts.items() if not traits.isdisjoint(either))
