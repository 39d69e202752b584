"""Suspicion: the known mistake that explains most of a run's failing comparisons."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache

from xentcheck.records.record import Record
from xentcheck.records.rules import rules
from xentcheck.vocabulary import UNSURE

NUMBER = re.compile(r"(= -?)?[0-9][0-9.e+-]*")
"""A number, and what is before it where it belongs to the mistake, as in "T = 0.5"."""

READ = re.compile(r"(= )(-?[0-9][0-9.]*(?:e[+-]?[0-9]+)?)$")
"""A number that was read off, at the end of a sentence."""

ALIKE = 0.1
"""Share within which numbers are one, read off results that tell it in few digits."""

SINGLE = 8
"""Single numbers that nothing explains for each failure explained, beside results of several elements."""

SEVERAL = 3
"""Elements from which on a mistake that fits all of them does so by no chance; one number is met by one of hundreds."""

FORMS = 0.6
"""A mistake of less than this share of all with its code is one of several forms, which nobody can tell apart."""

LEAST = 4
"""A cause of fewer than one in so many failures is none of the whole run."""


NUMBERED = 7 / 8
"""What a mistake with any number in it is worth beside one without."""


OF_PARTS = "B22: "
"""Means of parts: there are so many ways to take a batch apart that one often fits what has a simpler name."""

TIED = 1.0 - 2.0**-20
"""What a mistake is worth that gives way to any other that explains as much."""


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


class Kinds:
    """What the suspects of a run's failures have in common: mistakes whatever their numbers.

    A single number that a mistake was read off is of the mistake that has the same number in results of several
    elements, and else of one with just this number: some are met by chance.
    """

    def __init__(self, failing: Sequence[Record]) -> None:
        self._chance = by_chance(failing)
        several = (r for r in failing if not 0 < r.elements < SEVERAL)
        self._sure = frozenset(kind_of(text) for r in several for text in r.suspects)

    def of(self, r: Record) -> list[str]:
        """The kinds of a record's suspects, without those by chance; UNSURE where no other is left."""
        kinds = dict.fromkeys(self.kind(text) for text in r.suspects if kind_of(text) not in self._chance)
        return [*kinds] or [UNSURE]

    def kind(self, text: str) -> str:
        """The kind of a suspect."""
        numbered = kind_of(text)
        return family_of(numbered) if numbered in self._sure else numbered

    def common(self, kind: str, suspects: Iterable[str]) -> tuple[str, str]:
        """The code and the sentence that the suspects of a kind have in common; from which number to which."""
        told = Counter(text for text in suspects if self.kind(text) == kind)
        ((most, times),) = told.most_common(1)
        code, _, sentence = most.partition(": ")
        if len(told) == 1:
            return code, sentence
        found = [READ.search(text) for text in told]
        sentence = sentence.rpartition(": ")[2]
        if 2 * times > told.total():
            return code, sentence
        numbers = sorted(float(m[2]) for m in found if m)
        if len(numbers) == len(told) and numbers[-1] - numbers[0] > ALIKE * max(map(abs, numbers)):
            sentence = READ.sub(lambda m: f"{m[1]}{numbers[0]:g} to {numbers[-1]:g}", sentence)
        return code, sentence


def suspicion(failing: Sequence[Record]) -> str:
    """One sentence on the cause that most failing records share, or an empty string if none was looked for.

    None is named that explains fewer than a quarter of them.

    >>> place = dict(adapter="a", variant="v", device="cpu", dtype="float32", group="g", contract="c", case="c")
    >>> wrong = Record(**place, quantity="cost", outcome="disagree", suspects=("B20: divides by all rows",))
    >>> suspicion([wrong])
    'suspected: divides by all rows [B20], which explains 1 of 1 failures examined'
    """
    examined = [r for r in failing if r.suspects]
    if not examined:
        return ""
    kinds = Kinds(examined)
    of = [kinds.of(r) for r in examined]
    counts = Counter(kind for found in of for kind in found)
    unsure = counts.pop(UNSURE, 0)
    kind = max(counts, key=lambda kind: weight(kind, counts[kind]), default=UNSURE)
    count = counts[kind] if counts else unsure
    sized = [((r.quantity, r.elements), found) for r, found in zip(examined, of, strict=True)]
    explained, unknown = ([size for size, found in sized if k in found] for k in (kind, UNSURE))
    alike = _of_code(kind.partition(":")[0], of)
    alone = alike == 1 and len(examined) > 2  # each of a few failures may be met by some mistake by chance
    if kind == UNSURE or alone or minor(count, len(examined)) or doubtful(explained, unknown):
        return f"cause unknown: {UNSURE.partition(': ')[2]} ({unsure} of {len(examined)} failures examined)"
    code, sentence = kinds.common(kind, (text for r in examined for text in r.suspects))
    if count < FORMS * alike and code in rules():
        sentence, count = rules()[code].title, alike
    return f"suspected: {sentence} [{code}], which explains {count} of {len(examined)} failures examined"


def _of_code(code: str, of: Sequence[Sequence[str]]) -> int:
    """How many failures a mistake of this code explains."""
    return sum(any(text.startswith(f"{code}: ") for text in found) for found in of)


def weight(kind: str, explained: int) -> float:
    """How much a kind is worth that explains so many: one with any number in it, a little less than it explains.

    A number can be read off anything that has a name of its own, too. Means of parts lose ties.
    """
    numbered = family_of(kind) == kind and kind.endswith("= #")
    return explained * (NUMBERED if numbered else TIED if kind.startswith(OF_PARTS) else 1.0)


def doubtful(explained: Sequence[tuple[str, int]], unknown: Sequence[tuple[str, int]]) -> bool:
    """Whether more is unknown of the quantities that a mistake explains: others may follow from it in their own way.

    Both: the quantity of each result, and how many elements it has.
    """
    met, lost = (Counter(quantity for quantity, _ in part) for part in (explained, unknown))
    often = {quantity for quantity in met if not minor(met[quantity], met[quantity] + lost[quantity])}
    there = ([n for quantity, n in part if quantity in often] for part in (explained, unknown))
    return not often or outweighed(*there)


def minor(explained: int, failed: int) -> bool:
    """Whether a cause explains too few failures to be that of all."""
    return LEAST * explained < failed


@lru_cache(2**14)
def kind_of(text: str) -> str:
    """A mistake whatever its numbers, but those after "= ", and whatever comes before its last colon.

    Numbers of rows and classes are of the case, a temperature T = 0.5 is of the mistake.
    """
    code, _, sentence = text.partition(": ")
    return f"{code}: {NUMBER.sub(lambda m: m[0] if m[1] else '#', sentence.rpartition(': ')[2])}"


@lru_cache(2**14)
def family_of(kind: str) -> str:
    """A kind whatever its number, or the name of one, after its last "= ".

    >>> family_of("A12: a temperature, T = 0.5")
    'A12: a temperature, T = #'
    """
    sentence, found, _ = kind.rpartition(" = ")
    return f"{sentence} = #" if found else kind
