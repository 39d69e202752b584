"""Causes: the failures of a run, put together by what explains them, and what all of a cause's failures share."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from xentcheck.records.file import chosen
from xentcheck.records.record import Place, Record, order_key, place_of, rank
from xentcheck.records.rules import rules
from xentcheck.records.words import printable
from xentcheck.vocabulary import REFUSALS, UNSURE

from .shared import Agreements, shared
from .suspicion import Kinds, doubtful, minor, weight
from .traits import WORDS, Traits, size_of, traits_of

UNEXAMINED = "disagree, in quantities or sizes of which no cause is looked for"

UNKNOWN = "cause unknown: none of the known mistakes explains it"

READ_OFF = ("B22", "B27", "D47", "E60", "F74", "F78", "F79")
"""Codes of causes that are read off the numbers of one case, and tell them."""

REFUSING = "if the function does not support this, let it raise a NotImplementedError"
"""What to do about an exception of a kind that refuses arguments: nobody can tell a refusal from a fault."""

LABELS_ALONE = "If the function takes labels alone, let it raise a NotImplementedError for rows of probabilities."
"""What to do about a mistake with such rows, besides: nobody can tell what was never meant from a fault."""

Size = tuple[str, int]
"""The quantity of a result, and how many elements it has."""


@dataclass(frozen=True)
class Cause:
    """Failures with one cause, the smallest case first.

    code: of `xentcheck rule`, or an empty string. mend: what to do, if that is known. only: what is in all of them and
    in no agreement, or in all of them.
    """

    code: str
    sentence: str
    mend: str
    only: str
    records: Sequence[Record]

    @property
    def title(self) -> str:
        """The sentence with its code."""
        return f"{self.sentence} [{self.code}]" if self.code else self.sentence

    @property
    def advice(self) -> str:
        """What to do, and, of a cause with a code, the command that says more."""
        return f"{self.mend} (xentcheck rule {self.code})" if self.mend and self.code else self.mend

    @cached_property
    def smallest(self) -> Record:
        """The failure of the smallest case."""
        return self.records[0]

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """Where its failures are, that of the smallest case first."""
        return tuple(dict.fromkeys(map(place_of, self.records)))

    @cached_property
    def quantities(self) -> tuple[str, ...]:
        """What fails, in canonical order."""
        first: dict[str, tuple[object, ...]] = {}
        for r in self.records:
            first[r.quantity] = min(order_key(r), first.get(r.quantity, order_key(r)))
        return tuple(sorted(first, key=first.__getitem__))


class Failed(NamedTuple):
    """What is kept in memory of a failure: its position among all, where it is, what explains it, what its case has."""

    smallness: tuple[object, ...]
    position: int
    place: Place
    suspects: tuple[str, ...]
    traits: tuple[str, Traits, int]
    elements: int


def causes_of(agreements: Agreements, failing: Sequence[Record]) -> tuple[Cause, ...]:
    """The causes, that of most failures first; each failure has one.

    What is unknown comes last, but before mistakes that explain fewer failures of several elements: some do by
    chance.
    A failure that several mistakes explain has the one that explains most of the others, or that it names first.
    """
    left: dict[tuple[str, ...], list[Failed]] = defaultdict(list)
    once: dict[Any, Any] = {}  # what many failures have, in memory once
    kinds_of = Kinds(failing)
    for i, r in enumerate(failing):
        parts = (place_of(r), r.suspects, (r.quantity, traits_of(r), size_of(r)[0]), tuple(_kinds(r, kinds_of)))
        place, suspects, traits, kinds = (once.setdefault(part, part) for part in parts)
        left[kinds].append(Failed(_smallness(r, place), i, place, suspects, traits, r.elements))
    found = []
    while left:
        counts, codes = Counter[str](), Counter[str]()
        for kinds, members in left.items():
            counts.update(dict.fromkeys(kinds, len(members)))
            codes.update(dict.fromkeys((kind.partition(":")[0] for kind in kinds), len(members)))
        kind = min(
            counts, key=lambda kind: (*_doubt(kind), -weight(kind, counts[kind]), -codes[kind.partition(":")[0]])
        )
        explained = sorted((f for kinds in left if kind in kinds for f in left[kinds]), key=lambda f: f[:2])
        left = {kinds: members for kinds, members in left.items() if kind not in kinds}
        cause = _cause(kind, explained, chosen(failing, (f.position for f in explained)), agreements, kinds_of)
        found.append((cause, [(f.traits[0], f.elements) for f in explained]))
    unknown = [size for cause, sizes in found if cause.sentence == UNKNOWN for size in sizes]
    examined = sum(len(sizes) for cause, sizes in found if cause.code or cause.sentence == UNKNOWN)
    return tuple(cause for cause, _ in sorted(found, key=lambda pair: _rank(pair[0], pair[1], unknown, examined)))


def _doubt(kind: str) -> tuple[bool, bool]:
    return kind == UNEXAMINED, kind.startswith(UNSURE)


def _rank(cause: Cause, explained: Sequence[Size], unknown: Sequence[Size], examined: int) -> int:
    if cause.sentence == UNEXAMINED:
        return 3
    if cause.sentence == UNKNOWN:
        return 1
    few = 2 * len(unknown) > examined and minor(len(explained), examined)
    return 2 if cause.code and (few or doubtful(explained, unknown)) else 0


def _kinds(r: Record, kinds_of: Kinds) -> list[str]:
    """What explains a failure: its suspects but those by chance, or else how it failed."""
    if r.suspects:
        return kinds_of.of(r)
    return [UNEXAMINED if r.failing else " ".join((r.outcome, r.check, r.raised, *r.changed))]


def _cause(
    kind: str, members: Sequence[Failed], records: Sequence[Record], agreements: Agreements, kinds: Kinds
) -> Cause:
    agreeing = agreements.of({f.place[:2] for f in members})
    only = shared(Counter(f.traits for f in members), agreeing)
    soft = all(WORDS["prob"] in f.traits[1] for f in members)
    alone = soft and agreeing and not any(WORDS["prob"] in traits for _, traits, _ in agreeing)
    hint = LABELS_ALONE if alone else ""
    if kind == UNEXAMINED:
        return Cause("", UNEXAMINED, "", only, records)
    if not members[0].suspects:
        how = filter(None, (records[0].outcome, printable(records[0].reason)))
        mend = REFUSING if records[0].outcome == "error" and records[0].raised in REFUSALS else ""
        return Cause("", ": ".join(how), mend, only, records)
    if kind.startswith(UNSURE):
        return Cause("", UNKNOWN, hint, only, records)
    code, sentence = kinds.common(kind, (text for f in members for text in f.suspects))
    own = next(text for text in members[0].suspects if kinds.kind(text) == kind).partition(": ")[2]
    numbers = own.rpartition(": ")[0]
    if code in READ_OFF and numbers and sentence != own:
        sentence += f" (here {numbers})"
    known = rules().get(code)
    mend = " ".join(filter(None, (known.mend if known else "", hint)))
    return Cause(code, sentence, mend, only, records)


def _smallness(r: Record, place: Place) -> tuple[object, ...]:
    """Small cases first; of them the one that is farthest beyond its bound, and the first in canonical order."""
    classes, rows = size_of(r)
    return (classes * rows or 10**9, -rank(r.share), place, *order_key(r)[len(place) :])


def where(cause: Cause) -> str:
    """The implementations and quantities of a cause.

    >>> place = dict(adapter="a", variant="v", device="cpu", dtype="float32", group="g", contract="c", case="c")
    >>> where(Cause("B20", "divides by all rows", "", "", (Record(**place, quantity="cost", outcome="disagree"),)))
    'a/v: cost'
    """
    places = list(dict.fromkeys("/".join(place[:2]) for place in cause.places))
    more = f" and {len(places) - 3} more" if len(places) > 3 else ""
    return f"{', '.join(places[:3])}{more}: {', '.join(cause.quantities)}"
