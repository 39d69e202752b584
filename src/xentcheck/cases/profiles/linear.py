"""The cases for fused linear losses, which take no logits."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Any

from xentcheck.cases.case import Case
from xentcheck.cases.fields import CONSTANT
from xentcheck.cases.layer_families import LAYER_FAMILIES
from xentcheck.vocabulary import DTYPES, REDUCTIONS

from .alone import PAIRS, WIDE, signed
from .arrays.fused import SHAPES as FUSED_SHAPES
from .arrays.fused import fused_cases
from .reduced import LAYER_SHAPES, reduced_layer_cases

TINY = (3, 3)
"""The shape of narrow dtypes, and of the cases for implementations that promise nothing."""

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
LINEAR_ROWS = (130, 300)
LINEAR_IN_ROWS: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
    ("float32", "index", ("ign",), "mean"),
    ("float32", "index", ("ls",), "none"),
    ("float32", "index", ("w",), "mean"),
    ("float32", "prob", (), "mean"),
)
LINEAR_TINY = (
    ("index", ()),
    ("index", ("ign",)),
    ("index", ("w",)),
    ("index", ("w", "ign")),
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
block. In more rows than a chunk has also one option alone. Narrow dtypes: option sets, on the shape `TINY`. Each
option is alone in every dtype, and class weights are with ignored rows alone: kernels may have no smoothing.
"""


Linear = tuple[tuple[int, int], int, str, tuple[str, ...], str]
VOCABULARY = (3, 50257)
LINEAR_SIZES: tuple[Linear, ...] = (
    ((1030, 9), 6, "index", ("ign",), "mean"),
    ((1024, 128), 64, "index", ("w", "ls"), "none"),
    ((1030, 9), 6, "prob", ("ls",), "mean"),
    ((300, 12), 5, "index", ("ignmost",), "mean"),
    ((256, 64), 16, "index", (), "mean"),
    (VOCABULARY, 5, "index", (), "mean"),
    (VOCABULARY, 5, "index", ("w", "ls", "ign"), "none"),
    ((9, 7), 768, "index", (), "mean"),
    ((9, 7), 1030, "index", (), "mean"),
    ((2050, 5), 3, "index", (), "mean"),
    ((9, 7), 130, "index", ("w", "ls", "ign"), "none"),
    ((9, 7), 1, "index", ("w",), "mean"),
    ((1, 9), 9, "index", ("ls",), "mean"),
    ((9, 9), 9, "index", ("w", "ls", "ign"), "none"),
    ((9, 7), 9, "index", (), "mean"),
    ((6, 2), 9, "index", (), "none"),
    ((5, 1), 4, "index", ("w", "ls", "ign"), "sum"),
    ((0, 9), 9, "index", (), "sum"),
)
LINEAR_VALUES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    *(("index", (option,), "mean") for option in ("ign1", "ignminus", "igntop", "ignlast", "ignmost", "wn", "wz")),
    *(("index", (option,), "none") for option in ("ign0", "ignabove", "ignfirst", "weq", "wx", "ls01")),
    *(("index", (option,), "sum") for option in ("ignbig", "ignpair", "allign", "wfar", "wneg", "ls1")),
    ("index", ("wone",), "mean"),
    *((target, (), "mean") for target in CONSTANT),
    *(("signed", (), reduction) for reduction in REDUCTIONS),
    *((target, ("w",), "mean") for target in ("hot", "unit", "void")),
    ("pad", (), "mean"),
)
LINEAR_UPSTREAMS = ("zero", "tiny", "huge", "str", "exp")
"""What float32 has besides: numbers of rows, classes and inputs beyond a block, and the least; values of each option,
and upstream gradients. Among the classes of a vocabulary few are active, or the last is a label: else nothing could be
told from a lost column.
"""

CHUNKED: tuple[tuple[tuple[int, int], str, tuple[str, ...], tuple[str, ...]], ...] = (
    ((97, 257), "index", (), ("mean", "none")),
    ((97, 257), "index", ("w", "ls", "ign"), ("mean", "none")),
    ((97, 257), "prob", ("w",), ("mean",)),
)
"""What narrow dtypes have in more rows than a chunk of 64: few share an input, so that nothing hides what one
adds to dW. In more rows, and in sums, what may be stored on the way hides too much.
"""

CHUNKED_INPUTS = 257


@cache
def linear_cases(seed: int) -> tuple[Case, ...]:
    """The cases for implementations whose only head is the layer."""
    wide = [(shape, *row) for shape, (k, sets, families) in LINEAR.items() for row in product([k], sets, families)]
    pairs = [((6, 9), *row) for row in product([9], LINEAR_PAIRS, LAYER_FAMILIES)]
    singles = [((6, 9), *row) for row in product([9], LINEAR_PAIRS[:2], LAYER_FAMILIES)]
    wider = {"float64": wide + singles, "float32": wide + pairs}
    narrow = [(TINY, TINY[1], row, family) for row, family in product(LINEAR_TINY, LAYER_FAMILIES)]
    in_rows = (
        Case(
            family="dyadic",
            shape=LINEAR_ROWS,
            inputs=6,
            dtype=dtype,
            target=target,
            options=options,
            reduction=reduction,
            upstream=signed(reduction),
            seed=seed,
        )
        for dtype, target, options, reduction in LINEAR_IN_ROWS
    )
    many = (
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
        for shape, inputs, (target, options), family in wider.get(dtype, narrow)
        for reduction in REDUCTIONS
        for upstream in (() if dtype in WIDE else ("one",)) + (signed(reduction),)
    )
    return (*many, *in_rows, *_linear_beside(seed), *_chunked(seed))


def _chunked(seed: int) -> Iterator[Case]:
    for dtype, (shape, target, options, reductions) in product(DTYPES[2:], CHUNKED):
        for reduction in reductions:
            given: dict[str, Any] = {"dtype": dtype, "target": target, "options": options, "reduction": reduction}
            upstream = signed(reduction) if options else "one"
            yield Case(family="one-hot", shape=shape, inputs=CHUNKED_INPUTS, upstream=upstream, seed=seed, **given)


def _linear_beside(seed: int) -> Iterator[Case]:
    """Those of float32: on logits that are exact."""
    common: dict[str, Any] = {"family": "dyadic", "dtype": "float32", "seed": seed}
    plain: dict[str, Any] = {**common, "shape": (6, 9), "inputs": 9}
    for shape, inputs, target, options, reduction in LINEAR_SIZES:
        given = {**common, "target": target, "options": options, "reduction": reduction}
        for family in ("few-active", "tail") if shape == VOCABULARY else ("dyadic",):
            yield Case(**{**given, "family": family}, shape=shape, inputs=inputs, upstream=signed(reduction))
    for target, options, reduction in LINEAR_VALUES:
        yield Case(target=target, options=options, reduction=reduction, upstream=signed(reduction), **plain)
    for family in ("untrained", "small"):
        for options, reduction in (((), "mean"), (("w", "ls", "ign"), "none")):
            first = {**plain, "family": family, "options": options, "reduction": reduction}
            yield Case(**first, upstream=signed(reduction))
    for upstream in LINEAR_UPSTREAMS:
        yield Case(reduction="none", upstream=upstream, **plain)
    yield from fused_cases(seed)
    yield from reduced_layer_cases(seed)


LINEAR_SHAPES = frozenset(
    {
        TINY,
        *LINEAR,
        LINEAR_ROWS,
        *FUSED_SHAPES,
        *LAYER_SHAPES,
        *(row[0] for row in CHUNKED),
        *(row[0] for row in LINEAR_SIZES),
    }
)
