"""Comparing two runs: what got worse or better, new and gone comparisons, changed answers and grades. Pure functions.

What the machine cannot reproduce is no change: several runs of the same installation span a range of shares and ULPs
for each comparison, and only what leaves the range is told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xentcheck.vocabulary import FAILING

from .record import Record, rank
from .runfile import RunFile
from .summary import summarize
from .words import printable

Key = tuple[str, ...]
"""adapter, variant, device, dtype, quantity, case."""

KINDS = ("worse", "better", "gone", "new", "answer", "grade", "failure")
"""What can change; `worse` and `failure` alone make the comparison fail."""

COLUMNS = ["change", "where", "what", "before", "after"]


@dataclass(frozen=True)
class Change:
    """One difference between two runs: of which kind, where, and what was there before and after."""

    kind: str
    where: str
    what: str
    before: str
    after: str


@dataclass(frozen=True)
class Comparison:
    """All changes, the worst first, and the versions and settings that differ."""

    changes: tuple[Change, ...]
    versions: tuple[Change, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing got worse."""
        return not any(change.kind in ("worse", "failure") for change in self.changes)

    @property
    def verdict(self) -> str:
        """The comparison in one sentence."""
        if not self.changes:
            return "nothing changed"
        counts = [(kind, sum(c.kind == kind for c in self.changes)) for kind in KINDS]
        found = ", ".join(f"{n} {kind}" for kind, n in counts if n)
        return f"{'no worse' if self.ok else 'WORSE'}: {found}"

    @property
    def table(self) -> tuple[list[str], list[list[str]]]:
        """Column names and rows."""
        return COLUMNS, [[c.kind, c.where, c.what, c.before, c.after] for c in (*self.versions, *self.changes)]


def compare(base: Sequence[RunFile], new: RunFile) -> Comparison:
    """What changed from one or several runs of one installation to another run.

    >>> from .runfile import Header
    >>> plain = dict(version="1", generator=1, seed=0, profile="quick", catalogue=(), environment={}, host={})
    >>> run = RunFile(Header(**plain, planned=0), ())
    >>> compare([run], run).verdict
    'nothing changed'
    """
    before = [{_key(r): r for r in run.records} for run in base]
    after = {_key(r): r for r in new.records}
    changes = [c for key, r in after.items() if (c := _moved(key, [run[key] for run in before if key in run], r))]
    changes += [_gone(key, r) for key, r in before[0].items() if key not in after]
    changes += _answers(base, new)
    changes += _grades(base, new)
    known = {printable(text) for run in base for text in run.failures}
    changes += [Change("failure", "run", "", "", text) for text in map(printable, new.failures) if text not in known]
    order = {kind: i for i, kind in enumerate(KINDS)}
    return Comparison(
        tuple(sorted(changes, key=lambda c: (order[c.kind], c.where, c.what))),
        tuple(_settings(base[0].header.environment, new.header.environment)),
    )


def _key(r: Record) -> Key:
    return (r.adapter, r.variant, r.device, r.dtype, r.quantity, r.case)


def _moved(key: Key, before: Sequence[Record], after: Record) -> Change | None:
    """How one comparison changed, if it left the range of all runs before."""
    where, what = "/".join(key[:4]), f"{key[4]} of {key[5]}"
    if not before:
        return Change("new", where, what, "", _told(after))
    if after.outcome not in {r.outcome for r in before}:
        failing = after.outcome in FAILING
        failed = any(r.outcome in FAILING for r in before)
        kind = "worse" if failing else "better" if failed else "answer"
        return Change(kind, where, what, _told(before[0]), _told(after))
    for read in (_share, _ulp):
        low, high = min(map(read, before)), max(map(read, before))
        if not low <= read(after) <= high:
            kind = "worse" if read(after) > high else "better"
            return Change(kind, where, what, _told(before[0]), _told(after))
    if after.outcome == "convention" and after.reason not in {r.reason for r in before}:
        return Change("answer", where, what, printable(before[0].reason), printable(after.reason))
    return None


def _gone(key: Key, r: Record) -> Change:
    return Change("gone", "/".join(key[:4]), f"{key[4]} of {key[5]}", _told(r), "")


def _share(r: Record) -> float:
    return rank(r.share)


def _ulp(r: Record) -> float:
    return rank(r.ulp)


def _told(r: Record) -> str:
    """A comparison in a few words."""
    if r.share is None or r.ulp is None:
        return r.outcome
    return f"{r.outcome}, {r.share:.6g} of the bound, {r.ulp:.6g} ULP"


def _answers(base: Sequence[RunFile], new: RunFile) -> Iterable[Change]:
    """Probes that are answered otherwise, by the same implementations."""
    before: dict[Key, set[str]] = defaultdict(set)
    for run in base:
        for p in run.probes:
            before[p.adapter, p.variant, p.device, p.probe].add(f"{p.value}; {p.gradient}")
    for p in new.probes:
        known = before.get((p.adapter, p.variant, p.device, p.probe))
        if known and (told := f"{p.value}; {p.gradient}") not in known:
            where = "/".join((p.adapter, p.variant, p.device))
            yield Change("answer", where, f"{p.probe}: {p.text}", " or ".join(sorted(known)), told)


def _grades(base: Sequence[RunFile], new: RunFile) -> Iterable[Change]:
    """Places that have another grade than in every run before."""
    before: dict[Key, set[str]] = defaultdict(set)
    for run in base:
        for g in summarize(run).grades:
            before[g.place].add(g.contract)
    for g in summarize(new).grades:
        known = before.get(g.place)
        if known and g.contract not in known:
            yield Change("grade", "/".join(g.place), "grade", " or ".join(sorted(known)), g.contract)


def _settings(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = "") -> Iterable[Change]:
    """Versions and settings that differ."""
    for name in sorted({*before, *after}):
        old, new = before.get(name, ""), after.get(name, "")
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _settings(old, new, f"{prefix}{name} ")
        elif old != new:
            yield Change("setting", "environment", f"{prefix}{name}", str(old), str(new))
