"""The page of contracts: the ladder of the catalogue, each contract's fields, and the stages that may be rounded."""

from __future__ import annotations

from dataclasses import fields

from xentcheck.reference.bounds.arithmetic import distinct
from xentcheck.reference.bounds.contracts import (
    CATALOGUE,
    DEFAULT,
    MEANING_OF_FORMS,
    MEANING_OF_STAGES,
    UNLIMITED,
    Contract,
)

from .docstrings import meanings
from .markdown import code, page, table

ABOUT = f"""A **contract** describes arithmetic: where results are rounded to the dtype, which formula is used, how
good exp and log are. The bounds follow from it ([numerics.md](numerics.md)). An implementation is **judged by** the
contract that it promises (`--contract`, `contract=`, an adapter), or by `{DEFAULT}` if it promises nothing. Below, z
are the logits of a row, m is the largest of them, S the sum of exp(z - m), a the softmax, y the right class, and u
half the distance from 1 to the next number.

The **grade** is what the arithmetic really is: the first contract of the table below, from the strictest on, whose
bounds all comparisons keep. `xentcheck grade NAME` looks for it, and shows the comparison that breaks the contract
before it."""

WIDE = "In float64 and float32 nothing is rounded by storing it, so only these are told apart: "

BASE = "fused"
"""The contract whose fields are those of a contract that names none."""


def contracts() -> str:
    """`docs/contracts.md`."""
    wide = distinct(tuple(CATALOGUE.values()), "float64")
    rows = [
        (f"[`{c.name}`](#{c.name})", MEANING_OF_FORMS[c.log_form], MEANING_OF_FORMS[c.gradient_form], stored(c))
        for c in CATALOGUE.values()
    ]
    return page(
        "Contracts and grades",
        ABOUT,
        table(("contract", "log a", "softmax in the gradient", "stored: what is rounded to the dtype"), rows),
        WIDE + code(c.name for c in wide) + ".",
        "Which form of a loss keeps which contract: [numerics.md](numerics.md), section 3.1.",
        *map(_contract, CATALOGUE.values()),
        "## Stages",
        "What is stored is rounded to the dtype; all else is carried out in float32 for bfloat16 and float16.",
        table(("stage", "what it is"), ((f"`{name}`", text) for name, text in MEANING_OF_STAGES.items())),
        "## Fields",
        table(("field", "what it says"), ((f"`{name}`", text) for name, text in fields_told().items())),
    )


def _contract(contract: Contract) -> str:
    lines = [f"## {contract.name}", ""]
    if contract.name == BASE:
        lines.append("Every field has its default; results and logits are rounded to the dtype, and nothing else is.")
        return "\n".join(lines)
    names = [f.name for f in fields(Contract) if f.name != "name"]
    changed = [name for name in names if getattr(contract, name) != getattr(CATALOGUE[BASE], name)]
    lines += [f"Other than `{BASE}` in:", ""]
    lines += [f"* `{name}`: {_shown(contract, name)}" for name in changed]
    return "\n".join(lines)


def stored(contract: Contract) -> str:
    """The stages that it stores, in the order of the computation."""
    return code(stage for stage in MEANING_OF_STAGES if stage in contract.stored)


def _shown(contract: Contract, name: str) -> str:
    if name == "stored":
        return stored(contract)
    value = getattr(contract, name)
    return "any number" if name == "rescales" and value == UNLIMITED else f"`{value}`"


def fields_told() -> dict[str, str]:
    """What each field of a contract says, from the docstring of the class."""
    names = [f.name for f in fields(Contract) if f.name != "name"]
    told = meanings(Contract.__doc__ or "", names)
    return {name: meaning for joined, meaning in told.items() for name in joined.split(", ")}
