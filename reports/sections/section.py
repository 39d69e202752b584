"""A section of a report as data: a title, what it says in a sentence, and a table whose columns have kinds."""

from __future__ import annotations

from dataclasses import dataclass, replace

from xentcheck.records.words import printable, share_text

KINDS = ("plain", "number", "name", "words", "text", "folded", "code", "command", "link")
"""What stands in a column, which is all that a format knows of it: `words` are a few, `text` is a sentence, `name` is
what a card is about, a `command` repeats the case in the column before it, and what is `folded` says more of the text
before it where a page can fold it, and stands nowhere else.
"""


@dataclass(frozen=True)
class Column:
    """A column of cells of one kind. good: what stands there where all is well; empty: whatever is no `bad` word."""

    title: str
    kind: str = "plain"
    good: str = ""
    bad: str = ""

    def alarming(self, cell: str) -> bool:
        """Whether a cell says that something is wrong.

        >>> fails, answer = Column("fail", "number", good="0"), Column("assert_close", bad="missed")
        >>> fails.alarming("3"), fails.alarming("0"), answer.alarming("missed"), answer.alarming("-")
        (True, False, True, False)
        """
        return cell != self.good if self.good else bool(self.bad) and cell == self.bad


@dataclass(frozen=True)
class Mark:
    """What else is known of a row. id: of its card; target: the id that its code leads to; outcomes: those in it."""

    id: str = ""
    target: str = ""
    outcomes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Section:
    """One section; without rows it is not shown.

    opened: whether it is, on a page that can fold it. cards: each row stands by itself, where there is room for that.
    plotted: the pictures of the run stand below it. brief: it is shown where there is room for little, too. leading: it
    stands above everything else. marks: one for each row, or none.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    prose: str = ""
    opened: bool = True
    cards: bool = False
    plotted: bool = False
    brief: bool = False
    leading: bool = False
    marks: tuple[Mark, ...] = ()

    def cut(self, most: int) -> Section:
        """Its first rows, and how many are left out."""
        if (left := len(self.rows) - most) <= 0:
            return self
        prose = f"{self.prose} {left} more rows are in the run file.".strip()
        return replace(self, rows=self.rows[:most], marks=self.marks[:most], prose=prose)

    def readable(self) -> Section:
        """The same without control characters and surrogates, whoever has named what."""
        return replace(
            self,
            columns=tuple(replace(column, title=readable(column.title)) for column in self.columns),
            rows=tuple(tuple(map(readable, row)) for row in self.rows),
            prose=readable(self.prose),
        )


def readable(text: str) -> str:
    """Text as it is, if all of it can be printed."""
    return text if text.isprintable() else printable(text)


def short(x: float | None) -> str:
    """A share of the bound to three digits, if there is one."""
    return "-" if x is None else share_text(x)
