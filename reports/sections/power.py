"""Power: which wrong answers each group of comparisons would have rejected; and which contract is kept."""

from __future__ import annotations

from collections.abc import Sequence

from xentcheck.records.run import RunFile
from xentcheck.reports.analysis.grades import EVERYTHING
from xentcheck.reports.analysis.power import Group
from xentcheck.reports.analysis.summary import Summary

from .section import Column, Section

GROUPS = (
    Column("group", "code"),
    Column("rejects", "number"),
    Column("blind to", "text", good="-"),
    Column("not exercised", "text"),
)

GRADES = (
    *map(Column, ("implementation", "quantities", "judged by", "grade")),
    Column("no stricter, because", "text"),
    Column("hint", "text"),
)


def power(run: RunFile, summary: Summary) -> Section:
    """All groups; those with a gap first."""
    blind = sum(len(g.blind) for g in summary.groups)
    unseen = sum(len(g.not_exercised) for g in summary.groups)
    rejected = sum(len(g.rejected) for g in summary.groups)
    prose = (
        f"{len(summary.groups)} groups of comparisons must reject {rejected + blind + unseen} standard wrong answers: "
        f"rejected {rejected}, blind (would have gone unnoticed) {blind}, not exercised {unseen}."
    )
    return Section("Power", GROUPS, _rows(summary.groups), prose, opened=False)


def gaps(run: RunFile, summary: Summary) -> Section:
    """The groups with a gap alone."""
    found = [g for g in summary.groups if g.blind or g.undecided or g.not_exercised]
    prose = "Wrong answers that would have gone unnoticed, or that no case of the group could show."
    return Section("Groups with a gap", GROUPS, _rows(found), prose)


def _rows(groups: Sequence[Group]) -> tuple[tuple[str, ...], ...]:
    ordered = sorted(groups, key=lambda g: (not (g.blind or g.undecided), not g.not_exercised, g.name))
    return tuple(
        (
            g.name,
            str(len(g.rejected)),
            "all: undecided" if g.undecided else ", ".join(g.blind) or "-",
            ", ".join(g.not_exercised) or "-",
        )
        for g in ordered
    )


def grades(run: RunFile, summary: Summary) -> Section:
    """The first contract, from the strictest, that each implementation keeps."""
    rows = [
        ("/".join(g.place), g.family, g.declared, g.contract, g.proof or "-", g.hint or "-")
        for g in (*summary.grades, *summary.family_grades)
    ]
    prose = (
        "The first contract, from the strictest, that all comparisons meet: what an implementation does, beside what "
        "it is judged by."
    )
    return Section("Grades", GRADES, tuple(sorted(rows, key=lambda row: (row[0], row[1] != EVERYTHING))), prose)
