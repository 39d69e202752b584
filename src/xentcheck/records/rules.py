"""The codes of causes: what each means, how it looks, the mend, and where it was met."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

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


@cache
def rules() -> dict[str, Rule]:
    """All codes in their order.

    >>> rules()["B20"].title
    'the mean divides by all rows'
    """
    table = tomllib.loads((files("xentcheck.records") / "rules.toml").read_text("utf-8"))
    return {code: Rule(code, **{**entry, "seen": tuple(entry["seen"])}) for code, entry in table.items()}


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
