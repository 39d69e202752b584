"""The page of a run as data: the verdict, a few numbers, and the sections in their order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from xentcheck.records.run import RunFile
from xentcheck.reports.analysis.summary import Summary, summarize
from xentcheck.vocabulary import FAILING

from .accuracy import accuracy
from .cases import cases
from .causes import causes
from .comparisons import agreement, apart
from .coverage import coverage
from .excused import conventions, deviations, who_is_wrong
from .faults import faults
from .heat import HeatMap, heat_map
from .implementations import implementations
from .laws import laws
from .power import gaps, grades, power
from .probes import probes
from .section import Mark, Section, readable
from .setting import environment, host

SECTIONS: tuple[Callable[[RunFile, Summary], Section], ...] = (
    *(causes, cases, implementations, agreement, power, gaps, grades),
    *(accuracy, laws, faults, coverage),
    *(who_is_wrong, deviations, conventions, probes, apart),
    *(environment, host),
)
"""What makes each section, in the order in which they are shown; host and timings, which differ between equal runs,
stand last.
"""


ROWS = 500
"""Rows of a section that a page shows."""


@dataclass(frozen=True)
class Page:
    """What is shown of a run, whatever the format."""

    ok: bool
    verdict: str
    title: str
    facts: tuple[tuple[str, str], ...]
    reasons: tuple[str, ...]
    weaker: tuple[str, ...]
    not_asked: tuple[str, ...]
    observations: tuple[str, ...]
    outcomes: tuple[str, ...]
    heat: HeatMap
    sections: tuple[Section, ...]

    @staticmethod
    def failing(mark: Mark | None) -> bool:
        """Whether a card is drawn as a failure: one of a comparison that agrees is not."""
        return mark is None or not mark.outcomes or not {*FAILING}.isdisjoint(mark.outcomes)


def page_of(run: RunFile, summary: Summary | None = None) -> Page:
    """The page of a run, whatever the order of its records; all of it readable, whoever has named what.

    summary: that of the run, if it was made before.
    """
    summary = summary or summarize(run)
    header = run.header
    made = (make(run, summary).readable() for make in SECTIONS)
    return Page(
        ok=summary.ok,
        verdict=readable(summary.verdict),
        title=readable(f"xentcheck {header.version}, profile {header.profile}, seed {header.seed}"),
        facts=_facts(summary),
        reasons=tuple(map(readable, summary.reasons)),
        weaker=tuple(map(readable, summary.weaker)),
        not_asked=tuple(map(readable, summary.not_asked)),
        observations=tuple(map(readable, summary.observations)),
        outcomes=tuple(summary.counts),
        heat=heat_map(summary),
        sections=tuple(section.cut(ROWS) for section in made if section.rows),
    )


def _facts(summary: Summary) -> tuple[tuple[str, str], ...]:
    """The run in a few numbers."""
    return (
        ("comparisons executed", f"{summary.executed:,}"),
        ("agree", f"{summary.counts.get('agree', 0):,}"),
        ("fail", f"{len(summary.failing):,}"),
        ("elements compared", f"{summary.elements:,}"),
        ("implementations", str(len(summary.remarks.places))),
        ("blind groups", f"{len(summary.blind)} of {len(summary.groups)}"),
        ("undecided sizes", str(sum(g.undecided for g in summary.groups))),
    )
