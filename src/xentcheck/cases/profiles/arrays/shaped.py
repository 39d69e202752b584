"""Every number of axes with each kind of target and each reduction: rows alone, sequences, images and volumes.

A loss that divides by the wrong axis shows here. All implementations get the float32 cases; those that compile nothing
also get the other dtypes, and each option.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Any

from xentcheck.cases.case import Case
from xentcheck.vocabulary import DTYPES, REDUCTIONS

SHAPES = ((13,), (3, 6, 17), (2, 6, 4, 5), (2, 5, 2, 2, 4))
"""Logits with one, three, four and five axes: at least 16 pixels, which narrow numbers fill a vector with."""

SETS: dict[str, tuple[tuple[str, ...], ...]] = {
    "index": (("ign1",), ("w",), ("ls",), (), ("wx", "ls", "ign1")),
    "prob": ((), ("w",), ("ls",)),
}
"""By kind of target, sets of options: a sentinel is one of the classes, so that logits without a batch may have it."""

ONE: dict[tuple[str, str], tuple[str, ...]] = {
    ("index", "mean"): ("ign1",),
    ("index", "sum"): ("w",),
    ("index", "none"): (),
    ("prob", "mean"): (),
    ("prob", "sum"): ("ls",),
    ("prob", "none"): ("w",),
}
"""The one that a JIT compiles for each kind of target and reduction."""

FAMILIES = ("gaussian", "common-offset")
"""The second one shows who subtracts no maximum."""


@cache
def shaped_cases(seed: int) -> tuple[Case, ...]:
    """Those for all: a JIT compiles each number of axes, target and reduction once."""
    return tuple(_cases("float32", seed, 0, one_set=True))


@cache
def beside_each_option(seed: int) -> tuple[Case, ...]:
    """Those for what compiles nothing: each set of options, all in bfloat16, every second one in the other dtypes."""
    known = set(shaped_cases(seed))
    found = (case for d, dtype in enumerate(DTYPES) for case in _cases(dtype, seed, d))
    return tuple(case for case in found if case not in known)


def _cases(dtype: str, seed: int, turn: int, *, one_set: bool = False) -> Iterator[Case]:
    for (i, shape), (r, reduction), target in product(enumerate(SHAPES), enumerate(REDUCTIONS), SETS):
        sets = SETS[target]
        chosen = (ONE[target, reduction],) if one_set else sets
        for o, options in enumerate(chosen):
            if not one_set and dtype != "bfloat16" and (i + r + o + turn) % 2:
                continue
            upstream = "rand" if reduction == "none" and len(shape) > 1 else "neg"
            given: dict[str, Any] = {"target": target, "reduction": reduction, "upstream": upstream, "options": options}
            for family in FAMILIES if one_set else FAMILIES[:1]:
                yield Case(family=family, shape=shape, dtype=dtype, seed=seed, **given)
