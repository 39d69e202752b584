"""Suspicion: the known mistake that explains most of a run's failing comparisons."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import lru_cache

from xentcheck.records.record import Record
from xentcheck.vocabulary import UNSURE

NUMBER = re.compile(r"(= -?)?[0-9][0-9.e+-]*")
"""A number, and what is before it where it belongs to the mistake, as in "T = 0.5"."""

SINGLE = 8
"""Single numbers that nothing explains for each failure explained, beside results of several elements."""

SEVERAL = 3
"""Elements from which on a mistake that fits all of them does so by no chance; one number is met by one of hundreds."""


def by_chance(failing: Sequence[Record]) -> frozenset[str]:
    """The kinds that explain single numbers only, and fewer than half of those that failed in any implementation."""
    often: set[str] = set()
    single: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    failed: Counter[tuple[str, str]] = Counter()
    for r in failing:
        kinds = dict.fromkeys(map(kind_of, r.suspects))
        if not 0 < r.elements < SEVERAL:
            often.update(kinds)
        elif kinds:
            single[r.adapter, r.variant].update(kinds.keys())
            failed[r.adapter, r.variant] += 1
    for place, counts in single.items():
        often |= {kind for kind, count in counts.items() if 2 * count >= failed[place]}
    return frozenset(kind for counts in single.values() for kind in counts if kind not in often)


def outweighed(explained: Sequence[int], unknown: Sequence[int]) -> bool:
    """Whether what nothing explains is more: of results of several elements any more, else twice as much, and eight
    times beside an explained result of several elements.

    Both: how many elements each result has.
    """
    rows, others = (sum(n >= SEVERAL for n in part) for part in (explained, unknown))
    return (others > rows > 0 and 2 * len(unknown) > len(explained)) or len(unknown) > (SINGLE if rows else 2) * len(
        explained
    )


def kinds_of(r: Record, chance: frozenset[str]) -> list[str]:
    """The kinds of a record's suspects, without those by chance; UNSURE where no other is left."""
    kinds = dict.fromkeys(map(kind_of, r.suspects))
    return [kind for kind in kinds if kind not in chance] or [UNSURE]


def suspicion(failing: Sequence[Record]) -> str:
    """One sentence on the cause that most failing records share, or an empty string if none was looked for.

    >>> place = dict(adapter="a", variant="v", device="cpu", dtype="float32", group="g", contract="c", case="c")
    >>> wrong = Record(**place, quantity="cost", outcome="disagree", suspects=("B20: divides by all rows",))
    >>> suspicion([wrong])
    'suspected: divides by all rows [B20], which explains 1 of 1 failures examined'
    """
    examined = [r for r in failing if r.suspects]
    if not examined:
        return ""
    chance = by_chance(examined)
    kinds = Counter(kind for r in examined for kind in kinds_of(r, chance))
    unsure = kinds.pop(UNSURE, 0)
    kind, count = kinds.most_common(1)[0] if kinds else (UNSURE, unsure)
    explained, unknown = ([r.elements for r in examined if k in kinds_of(r, chance)] for k in (kind, UNSURE))
    if outweighed(explained, unknown):
        kind, count = UNSURE, unsure
    if kind == UNSURE:
        return f"cause unknown: {UNSURE.partition(': ')[2]} ({count} of {len(examined)} failures examined)"
    told = Counter(text for r in examined for text in r.suspects if kind_of(text) == kind)
    code, _, sentence = told.most_common(1)[0][0].partition(": ")
    if len(told) > 1:  # in several wordings: what they have in common
        sentence = sentence.rpartition(": ")[2]
    return f"suspected: {sentence} [{code}], which explains {count} of {len(examined)} failures examined"


@lru_cache(2**14)
def kind_of(text: str) -> str:
    """A mistake whatever its numbers, but those after "= ", and whatever comes before its last colon.

    Numbers of rows and classes are of the case, a temperature T = 0.5 is of the mistake.
    """
    code, _, sentence = text.partition(": ")
    return f"{code}: {NUMBER.sub(lambda m: m[0] if m[1] else '#', sentence.rpartition(': ')[2])}"
