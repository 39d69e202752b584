"""Causes: the failures of a run, put together by what explains them, and what all of a cause's failures share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from xentcheck.records.record import Record, order_key, place_of, rank
from xentcheck.records.rules import rules
from xentcheck.records.words import printable
from xentcheck.vocabulary import UNSURE

from .suspicion import by_chance, kind_of, kinds_of, outweighed
from .traits import size_of, traits_of

UNEXAMINED = "disagree, in quantities or sizes of which no cause is looked for"

UNKNOWN = "cause unknown: none of the known mistakes explains it"


READ_OFF = ("B27", "D47", "E60", "F79")
"""Codes of causes that are read off the numbers of one case, and tell them."""


@dataclass(frozen=True)
class Cause:
    """Failures with one cause, the smallest case first.

    code: of `xentcheck rule`, or an empty string. only: what is in all of them and in no agreement, or in all of them.
    """

    code: str
    sentence: str
    mend: str
    only: str
    records: tuple[Record, ...]

    @property
    def title(self) -> str:
        """The sentence with its code."""
        return f"{self.sentence} [{self.code}]" if self.code else self.sentence

    @property
    def smallest(self) -> Record:
        """The failure of the smallest case."""
        return self.records[0]


def causes_of(records: Iterable[Record], failing: Sequence[Record]) -> tuple[Cause, ...]:
    """The causes, that of most failures first; each failure has one.

    What is unknown comes last, but before mistakes that explain fewer failures of several elements: some do by
    chance.
    A failure that several mistakes explain has the one that explains most of the others.
    """
    agreeing: dict[tuple[str, str], list[Record]] = {}
    for r in records:
        if r.outcome == "agree":
            agreeing.setdefault((r.adapter, r.variant), []).append(r)
    chance = by_chance(failing)
    kinds_by_record = {id(r): _kinds(r, chance) for r in failing}
    left, found = list(failing), []
    while left:
        kinds = Counter(kind for r in left for kind in kinds_by_record[id(r)])
        codes = Counter(code for r in left for code in {kind.partition(":")[0] for kind in kinds_by_record[id(r)]})
        kind = min(kinds, key=lambda kind: (*_doubt(kind), -kinds[kind], -codes[kind.partition(":")[0]], kind))
        members = sorted((r for r in left if kind in kinds_by_record[id(r)]), key=_smallness)
        left = [r for r in left if kind not in kinds_by_record[id(r)]]
        beside = [r for place in {(m.adapter, m.variant) for m in members} for r in agreeing.get(place, ())]
        found.append(_cause(kind, tuple(members), beside))
    unknown = [r for cause in found if cause.sentence == UNKNOWN for r in cause.records]
    return tuple(sorted(found, key=lambda cause: _place(cause, unknown)))


def _doubt(kind: str) -> tuple[bool, bool]:
    return kind == UNEXAMINED, kind.startswith(UNSURE)


def _place(cause: Cause, unknown: Sequence[Record]) -> int:
    if cause.sentence == UNEXAMINED:
        return 3
    if cause.sentence == UNKNOWN:
        return 1
    return 2 if cause.code and outweighed(cause.records, unknown) else 0


def _kinds(r: Record, chance: frozenset[str]) -> list[str]:
    """What explains a failure: its suspects but those by chance, or else how it failed."""
    if r.suspects:
        return kinds_of(r, chance)
    return [UNEXAMINED if r.failing else " ".join((r.outcome, r.check, r.raised, *r.changed))]


def _cause(kind: str, members: tuple[Record, ...], agreeing: Sequence[Record]) -> Cause:
    only = _only(members, agreeing)
    if kind == UNEXAMINED:
        return Cause("", UNEXAMINED, "", only, members)
    if not members[0].suspects:
        how = filter(None, (members[0].outcome, printable(members[0].reason)))
        return Cause("", ": ".join(how), "", only, members)
    if kind == kind_of(UNSURE):
        return Cause("", UNKNOWN, "", only, members)
    told = Counter(text for r in members for text in r.suspects if kind_of(text) == kind)
    text = told.most_common(1)[0][0]
    code, _, sentence = text.partition(": ")
    if len(told) > 1:  # in several wordings: what they have in common
        sentence = sentence.rpartition(": ")[2]
        own = next(text for text in members[0].suspects if kind_of(text) == kind)
        numbers = own.partition(": ")[2].rpartition(": ")[0]
        if code in READ_OFF and numbers:
            sentence += f" (here {numbers})"
    known = rules().get(code)
    return Cause(code, sentence, known.mend if known else "", only, members)


def _smallness(r: Record) -> tuple[object, ...]:
    """Small cases first; of them the one that is farthest beyond its bound."""
    classes, rows = size_of(r)
    return (classes * rows or 10**9, -rank(r.share), *order_key(r))


def _only(failing: Sequence[Record], agreeing: Sequence[Record]) -> str:
    """In words what is in all failures and in no agreement of the same quantities, or in as few of them as may be.

    Traits that all failures have, as few of them as tell as much; and one of two, where each failure has either.
    """
    quantities = {r.quantity for r in failing}
    beside = [traits_of(r) for r in agreeing if r.quantity in quantities]
    if not beside:
        return "in everything that was asked for"
    failed = [traits_of(r) for r in failing]
    fewest = min(size_of(r)[0] for r in failing)
    if fewest:
        large = f"{fewest} classes and more"
        failed = [traits | {large} for traits in failed]
        sizes = (size_of(r)[0] for r in agreeing if r.quantity in quantities)
        beside = [traits | {large} if size >= fewest else traits for traits, size in zip(beside, sizes, strict=True)]
    shared = frozenset.intersection(*failed)
    left = [traits for traits in beside if shared <= traits]
    pairs = combinations(sorted(frozenset.union(*failed) - shared), 2)
    either = [pair for pair in pairs if all(not traits.isdisjoint(pair) for traits in failed)]
    best = min(either, key=lambda pair: sum(not traits.isdisjoint(pair) for traits in left), default=())
    after = [traits for traits in left if not traits.isdisjoint(best)]
    if best and len(after) >= len(left):
        best, after = (), left
    elif not best:
        after = left
    needed = sorted(shared)
    for text in sorted(shared, key=lambda text: -sum(text in traits for traits in beside)):
        fewer = [other for other in needed if other != text]
        others = [t for t in beside if t.issuperset(fewer) and (not best or not t.isdisjoint(best))]
        if len(others) <= len(after) and (fewer or best):
            needed = fewer
    told = [*needed, *([" or ".join(best)] if best else [])]
    if len(after) == len(beside):
        return ""
    if after:
        return f"all with {', '.join(told)} ({len(after)} agreement{'s have' if len(after) > 1 else ' has'} that, too)"
    return f"only with {', '.join(told)}"


def where(cause: Cause) -> str:
    """The implementations and quantities of a cause.

    >>> place = dict(adapter="a", variant="v", device="cpu", dtype="float32", group="g", contract="c", case="c")
    >>> where(Cause("B20", "divides by all rows", "", "", (Record(**place, quantity="cost", outcome="disagree"),)))
    'a/v: cost'
    """
    places = list(dict.fromkeys("/".join(place_of(r)[:2]) for r in cause.records))
    quantities = list(dict.fromkeys(r.quantity for r in sorted(cause.records, key=order_key)))
    more = f" and {len(places) - 3} more" if len(places) > 3 else ""
    return f"{', '.join(places[:3])}{more}: {', '.join(quantities)}"
