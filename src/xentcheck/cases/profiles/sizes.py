"""Sizes: sharp cases at every step of classes and rows, and what has no size to speak of: no rows, one class.

What a comparison proves holds for its size, so each step that a profile meets has cases that reject wrong answers
there: few active classes and logits of order 1, each option set on a class count of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from xentcheck.cases.case import Case
from xentcheck.vocabulary import DTYPES, REDUCTIONS

SETS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("index", (), "none"),
    ("index", (), "mean"),
    ("index", ("wx", "ls", "ign"), "mean"),
    ("index", ("wx", "ls", "ign"), "none"),
    ("prob", ("wx",), "none"),
    ("prob", ("wx",), "mean"),
)
"""(target kind, options, reduction): the plain ones show a and log_a, the others every option; each value and dC/dz."""

SINGLE: tuple[tuple[str, tuple[str, ...], str], ...] = tuple(
    (target, options, reduction)
    for target, options in (("index", ("wx",)), ("index", ("ign",)), ("index", ("ls",)), ("prob", ()))
    for reduction in ("none", "mean")
)
"""Those for implementations that do not combine all options."""

WEIGHED = ("index", ("wx",), "sum")
"""What shows in bfloat16 that weights are left out of more than 100 rows: a mean of them differs by less than may be
lost where rows are added up in storage.
"""

CLASSES = (
    (128, 1000, 512, 100, 256, 509),
    (4096, 1024, 30000, 2048, 1003, 16384),
    (50257, 151936, 65536, 32000, 128256, 49152),
)
"""Class counts of the steps beyond the first: powers of two, multiples of 1024 and of neither, vocabularies of GPT-2,
Llama 3 and Qwen. Each option set has one, and in each dtype another.
"""

DEAR = ((0, 1, 2, 4), (0, 1, 3, 5))
"""Option sets of a size, by dtype in turn: each shape is a compilation, and neighbours show the other reduction."""

SUMS_OVERFLOW_ABOVE = 1000
"""In float16 smoothing adds up log-probabilities before it divides by C; beyond so many classes its own case has none,
as the sum's bound would hide the weights, and from about 7000 on it overflows.
"""

SUMS_FIT_UP_TO = 4096
"""Classes whose log-probabilities add up to less than float16's largest number: without weights nothing is hidden."""

FEW = 3
"""Rows of the cases with many classes: the middle one is the one that may be ignored."""

SMALL = (5, 10)
"""The shape on which most of a profile is anyway."""

TALL = ((130, 10), (130, 100), (102, 1003))
"""Shapes with more than 100 rows, by step of classes."""

UPSTREAMS_OF = {
    "gaussian": ("rand", "neg"),
    "few-active": ("one", "one"),
    "confident": ("one", "one"),
    "saturated-miss": ("one", "one"),
}
"""Families, and their upstream gradients for reduction none and others: not every implementation takes one. `confident`
shows smoothing best, and is for the sets that have it; `saturated-miss` shows a lost largest term in sums over rows
that may be off by a fifth, in bfloat16.
"""

MANY_TERMS = 4096
"""Sums of more terms than these allow few orders, if the terms are scattered, and all orders if they are alike."""

LONG = (65537, 3)
"""More rows than 16 bits number."""

TALLER = (5120, 5)
"""More rows than the second step has, beside one option; blocks of 256, 512 and 1024 rows leave none over."""

HUGE = ((131, 128256), (5592407, 3))
"""More elements than float32 numbers, 2^24: in many classes and in many rows; seconds each, in `full` for one dtype."""


@cache
def sized_cases(seed: int) -> tuple[Case, ...]:
    """The cases for all implementations, at each step of classes in few rows, and of rows in not so many classes."""
    found = (
        Case(
            family=family,
            shape=shape,
            dtype=dtype,
            target=kind,
            options=options,
            reduction=reduction,
            upstream=upstreams[reduction != "none"],
            seed=seed,
        )
        for dtype, (target, options, reduction), shape in _placed(SETS)
        for kind in _kinds(target, shape)
        for family, upstreams in UPSTREAMS_OF.items()
        if _shows(family, dtype, options, shape)
    )
    return tuple(dict.fromkeys(found))


