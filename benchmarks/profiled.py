"""Where the time of a call goes, in a few words: for what misses its goal."""

from __future__ import annotations

import cProfile
import pstats
from collections import Counter
from collections.abc import Callable
from pathlib import Path

PARTS = {
    "reference/bounds/sums": "what long sums leave over",
    "reference/bounds": "bounds",
    "reference/oracle": "exact values",
    "reference/numbers/loops/passes": "what long sums leave over",
    "reference/numbers/loops/comparing": "comparison and power, compiled",
    "reference/numbers": "double-double and compiled passes",
    "xentcheck/judging/power": "power",
    "xentcheck/judging": "comparison",
    "reference": "inputs and targets",
}
"""Folders of the code, the narrower ones first, and what is done there."""


def where_time_goes(call: Callable[[], object], most: int = 4) -> str:
    """The largest shares of a call's time by part of the code; NumPy's own functions count as their caller's."""
    call()
    profile = cProfile.Profile()
    profile.runcall(call)
    spent: Counter[str] = Counter()
    for (file, _, _), (_, _, own, _, callers) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]  # typeshed has no stats
        if part := part_of(file):
            spent[part] += own
        else:
            for (caller, _, _), (_, _, share, _) in callers.items():
                spent[part_of(caller) or "other"] += share
    whole = sum(spent.values())
    return ", ".join(f"{part} {100 * seconds / whole:.0f} %" for part, seconds in spent.most_common(most))


def part_of(file: str) -> str:
    """What is done in a file of the code; empty for other files."""
    path = Path(file).as_posix()
    return next((words for folder, words in PARTS.items() if f"/{folder}/" in path or f"/{folder}." in path), "")
