"""Derivatives along a direction, in float32: a covering array of their own, of pairs of levels.

Who writes a second derivative writes it once more for each option, reduction and shape; so each pair of these is met.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from xentcheck.cases.case import Case
from xentcheck.cases.profiles.alone import signed
from xentcheck.vocabulary import REDUCTIONS

from .covering import Pair, covering_array

FACTORS: dict[str, tuple[Any, ...]] = {
    "shape": ((5, 10), (3, 7, 2), (10,), (1, 10), (130, 10), (5, 1003)),
    "target": ("index", "prob"),
    "smoothing": ("none", "ls", "lsh"),
    "weight": ("none", "w", "wz"),
    "ignore": ("none", "ign", "ign1"),
    "reduction": REDUCTIONS,
    "family": ("gaussian", "confident", "certain", "ties", "deep", "few-active", "common-offset", "untrained", "small"),
}

FORBIDDEN: frozenset[Pair] = frozenset(
    frozenset({("target", "prob"), ("ignore", ignore)}) for ignore in FACTORS["ignore"][1:]
)
"""A row of probabilities holds no sentinel."""

FRAME = {
    **{name: tuple(range(len(FACTORS[name]))) for name in ("shape", "target", "smoothing", "reduction")},
    **{name: (0, *(1 for _ in FACTORS[name][1:])) for name in ("weight", "ignore")},
}
"""What a JIT compiles for: of weights and sentinels only that there are some."""


def directed_cases(seed: int) -> Iterator[Case]:
    """Every pair of levels; each option alone in a mean; in more classes, and on logits that are transposed."""
    for row in covering_array(FACTORS, FORBIDDEN, 2, FRAME):
        options = tuple(row[name] for name in ("weight", "smoothing", "ignore") if row[name] != "none")
        yield Case(
            family=row["family"],
            shape=row["shape"],
            dtype="float32",
            target=row["target"],
            options=(*options, "dir"),
            reduction=row["reduction"],
            upstream=signed(row["reduction"]),
            seed=seed,
        )
    common: dict[str, Any] = {"family": "gaussian", "dtype": "float32", "seed": seed}
    for target, alone in (("index", ("w",)), ("index", ("ign",)), ("index", ("ls",)), ("prob", ())):
        yield Case(shape=(5, 10), target=target, options=(*alone, "dir"), upstream="neg", **common)
    yield Case(shape=(5, 300), options=("ign", "dir"), upstream="neg", **common)
    yield Case(shape=(5, 10), options=("dir",), reduction="none", upstream="rand", layout=("trans",), **common)
