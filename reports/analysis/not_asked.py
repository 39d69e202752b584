"""What was not asked: options, reductions and the like that were never judged, and parameters that were never set."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from xentcheck.records.record import Record
from xentcheck.records.words import printable
from xentcheck.vocabulary import NEVER_SET

HELP = {
    "option": "a parameter of its name, or options=, declares an option",
    "reduction": "a parameter reduction declares the others",
    "dtype": "--dtype or dtypes= declares a dtype",
    "head": "a head is for fused linear losses, which have a parameter bias",
}
"""What would include it, by the first word of what is lacking."""


WRAPPER = (
    "a wrapper that passes them on as weight, ignore_index, reduction or label_smoothing includes them, and a function "
    "for each value that is to be judged"
)


def not_asked(records: Iterable[Record], environment: Mapping[str, Any] | None = None) -> tuple[str, ...]:
    """A sentence for each implementation that was not asked about all: what, in how many comparisons, what to do.

    environment: that of the run, which knows the parameters that no problem sets.

    >>> place = dict(adapter="mine", variant="v", device="cpu", dtype="float32", group="g", contract="c", case="c")
    >>> lacking = Record(**place, quantity="cost", outcome="unsupported", lacks=("reduction", "mean"))
    >>> not_asked([lacking])
    ('mine was not judged on reduction mean (1 of 1 comparisons); a parameter reduction declares the others',)
    """
    counts: Counter[str] = Counter()
    unsupported: Counter[str] = Counter()
    lacking: dict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)
    helps: dict[str, dict[str, None]] = defaultdict(dict)
    for r in records:
        counts[r.adapter] += 1
        if r.outcome == "unsupported" and r.lacks:
            unsupported[r.adapter] += 1
            lacking[r.adapter][tuple(r.lacks)] += 1
            if r.lacks[0] in HELP and not r.refused:
                helps[r.adapter][HELP[r.lacks[0]]] = None
    found = []
    for adapter, what in lacking.items():
        named = "; ".join(_listed(what))
        told = (
            f"{printable(adapter)} was not judged on {named} ({unsupported[adapter]} of {counts[adapter]} comparisons)"
        )
        found.append("; ".join((told, *helps[adapter])))
    return (*found, *_never_set((environment or {}).get("adapters")))


def _listed(what: Counter[tuple[str, ...]]) -> Iterator[str]:
    """What is lacking, the most frequent first, by its first word: "option k_dims, weight"."""
    kinds: dict[str, list[str]] = {}
    for (kind, *rest), _ in what.most_common():
        kinds.setdefault(printable(kind), []).append(printable(" ".join(rest)))
    for kind, names in kinds.items():
        yield f"{kind} {', '.join(names)}".strip()


def _never_set(adapters: object) -> Iterator[str]:
    """A sentence for each function that has parameters that no problem sets."""
    for name, about in adapters.items() if isinstance(adapters, Mapping) else ():
        if isinstance(about, Mapping) and (unset := str(about.get(NEVER_SET, ""))):
            yield f"{printable(name)}: never set: {printable(', '.join(unset.split()))}; {WRAPPER}"
