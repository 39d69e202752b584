"""report.md: the verdict and the brief sections, short enough for a comment on a pull request."""

from __future__ import annotations

import html

from xentcheck.records.paths import page as kind_of_page
from xentcheck.records.run import RunFile
from xentcheck.reports.sections.page import Page, page_of
from xentcheck.reports.sections.section import Section

REPORT = kind_of_page("report")

PASSING, FAILING = 4_000, 16_000
"""Bytes of the page of a run that agrees, and of one that fails; a comment on GitHub holds 65,536."""

LONGEST = 600
"""Characters that are shown of a sentence, which somebody else may have written."""

FIRST = 3
"""Reasons that come before the causes: one mistake breaks many laws."""


def markdown(run: RunFile, page: Page | None = None) -> str:
    """The report of a run, in at most 4,000 bytes if it agrees, in 16,000 if it fails; what does not fit is counted.

    page: that of the run, if it was made before.
    """
    page = page or page_of(run)
    parts = [*REPORT.words, f"# {escaped(page.title)}", f"**{escaped(page.verdict)}**"]
    room = (PASSING if page.ok else FAILING) - 300 - sum(map(_bytes, parts))
    brief = [section for section in page.sections if section.brief]
    reasons = [f"- {escaped(text)}" for text in (*page.reasons, *page.weaker)]
    others = ["## More reasons", "", *reasons[FIRST:]] if reasons[FIRST:] else []
    blocks = [
        ("reasons", reasons[:FIRST]),
        *((section.title.lower(), _lines(section)) for section in brief),
        ("reasons", others),
        ("notes", [f"- {escaped(text)}" for text in (*page.not_asked, *page.observations)]),
    ]
    for name, lines in blocks:
        shown = 0
        while shown < len(lines) and _bytes(lines[shown]) <= room:
            room -= _bytes(lines[shown])
            shown += 1
        parts.append("\n".join(lines[:shown]))
        if shown < len(lines):
            parts.append(f"... and {len(lines) - shown} more lines of {name} in report.html and in the run file.")
            room -= _bytes(parts[-1])
    return "\n\n".join(filter(None, parts)) + "\n"


def _lines(section: Section) -> list[str]:
    """A section, which can be cut after each of its lines."""
    prose = [escaped(section.prose), ""] if section.prose else []
    if not section.cards:
        return [f"## {section.title}", "", *prose, *table(section).splitlines()]
    return [f"## {section.title}", "", *prose, *(_card(section, n, row) for n, row in enumerate(section.rows, 1))]


def _card(section: Section, number: int, row: tuple[str, ...]) -> str:
    """A row as an item of a list: its names, what else it has, and its commands."""
    pairs = list(zip(section.columns, row, strict=True))
    name = " ".join(cell for column, cell in pairs if column.kind == "name")
    rest = [(c.title, cell) for c, cell in pairs if c.kind not in ("name", "command", "folded") and cell != "-"]
    commands = [f"<br><code>{escaped(cell)}</code>" for column, cell in pairs if column.kind == "command"]
    told = "; ".join(f"{escaped(title)}: {escaped(cell)}" for title, cell in rest)
    return f"{number}. **{escaped(name)}** {told}{''.join(commands)}"


def _bytes(text: str) -> int:
    """Of a line, with the empty one behind it."""
    return len(text.encode()) + 2


def table(section: Section) -> str:
    r"""The table of a section in Markdown; what stands in it cannot break it.

    >>> from xentcheck.reports.sections.section import Column
    >>> print(table(Section("Weather", (Column("case"),), (("a|b <script>",),))))
    | case |
    |---|
    | a\|b &lt;script&gt; |
    """
    kept = [i for i, c in enumerate(section.columns) if c.kind != "folded"]
    lines = [f"| {' | '.join(escaped(section.columns[i].title) for i in kept)} |", "|" + "---|" * len(kept)]
    lines += [f"| {' | '.join(escaped(row[i]) for i in kept)} |" for row in section.rows]
    return "\n".join(lines)


def escaped(cell: str) -> str:
    """Text that cannot break Markdown, of at most LONGEST characters."""
    flat = html.escape(" ".join(cell.split())[:LONGEST], quote=False)
    for character in "\\|`*_[]~":
        flat = flat.replace(character, f"\\{character}")
    return flat
