"""Power of groups of comparisons: what they must reject together, by kind and by size, and what nothing decided."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from xentcheck.records.record import Place, Record, place_of
from xentcheck.records.sizes import CLASS_STEPS, ROW_STEPS, STEPS, Step, decides
from xentcheck.vocabulary import EXECUTED, REDUCTIONS

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
"""Wrong answers of single options. Each step must reject them for an implementation that has all options and
reductions, whose cases combine them; one that has few shows them in groups by kind, on the sizes that show each best.
"""


EVERY_OPTION = {"weights_left_out", "smoothing_left_out", "ignored_rows_leak", "upstream_ignored", "probabilities"}
"""What the comparisons of an implementation require that has every option."""


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


class Power:
    """Power per kind of problem (place, quantity, target kind and reduction), and per size (place and quantity).

    A group has what its comparisons with elements require, and rejects what those of them reject that decide anything.

    >>> Power().groups()
    ()
    """

    def __init__(self) -> None:
        self._kinds: dict[str, _Answers] = defaultdict(_Answers)
        self._sizes: dict[tuple[Place, str], _Answers] = defaultdict(_Answers)
        self._needed: dict[Place, set[str]] = defaultdict(set)
        self._steps: dict[tuple[Place, str], dict[Step, bool]] = defaultdict(dict)
        self._decided: dict[Place, dict[str, bool]] = defaultdict(dict)
        self._vacuous: set[tuple[Place, str]] = set()

    def add(self, r: Record) -> None:
        """The next record, in canonical order."""
        if r.outcome not in EXECUTED:
            return
        place, decided = place_of(r), decides(r)
        here = self._decided[place]
        here[r.quantity] = here.get(r.quantity, False) or decided
        if r.outcome == "vacuous":
            self._vacuous.add((place, r.quantity))
        if not r.elements:
            return
        self._needed[place] |= {*r.required, *r.group.split("/")[-2:]}
        for answers in (self._kinds[r.group], self._sizes[place, size_name(r)]):
            answers.required.update(r.required)
            answers.applicable.update(r.applicable)
            answers.rejected.update(r.rejected if decided else ())
        if r.size in STEPS:
            steps = self._steps[place, r.quantity]
            steps[STEPS[r.size]] = steps.get(STEPS[r.size], False) or decided

    @property
    def decided(self) -> bool:
        """Whether any comparison could have failed."""
        return any(done for here in self._decided.values() for done in here.values())

    def groups(self) -> tuple[Group, ...]:
        """The groups, by name."""
        combining = {place for place, names in self._needed.items() if names >= EVERY_OPTION.union(REDUCTIONS)}
        found = {name: answers.copy() for name, answers in self._kinds.items()}
        sized = set()
        for (place, name), answers in self._sizes.items():
            sized.add(name)
            others = ANY_SHAPE if place in combining else ANY_SHAPE | OF_OPTIONS
            group = found.setdefault(name, _Answers())
            group.required |= answers.required - others
            group.applicable |= answers.applicable
            group.rejected |= answers.rejected
        return tuple(answers.group(name, name in sized) for name, answers in sorted(found.items()) if name)

    def undecided(self) -> tuple[str, ...]:
        """What could not have failed, in sentences: one per place and extent, with the quantities that share it."""
        shared: dict[tuple[Place, str], list[str]] = {}
        for (place, quantity), steps in self._steps.items():
            for extent in _extents(steps):
                shared.setdefault((place, extent), []).append(quantity)
        return tuple(
            f"{' '.join(place)}: no {' or '.join(quantities)}{extent} could have failed"
            for (place, extent), quantities in shared.items()
        )

    def undecided_altogether(self, *, part: bool = False) -> tuple[str, ...]:
        """Quantities of a place of which nothing at all could have failed: sentences, one per place.

        That fails a run of selected cases, too, which need not have the power of a profile. Quantities of which zero is
        right, or that have no elements, are named only where nothing else at their place could have failed. part: the
        run is a shard, whose cases nobody chose: there they are not named, as the whole run decides.
        """
        sentences = []
        for place, here in self._decided.items():
            alone = not (part or any(here.values()))
            names = [q for q, done in here.items() if not done and ((place, q) in self._vacuous or alone)]
            if names:
                sentences.append(f"{' '.join(place)}: no {' or '.join(names)} could have failed")
        return tuple(sentences)


@dataclass
class _Answers:
    """What the comparisons of a group must reject, can tell from the right result, and reject."""

    required: set[str] = field(default_factory=set)
    applicable: set[str] = field(default_factory=set)
    rejected: set[str] = field(default_factory=set)

    def copy(self) -> _Answers:
        return _Answers(set(self.required), set(self.applicable), set(self.rejected))

    def group(self, name: str, sized: bool) -> Group:
        return Group(
            name,
            tuple(sorted(self.required & self.rejected)),
            tuple(sorted((self.required & self.applicable) - self.rejected)),
            tuple(sorted(self.required - self.applicable - self.rejected)),
            undecided=sized and not self.rejected,
        )


def power_of(records: Iterable[Record]) -> Power:
    """The power of records in canonical order."""
    power = Power()
    for r in records:
        power.add(r)
    return power


def size_name(r: Record) -> str:
    """The name of a comparison's group by size; empty where that is not known."""
    return "/".join((*place_of(r), r.quantity, r.size)) if r.size else ""


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
