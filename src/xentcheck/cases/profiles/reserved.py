"""Reserved cases: what a profile has only for implementations of a kind that the cases for all would not test well."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from xentcheck.cases.case import Case
from xentcheck.vocabulary import DTYPES, REDUCTIONS

from .alone import SHAPES, WIDE, alone_cases, signed
from .arrays.beside import COMBINED as BESIDE
from .arrays.beside import beside_with_options
from .arrays.combined import FACTORS, combined_cases
from .arrays.shaped import SHAPES as SHAPED
from .arrays.shaped import beside_each_option
from .arrays.varied import SHAPES as VARIED_SHAPES
from .arrays.varied import varied_cases
from .linear import LINEAR_SHAPES, TINY, linear_cases
from .reduced import SHAPES as REDUCED_SHAPES
from .reduced import reduced_cases
from .sizes import singly_sized_cases

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
        for upstream in ("one", signed(reduction))
    )


def reserved_for(case: Case) -> str:
    """Whom a case is for: `tiny`, `linear`, `alone`, `combined`, `sized`, `reduced`, `varied`, `shaped` or `beside`,
    by the function that makes it; else nobody in particular, an empty string.

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
    "linear": (LINEAR_SHAPES, linear_cases),
    "alone": (SHAPES, alone_cases),
    "combined": (frozenset(FACTORS["shape"]), combined_cases),
    "sized": (frozenset(case.shape for case in singly_sized_cases(0)), singly_sized_cases),
    "reduced": (REDUCED_SHAPES, reduced_cases),
    "varied": (frozenset(VARIED_SHAPES), varied_cases),
    "shaped": (frozenset(SHAPED), beside_each_option),
    "beside": (frozenset(shape for shape, *_ in BESIDE), beside_with_options),
}
"""Shapes of the cases that are not for all, and the cases."""
