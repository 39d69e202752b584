"""The gate: what of a new run may not be merged, judged beside a baseline. Pure functions.

Red: a comparison fails that did not, the run as a whole does, or nothing in it could have failed; a grade is lower, a
row is gone or compares less. Yellow: a worst share moved and is still below 1, or a wide dtype's grade to another form
of the formula, which rounding may do; red only where a limit says so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from xentcheck.errors import RunFileError
from xentcheck.records.file import chosen
from xentcheck.records.record import Record, place_of, rank
from xentcheck.records.run import RunFile
from xentcheck.records.words import several
from xentcheck.reports.analysis.causes.found import Cause, causes_of, where
from xentcheck.reports.analysis.rows import Row
from xentcheck.vocabulary import FAILING

from .baseline import Baseline, Span, baseline_of_parts, part_of
from .compare import GRADE, Change, compare

MEASURES = ("share", "ratio")
"""What a limit is about: a row's worst share of the bound, or how many times the one of the baseline it is."""

_LIMIT = re.compile(r"\s*(share|ratio)\s*>\s*([0-9.]+(?:e-?[0-9]+)?)\s*")


@dataclass(frozen=True)
class Limit:
    """A row is red whose measure is beyond a number, although it agrees."""

    measure: str
    most: float

    @classmethod
    def parse(cls, text: str) -> Limit:
        """The limit of a text. Raises RunFileError for another one.

        >>> Limit.parse("share > 0.5")
        Limit(measure='share', most=0.5)
        """
        found = _LIMIT.fullmatch(text)
        if not found:
            raise RunFileError(f"limit {text!r}; allowed: share > NUMBER or ratio > NUMBER")
        return cls(found[1], float(found[2]))

    def exceeded(self, before: Span, after: Span) -> bool:
        """Whether a row is beyond it; nan is beyond anything."""
        if after.share is None:
            return False
        share = rank(after.share[1])
        if self.measure == "share":
            return not share <= self.most
        return before.share is not None and not share <= self.most * before.share[1]


@dataclass(frozen=True)
class Reason:
    """One line of the gate: what it is, where, and the command that shows it."""

    what: str
    where: str
    command: str = ""


@dataclass(frozen=True)
class Gate:
    """What is red and what is yellow, the causes of the failures that are new, and how many the baseline has."""

    red: tuple[Reason, ...]
    yellow: tuple[Reason, ...]
    causes: tuple[Cause, ...]
    known: int = 0

    @property
    def ok(self) -> bool:
        """Whether nothing is red."""
        return not self.red

    @property
    def verdict(self) -> str:
        """The gate in one sentence."""
        colour = "RED" if self.red else "yellow" if self.yellow else "green"
        counts = [f"{len(found)} {name}" for name, found in (("red", self.red), ("yellow", self.yellow)) if found]
        told = f"gate: {colour}, {', '.join(counts) or 'nothing is worse than in the baseline'}"
        return told + (f"; {self.known} failures are in the baseline, too" if self.known else "")


def gate(base: Baseline, run: RunFile, limits: Sequence[Limit] = ()) -> Gate:
    """What a run finds that may not be merged beside a baseline."""
    part = part_of(run)
    new, summary = baseline_of_parts([part]), part.summary
    known = base.texts.get("failing", {})
    names = (f"{'/'.join(place_of(r))}/{r.quantity} of {r.case}" for r in summary.failing)
    fresh = chosen(summary.failing, [i for i, name in enumerate(names) if name not in known])
    fresh_rows = {(place_of(r), r.quantity) for r in fresh}
    causes = causes_of(summary.agreements, fresh)
    worst = {"/".join((*row.place, row.quantity)): row for row in summary.rows}
    red = [Reason(f"{cause.title}: {_failures(cause)}", where(cause), cause.smallest.replay) for cause in causes]
    changes = compare(base, new).changes
    red += [Reason(change.after, "the run as a whole") for change in changes if _of_the_run(change)]
    if not summary.failing and not summary.decided:
        red.append(Reason("no comparison could have failed", "the run as a whole"))
    lost = [change for change in changes if change.kind in ("gone", "fewer")]
    red += [Reason(_lost(change), change.where, _replay(base, worst, change.where)) for change in lost]
    red += [_lower(change, run.records) for change in changes if change.kind == "lower"]
    yellow = [_lower(change, run.records) for change in changes if change.kind == "moved" and change.what == GRADE]
    for name in sorted({*base.rows, *new.rows}):
        before, after = base.rows.get(name), new.rows.get(name)
        if before is None or after is None:
            continue
        beyond = [limit for limit in limits if limit.exceeded(before, after)]
        moved = any(change.kind in ("worse", "moved") and change.where == name for change in changes)
        told = f"worst share {_share(before)} -> {_share(after)}"
        if beyond:
            over = ", ".join(f"{limit.measure} > {limit.most:g}" for limit in beyond)
            red.append(Reason(f"{told}, beyond {over}", name, _replay(base, worst, name)))
        elif moved and (worst[name].place, worst[name].quantity) not in fresh_rows:
            row = worst[name].worst
            fails = row is not None and row.outcome in FAILING
            (red if fails else yellow).append(Reason(told, name, _replay(base, worst, name)))
    return Gate(tuple(red), tuple(yellow), causes, len(summary.failing) - len(fresh))


def _failures(cause: Cause) -> str:
    told = several(len(cause.records), "new failure")
    return f"{told}, {cause.only}" if cause.only else told


def _of_the_run(change: Change) -> bool:
    return change.kind == "failure" and change.where == "run"


def _lost(change: Change) -> str:
    if change.kind == "gone":
        return f"compared no more: {change.before}"
    return f"compares less: {change.before} -> {change.after}"


def _share(row: Span) -> str:
    return "-" if row.share is None else f"{row.share[1]:.3g}"


def _replay(base: Baseline, worst: dict[str, Row], name: str) -> str:
    """The command of a row's worst case, of the baseline where the run has none."""
    if (row := worst.get(name)) and row.worst:
        return row.worst.replay
    return base.rows[name].replay if name in base.rows else ""


def _lower(change: Change, records: Sequence[Record]) -> Reason:
    """A lower grade, with the command of what the old one does not allow."""
    witness = max(
        (r for r in records if "/".join(place_of(r)) == change.where and change.before in r.shares),
        key=lambda r: rank(r.shares[change.before]),
        default=None,
    )
    return Reason(
        f"the grade fell from {change.before} to {change.after}",
        change.where,
        witness.replay if witness else change.again,
    )
