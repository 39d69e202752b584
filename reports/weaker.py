"""Weaker contracts: what disagrees by the default, and would not if another contract were declared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from xentcheck.vocabulary import GRADIENTS, QUANTITY_FAMILIES

from .record import Place, Record, place_of


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
    found: dict[tuple[Place, str], list[Record]] = defaultdict(list)
    for r in records:
        if (r.shares and r.outcome != "deviation") or r.outcome == "disagree":
            found[place_of(r), QUANTITY_FAMILIES.get(r.quantity, r.quantity)].append(r)
    sentences = (_sentence(place, family, members, catalogue) for (place, family), members in found.items())
    return tuple(filter(None, sentences))


def _sentence(place: Place, family: str, members: Sequence[Record], catalogue: Sequence[str]) -> str:
    bad = [r for r in members if r.outcome == "disagree"]
    named = [c for c in catalogue if all(c in r.within for r in bad)] if bad else []
    contract = next((c for c in named if all(r.shares.get(c, 2.0) <= 1 for r in members)), "")
    if not contract:
        return ""
    told = min(bad, key=lambda r: r.within[contract] or float("inf"))
    many = f"{len(bad)} disagreements are" if len(bad) > 1 else "1 disagreement is"
    return (
        f"{'/'.join(place)} {family}: {many} within `{contract}`, {passing(told.quantity, told.within[contract])}; "
        f"declare it if that is meant: --contract {place[3]}={contract}"
    )


def passing(quantity: str, classes: int) -> str:
    """What a contract does not notice, in words.

    >>> passing("dC/dz", 129)
    'under which a zero gradient passes from 129 classes on'
    """
    zeros = "a zero gradient" if quantity in GRADIENTS else f"{quantity} of zeros"
    return f"under which {zeros} " + (f"passes from {classes} classes on" if classes else "does not pass")
