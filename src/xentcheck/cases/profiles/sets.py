"""Option sets: the cases of every family with the sets of options that differ most, in each reduction and layout.

Shapes depend on (options, reduction), never on the family, so that a JIT compiles one signature for all families.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from xentcheck.cases.case import Case
from xentcheck.cases.families import FAMILIES
from xentcheck.cases.layer_families import LAYER_FAMILIES
from xentcheck.vocabulary import REDUCTIONS

OPTION_SETS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("index", ()),
    ("index", ("w", "ign")),
    ("index", ("ls",)),
    ("index", ("w", "ls", "ign")),
    ("prob", ("w",)),
    ("prob", ()),
)
"""(target kind, options). Each option alone is in the covering array."""

PLAIN, EVERY, SOFT = 0, 3, 4
"""Positions of the sets that differ most: no option, all at once, weighted probabilities."""

SHAPES = {
    "mean": ((5, 10), (64, 3), (5, 1003), (5, 10), (5, 10), (64, 3)),
    "sum": ((64, 10), (5, 3), (5, 2), (5, 10), (5, 10), (5, 3)),
    "none": ((5, 1003), (64, 3), (5, 10), (5, 10), (5, 10), (64, 3)),
}
"""(N, C) of each option set; C is no multiple of a vector's width."""

QUICK_SETS = {(1, "mean"), (1, "none"), *product((EVERY, SOFT), REDUCTIONS)}
"""(option set, reduction) of wide dtypes in `quick`, besides the plain ones."""

NARROW_SETS = (
    (PLAIN, "mean", (5, 10)),
    (PLAIN, "none", (5, 1003)),
    (PLAIN, "sum", (5, 10)),
    (1, "mean", (5, 10)),
    (1, "none", (5, 10)),
    (2, "none", (5, 1003)),
    *((o, reduction, (5, 10)) for o in (EVERY, SOFT) for reduction in REDUCTIONS),
)
"""(option set, reduction, shape) of narrow dtypes in `quick`."""

DIRECTED = ("gaussian", "deep", "confident", "ties", "few-active", "common-offset", "masked")
"""The families that have a direction: where derivatives along it differ from nothing, and where forward mode overflows
or multiplies 0 with -inf."""

DIRECTION_SETS = ((PLAIN, "mean", (5, 10)), (EVERY, "none", (64, 3)))
"""(option set, reduction, shape) of the cases with a direction; narrow dtypes have the first in `quick`."""

SOFT_FAMILIES = {"prob": ("gaussian", "few-active"), "signed": ("gaussian", "confident")}
"""Families with smoothed, weighted rows of probabilities, and of numbers below 0 and above 1."""

SHARP = ("gaussian", "deep", "confident", "certain", "common-offset", "few-active")
"""The families that `quick` has with every option set; the others meet the options in the covering array."""

EAGER_SHAPE = (5, 10)
EAGER = (*SHARP, "masked")
"""The one shape on which variants other than the main one run too, and the families."""


def narrow_cases(dtype: str, seed: int) -> Iterator[Case]:
    """What `quick` has of a narrow dtype besides the covering array: the option sets that differ most."""
    for f, family in enumerate(FAMILIES):
        for o, reduction, shape in NARROW_SETS:
            if family in SHARP or (o, reduction) == (PLAIN, "none"):
                yield _plain(family, shape, dtype, o, reduction, f, seed)
    for o in (PLAIN, EVERY):
        target, options = OPTION_SETS[o]
        for family in LAYER_FAMILIES:
            yield Case(
                family=family,
                shape=(5, 10),
                inputs=10,
                dtype=dtype,
                target=target,
                options=options,
                upstream="neg",
                seed=seed,
            )
    yield from _directions(dtype, seed, DIRECTION_SETS[:1])


def _plain(family: str, shape: tuple[int, ...], dtype: str, o: int, reduction: str, f: int, seed: int) -> Case:
    """A case of the o-th option set, whose upstream gradient has another sign for every second family."""
    target, options = OPTION_SETS[o]
    return Case(
        family=family,
        shape=shape,
        dtype=dtype,
        target=target,
        options=options,
        reduction=reduction,
        upstream="rand" if reduction == "none" else ("one", "neg")[(f + o) % 2],
        seed=seed,
    )


def set_cases(dtype: str, seed: int, profile: str) -> Iterator[Case]:
    """Sharp families with every option set and reduction; all families without options, in `full` with them too."""
    for f, family in enumerate(FAMILIES):
        for o in range(len(OPTION_SETS)):
            for reduction in REDUCTIONS:
                chosen = o == PLAIN or (family in SHARP and (o, reduction) in QUICK_SETS)
                if chosen or profile != "quick":
                    yield _plain(family, SHAPES[reduction][o], dtype, o, reduction, f, seed)


