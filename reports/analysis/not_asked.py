"""What was not asked: options, reductions and the like that were never judged, and parameters that were never set."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from xentcheck.records.record import Record
from xentcheck.records.words import printable
from xentcheck.vocabulary import DTYPES, EXECUTED, NEVER_SET

HELP = {
    "option": "a parameter of its name, or options=, declares an option",
    "reduction": "a parameter reduction declares the others",
    "dtype": "--dtype or dtypes= declares a dtype",
    "head": "head layer is for fused linear losses, which have a parameter bias",
}
"""What would include it, by the first word of what is lacking; to a fused linear loss no head is missing."""


PARAMETERS = {"w": "weight", "i": "ignore_index", "l": "label_smoothing"}
"""Options that a case may have beside others, by the first letter of their levels in its id."""

WRAPPER = (
    "a wrapper that passes them on as weight, ignore_index, reduction or label_smoothing includes them, and a function "
    "for each value that is to be judged"
)


class NotAsked:
    """A sentence for each implementation that was not asked about all: what, in how many comparisons, what to do.

    >>> place = dict(adapter="mine", variant="v", device="cpu", dtype="float32", group="g", contract="c", case="c")
    >>> found = NotAsked()
    >>> found.add(Record(**place, quantity="cost", outcome="unsupported", lacks=("reduction", "mean")))
    >>> found.sentences()
    ('mine was not judged on reduction mean (1 of 1 comparisons); a parameter reduction declares the others',)

    An option whose cases all need something else that is lacking counts as well, in each dtype.
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._unsupported: Counter[str] = Counter()
        self._lacking: dict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)
        self._helps: dict[str, dict[str, None]] = defaultdict(dict)
        self._met: dict[tuple[str, str, str], bool] = {}

    def add(self, r: Record) -> None:
        """The next record."""
        self._counts[r.adapter] += 1
        for option in _options(r.case):
            key = r.adapter, option, r.dtype
            self._met[key] = self._met.get(key, False) or r.outcome in EXECUTED
        if r.outcome == "unsupported" and r.lacks:
            self._unsupported[r.adapter] += 1
            self._lacking[r.adapter][tuple(r.lacks)] += 1
            told = r.lacks[0] in HELP and (r.lacks[0] != "head" or "layer" in r.lacks)
            if told and not r.refused:
                self._helps[r.adapter][HELP[r.lacks[0]]] = None

    def sentences(self, environment: Mapping[str, Any] | None = None) -> tuple[str, ...]:
        """The sentences; environment: that of the run, which knows the parameters that no problem sets."""
        found = []
        for adapter, what in self._lacking.items():
            counts = f"{self._unsupported[adapter]} of {self._counts[adapter]} comparisons"
            told = f"{printable(adapter)} was not judged on {'; '.join(_listed(what))} ({counts})"
            found.append("; ".join((told, *self._helps[adapter])))
            found += self._never_alone(adapter, what)
        return (*found, *_never_set((environment or {}).get("adapters")))

    def _never_alone(self, adapter: str, lacking: Mapping[tuple[str, ...], int]) -> Iterator[str]:
        """A sentence for each option that is not lacking, and that was judged in no case of some dtype."""
        names = [name for name in PARAMETERS.values() if ("option", name) in lacking]
        for option in PARAMETERS.values():
            dtypes = [d for d in DTYPES if self._met.get((adapter, option, d)) is False]
            if dtypes and option not in names:
                others = f"; with a parameter {' and '.join(names)} there are more" if names else ""
                told = f"{printable(adapter)} was not judged on {option} in {', '.join(dtypes)}"
                yield f"{told}: each case with it needs something else that is lacking{others}"


def _options(case: str) -> set[str]:
    """The parameters that the id of a case has a level of; none where it is no such id."""
    parts = case.split(".")
    levels = parts[4].split("+") if len(parts) > 4 else ()
    return {PARAMETERS[level[0]] for level in levels if level[:1] in PARAMETERS}


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
