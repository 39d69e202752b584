"""report.md: the report as Markdown, for a pull request or a terminal."""

from __future__ import annotations

import html

from xentcheck.records.run import RunFile
from xentcheck.reports.sections.page import page_of
from xentcheck.reports.sections.section import Section

EXPLANATION = (
    "Each comparison is judged element by element against an exact value and a derived error bound; share is "
    "error over bound. Vacuous and trivial comparisons are counted apart: a result of zeros would have passed them."
)


def markdown(run: RunFile) -> str:
    """The report of a run."""
    page = page_of(run)
    parts = [f"# {_text(page.title)}", f"**{_text(page.verdict)}**"]
    parts += [f"- {_text(reason)}" for reason in (*page.reasons, *page.weaker, *page.observations)]
    parts += [EXPLANATION, "; ".join(f"{_text(name)}: {value}" for name, value in page.facts) + "."]
    for section in page.sections:
        parts += [f"## {section.title}", *([_text(section.prose)] if section.prose else []), table(section)]
    return "\n\n".join(parts) + "\n"


def table(section: Section) -> str:
    r"""The table of a section in Markdown; what stands in it cannot break it.

    >>> from xentcheck.reports.sections.section import Column
    >>> print(table(Section("Cases", (Column("case"),), (("a|b <script>",),))))
    | case |
    |---|
    | a\|b &lt;script&gt; |
    """
    lines = [f"| {' | '.join(_text(c.title) for c in section.columns)} |", "|" + "---|" * len(section.columns)]
    lines += [f"| {' | '.join(_text(cell) for cell in row)} |" for row in section.rows]
    return "\n".join(lines)


def _text(cell: str) -> str:
    flat = html.escape(" ".join(cell.split()), quote=False)
    for character in "\\|`*_[]~":
        flat = flat.replace(character, f"\\{character}")
    return flat
