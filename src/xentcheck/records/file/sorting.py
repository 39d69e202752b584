"""Sorting more lines than memory has room for: sorted parts in temporary files, merged."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from heapq import merge
from itertools import islice

PART = 20_000
"""Lines that are sorted in memory."""


def sorted_lines(lines: Iterable[str], texts: Iterable[str] = ()) -> Iterator[str]:
    """Lines of ASCII, and a few texts that may be of several lines, in one order.

    >>> list(sorted_lines(["b", "a"], ["c\\nd", "aa"]))
    ['a', 'aa', 'b', 'c\\nd']
    """
    with ExitStack() as stack:
        parts: list[Iterable[str]] = [sorted(texts)]
        left = iter(lines)
        while part := list(islice(left, PART)):
            if len(part) < PART:
                parts.append(sorted(part))
                continue
            file = stack.enter_context(tempfile.TemporaryFile("w+", encoding="ascii", newline="\n"))
            file.writelines(f"{line}\n" for line in sorted(part))
            file.seek(0)
            parts.append(line[:-1] for line in file)
        yield from merge(*parts)
