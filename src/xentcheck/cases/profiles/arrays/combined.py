"""Of each option alone, every three levels together: its values, dtypes, shapes, reductions, layouts and families."""

from __future__ import annotations

from functools import cache
from typing import Any

from xentcheck.cases.case import Case
from xentcheck.cases.profiles.alone import ALONE_SHAPE, FAMILIES, IMAGES, PIXELS, ROW, ROW_OF_A_BATCH, alone_cases
from xentcheck.vocabulary import DTYPES

from .covering import Pair, covering_array

VALUES: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...] = (
    ("index", (("w",), ("wn",), ("wz",), ("weq",), ("wfar",))),
    ("index", (("ign",), ("ign1",), ("igntop",), ("ignminus",), ("ignfirst",), ("ignlast",))),
    ("index", (("ls",), ("ls3",), ("lsh",))),
    ("prob", ((), ("ls",))),
)
FACTORS: dict[str, tuple[Any, ...]] = {
    "shape": (ALONE_SHAPE, IMAGES, ROW, PIXELS, ROW_OF_A_BATCH),
    "dtype": DTYPES,
    "reduction": ("none", "mean", "sum"),
    "upstream": ("one", "neg", "rand", "zero"),
    "layout": ("contig", "trans", "sliced", "tstr", "twice"),
    "family": FAMILIES,
}
FORBIDDEN: frozenset[Pair] = frozenset(
    frozenset({("reduction", reduction), ("upstream", upstream)})
    for reduction in ("mean", "sum")
    for upstream in ("rand", "zero")
)


@cache
def combined_cases(seed: int) -> tuple[Case, ...]:
    """Those that `full` has, and `quick` has not."""
    found = (
        Case(
            family=row["family"],
            shape=row["shape"],
            dtype=row["dtype"],
            target=target,
            options=row["value"],
            reduction=row["reduction"],
            upstream=row["upstream"],
            layout=(row["layout"],),
            seed=seed,
        )
        for target, values in VALUES
        for row in covering_array({"value": values, **FACTORS}, FORBIDDEN, 3)
    )
    known = set(alone_cases(seed))
    return tuple(case for case in dict.fromkeys(found) if case not in known)
