"""Weaker contracts: what disagrees by the default, and would not if another contract were declared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

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