def _shows(family: str, dtype: str, options: tuple[str, ...], shape: tuple[int, int]) -> bool:
    """Whether a family is there for cases of a kind."""
    if family == "saturated-miss":
        return dtype == "bfloat16" and not options and shape in TALL
    return family != "confident" or "ls" in options


def _kinds(target: str, shape: tuple[int, int]) -> tuple[str, ...]:
    """Probabilities of many classes are also those of four: sums over all may be added in any order, over four not."""
    return (target, "sparse") if target == "prob" and shape[0] * shape[1] > MANY_TERMS else (target,)


def _placed(
    sets: tuple[tuple[str, tuple[str, ...], str], ...],
) -> Iterator[tuple[str, tuple[str, tuple[str, ...], str], tuple[int, int]]]:
    """(dtype, option set, shape) of the cases at each size."""
    for d, dtype in enumerate(DTYPES):
        for o in DEAR[d % 2] if sets is SETS else range(len(sets)):
            shapes = [(FEW, classes[(o + d) % len(classes)]) for classes in CLASSES]
            target, options, reduction = sets[o]
            for shape in (*shapes, *TALL[: 3 if (target, options) == ("index", ()) else 2]):
                most = SUMS_FIT_UP_TO if options == ("ls",) else SUMS_OVERFLOW_ABOVE
                summed = dtype == "float16" and shape[1] > most
                yield dtype, (target, tuple(x for x in options if x != "ls" or not summed), reduction), shape
        if dtype == "bfloat16":
            yield from ((dtype, WEIGHED, shape) for shape in TALL[:2])
        if sets is SETS:
            yield dtype, SETS[2], TALL[0]
            for plain in SETS[:2]:
                yield dtype, plain, SMALL


@cache
def singly_sized_cases(seed: int) -> tuple[Case, ...]:
    """One option at a time at each size, for implementations that do not combine all."""
    return tuple(
        Case(family=family, shape=shape, dtype=dtype, target=kind, options=options, reduction=reduction, seed=seed)
        for dtype, (target, options, reduction), shape in _placed(SINGLE)
        for kind in _kinds(target, shape)
        for family in UPSTREAMS_OF
        if _shows(family, dtype, options, shape)
    )


@cache
def sizeless_cases(seed: int) -> tuple[Case, ...]:
    """No rows, and one class: whatever an implementation does there, it must return, and of the right shape."""
    shapes = ((0, 10), (0, 3, 4), (5, 1), (1,), (3, 1, 4))
    sets = (("index", ()), ("index", ("w", "ls", "ign")), ("prob", ("w",)))
    return tuple(
        Case(
            family="gaussian",
            shape=shapes[(d + 2 * o) % len(shapes)],
            dtype=dtype,
            target=target,
            options=options,
            reduction=REDUCTIONS[(d + o) % len(REDUCTIONS)],
            seed=seed,
        )
        for d, dtype in enumerate(DTYPES)
        for o, (target, options) in enumerate(sets)
    )


def long_cases(seed: int, profile: str) -> Iterator[Case]:
    """More rows than 65536, and beyond `quick` more elements than 2^24."""
    common: dict[str, Any] = {"family": "gaussian", "dtype": "float32", "seed": seed}
    for reduction in ("none", "mean"):
        yield Case(shape=LONG, reduction=reduction, **common)
    yield Case(shape=LONG, options=("wx",), **common)
    yield Case(shape=TALLER, options=("ign",), upstream="neg", **common)
    yield Case(shape=TALLER, options=("ls",), reduction="sum", upstream="neg", **common)
    yield Case(shape=TALLER, target="prob", reduction="none", upstream="rand", **common)
    if profile == "quick":
        return
    for dtype in ("bfloat16", "float16"):
        yield Case(**{**common, "shape": LONG, "dtype": dtype, "reduction": "none"})
    for shape in HUGE:
        yield Case(shape=shape, **common)
