"""The lattice of options: its factors, which levels exclude each other, and cases that cover their combinations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

from xentcheck.cases.case import Case
from xentcheck.cases.families import FAMILIES
from xentcheck.cases.fields import IGNORE, SMOOTHING, WEIGHTS
from xentcheck.vocabulary import DTYPES

from .covering import Pair, covering_array

RANKS = {2: (), 3: (4,), 4: (2, 5), 5: (2, 1, 4)}
"""The axes d1..dk of each rank with a batch; the last holds at least one vector of four."""

FACTORS: dict[str, tuple[Any, ...]] = {
    "classes": (3, 2, 31, 129, 1000, 32000, 128256),
    "rows": (1, 2, 3, 1025),
    "rank": (2, 1, 3, 4, 5),
    "dtype": DTYPES,
    "target": ("index", "u8", "prob"),
    "weight": ("none", "w", "wn", "wz"),
    "ignore": ("none", "ign", "ign1", "ign255", "ignbig"),
    "smoothing": ("none", "ls"),
    "reduction": ("none", "mean", "sum"),
    "upstream": ("one", "neg", "rand", "str", "exp"),
    "layout": ("contig", "trans", "sliced", "bcast", "tstr", "twice"),
    "family": tuple(FAMILIES),
}
"""Factor -> levels. The first level goes with every level of all other factors.

No rows and a single class are none: whatever meets them is right if it returns nothing, or zeros, so that it would be
met in name only. Their cases are in `sizes`.
"""


def _apart(f: str, levels: tuple[Any, ...], g: str, others: tuple[Any, ...]) -> Iterator[Pair]:
    for level in levels:
        for other in others:
            yield frozenset({(f, level), (g, other)})


LARGE = (32000, 128256)
FORBIDDEN: frozenset[Pair] = frozenset(
    {
        *_apart("target", ("prob",), "ignore", FACTORS["ignore"][1:]),
        *_apart("target", ("u8",), "ignore", ("ign", "ignbig")),
        *_apart("target", ("u8",), "classes", (1000, *LARGE)),
        *_apart("rank", (1,), "rows", (2, 3, 1025)),
        *_apart("reduction", ("mean", "sum"), "upstream", ("rand", "str", "exp")),
        *_apart("rows", (1025,), "classes", (129, 1000, *LARGE)),
        *_apart("rank", (3, 4, 5), "classes", LARGE),
    }
)
"""Levels that do not go together.

Without meaning: a row of probabilities holds no sentinel (PyTorch refuses an ignore_index >= 0 there), a uint8 holds
neither -100 nor 1000000 nor the labels of more than 256 classes, logits (C,) are one row, an output that is a scalar
has an upstream gradient without rows. Too large: more than 1025 x 31 or 3 x 128256 logits, which would take longer than
all else together; so many classes or rows meet each other level on smaller shapes.
"""

FRAME = {
    **{name: tuple(range(len(FACTORS[name]))) for name in ("classes", "rows", "rank", "dtype", "target")},
    **{name: tuple(range(len(FACTORS[name]))) for name in ("smoothing", "reduction")},
    **{name: (0, *(1 for _ in FACTORS[name][1:])) for name in ("weight", "ignore")},
}
"""What a JIT compiles for: of weights and sentinels only that there are some."""


def covering_cases(strength: int, seed: int) -> list[Case]:
    """Cases in which every allowed combination of `strength` factors' levels occurs; another seed, another draw.

    Few implementations take labels of one byte: so that the others meet all other combinations, too, each of those rows
    is there with labels of eight bytes besides.
    """
    found = [_case(row, seed) for row in _rows(strength)]
    return found + [replace(case, target="index") for case in found if case.target == "u8"]


@cache
def _rows(strength: int) -> list[dict[str, Any]]:
    return covering_array(FACTORS, FORBIDDEN, strength, FRAME)


def _case(row: dict[str, Any], seed: int) -> Case:
    shape: tuple[int, ...] = (row["classes"],)
    if row["rank"] > 1:
        shape = (row["rows"], row["classes"], *RANKS[row["rank"]])
    return Case(
        family=row["family"],
        shape=shape,
        dtype=row["dtype"],
        target=row["target"],
        options=tuple(row[name] for name in ("weight", "smoothing", "ignore") if row[name] != "none"),
        reduction=row["reduction"],
        upstream=row["upstream"],
        layout=(row["layout"],),
        seed=seed,
    )


def levels_of(case: Case) -> dict[str, Any]:
    """The levels of a case on logits, for those factors of which it has one of the levels; none without rows or with
    one class, where nothing can be wrong but a shape.

    >>> levels_of(Case.parse("ties.5x3.f32.index.w.mean.up-neg.contig.s0"))["weight"]
    'w'
    """
    if case.inputs or 0 in case.shape or case.classes == 1:
        return {}
    options = set(case.options)
    found = {
        "classes": case.classes,
        "rows": 1 if len(case.shape) == 1 else case.shape[0],
        "rank": len(case.shape),
        "dtype": case.dtype,
        "target": case.target,
        "weight": next(iter(sorted(options & set(WEIGHTS))), "none"),
        "ignore": next(iter(sorted(options & set(IGNORE))), "none"),
        "smoothing": next(iter(options & set(SMOOTHING)), "none"),
        "reduction": case.reduction,
        "upstream": case.upstream,
        "layout": case.layout[0] if len(case.layout) == 1 else "",
        "family": case.family,
    }
    return {name: level for name, level in found.items() if level in FACTORS[name]}
