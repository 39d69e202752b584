"""Suspicion: the known mistake that explains most of a run's failing comparisons."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from xentcheck.records.record import Record
from xentcheck.vocabulary import UNSURE


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
    kinds = Counter(kind for r in examined for kind in dict.fromkeys(map(kind_of, r.suspects)))
    unsure = kinds.pop(UNSURE, 0)
    kind, count = kinds.most_common(1)[0] if kinds else (UNSURE, unsure)
    if unsure > 2 * count:  # few are explained by chance
        kind, count = UNSURE, unsure
    told = Counter(text for r in examined for text in r.suspects if kind_of(text) == kind)
    code, _, sentence = told.most_common(1)[0][0].partition(": ")
    if len(told) > 1:  # in several wordings: what they have in common
        sentence = sentence.rpartition(": ")[2]
    if code == "unsure":
        return f"cause unknown: {sentence} ({count} of {len(examined)} failures examined)"
    return f"suspected: {sentence} [{code}], which explains {count} of {len(examined)} failures examined"


@lru_cache(2**14)
def kind_of(text: str) -> str:
    """A mistake whatever its numbers, as those of rows and classes, and whatever comes before its last colon."""
    code, _, sentence = text.partition(": ")
    return f"{code}: {re.sub(r'[0-9]+', '#', sentence.rpartition(': ')[2])}"
