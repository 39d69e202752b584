"""Sizes beside something else, in float32: many pixels or classes of images, rows of probabilities, scalar gradients.

Kernels go through pixels, rows and classes in blocks, each kind of call by other code; and whoever divides by the
upstream gradient of a mean, or takes a small one for 0, errs there as others do in a loss per row.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from xentcheck.cases.case import Case
from xentcheck.cases.profiles.unusual import COMMON, EVERY

PIXELS, SEQUENCES, VOCABULARY = (2, 5, 33, 33), (2, 2053, 3), (2, 50257, 2)
"""Images of more than 1024 pixels; sequences of many classes, and of those of a vocabulary."""

FLAT = (3, 7, 4, 1)
"""Images that are one pixel wide."""

SOFT_ROWS, WEIGHTED_ROWS = (300, 10), (1030, 10)
"""More rows of probabilities, and more rows with weights, than a block."""

SCALED = ("cent", "dust", "near", "vast")
"""Upstream gradients of means and sums, far from 1 and next to it."""


COMBINED: tuple[tuple[tuple[int, ...], str, tuple[str, ...], str], ...] = (
    ((2, 5, 17, 17), "index", EVERY, "mean"),
    (PIXELS, "index", EVERY, "mean"),
    (PIXELS, "prob", ("w",), "sum"),
    (SEQUENCES, "index", (), "mean"),
    (SEQUENCES, "index", EVERY, "none"),
    (SEQUENCES, "prob", (), "mean"),
    (FLAT, "index", (), "mean"),
    (FLAT, "prob", ("w",), "none"),
    ((3, 7, 1, 4), "index", EVERY, "none"),
    ((3, 7, 1, 4), "index", (), "mean"),
    (SOFT_ROWS, "prob", ("w", "ls"), "mean"),
    (SOFT_ROWS, "prob", ("w",), "sum"),
    (WEIGHTED_ROWS, "index", ("w",), "none"),
    (WEIGHTED_ROWS, "prob", ("ls",), "none"),
    (WEIGHTED_ROWS, "index", ("w", "ls"), "sum"),
    ((2, 10), "index", ("w", "ls"), "mean"),
)
"""Shape, target, options and reduction of the cases for what compiles nothing."""


@cache
def beside_cases(seed: int) -> tuple[Case, ...]:
    """Those for all: a JIT compiles three shapes."""
    return tuple(_cases(seed))


def _cases(seed: int) -> Iterator[Case]:
    common: dict[str, Any] = {"family": "gaussian", "dtype": "float32", "seed": seed}
    yield Case(shape=PIXELS, reduction="none", upstream="rand", **common)
    yield Case(shape=VOCABULARY, upstream="neg", **common)
    yield Case(shape=SOFT_ROWS, target="prob", upstream="neg", **common)
    for upstream in SCALED:
        for options, reduction in (((), "mean"), (EVERY, "mean"), ((), "sum")):
            yield Case(shape=COMMON, options=options, reduction=reduction, upstream=upstream, **common)


@cache
def beside_with_options(seed: int) -> tuple[Case, ...]:
    """Those for what compiles nothing: the same sizes with options, in other reductions."""
    common: dict[str, Any] = {"family": "gaussian", "dtype": "float32", "seed": seed}
    return tuple(
        Case(
            shape=shape,
            target=target,
            options=options,
            reduction=reduction,
            upstream="rand" if reduction == "none" else "neg",
            **common,
        )
        for shape, target, options, reduction in COMBINED
    )
