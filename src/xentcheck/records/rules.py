"""The codes of causes: what each means, how it looks, the mend, and where it was met; and the words of a report."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from xentcheck.errors import CaseError


@dataclass(frozen=True)
class Rule:
    """One code; seen: issues in other projects' trackers, `project#number`."""

    code: str
    title: str
    what: str
    looks: str
    mend: str
    seen: tuple[str, ...]


KINDS = {
    "A": "Range and precision",
    "B": "Normaliser",
    "C": "Ignored rows",
    "D": "Smoothing and soft targets",
    "E": "Gradients",
    "F": "Layout and labels",
    "G": "Layers",
}
"""What the letters of codes stand for."""


@dataclass(frozen=True)
class Word:
    """A word of a report; kind: an outcome, a number and so on; page: where docs/ says more, or an empty string."""

    name: str
    kind: str
    text: str
    page: str = ""


@cache
def rules() -> dict[str, Rule]:
    """All codes in their order.

    >>> rules()["B20"].title
    'the mean divides by all rows, or by another count'
    """
    return {code: Rule(code, **{**entry, "seen": tuple(entry["seen"])}) for code, entry in _read("rules").items()}


@cache
def words() -> dict[str, Word]:
    """The words of a report in their order, by kind.

    >>> words()["share"].text.partition(".")[0]
    'Error divided by bound'
    """
    groups = _read("glossary").items()
    return {n: Word(n, kind, **entry) for kind, group in groups for n, entry in group.items() if n != "about"}


def kinds_of_words() -> dict[str, str]:
    """Each kind of words, and what it is about."""
    return {kind: group["about"] for kind, group in _read("glossary").items()}


def word(name: str) -> Word | None:
    """The word of a name, whatever its case; None if it is none of them.

    >>> word("Apart").kind, word("B20")
    ('numbers', None)
    """
    return next((found for found in words().values() if found.name.lower() == name.lower()), None)


def rule(code: str) -> Rule:
    """The rule of a code. Raises CaseError for another one.

    >>> rule("b20").mend
    "Divide by the number of kept rows, with class weights by the sum of their labels' weights."
    """
    found = rules().get(code.upper())
    if found is None:
        shown = [*rules()][:12]
        raise CaseError(f"unknown code {code!r}; allowed: {', '.join(shown)}, ...; `xentcheck rule` lists them")
    return found


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((files("xentcheck.records") / f"{name}.toml").read_text("utf-8"))