def edge_cases(seed: int, profile: str) -> Iterator[Case]:
    """A sentinel that is 0 in 32 bits, the label that is -100 as a uint8, a row alone, and many rows in float16.

    1/20001 is subnormal in float16, 70001 is inf.
    """
    common: dict[str, Any] = {"family": "gaussian", "dtype": "float32", "reduction": "none", "seed": seed}
    yield Case(shape=(64, 10), options=("ignwide",), **common)
    yield Case(shape=(1025, 255), target="u8", options=("ls",), **common)
    yield Case(shape=(10,), **common)
    yield Case(family="gaussian", shape=(20001, 2), dtype="float16", seed=seed)
    if profile != "quick":
        yield Case(family="gaussian", shape=(70001, 2), dtype="float16", seed=seed)


def layer_cases(dtype: str, seed: int, profile: str) -> Iterator[Case]:
    """The last layer and a small network; `full` with every option set, `quick` with those that differ most."""
    chosen = OPTION_SETS if profile != "quick" else tuple(OPTION_SETS[o] for o in (PLAIN, EVERY, SOFT))
    for o, (target, options) in enumerate(chosen):
        for r, reduction in enumerate(REDUCTIONS):
            common: dict[str, Any] = {
                "dtype": dtype,
                "target": target,
                "options": options,
                "reduction": reduction,
                "upstream": "rand" if reduction == "none" else "neg",
                "seed": seed,
            }
            if profile != "quick":
                yield Case(family="dyadic", shape=(64, 10), inputs=4, **common)
            if profile != "quick" or r == o % 3:
                for family in LAYER_FAMILIES:
                    yield Case(family=family, shape=(5, 10), inputs=10, **common)
                    yield Case(family=family, shape=(5, 10), inputs=8, hidden=6, **common)


def special_cases(dtype: str, seed: int) -> Iterator[Case]:
    """Memory layouts, second backward calls, upstream gradients, further options, on shapes of the lattice."""
    every = OPTION_SETS[EVERY][1]
    for layout in (("trans",), ("sliced",), ("tstr",), ("trans", "tstr"), ("twice",), ("sliced", "twice")):
        for reduction, upstream in (("mean", "neg"), ("none", "rand")):
            for o, options in ((PLAIN, ()), (EVERY, every)):
                yield Case(
                    family="gaussian",
                    shape=SHAPES[reduction][o],
                    dtype=dtype,
                    options=options,
                    reduction=reduction,
                    upstream=upstream,
                    layout=layout,
                    seed=seed,
                )
    for upstream in ("one", "neg", "str", "exp"):
        for family in ("gaussian", "few-active"):
            yield Case(family=family, shape=(5, 10), dtype=dtype, reduction="none", upstream=upstream, seed=seed)
    yield from _directions(dtype, seed, DIRECTION_SETS)
    yield from _degenerate(dtype, seed)


def soft_cases(dtype: str, seed: int) -> Iterator[Case]:
    """Rows of probabilities under smoothing, and rows that are none."""
    for target, families in SOFT_FAMILIES.items():
        for family, reduction in product(families, REDUCTIONS):
            yield Case(
                family=family,
                shape=(5, 10),
                dtype=dtype,
                target=target,
                options=("w", "ls"),
                reduction=reduction,
                upstream="rand" if reduction == "none" else "neg",
                seed=seed,
            )


def _directions(dtype: str, seed: int, sets: tuple[tuple[int, str, tuple[int, int]], ...]) -> Iterator[Case]:
    """Derivatives along a direction."""
    for o, reduction, shape in sets:
        target, options = OPTION_SETS[o]
        for family in DIRECTED:
            yield Case(
                family=family,
                shape=shape,
                dtype=dtype,
                target=target,
                options=(*options, "dir"),
                reduction=reduction,
                upstream="rand" if reduction == "none" else "neg",
                seed=seed,
            )


def _degenerate(dtype: str, seed: int) -> Iterator[Case]:
    """Every row ignored; a sentinel that is a class; weights of both signs and of 0."""
    for o, options in (
        (1, ("w", "allign")),
        (1, ("wn", "ign")),
        (1, ("wz", "ign1")),
        (EVERY, ("wz", "ls", "ign")),
        (EVERY, ("wn", "ls", "ign1")),
    ):
        for reduction in REDUCTIONS:
            for family in ("gaussian", "confident"):
                yield Case(
                    family=family,
                    shape=SHAPES[reduction][o],
                    dtype=dtype,
                    options=options,
                    reduction=reduction,
                    upstream="rand" if reduction == "none" else "neg",
                    seed=seed,
                )
