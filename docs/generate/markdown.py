"""Markdown in small pieces: tables, code, and the note that says who wrote a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

WRITTEN = "Written by `python -m generate` in `docs/`; a test compares this page with the code."


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    r"""A table; a bar in a cell cannot end it.

    >>> print(table(("word", "meaning"), [("`a`", "x | y")]))
    | word | meaning |
    |---|---|
    | `a` | x \| y |
    """
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join(lines)


def code(words: Iterable[str]) -> str:
    """Words as code, with commas.

    >>> code(["mean", "sum"])
    '`mean`, `sum`'
    """
    return ", ".join(f"`{word}`" for word in words)


def page(title: str, *parts: str, note: str = WRITTEN) -> str:
    """A page of paragraphs, tables and headings."""
    return "\n\n".join((f"# {title}", note, *parts)) + "\n"
