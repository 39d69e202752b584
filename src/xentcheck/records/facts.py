"""Facts: why a comparison ended as it did, field by field, and the one sentence that is made of them for people."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from xentcheck.vocabulary import QUANTITIES, refusal

FORMS = ("shape", "dtype")
"""Checks of what a result is, before its numbers are looked at."""

CHECKS = ("raises", "inputs", "present", *FORMS, *(f"bound of {quantity}" for quantity in QUANTITIES))
"""Every check that a record can fail. Laws and blind groups are checks of the run as a whole."""

NO_PROOF = {
    "vacuous": "a result of zeros would pass as well",
    "trivial": "the exact result is zero, or has no elements",
}
"""Why a comparison that passes proves nothing."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Why a comparison ended as it did; what does not apply is empty.

    check: the one of CHECKS that failed. raised: the type of the exception. not_called: the call was not made, as those
    before it ended in a crash or a timeout. changed: inputs that the call overwrote and must not. form: the shape or
    dtype that came, and the one that is due. failing: number of elements that exceed their bound. convention, returned:
    the id of a convention, and what was returned there, as "nan" or "0 and finite". lacks: what is not supported, as
    ("option", "k_dims"); refused: the exception, or the finding, that says so where nobody declared it.
    """

    check: str = ""
    raised: str = ""
    not_called: bool = False
    changed: tuple[str, ...] = ()
    form: tuple[str, ...] = ()
    failing: int = 0
    convention: str = ""
    returned: str = ""
    lacks: tuple[str, ...] = ()
    refused: str = ""

    def given(self) -> dict[str, Any]:
        """The facts alone, by name: those of a record without its other fields."""
        return {f.name: getattr(self, f.name) for f in fields(Facts)}


def sentence(facts: Facts, outcome: str, quantity: str = "", *, elements: int = 0, told: str = "") -> str:
    """The reason of a record: why it has its outcome, for people; empty where it agrees.

    told: what somebody else says of it, as an exception, an adapter that is not available, or a deviation.

    >>> sentence(Facts(check="bound of a", failing=3), "disagree", "a", elements=50)
    '3 of 50 elements exceed their bound'
    >>> sentence(Facts(lacks=("option", "k_dims"), refused="ValueError: rank 3"), "unsupported")
    'option k_dims, which raises ValueError: rank 3'
    """
    if outcome in NO_PROOF:
        return NO_PROOF[outcome]
    if facts.changed:
        return f"the call changed its input {', '.join(facts.changed)}"
    if facts.check == "present":
        return f"the implementation returned no {quantity}"
    if facts.form:
        came, due = facts.form
        return f"{facts.check} {came}, expected {due}"
    if facts.failing:
        return f"{facts.failing} of {elements} elements exceed their bound"
    if facts.convention:
        return f"{facts.convention}: {facts.returned}"
    if facts.lacks:
        return refusal(facts.lacks, facts.refused)
    return told
