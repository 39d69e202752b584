"""report.md: the verdict, the causes and a line per implementation and dtype, short enough for a comment."""

from __future__ import annotations

import html

from xentcheck.records.record import rank
from xentcheck.records.run import RunFile
from xentcheck.reports.analysis.causes import Cause, where
from xentcheck.reports.analysis.summary import Summary, summarize
from xentcheck.reports.sections.section import Column, Section, short

PASSING, FAILING = 4_000, 16_000
"""Bytes of the page of a run that agrees, and of one that fails, of which a comment on GitHub holds 65,536."""

LONGEST = 600
"""Characters that are shown of a sentence, which somebody else may have written."""

IMPLEMENTATIONS = (
    *map(Column, ("implementation", "device", "dtype")),
    *(Column(title, "number") for title in ("agree", "fail", "apart", "worst share")),
)


def markdown(run: RunFile) -> str:
    """The report of a run, in at most 4,000 bytes if it agrees, in 16,000 if it fails.

    What does not fit is counted: causes come before implementations, and those before what was seen beside the verdict.
    """
    summary = summarize(run)
    h = run.header
    parts = [
        f"# {_text(f'xentcheck {h.version}, profile {h.profile}, seed {h.seed}')}",
        f"**{_text(summary.verdict)}**",
    ]
    room = (PASSING if summary.ok else FAILING) - 200 - _bytes(*parts)
    kinds = {
        "reasons": [f"- {_text(text)}" for text in (*summary.reasons, *summary.weaker)],
        "causes": [_cause(number, cause) for number, cause in enumerate(summary.causes, 1)],
        "implementations": table(_implementations(summary)).splitlines(),
        "notes": [f"- {_text(text)}" for text in summary.observations],
    }
    for kind, texts in kinds.items():
        shown = 0
        while shown < len(texts) and _bytes(texts[shown]) <= room:
            room -= _bytes(texts[shown])
            shown += 1
        parts += ["\n".join(texts[:shown])] if kind == "implementations" else texts[:shown]
        if shown < len(texts):
            parts.append(f"... and {len(texts) - shown} more {kind}: the run file and report.html have them.")
            room -= _bytes(parts[-1])
    return "\n\n".join(filter(None, parts)) + "\n"


def _bytes(*parts: str) -> int:
    """Of some paragraphs, with the empty lines between them."""
    return sum(len(part.encode()) + 2 for part in parts)


def _cause(number: int, cause: Cause) -> str:
    """A cause as one paragraph and a line of code."""
    r = cause.smallest
    told = f"{number}. **{_text(cause.title)}**: {len(cause.records)} failures. {_text(where(cause))}"
    told += f"; {_text(cause.only)}." if cause.only else "."
    told += f" {_text(cause.mend)}" if cause.mend else ""
    return f"{told}\n   Smallest: {_text(r.case)} {_text(r.quantity)}\n\n       {' '.join(r.replay.split())[:LONGEST]}"


def _implementations(summary: Summary) -> Section:
    """One row per implementation, device and dtype."""
    places: dict[tuple[str, ...], list[int]] = {}
    worst: dict[tuple[str, ...], float | None] = {}
    for row in summary.rows:
        counts = places.setdefault(row.place, [0, 0, 0])
        agree = row.counts.get("agree", 0)
        for i, n in enumerate((agree, row.failing, sum(row.counts.values()) - agree - row.failing)):
            counts[i] += n
        share = row.worst.share if row.worst else None
        worst[row.place] = max((worst.get(row.place), share), key=rank)
    rows = tuple(
        (f"{adapter} {variant}", device, dtype, *map(str, counts), short(worst[place]))
        for place, counts in places.items()
        for adapter, variant, device, dtype in [place]
    )
    return Section("Implementations", IMPLEMENTATIONS, rows)


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
    flat = html.escape(" ".join(cell.split())[:LONGEST], quote=False)
    for character in "\\|`*_[]~":
        flat = flat.replace(character, f"\\{character}")
    return flat
