"""Profiles: which cases a run is made of. Shapes depend on (options, reduction), never on the family, so that a JIT
compiles one signature for all families."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .cases import Case
from .errors import ProfileError
from .families import FAMILIES, LAYER_FAMILIES
from .vocabulary import DTYPES, REDUCTIONS

PROFILES = ("quick", "full")

OPTION_SETS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("index", ()),
    ("index", ("w",)),
    ("index", ("ign",)),
    ("index", ("ls",)),
    ("index", ("w", "ls", "ign")),
    ("prob", ()),
    ("prob", ("w",)),
)
"""(target kind, options): each option alone, and all together."""

SHAPES = {
    "mean": ((5, 10), (64, 3), (5, 10), (5, 1003), (5, 10), (64, 3), (5, 10)),
    "sum": ((64, 10), (5, 3), (64, 10), (5, 2), (5, 10), (5, 3), (5, 10)),
    "none": ((5, 1003), (64, 3), (5, 1003), (5, 10), (5, 10), (64, 3), (5, 10)),
}
"""(N, C) of each option set: no option and `ign` share a compilation; C is no multiple of a vector's width."""

WIDE = ("float64", "float32")

NARROW_SETS = (
    (0, "mean", (5, 10)),
    (0, "none", (5, 1003)),
    (0, "sum", (5, 10)),
    (3, "none", (5, 1003)),
    (4, "mean", (5, 10)),
    (4, "none", (5, 10)),
    (6, "mean", (5, 10)),
)
"""(option set, reduction, shape) of narrow dtypes in `quick`."""

DIRECTION_SETS = ((0, "mean", (5, 10)), (4, "none", (64, 3)), (6, "mean", (5, 10)))
"""(option set, reduction, shape) of the cases with a direction; narrow dtypes have the first in `quick`."""

FURTHER_SHAPES = ((5, 10), (7, 129), (64, 3), (5, 1003))
"""What `full` adds to them."""

EAGER_SHAPE = (5, 10)
"""The one shape on which variants other than the main one run too."""


def cases(profile: str, seed: int = 0) -> list[Case]:
    """The cases of a profile, in canonical order. Raises ProfileError for an unknown profile.

    >>> len({str(c) for c in cases("quick")}) == len(cases("quick"))
    True
    """
    if profile not in PROFILES:
        raise ProfileError(f"unknown profile {profile!r}; allowed: {', '.join(PROFILES)}")
    found: dict[str, Case] = {}
    seeds = (seed,) if profile == "quick" else (seed, seed + 1)
    for dtype in DTYPES:
        for s in seeds:
            wide = dtype in WIDE or profile == "full"
            lattice = (*_lattice(dtype, s, profile), *_layers(dtype, s, profile), *_special(dtype, s))
            for case in lattice if wide else _narrow(dtype, s):
                found[str(case)] = case
    return list(found.values())


def _narrow(dtype: str, seed: int) -> Iterator[Case]:
    """What `quick` has of a narrow dtype: every family with the option sets and reductions that differ most."""
    for f, family in enumerate(FAMILIES):
        for o, reduction, shape in NARROW_SETS:
            target, options = OPTION_SETS[o]
            yield Case(
                family=family,
                shape=shape,
                dtype=dtype,
                target=target,
                options=options,
                reduction=reduction,
                upstream="rand" if reduction == "none" else ("one", "neg")[(f + o) % 2],
                seed=seed,
            )
    for o in (0, 4):
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
    for layout in ("trans", "sliced"):
        yield Case(family="gaussian", shape=(5, 10), dtype=dtype, upstream="neg", layout=(layout,), seed=seed)


def _lattice(dtype: str, seed: int, profile: str) -> Iterator[Case]:
    """Every family with every option set and reduction."""
    for f, family in enumerate(FAMILIES):
        for o, (target, options) in enumerate(OPTION_SETS):
            for reduction in REDUCTIONS:
                shapes = {SHAPES[reduction][o]: None} | (dict.fromkeys(FURTHER_SHAPES) if profile == "full" else {})
                for shape in shapes:
                    yield Case(
                        family=family,
                        shape=shape,
                        dtype=dtype,
                        target=target,
                        options=options,
                        reduction=reduction,
                        upstream="rand" if reduction == "none" else ("one", "neg")[(f + o) % 2],
                        seed=seed,
                    )


