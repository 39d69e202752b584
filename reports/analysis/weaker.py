"""Weaker contracts: what disagrees by the default, and would not if another contract were declared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf

from xentcheck.records.record import Place, Record, place_of
from xentcheck.records.words import passing
from xentcheck.vocabulary import QUANTITY_FAMILIES


def weaker(records: Iterable[Record], catalogue: Sequence[str]) -> tuple[str, ...]:
    """A sentence for each place and family of quantities whose disagreements are all within another contract.

    The first of the catalogue that allows all comparisons there, those that agree too: declared, none of them
    disagrees. Deviations are listed by themselves and left out here.

    >>> place = dict(adapter="a", variant="v", device="cpu", dtype="float16", group="g", contract="fused", case="c")
    >>> numbers = dict(shares={"fused": 2.0, "stash": 0.5}, within={"stash": 0})
    >>> found = weaker([Record(**place, quantity="dC/dz", outcome="disagree", **numbers)], ["fused", "stash"])
    >>> found[0].partition("; ")[2]
    'declare it if that is meant: --contract float16=stash'
    """
    found = Weaker(catalogue)
    for r in records:
        found.add(r)
    return found.sentences()


class Weaker:
    """What `weaker` says, of records that come one after the other."""

    def __init__(self, catalogue: Sequence[str]) -> None:
        self.catalogue = catalogue
        self._found: dict[tuple[Place, str], _Allowing] = {}

    def add(self, r: Record) -> None:
        """The next record."""
        if (r.shares and r.outcome != "deviation") or r.outcome == "disagree":
            key = place_of(r), QUANTITY_FAMILIES.get(r.quantity, r.quantity)
            if key not in self._found:
                self._found[key] = _Allowing(self.catalogue)
            self._found[key].add(r)

    def sentences(self) -> tuple[str, ...]:
        """The sentences, in the order in which the places came."""
        return tuple(filter(None, (found.sentence(*key) for key, found in self._found.items())))


class _Allowing:
    """The contracts that allow all comparisons of a place so far; of each, the disagreement that it tells least of."""

    def __init__(self, catalogue: Sequence[str]) -> None:
        self.allowing = list(catalogue)
        self.bad = 0
        self.told: dict[str, tuple[float, str, int]] = {}

    def add(self, r: Record) -> None:
        self.allowing = [c for c in self.allowing if r.shares.get(c, 2.0) <= 1]
        if r.outcome != "disagree":
            return
        self.bad += 1
        self.allowing = [c for c in self.allowing if c in r.within]
        for contract in self.allowing:
            classes = r.within[contract]
            if contract not in self.told or (classes or inf) < self.told[contract][0]:
                self.told[contract] = classes or inf, r.quantity, classes

    def sentence(self, place: Place, family: str) -> str:
        if not self.bad or not self.allowing:
            return ""
        contract = self.allowing[0]
        many = f"{self.bad} disagreements are" if self.bad > 1 else "1 disagreement is"
        return (
            f"{'/'.join(place)} {family}: {many} within `{contract}`, {passing(*self.told[contract][1:])}; "
            f"declare it if that is meant: --contract {place[3]}={contract}"
        )
