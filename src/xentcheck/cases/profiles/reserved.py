"""Reserved cases: what a profile has only for implementations of a kind that the cases for all would not test well."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import product
from typing import Any

from xentcheck.cases.case import Case
from xentcheck.cases.families import LAYER_FAMILIES
from xentcheck.vocabulary import DTYPES, REDUCTIONS

from .sizes import singly_sized_cases

WIDE = ("float64", "float32")

TINY = (3, 3)
TINY_SETS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("index", ("lsh",)),
    ("index", ()),
    ("index", ("wx",)),
    ("index", ("ign",)),
    ("index", ("wx", "lsh")),
    ("index", ("wx", "lsh", "ign")),
    ("prob", ()),
    ("prob", ("w",)),
    ("prob", ("wx",)),
    ("prob", ("lsh",)),
    ("index", ("dir",)),
)
TINY_FAMILIES = {
    "float64": ("deep",),
    "float32": ("deep", "certain", "gaussian"),
    "bfloat16": ("gaussian", "deep", "certain", "few-active", "confident", "exact-ones"),
    "float16": ("gaussian", "deep", "certain", "few-active", "confident"),
}
"""Shape, option sets (wide dtypes have the first) and families of the cases for implementations that promise nothing:
bounds under `stable` grow with rows and classes, so that only few of both leave room to reject a wrong answer.
"""

PAIRS = (("w", "ls"), ("w", "ign"), ("ls", "ign"))
"""Two options of three: who lacks one is judged on the other two together, in float32, as a JIT compiles for each."""

LINEAR_SETS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("index", ()),
    ("index", ("w", "ls", "ign")),
    ("index", ("ign",)),
    ("prob", ("w",)),
    ("prob", ("w", "ls")),
)
LINEAR_PAIRS: tuple[tuple[str, tuple[str, ...]], ...] = tuple(
    ("index", options) for options in (("w",), ("ls",), *PAIRS)
)
LINEAR = {
    (6, 9): (9, LINEAR_SETS, tuple(LAYER_FAMILIES)),
    (130, 1003): (6, LINEAR_SETS[:2], ("dyadic", "few-active")),
    (150, 1500): (40, LINEAR_SETS[:2], ("dyadic",)),
}
LINEAR_TINY = (
    ("index", ()),
    ("index", ("ign",)),
    ("index", ("lsh",)),
    *(("index", (w, "lsh")) for w in ("w", "wx")),
    ("index", ("lsh", "ign")),
    *(("index", (w, "lsh", "ign")) for w in ("w", "wx")),
    ("prob", ()),
    *(("prob", (w,)) for w in ("w", "wx")),
    ("prob", ("lsh",)),
)
"""What the cases for fused linear losses are made of, which have no others. Wide dtypes, by shape: inputs, option sets,
families; as many inputs as classes, so that a transposed gradient has the right shape, and more rows and classes than a
block. Narrow dtypes: option sets, on the shape `TINY`.
"""

SHAPED: tuple[dict[str, Any], ...] = (
    {"shape": (3, 7, 2)},
    {"shape": (11,)},
    {"shape": (0, 11)},
    *({"layout": (layout,)} for layout in ("trans", "sliced", "tstr", "twice")),
    {"target": "signed"},
)
ALONE: tuple[dict[str, Any], ...] = (
    {},
    *({"options": (option,)} for option in ("w", "wn", "wz", "ign", "ign1", "ignwide", "ls", "dir")),
    {"target": "prob"},
    {"target": "prob", "options": ("ls",)},
    *SHAPED,
)
TWO: tuple[dict[str, Any], ...] = (
    *({"options": pair} for pair in PAIRS),
    *({"shape": (3, 7, 2), "options": (option,)} for option in ("w", "ls", "ign")),
)
ALONE_SHAPE = (4, 11)
ALONE_FAMILIES = ("gaussian", "few-active", "confident")
"""What the cases with one option alone, or two, are made of; they are for implementations that do not support all of
COMBINED, to which the others show their options only together with what they do not support. Narrow dtypes have shapes,
layouts and signed targets, as their tiny cases have the rest.
"""

COMBINED = frozenset({"weight", "ignore_index", "label_smoothing", "probabilities", "upstream"})


@cache
def tiny_cases(seed: int) -> tuple[Case, ...]:
    """The cases for implementations that are judged as `stable`: each option alone and all at once."""
    return tuple(
        Case(
            family=family,
            shape=TINY,
            dtype=dtype,
            target=target,
            options=options,
            reduction=reduction,
            upstream=upstream,
            seed=seed,
        )
        for dtype in DTYPES
        for target, options in (TINY_SETS[:1] if dtype in WIDE else TINY_SETS)
        for reduction in REDUCTIONS
        for family in TINY_FAMILIES[dtype]
        for upstream in ("one", "rand" if reduction == "none" else "neg")
    )


@cache
def alone_cases(seed: int) -> tuple[Case, ...]:
    """One option at a time, and two."""
    return tuple(
        Case(family=family, reduction=reduction, **{"shape": ALONE_SHAPE, "dtype": dtype, "seed": seed, **alone})
        for dtype in DTYPES
        for alone in (ALONE if dtype in WIDE else SHAPED) + (TWO if dtype == "float32" else ())
        for reduction in REDUCTIONS
        for family in ALONE_FAMILIES
    )


@cache
def linear_cases(seed: int) -> tuple[Case, ...]:
    """The cases for implementations whose only head is the layer."""
    wide = [(shape, *row) for shape, (k, sets, families) in LINEAR.items() for row in product([k], sets, families)]
    pairs = [((6, 9), *row) for row in product([9], LINEAR_PAIRS, LAYER_FAMILIES)]
    narrow = [(TINY, TINY[1], row, family) for row, family in product(LINEAR_TINY, LAYER_FAMILIES)]
    return tuple(
        Case(
            family=family,
            shape=shape,
            inputs=inputs,
            dtype=dtype,
            target=target,
            options=options,
            reduction=reduction,
            upstream=upstream,
            seed=seed,
        )
        for dtype in DTYPES
        for shape, inputs, (target, options), family in {"float64": wide, "float32": wide + pairs}.get(dtype, narrow)
        for reduction in REDUCTIONS
        for upstream in (() if dtype in WIDE else ("one",)) + ("rand" if reduction == "none" else "neg",)
    )


def reserved_for(case: Case) -> str:
    """Whom a case is for: `tiny`, `linear`, `alone` or `sized`, by the function that makes it; empty if for all.

    >>> reserved_for(Case.parse("gaussian.3x7x2.f32.index.plain.mean.up-one.contig.s0"))
    'alone'
    """
    shapes = ((name, made[0]) for name, made in RESERVED.items())
    return next((name for name, own in shapes if case.shape in own and case in _made(name, case.seed)), "")


@cache
def _made(name: str, seed: int) -> frozenset[Case]:
    return frozenset(RESERVED[name][1](seed))


RESERVED: dict[str, tuple[frozenset[tuple[int, ...]], Callable[[int], tuple[Case, ...]]]] = {
    "tiny": (frozenset({TINY}), tiny_cases),
    "linear": (frozenset({TINY, *LINEAR}), linear_cases),
    "alone": (frozenset({ALONE_SHAPE, *(alone["shape"] for alone in SHAPED if "shape" in alone)}), alone_cases),
    "sized": (frozenset(case.shape for case in singly_sized_cases(0)), singly_sized_cases),
}
"""Shapes of the cases that are not for all, and the cases."""
