"""Grades: the arithmetic that an implementation really does, found from the shares of its bounds, not declared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
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


def grades(records: Iterable[Record], catalogue: Sequence[str], *, by_family: bool = False) -> tuple[Grade, ...]:
    """The grade of each place, or of each family of quantities at each place.

    `not (share <= 1)` excludes a contract, so that nan does; so does never being tried. Deviations are listed by
    themselves and left out here.
    """
    found: dict[tuple[Place, str], list[Record]] = defaultdict(list)
    for r in records:
        if r.shares and r.outcome != "deviation":
            family = QUANTITY_FAMILIES.get(r.quantity, r.quantity) if by_family else EVERYTHING
            found[place_of(r), family].append(r)
    return tuple(_grade(place, family, members, catalogue) for (place, family), members in found.items())


def _grade(place: Place, family: str, members: Sequence[Record], catalogue: Sequence[str]) -> Grade:
    declared = sorted({r.contract for r in members})
    witness, excluded, grade = None, "", "none"
    for contract in catalogue:
        tried = [r for r in members if contract in r.shares]
        worst = max(tried, key=lambda r: rank(r.shares[contract]), default=None)
        if worst is not None and worst.shares[contract] <= 1:
            grade = contract
            break
        if worst is not None:
            witness, excluded = worst, contract
    beats = grade in catalogue and all(c in catalogue and catalogue.index(grade) < catalogue.index(c) for c in declared)
    return Grade(place, family, grade, ", ".join(declared), excluded, witness, beats)
