"""What was not asked: options, reductions and the like on which an implementation was never judged."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from xentcheck.records.record import Record
from xentcheck.records.words import printable

HELP = {
    "option": "a parameter of that name or options= declares an option",
    "reduction": "a parameter reduction declares the others",
    "dtype": "--dtype or dtypes= declares a dtype",
    "head": "a parameter bias makes it a fused linear loss",
}
"""What would include it, by the first word of what is lacking."""


def not_asked(records: Iterable[Record]) -> tuple[str, ...]:
    """A sentence for each implementation that was not asked about all: what, in how many comparisons, what to do.

    >>> place = dict(adapter="mine", variant="v", device="cpu", dtype="float32", group="g", contract="c", case="c")
    >>> lacking = Record(**place, quantity="cost", outcome="unsupported", lacks=("reduction", "mean"))
    >>> not_asked([lacking])
    ('mine was not judged on reduction mean (1 of 1 comparisons); a parameter reduction declares the others',)
    """
    counts: Counter[str] = Counter()
    unsupported: Counter[str] = Counter()
    lacking: dict[str, Counter[str]] = defaultdict(Counter)
    helps: dict[str, dict[str, None]] = defaultdict(dict)
    for r in records:
        counts[r.adapter] += 1
        if r.outcome == "unsupported" and r.lacks:
            unsupported[r.adapter] += 1
            lacking[r.adapter][printable(" ".join(r.lacks))] += 1
            if r.lacks[0] in HELP and not r.refused:
                helps[r.adapter][HELP[r.lacks[0]]] = None
    found = []
    for adapter, what in lacking.items():
        named = ", ".join(name for name, _ in what.most_common())
        told = (
            f"{printable(adapter)} was not judged on {named} ({unsupported[adapter]} of {counts[adapter]} comparisons)"
        )
        found.append("; ".join((told, *helps[adapter])))
    return tuple(found)
