"""Suspicion: the known mistake that explains most of a run's failing comparisons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from .record import Record


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
    codes = Counter(code for r in examined for code in {text.partition(": ")[0] for text in r.suspects})
    code, count = max(codes.items(), key=lambda item: (item[1], item[0] != "unsure"))
    sentences = Counter(t for r in examined for t in r.suspects if t.partition(": ")[0] == code)
    sentence = sentences.most_common(1)[0][0].partition(": ")[2]
    if code == "unsure":
        return f"cause unknown: {sentence} ({count} of {len(examined)} failures examined)"
    return f"suspected: {sentence} [{code}], which explains {count} of {len(examined)} failures examined"