def _layers(dtype: str, seed: int, profile: str) -> Iterator[Case]:
    """The last layer and a small network; `full` with every option set, `quick` with those that differ most."""
    chosen = OPTION_SETS if profile == "full" else (OPTION_SETS[0], OPTION_SETS[4], OPTION_SETS[6])
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
            yield Case(family="few-active", shape=(5, 10), inputs=10, **common)
            yield Case(family="gaussian", shape=(5, 10), inputs=10, **common)
            if r == o % 3 or profile == "full":
                yield Case(family="dyadic", shape=(64, 10), inputs=4, **common)
                for family in LAYER_FAMILIES:
                    yield Case(family=family, shape=(5, 10), inputs=10, **common)
                    yield Case(family=family, shape=(5, 10), inputs=8, hidden=6, **common)


def _special(dtype: str, seed: int) -> Iterator[Case]:
    """Memory layouts, second backward calls, upstream gradients, ranks, degenerate shapes, further options."""
    every = OPTION_SETS[4][1]
    for layout in (("trans",), ("sliced",), ("tstr",), ("trans", "tstr"), ("twice",), ("sliced", "twice")):
        for reduction, upstream in (("mean", "neg"), ("none", "rand")):
            for o, options in ((0, ()), (4, every)):
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
    for reduction, upstream in (("mean", "neg"), ("none", "rand")):
        for options in ((), every):
            yield Case(
                family="deep",
                shape=(64, 3),
                dtype=dtype,
                options=options,
                reduction=reduction,
                upstream=upstream,
                seed=seed,
            )
    yield from _directions(dtype, seed, DIRECTION_SETS)
    yield from _ranks(dtype, seed)
    yield from _degenerate(dtype, seed)


def _directions(dtype: str, seed: int, sets: tuple[tuple[int, str, tuple[int, int]], ...]) -> Iterator[Case]:
    """Derivatives along a direction: the families on which they differ from nothing."""
    for o, reduction, shape in sets:
        target, options = OPTION_SETS[o]
        for family in ("gaussian", "deep", "confident", "ties", "few-active"):
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


def _ranks(dtype: str, seed: int) -> Iterator[Case]:
    """Unbatched logits, and class axes in the middle."""
    for shape in ((10,), (2, 5, 3), (2, 5, 3, 2)):
        choices = (
            (OPTION_SETS[0], "none"),
            (OPTION_SETS[4], "mean"),
            (OPTION_SETS[6], "mean" if len(shape) < 4 else "none"),
        )
        for (target, options), reduction in choices:
            kept = tuple(o for o in options if o != "ign") if len(shape) == 1 else options
            for layout in ("contig",) if len(shape) == 1 else ("contig", "trans"):
                yield Case(
                    family="gaussian",
                    shape=shape,
                    dtype=dtype,
                    target=target,
                    options=kept,
                    reduction=reduction,
                    upstream="neg" if reduction == "mean" else "one" if len(shape) == 1 else "rand",
                    layout=(layout,),
                    seed=seed,
                )


def _degenerate(dtype: str, seed: int) -> Iterator[Case]:
    """One class, one row, no row; every row ignored; a sentinel that is a class; weights of both signs and of 0."""
    for shape, reductions in (((5, 1), ("mean", "none")), ((1, 10), ("mean", "sum")), ((0, 10), REDUCTIONS)):
        for reduction in reductions:
            yield Case(family="gaussian", shape=shape, dtype=dtype, reduction=reduction, seed=seed)
    for options, reductions in (
        (("allign",), ("mean", "none")),
        (("w", "allign"), ("mean", "none")),
        (("wn",), ("mean", "none")),
        (("wz", "ls"), ("mean", "none")),
        (("ign1",), ("mean", "sum")),
        (("wn", "ls", "ign1"), ("mean", "sum")),
    ):
        for reduction in reductions:
            for family in ("gaussian", "confident"):
                yield Case(
                    family=family,
                    shape=(5, 10),
                    dtype=dtype,
                    options=options,
                    reduction=reduction,
                    upstream="rand" if reduction == "none" else "neg",
                    seed=seed,
                )
