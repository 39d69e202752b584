"""Steps of sizes, in classes and rows, and whether a comparison decided anything at its size."""

from __future__ import annotations

from xentcheck.vocabulary import EXECUTED

from .record import Record

CLASS_STEPS = (30, 1000, 30000)

ROW_STEPS = (100, 4096)
"""The largest number of classes, and of rows, of each step but the last, which has no end.

A step ends where arithmetic or code changes: sums over classes in bfloat16 mean nothing beyond some 30 addends and in
float16 beyond some 1000, and in float32 the any-order bound passes 1e-3 of the sum at 16777; one warp, one block and
many blocks of a kernel end at 32, 1024 and 32768. Sums over rows in bfloat16 are undecided beyond some 100; in wide
dtypes, those of more than 4096 rows are not added in any order (`docs/numerics.md`, section 2.10).
"""

NARROW = ("bfloat16", "float16")
"""Dtypes that have the first step of rows only: what is added up in them stays undecided in more rows."""

Step = tuple[int, int]
"""Positions of a size among the steps of classes and of rows."""


def size_of(classes: int, rows: int, dtype: str = "") -> str:
    """The step of a comparison's size, as it stands in the names of groups; empty where there are no rows.

    >>> size_of(129, 5), size_of(128256, 101), size_of(128256, 101, "bfloat16"), size_of(10, 0)
    ('31-1000 classes/1-100 rows', '30001- classes/101-4096 rows', '30001- classes/101- rows', '')
    """
    if not rows or not classes:
        return ""
    steps = (CLASS_STEPS, ROW_STEPS[:1] if dtype in NARROW else ROW_STEPS)
    found = zip((classes, rows), steps, ("classes", "rows"), strict=True)
    return "/".join(f"{_span(sum(n > end for end in ends), ends)} {what}" for n, ends, what in found)


def _span(position: int, ends: tuple[int, ...]) -> str:
    first = ends[position - 1] + 1 if position else 1
    return f"{first}-{ends[position] if position < len(ends) else ''}"


STEPS: dict[str, Step] = {
    size_of(c, n, dtype): (i, j)
    for dtype, last in (("", len(ROW_STEPS)), (NARROW[0], 1))
    for i, c in enumerate((*CLASS_STEPS, CLASS_STEPS[-1] + 1))
    for j, n in enumerate((*ROW_STEPS[:last], ROW_STEPS[last - 1] + 1))
}
"""Name of a size -> its step."""


def decides(r: Record) -> bool:
    """Whether a comparison could have failed: without elements, or where zeros would pass, it proves nothing."""
    return r.outcome in EXECUTED and r.elements > 0 and "zero" in r.rejected
