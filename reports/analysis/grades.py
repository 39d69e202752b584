"""Grades: the arithmetic that an implementation really does, found from the shares of its bounds, not declared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from xentcheck.records.record import Place, Record, place_of, rank
from xentcheck.vocabulary import QUANTITY_FAMILIES

EVERYTHING = "all"


@dataclass(frozen=True)
class Grade:
    """The first contract of the catalogue that all comparisons of a family at a place meet.

    declared: what they are judged by. excluded: the contract tried before it, and witness: the comparison that exceeds
    that one most; both empty for the first of the catalogue. family: of quantities, or `all`.
    """

    place: Place
    family: str
    contract: str
    declared: str
    excluded: str
    witness: Record | None
    beats: bool

    @property
    def hint(self) -> str:
        """What to declare instead, if the implementation keeps a stricter contract than it promises."""
        return f"meets {self.contract}, stricter than the declared {self.declared}" if self.beats else ""

    @property
    def proof(self) -> str:
        """Why it is no stricter, in words."""
        if self.witness is None:
            return ""
        share = self.witness.shares[self.excluded]
        return f"{self.excluded} exceeded {share:.3g} times by {self.witness.quantity} of {self.witness.case}"


class Grades:
    """The grade of each place, or of each family of quantities at each place, of records in canonical order.

    `not (share <= 1)` excludes a contract, so that nan does; so does never being tried. Deviations are listed by
    themselves and left out here.
    """

    def __init__(self, catalogue: Sequence[str], *, by_family: bool = False) -> None:
        self.catalogue, self.by_family = catalogue, by_family
        self._declared: dict[tuple[Place, str], set[str]] = defaultdict(set)
        self._worst: dict[tuple[Place, str], dict[str, tuple[float, Record]]] = defaultdict(dict)

    def add(self, r: Record) -> None:
        """The next record."""
        if not r.shares or r.outcome == "deviation":
            return
        key = place_of(r), QUANTITY_FAMILIES.get(r.quantity, r.quantity) if self.by_family else EVERYTHING
        self._declared[key].add(r.contract)
        worst = self._worst[key]
        for contract, share in r.shares.items():
            if contract not in worst or rank(share) > worst[contract][0]:
                worst[contract] = rank(share), r

    def grades(self) -> tuple[Grade, ...]:
        """The grades, in the order in which the places came."""
        return tuple(self._grade(*key) for key in self._declared)

    def _grade(self, place: Place, family: str) -> Grade:
        declared = sorted(self._declared[place, family])
        tried = self._worst[place, family]
        witness, excluded, grade = None, "", "none"
        for contract in self.catalogue:
            if contract not in tried:
                continue
            worst = tried[contract][1]
            if worst.shares[contract] <= 1:
                grade = contract
                break
            witness, excluded = worst, contract
        order = {contract: i for i, contract in enumerate(self.catalogue)}
        beats = grade in order and all(c in order and order[grade] < order[c] for c in declared)
        return Grade(place, family, grade, ", ".join(declared), excluded, witness, beats)
