"""Fused linear losses, in float32: covering arrays of sizes and of what needs a gradient, each with the options.

Kernels go through rows, classes and inputs in blocks, and leave out what nobody asks for; each size, and each set of
gradients, meets each set of options and each reduction.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from xentcheck.cases.case import Case
from xentcheck.cases.profiles.alone import signed
from xentcheck.vocabulary import REDUCTIONS

from .covering import Pair, covering_array

OPTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("index", ()),
    ("index", ("w",)),
    ("index", ("ign",)),
    ("index", ("ls",)),
    ("index", ("w", "ls")),
    ("index", ("w", "ign")),
    ("index", ("ls", "ign")),
    ("index", ("w", "ls", "ign")),
    ("prob", ()),
    ("prob", ("w",)),
    ("prob", ("w", "ls")),
)
"""(target kind, options)."""

SIZES: dict[str, tuple[Any, ...]] = {
    "rows": (6, 1, 130, 300, 1030),
    "classes": (9, 2, 128, 1003, 4099),
    "inputs": (9, 1, 130, 768),
    "options": OPTIONS,
    "reduction": REDUCTIONS,
}

FORBIDDEN: frozenset[Pair] = frozenset(
    frozenset({(f, x), (g, y)})
    for f, g in (("rows", "classes"), ("rows", "inputs"), ("classes", "inputs"))
    for x in SIZES[f]
    for y in SIZES[g]
    if x * y > 150_000
)
"""More than 150000 logits, inputs or weights."""

NEEDED: dict[str, tuple[Any, ...]] = {
    "layout": ("contig", "needs-x", "needs-w", "needs-b", "needs-xw", "needs-xb", "needs-wb", "twice", "thrice"),
    "options": (
        ("index", ()),
        ("index", ("w",)),
        ("index", ("ign",)),
        ("index", ("ls",)),
        ("index", ("w", "ls", "ign")),
        ("prob", ("w",)),
    ),
    "reduction": REDUCTIONS,
}

"""What needs a gradient, or is differentiated again, with each option alone, with all, and with rows."""

SHAPES = frozenset((rows, classes) for rows in SIZES["rows"] for classes in SIZES["classes"])


def fused_cases(seed: int) -> Iterator[Case]:
    """Every pair of levels of both."""
    common: dict[str, Any] = {"family": "dyadic", "dtype": "float32", "seed": seed}
    for row in covering_array(SIZES, FORBIDDEN, 2):
        shape = row["rows"], row["classes"]
        yield Case(**{**common, **_asked(row)}, shape=shape, inputs=row["inputs"])
    for row in covering_array(NEEDED, (), 2):
        yield Case(**{**common, **_asked(row)}, shape=(6, 9), inputs=9, layout=(row["layout"],))


def _asked(row: dict[str, Any]) -> dict[str, Any]:
    """Options, reduction, and an upstream gradient with signs."""
    (target, options), reduction = row["options"], row["reduction"]
    return {"target": target, "options": options, "reduction": reduction, "upstream": signed(reduction)}
