"""report.md: the report as Markdown, for a pull request or a terminal."""

from __future__ import annotations

import html

from xentcheck.records.run import RunFile
from xentcheck.reports.sections.page import Table, view_of

EXPLANATION = (
    "Each comparison is judged element by element against an exact value and a derived error bound; share is "
    "error over bound. Vacuous and trivial comparisons are counted apart: a result of zeros would have passed them."
)


ACCURACY = (
    "The largest errors that a directed search found, climbing on the logits; the largest there are may be larger. "
    "Many ULPs are no fault where the exact value is near 0 by cancellation; the share says what the arithmetic allows."
)

COVERAGE = (
    "Pairs of option levels (classes, rows, rank, dtype, target, weights, ignore_index, smoothing, reduction, "
    "upstream, layout, family) that an implementation was really compared on, of all that go together."
)

PROBES = (
    "Degenerate inputs on which libraries differ, in float32: the value, then the gradient row by row; recorded, not "
    "judged."
)

LAWS = (
    "Properties of every right implementation, compared without exact values; share is the deviation over what the "
    "bounds of both sides allow."
)

FAULTS = (
    "Wrong implementations that the harness plants to prove itself: the check and the case by which each profile first "
    "catches them, and whether other checks notice them."
)

DIFFERENCES = (
    "Where implementations differ: who is outside its bound; or that all are within and the input is ill-conditioned "
    "(its bound is many ULPs wide); or that all return the same number, far from the exact one (cancellation)."
)


def markdown(run: RunFile) -> str:
    """The report of a run."""
    view = view_of(run)
    parts = [f"# {_text(view.title)}", f"**{_text(view.verdict)}**"]
    parts += [f"- {_text(reason)}" for reason in (*view.reasons, *view.weaker, *view.observations)]
    parts += [EXPLANATION, "; ".join(f"{_text(name)}: {value}" for name, value in view.facts) + "."]
    sections: tuple[tuple[str, str, Table], ...] = (
        ("Failures", view.hidden, view.failures),
        ("Agreement", "", view.agreement),
        ("Power", view.power_text, view.power),
        ("Grades", "", view.grades),
        ("Accuracy", ACCURACY, view.accuracy),
        ("Coverage", COVERAGE, view.coverage),
        ("Laws", LAWS, view.laws),
        ("Planted faults", f"{FAULTS} {view.faults_text}", view.faults),
        ("Who is wrong", DIFFERENCES, view.differences),
        ("Deviations", "", view.deviations),
        ("Conventions", "", view.conventions),
        ("Probes", PROBES, view.probes),
        ("Counted apart", "", view.apart),
        ("Environment", "", view.environment),
        ("Host and timings", "", view.host),
    )
    for title, text, rows in sections:
        if rows[1]:
            parts += [f"## {title}", *([text] if text else []), table(rows)]
    return "\n\n".join(parts) + "\n"


def table(data: Table) -> str:
    r"""A Markdown table; what stands in it cannot break it.

    >>> print(table((["case"], [["a|b <script>"]])))
    | case |
    |---|
    | a\|b &lt;script&gt; |
    """
    columns, rows = data
    lines = [f"| {' | '.join(_text(c) for c in columns)} |", "|" + "---|" * len(columns)]
    lines += [f"| {' | '.join(_text(cell) for cell in row)} |" for row in rows]
    return "\n".join(lines)


def _text(cell: str) -> str:
    flat = html.escape(" ".join(cell.split()), quote=False)
    for character in "\\|`*_[]~":
        flat = flat.replace(character, f"\\{character}")
    return flat
