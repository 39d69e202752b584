"""How docstrings are written: prose, in which `name: what it is` says what a parameter or a field means."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

ENDS = ("Returns", "Raises")
"""Words that begin a sentence of its own behind what is said of the parameters."""


def meanings(text: str, names: Collection[str]) -> dict[str, str]:
    """What a docstring says of some names, in its order; names that are told together share a key.

    >>> meanings("A sum. a, b: numbers. Any two. c: a factor; by default 1. Raises ShapeError.", ["a", "b", "c"])
    {'a, b': 'numbers. Any two', 'c': 'a factor; by default 1'}
    """
    return {key: meaning.rstrip(".;") for key, meaning in _parts(text, names) if key and key not in ENDS}


def laid_out(lines: list[str], names: Collection[str]) -> Iterator[str]:
    """The lines of a docstring, with an item of a list for each parameter; examples stay as they are.

    >>> list(laid_out(["A sum.", "", "a: a number. Raises ShapeError.", "", ">>> f(1)"], ["a"]))
    ['A sum.', '', '* ``a``: a number.', '', 'Raises ShapeError.', '', '>>> f(1)', '']
    """
    for block in "\n".join(lines).split("\n\n"):
        if block.lstrip().startswith(">>>"):
            yield from (*block.splitlines(), "")
            continue
        for key, meaning in _parts(block, names):
            words = ", ".join(f"``{name}``" for name in key.split(", "))
            yield from (f"* {words}: {meaning}" if key and key not in ENDS else f"{key} {meaning}".strip(), "")


def _parts(text: str, names: Collection[str]) -> Iterator[tuple[str, str]]:
    """Pieces of a docstring by what they are about; the first is about nothing."""
    any_name = "|".join(map(re.escape, names)) or "(?!)"
    flat = " ".join(text.split())
    named = rf"((?:{any_name})(?:, (?:{any_name}))*): "
    starts = list(re.finditer(rf"(?:^|(?<=[.;] ))(?:{named}|({'|'.join(ENDS)}) )", flat))
    if before := flat[: starts[0].start() if starts else len(flat)].strip():
        yield "", before
    ends = [found.start() for found in starts[1:]] + [len(flat)]
    for found, end in zip(starts, ends, strict=False):
        yield found[1] or found[2], flat[found.end() : end].strip()
