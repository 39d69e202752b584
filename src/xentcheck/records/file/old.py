"""Records of older schemas: the facts that they lack, read once from the sentence that stood for them."""

from __future__ import annotations

import re
from typing import Any

from xentcheck.vocabulary import FAILING

LACKS = ("dtype", "head", "reduction", "target", "option")
"""What the reason of `unsupported` starts with, before a name."""


def with_facts(data: dict[str, Any]) -> dict[str, Any]:
    """A record of schema 1 or 2 with the facts that its reason tells; what is no record stays as it is.

    >>> told = with_facts({"outcome": "unsupported", "reason": "option k_dims, which raises ValueError: rank 3"})
    >>> told["lacks"], told["refused"]
    (['option', 'k_dims'], 'ValueError: rank 3')
    """
    outcome, reason = data.get("outcome"), data.get("reason", "")
    if not isinstance(outcome, str) or not isinstance(reason, str):
        return data
    if outcome == "convention":
        convention, _, returned = reason.partition(": ")
        return {**data, "convention": convention, "returned": returned}
    if outcome == "unsupported":
        return {**data, **_lacking(reason)}
    return {**data, **_failing(outcome, reason, data.get("quantity"))} if outcome in FAILING else data


def _lacking(reason: str) -> dict[str, Any]:
    what, _, refused = reason.partition(", which raises ")
    kind, _, name = what.partition(" ")
    return {"lacks": [kind, name] if kind in LACKS else [what], "refused": refused}


def _failing(outcome: str, reason: str, quantity: object) -> dict[str, Any]:
    if reason.startswith("the implementation returned no"):
        return {"check": "present"}
    if outcome == "error":
        return {"check": "raises", "raised": reason.partition(":")[0]}
    if outcome != "disagree":
        return {"check": "raises", "not_called": reason.startswith("not called")}
    if reason.startswith("the call changed its input "):
        return {"check": "inputs", "changed": reason.removeprefix("the call changed its input ").split(", ")}
    if form := re.fullmatch(r"(shape|dtype) (.*), expected (.*)", reason):
        return {"check": form[1], "form": [form[2], form[3]]}
    counted = re.match(r"(\d{1,18}) of ", reason)
    return {"check": f"bound of {quantity}", "failing": int(counted[1]) if counted else 0}
