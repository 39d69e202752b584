"""Power of groups of comparisons: what they must reject together, by kind and by size, and what nothing decided."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from xentcheck.records.record import Place, Record, place_of
from xentcheck.records.sizes import CLASS_STEPS, ROW_STEPS, STEPS, Step, decides
from xentcheck.vocabulary import EXECUTED

ANY_SHAPE = frozenset({"transposed"})
"""What a step need not reject: a transposed gradient is refused by its shape wherever it is not square."""

OF_OPTIONS = frozenset(
    {
        "weights_left_out",
        "smoothing_left_out",
        "ignored_rows_leak",
        "ignored_rows_counted",
        "upstream_ignored",
        "first_upstream",
        "divided_by_n",
    }
)
"""Wrong answers of single options. Each step must reject them for an implementation that has all options, whose cases
combine them; one that has few shows them in groups by kind, on the sizes that show each best.
"""


@dataclass(frozen=True)
class Group:
    """Power of one group: the wrong answers that it must reject, and what became of each.

    undecided: it holds the comparisons of one size, and a result of zeros would have passed each of them.
    """

    name: str
    rejected: tuple[str, ...]
    blind: tuple[str, ...]
    not_exercised: tuple[str, ...]
    undecided: bool = False


def power_groups(records: Iterable[Record]) -> tuple[Group, ...]:
    """Power per kind of problem (place, quantity, target kind and reduction), and per size (place and quantity).

    A group has what its comparisons with elements require, and rejects what those of them reject that decide anything.

    >>> power_groups([])
    ()
    """
    required: dict[str, set[str]] = defaultdict(set)
    applicable: dict[str, set[str]] = defaultdict(set)
    rejected: dict[str, set[str]] = defaultdict(set)
    sized = set()
    records = [r for r in records if r.outcome in EXECUTED and r.elements]
    combining = _combining(records)
    for r in records:
        by_size = size_name(r)
        sized.add(by_size)
        others = ANY_SHAPE if place_of(r) in combining else ANY_SHAPE | OF_OPTIONS
        for name, needed in ((r.group, set(r.required)), (by_size, set(r.required) - others)):
            required[name] |= needed
            applicable[name] |= set(r.applicable)
            rejected[name] |= set(r.rejected) if decides(r) else set()
    return tuple(
        Group(
            name,
            tuple(sorted(required[name] & rejected[name])),
            tuple(sorted((required[name] & applicable[name]) - rejected[name])),
            tuple(sorted(required[name] - applicable[name] - rejected[name])),
            undecided=name in sized and not rejected[name],
        )
        for name in sorted(required)
        if name
    )


def _combining(records: Iterable[Record]) -> set[Place]:
    """The places whose implementation has every option, as what its comparisons require says."""
    needed: dict[Place, set[str]] = defaultdict(set)
    for r in records:
        needed[place_of(r)] |= {*r.required, *(("probabilities",) if "/probabilities/" in r.group else ())}
    every = {"weights_left_out", "smoothing_left_out", "ignored_rows_leak", "upstream_ignored", "probabilities"}
    return {place for place, names in needed.items() if names >= every}


def size_name(r: Record) -> str:
    """The name of a comparison's group by size; empty where that is not known."""
    return "/".join((*place_of(r), r.quantity, r.size)) if r.size else ""


def undecided(records: Iterable[Record]) -> tuple[str, ...]:
    """What could not have failed, in sentences: one per place and extent, with the quantities that share it."""
    met: dict[tuple[Place, str], dict[Step, bool]] = defaultdict(dict)
    for r in records:
        if r.outcome in EXECUTED and r.elements and r.size in STEPS:
            steps = met[place_of(r), r.quantity]
            steps[STEPS[r.size]] = steps.get(STEPS[r.size], False) or decides(r)
    shared: dict[tuple[Place, str], list[str]] = {}
    for (place, quantity), steps in met.items():
        for extent in _extents(steps):
            shared.setdefault((place, extent), []).append(quantity)
    return tuple(
        f"{' '.join(place)}: no {' or '.join(quantities)}{extent} could have failed"
        for (place, extent), quantities in shared.items()
    )


def undecided_altogether(records: Iterable[Record], *, part: bool = False) -> tuple[str, ...]:
    """Quantities of a place of which nothing at all could have failed: sentences, one per place.

    That fails a run of selected cases, too, which need not have the power of a profile. Quantities of which zero is
    right, or that have no elements, are named only where nothing else at their place could have failed. part: the run
    is a shard, whose cases nobody chose: there they are not named, as the whole run decides.
    """
    decided: dict[Place, dict[str, bool]] = defaultdict(dict)
    vacuous: set[tuple[Place, str]] = set()
    for r in records:
        if r.outcome in EXECUTED:
            here = decided[place_of(r)]
            here[r.quantity] = here.get(r.quantity, False) or decides(r)
            vacuous |= {(place_of(r), r.quantity)} if r.outcome == "vacuous" else set()
    found = {
        place: [
            q for q, done in here.items() if not done and ((place, q) in vacuous or not (part or any(here.values())))
        ]
        for place, here in decided.items()
    }
    return tuple(
        f"{' '.join(place)}: no {' or '.join(names)} could have failed" for place, names in found.items() if names
    )


def _extents(decided: dict[Step, bool]) -> list[str]:
    """Where nothing was decided, in words, of the steps that were met; neighbouring steps of classes as one."""
    if not any(decided.values()):
        return [""]
    found = []
    for j in range(len(ROW_STEPS) + 1):
        met = sorted(i for i, rows in decided if rows == j)
        rows = "" if not j else f" in more than {ROW_STEPS[j - 1]} rows"
        if j and any(more > j for _, more in decided):
            rows = f" in {ROW_STEPS[j - 1] + 1} to {ROW_STEPS[j]} rows"
        open_steps = [i for i in met if not decided[i, j]]
        if open_steps == met:
            found += [rows or f" in up to {ROW_STEPS[0]} rows"] if met else []
            continue
        while open_steps:
            last = first = open_steps.pop(0)
            while open_steps and met.index(open_steps[0]) == met.index(last) + 1:
                last = open_steps.pop(0)
            least = CLASS_STEPS[first - 1] if first else 0
            to = f" above {least} classes" if last == met[-1] else f" of {least + 1} to {CLASS_STEPS[last]} classes"
            found.append(to + rows)
    return found
