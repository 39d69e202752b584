"""One option at a time, and two of three: the cases for those that lack an option of `COMBINED` or a reduction.

To these the other cases show their options only together with what they do not support.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Any

from xentcheck.cases.case import Case
from xentcheck.vocabulary import DTYPES, OPTIONS, REDUCTIONS

COMBINED = frozenset(OPTIONS) - {"second_order", "uint8_targets", "wide_sentinel"}
"""The options that other cases show beside each other; those left out have cases of their own."""

WIDE = ("float64", "float32")

PAIRS = (("w", "ls"), ("w", "ign"), ("ls", "ign"))
"""Two options of three: who lacks one is judged on the other two together, in float32, as a JIT compiles for each."""

ALONE_SHAPE = (4, 11)
IMAGES, PIXELS, ROW, ROW_OF_A_BATCH, MANY_ROWS = (3, 7, 2), (3, 6, 2, 2), (11,), (1, 11), (1030, 5)
"""Logits with one and two axes of pixels, without a batch, in a batch of one, and in more rows than a block has."""

SHAPED: tuple[dict[str, Any], ...] = (
    {"shape": IMAGES},
    {"shape": ROW},
    {"shape": (0, 11)},
    *({"layout": (layout,)} for layout in ("trans", "sliced", "tstr", "twice")),
    {"target": "signed"},
)
SINGLY: tuple[dict[str, Any], ...] = (
    *({"options": (option,)} for option in ("w", "wn", "wz", "ign", "ign1", "ignwide", "ls", "dir")),
    {"target": "prob"},
    {"target": "prob", "options": ("ls",)},
)
TWO: tuple[dict[str, Any], ...] = (
    *({"options": pair} for pair in PAIRS),
    *({"shape": IMAGES, "options": (option,)} for option in ("w", "ls", "ign")),
)
FAMILIES = ("gaussian", "few-active", "confident")
"""What the cases are made of, with every reduction and family. Narrow dtypes have shapes, layouts and signed targets;
the rest is in their tiny cases.
"""

LAYOUTS = {"mean": ("twice",), "sum": ("trans", "tstr"), "none": ("sliced",)}
"""Where an option is alone, `gaussian` has an upstream gradient besides, and `few-active` a layout, by reduction."""

Rare = tuple[str, tuple[str, ...], str]
RARE: dict[tuple[int, ...], tuple[Rare, ...]] = {
    ALONE_SHAPE: (
        ("index", ("ignfirst",), "none"),
        ("index", ("ignlast",), "mean"),
        ("index", ("ignmost",), "mean"),
        ("index", ("allign",), "sum"),
        ("index", ("igntop",), "none"),
        ("index", ("ignabove",), "mean"),
        ("index", ("ignminus",), "sum"),
        ("index", ("weq",), "none"),
        ("index", ("wfar",), "sum"),
        ("index", ("ls3",), "sum"),
        ("index", ("w", "dir"), "mean"),
        ("index", ("ign", "dir"), "sum"),
        ("index", ("ls", "dir"), "none"),
        ("prob", ("dir",), "mean"),
        ("hot", (), "mean"),
        ("unit", (), "sum"),
        ("void", (), "mean"),
        ("hot", ("ls",), "none"),
    ),
    PIXELS: (
        ("index", ("w",), "mean"),
        ("index", ("w",), "none"),
        ("index", ("ign",), "mean"),
        ("index", ("ls",), "mean"),
        ("prob", (), "mean"),
        ("prob", ("w",), "sum"),
    ),
    IMAGES: (("prob", (), "mean"), ("prob", (), "none")),
    ROW: (
        ("index", ("w",), "mean"),
        ("index", ("ignfirst",), "sum"),
        ("index", ("ls",), "none"),
        ("prob", (), "mean"),
    ),
    ROW_OF_A_BATCH: (("index", ("ls",), "mean"), ("prob", (), "none")),
    MANY_ROWS: (
        ("index", ("w",), "none"),
        ("index", ("ign",), "mean"),
        ("index", ("ls",), "none"),
        ("prob", (), "mean"),
    ),
}
"""By shape, what float32 has besides: values of an option, directions, axes of pixels and numbers of rows."""

STEEP: dict[str, tuple[Rare, ...]] = {
    "common-offset": (
        ("index", ("w",), "mean"),
        ("index", ("ign",), "sum"),
        ("index", ("ls",), "none"),
        ("prob", (), "none"),
    ),
    "very-negative": (
        ("index", ("w",), "none"),
        ("index", ("ign",), "mean"),
        ("index", ("ls",), "sum"),
        ("prob", (), "sum"),
    ),
    "saturated-miss": (
        ("index", ("w",), "sum"),
        ("index", ("ign",), "none"),
        ("index", ("ls",), "mean"),
        ("prob", (), "mean"),
    ),
    "masked": (("index", ("w",), "none"), ("index", ("ignmost",), "sum"), ("prob", (), "none"), ("prob", (), "mean")),
    "few-active": (("prob", ("dir",), "mean"),),
}
"""By family, what float32 has for the code that one option has to itself: an exponential without a shift, the logarithm
of a softmax, 0 times -inf, the label of an ignored row; and a direction, along which 1.001 is told from 1.
"""

STEEP_IN_ALL = "common-offset"
"""The family that narrow dtypes have of these."""

DIRECTED_FAMILIES = ("few-active", "exact-ones", "untrained")
"""Families of which one at least, in each reduction, is told from its multiples along a direction of 1003 classes."""

DIRECTED_SHAPES = (*(((5, 1003), reduction) for reduction in REDUCTIONS), ((130, 10), "sum"))
"""Their shapes, with the reductions."""

SHAPES = frozenset(
    {*RARE, *(given["shape"] for given in SHAPED if "shape" in given), *(shape for shape, _ in DIRECTED_SHAPES)}
)

IN_TURN: tuple[tuple[tuple[int, ...], tuple[str, ...], tuple[str, ...]], ...] = (
    *((ALONE_SHAPE, pair, ("mean",) * 3) for pair in (("wx", "lsh"), ("w", "ignmost"), ("lsh", "ignmost"))),
    (IMAGES, ("wx",), ("mean", "sum", "none")),
    (IMAGES, ("lsh",), ("none", "mean", "sum")),
    (IMAGES, ("ign",), ("sum", "none", "mean")),
)
"""What the other dtypes have of two at once, each with a reduction of its own: with most rows ignored a mean over all
of them is another number in 8 bits, too.
"""


@cache
def alone_cases(seed: int) -> tuple[Case, ...]:
    """Those of every profile."""
    return tuple(dict.fromkeys((*_repeated(seed), *_rare(seed), *_directed(seed), *_in_turn(seed))))


def _repeated(seed: int) -> Iterator[Case]:
    for dtype in DTYPES:
        sets = ({}, *SINGLY, *SHAPED) if dtype in WIDE else SHAPED
        for alone in sets + (TWO if dtype == "float32" else ()):
            for reduction in REDUCTIONS:
                for family in _families(alone):
                    given: dict[str, Any] = {"shape": ALONE_SHAPE, "dtype": dtype, "seed": seed}
                    if alone in SINGLY and family == "gaussian":
                        given["upstream"] = signed(reduction)
                    if alone in SINGLY and family == "few-active":
                        given["layout"] = LAYOUTS[reduction]
                    yield Case(family=family, reduction=reduction, **{**given, **alone})


def _families(alone: dict[str, Any]) -> tuple[str, ...]:
    """One where there are no logits, two for two options."""
    if 0 in alone.get("shape", ()):
        return FAMILIES[:1]
    return FAMILIES[::2] if alone in TWO else FAMILIES


def _rare(seed: int) -> Iterator[Case]:
    placed = [("gaussian", shape, "float32", sets) for shape, sets in RARE.items()]
    placed += [(family, ALONE_SHAPE, "float32", sets) for family, sets in STEEP.items()]
    placed += [(STEEP_IN_ALL, ALONE_SHAPE, dtype, STEEP[STEEP_IN_ALL]) for dtype in DTYPES if dtype not in WIDE]
    for family, shape, dtype, sets in placed:
        for target, options, reduction in sets:
            yield Case(
                family=family,
                shape=shape,
                dtype=dtype,
                target=target,
                options=options,
                reduction=reduction,
                upstream=signed(reduction),
                seed=seed,
            )


def _directed(seed: int) -> Iterator[Case]:
    """A direction in many classes, and a sum of many rows, for those that lack the options of the others."""
    common: dict[str, Any] = {"dtype": "float32", "seed": seed}
    for (shape, reduction), family in product(DIRECTED_SHAPES, DIRECTED_FAMILIES):
        given: dict[str, Any] = {"reduction": reduction, "upstream": signed(reduction), **common}
        yield Case(family=family, shape=shape, options=("dir",), **given)


def _in_turn(seed: int) -> Iterator[Case]:
    for i, dtype in enumerate(dtype for dtype in DTYPES if dtype != "float32"):
        for shape, options, reductions in IN_TURN:
            yield Case(family="gaussian", shape=shape, dtype=dtype, options=options, reduction=reductions[i], seed=seed)


def signed(reduction: str) -> str:
    """An upstream gradient with signs, as a reduction allows it."""
    return "rand" if reduction == "none" else "neg"
