"""Values of options beside each other, for what compiles nothing: each with each set of options, in each reduction.

Whoever writes a branch for one option may forget it beside another one, in a reduction, in images, or for a value. Sets
of options, reductions and values are all combined; shapes, families and upstream gradients go round with them, so that
each set of options has each shape in each reduction. A JIT would compile most of them anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Any

from xentcheck.cases.case import Case
from xentcheck.cases.families import EDGES, SMALL, UNTRAINED
from xentcheck.cases.fields import IGNORE, SMOOTHING, SOFT, WEIGHTS
from xentcheck.vocabulary import REDUCTIONS

Kinds = tuple[str, ...]

WEIGHTED: Kinds = tuple(WEIGHTS)
IGNORING: Kinds = tuple(IGNORE)
SMOOTHED: Kinds = tuple(SMOOTHING)

SETS: tuple[tuple[Kinds, tuple[Kinds, ...]], ...] = (
    (("index", "low", "top", "diag"), ()),
    (("index",), (WEIGHTED,)),
    (("index",), (IGNORING,)),
    (("index",), (SMOOTHED,)),
    (("index",), (WEIGHTED, IGNORING)),
    (("index",), (WEIGHTED, SMOOTHED)),
    (("index",), (SMOOTHED, IGNORING)),
    (("index",), (WEIGHTED, SMOOTHED, IGNORING)),
    (SOFT, ()),
    (SOFT, (WEIGHTED,)),
    (SOFT, (SMOOTHED,)),
    (SOFT, (WEIGHTED, SMOOTHED)),
)
"""Kinds of targets, and of each option."""

SHAPES = ((9, 9), (130, 7), (3, 8, 2), (3, 5, 3, 3), (6, 401), (2, 9, 70), (4, 6, 4), (12, 2))
"""As many rows as classes and far more, images, square ones, sequences, as many images as pixels, several hundred
classes and two; no other cases have these shapes.
"""

FAMILIES = ("gaussian", "confident", SMALL.name, "few-active", UNTRAINED.name, EDGES.name, "common-offset")

SCALAR: Kinds = ("neg", "one", "three", "eighth", "tenths", "scale", "nil", "amp")
BY_ROW: Kinds = ("rand", "zero", "three", "huge", "str", "tiny", "tenths", "exp")
"""Upstream gradients of a mean or sum, and of losses per row."""

KNOWN: tuple[tuple[tuple[int, ...], str, Kinds], ...] = (
    ((3, 5, 3, 3), "index", ("ign255",)),
    ((9, 9), "diag", ()),
    ((6, 401), "mixed", ()),
    ((6, 401), "multi", ()),
)
"""Means that many take: masks of images, pairs of a batch, and two labels in many classes."""

VALUES = 17
"""Values of each set of options: no kind has more, and it is a multiple of no number of kinds, shapes or families."""


@cache
def varied_cases(seed: int) -> tuple[Case, ...]:
    """All of them, in float32."""
    common: dict[str, Any] = {"family": "gaussian", "dtype": "float32", "seed": seed}
    known = (Case(shape=shape, target=t, options=o, upstream="neg", **common) for shape, t, o in KNOWN)
    return tuple(dict.fromkeys((*known, *_cases(seed))))


def _cases(seed: int) -> Iterator[Case]:
    for (s, (targets, options)), (r, reduction), v in product(enumerate(SETS), enumerate(REDUCTIONS), range(VALUES)):
        upstreams = BY_ROW if reduction == "none" else SCALAR
        yield Case(
            family=FAMILIES[(v + s + 2 * r) % len(FAMILIES)],
            shape=SHAPES[(v + 3 * s + r) % len(SHAPES)],
            dtype="float32",
            target=targets[(v + r) % len(targets)],
            options=tuple(kinds[(v + k * (s + r)) % len(kinds)] for k, kinds in enumerate(options)),
            reduction=reduction,
            upstream=upstreams[(v + s) % len(upstreams)],
            seed=seed,
        )
