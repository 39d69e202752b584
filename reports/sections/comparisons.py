"""Comparisons: all of them by quantity, and those that are no agreement."""

from __future__ import annotations

from xentcheck.records.run import RunFile
from xentcheck.records.words import ulps_text
from xentcheck.reports.analysis.rows import Row
from xentcheck.reports.analysis.summary import Summary
from xentcheck.vocabulary import FAILING

from .cases import chosen_of, target_of
from .section import Column, Mark, Section, short

PARTS = {
    2.0**-10: "below a thousandth",
    2.0**-7: "below a hundredth",
    2.0**-5: "below a thirtieth",
    2.0**-4: "below a sixteenth",
    2.0**-3: "below an eighth",
    0.25: "below a quarter",
    0.5: "below a half",
    1.0: "below the bound",
    float("inf"): "some beyond it",
}
"""What the edge of a bin of shares is called, which is no number that was measured."""

AGREEMENT = (
    *map(Column, ("adapter", "device", "dtype", "quantity")),
    Column("agree", "number"),
    Column("fail", "number", good="0"),
    Column("other", "words"),
    Column("median share", "number"),
    Column("99 % of the elements", "words"),
    *(Column(title, "number") for title in ("worst share", "largest ULP")),
    Column("worst case", "code"),
    Column("case and element of the ULP", "words"),
)

APART = (Column("outcome"), Column("adapter"), Column("reason", "text"), Column("comparisons", "number"))


def agreement(run: RunFile, summary: Summary) -> Section:
    """All comparisons of one quantity at one place in a row."""
    prose = (
        "Every element is judged against an exact value and a derived bound; share is error over bound: the worst of a "
        "comparison's elements, and here the median and the worst of the comparisons. There is no tolerance to choose. "
        "ULP: errors in units in the last place of exact values in the normal range; a large one can be right, as near "
        "0 the bound is absolute. Known deviations have no part in these numbers."
    )
    shown = chosen_of(summary)
    marks = tuple(Mark(target=target_of(row.worst, shown), outcomes=tuple(row.counts)) for row in summary.rows)
    return Section("Agreement", AGREEMENT, tuple(map(_row, summary.rows)), prose, plotted=True, marks=marks)


def _row(row: Row) -> tuple[str, ...]:
    adapter, variant, device, dtype = row.place
    other = ", ".join(f"{n} {o}" for o, n in row.counts.items() if o not in ("agree", *FAILING)) or "-"
    if row.known:
        other += f"; deviations up to a share of {short(row.known.share)}"
    worst = row.worst
    part = "-" if row.most is None else PARTS[row.most]
    numbers = (short(row.median), part, short(worst.share if worst else None), ulps_text(row.ulp) if worst else "-")
    agree = str(row.counts.get("agree", 0))
    place = (f"{adapter} {variant}", device, dtype, row.quantity)
    return (*place, agree, str(row.failing), other, *numbers, worst.case if worst else "-", _farthest(row))


def _farthest(row: Row) -> str:
    """The case of the largest ULP, and the element of it, which an older run may lack."""
    if not row.farthest:
        return "-"
    found = row.farthest.of_ulp
    return f"{row.farthest.case} {list(found.index)}" if found and found.index else row.farthest.case


def apart(run: RunFile, summary: Summary) -> Section:
    """Comparisons that are no agreement: vacuous, trivial, unsupported, unavailable."""
    found = summary.remarks.apart
    prose = "No agreement: a result of zeros would pass (vacuous), zero is right (trivial), or nothing was compared."
    return Section("Counted apart", APART, tuple((*key, str(n)) for key, n in sorted(found.items())), prose)
