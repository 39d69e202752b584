"""Unusual inputs: legitimate values and calls that ordinary cases do not have, each there for a kind of fault.

Most reuse shapes and options of `profiles`, so that a JIT compiles little for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from xentcheck.cases.case import Case
from xentcheck.cases.families import BROKEN, EDGES, LOW, MASKED_FINITE, SMALL, UNTRAINED, WALLED
from xentcheck.cases.fields import CONSTANT, LAYOUTS
from xentcheck.vocabulary import DTYPES, REDUCTIONS

WIDE = ("float64", "float32")
"""Dtypes that resolve a tenth."""

COMMON = (5, 10)
"""The shape on which most of the option sets are compiled anyway."""

EVERY = ("w", "ls", "ign")

WITHIN_A_WARP = {"float64": 16, "float32": 17, "bfloat16": 24, "float16": 30}
"""Class counts between 11 and 31, one in each dtype."""

IMAGES = (7, 5, 21, 5)
"""Logits of more images than classes, with more than 100 pixels each, in odd axes; the last one is as long as the class
axis.
"""

MANY = (5, 4096)
"""Many classes, in few rows."""

BATCH = (256, 10)
"""Rows as batches have them, so that blocks of a power of two leave none over."""

SQUARE = ((7, 7), (3, 5, 3))
"""As many rows as classes, and as many images as pixels: whoever tells axes by their lengths errs."""

IGNORED = ("ignfirst", "ignlast", "ignpair", "ignmost")
"""Whoever skips rows by their neighbours, or counts from the first, errs with one of these."""

EXTREME = ("zero", "tiny", "huge")
"""Upstream gradients in some rows: whoever divides by one, or skips a row by it, or adds it to the others, errs."""

REAL = {"bfloat16": ((6, 257), 7)}
OTHERS = ((66, 257), 33)
"""(rows, classes) and inputs of a layer that fill no block and more than one warp; fewer where each logit, and each sum
over rows, is rounded to 8 bits.
"""

BEFORE = ("gaussian", "deep", "confident", "ties", "few-active", "common-offset")
"""The families of a direction with probabilities; `masked` multiplies 0 with -inf there, which no library defines."""

HIDDEN_BY_XLA = ("masked", "deep", "common-offset")
"""Families whose nan and inf the simplifications of a compiler may remove, so that eager calls meet them, too."""


def unusual_cases(seed: int, profile: str) -> Iterator[Case]:
    """All of them, in every dtype; the subsets of a layer's gradients in float32, as they have no arithmetic of their
    own, and beyond `quick` in all.
    """
    for dtype in DTYPES:
        common: dict[str, Any] = {"family": "gaussian", "shape": COMMON, "dtype": dtype, "seed": seed}
        yield from _options(common)
        yield from _calls(common)
        for options in ((), EVERY):
            broken = {**common, "family": BROKEN.name, "reduction": "none", "upstream": "rand"}
            yield Case(options=options, **broken)
        for family in BEFORE:
            given = {**common, "family": family, "target": "prob", "options": ("w", "dir")}
            yield Case(reduction="none", upstream="rand", **given)
        yield from _eager(common)
        yield from _edges(common)
        yield from _first_steps(common)
        yield from _low(common) if dtype in WIDE else _smoothed(common)
        yield from _layers(dtype, seed)
        if dtype == "float32" or profile != "quick":
            for layout in LAYOUTS:
                if layout.startswith("needs-"):
                    yield Case(**{**common, "family": "dyadic", "layout": (layout,)}, inputs=10, upstream="neg")
    yield from _values(seed)
    yield from _shapes(seed)


def _options(common: dict[str, Any]) -> Iterator[Case]:
    """Rows ignored at the ends, side by side and nearly all; weights of 1 with a smoothing of a half; a scaled loss."""
    for reduction, upstream in (("mean", "neg"), ("none", "rand")):
        given = {**common, "reduction": reduction, "upstream": upstream}
        for ignored in IGNORED:
            yield Case(options=("w", "ls", ignored), **given)
        if reduction == "mean" or common["dtype"] == "float32":
            yield Case(options=("w1", "lsh", "ign"), **given)
    for upstream in EXTREME:
        for options in ((), EVERY):
            yield Case(**{**common, "reduction": "none", "options": options, "upstream": upstream})
    yield Case(**{**common, "reduction": "none", "target": "prob", "options": ("w",), "upstream": "zero"})
    for options in ((), EVERY):
        yield Case(options=options, upstream="scale", **common)


def _calls(common: dict[str, Any]) -> Iterator[Case]:
    """A third backward."""
    for options in ((), EVERY):
        for reduction, upstream in (("mean", "neg"), ("none", "rand")):
            given = {**common, "options": options, "reduction": reduction, "upstream": upstream}
            yield Case(layout=("thrice",), **given)


def _eager(common: dict[str, Any]) -> Iterator[Case]:
    """Where a compiler hides nan: without options, with all, and with probabilities."""
    for family in (*HIDDEN_BY_XLA, "confident"):
        given = {**common, "family": family, "upstream": "neg"}
        yield Case(**given)
        yield Case(options=("wx", *EVERY[1:]), **given)
        yield Case(target="prob", options=("w",), **given)


def _edges(common: dict[str, Any]) -> Iterator[Case]:
    """The last class and equal logits, in few and many classes with every option; one and two rows of weights, whose
    sum is not their number; and a number of classes between those of the other cases and a warp. In float16 the 4096
    log-probabilities that smoothing adds up hide an ignored row.
    """
    for shape in (COMMON,) if common["dtype"] == "float16" else (COMMON, MANY):
        yield Case(**{**common, "family": EDGES.name, "shape": shape, "options": EVERY, "upstream": "neg"})
    yield Case(**{**common, "family": EDGES.name, "reduction": "none"})
    for rows, family in ((1, EDGES.name), (2, "gaussian")):
        yield Case(**{**common, "family": family, "shape": (rows, COMMON[1]), "options": ("w",), "upstream": "neg"})
    yield Case(**{**common, "shape": (5, WITHIN_A_WARP[common["dtype"]]), "reduction": "none", "upstream": "rand"})


def _first_steps(common: dict[str, Any]) -> Iterator[Case]:
    """Logits that are all 0, and that are all small: what a head gives before it has learned, or in its first steps."""
    for family in (UNTRAINED.name, SMALL.name):
        given = {**common, "family": family}
        yield Case(upstream="neg", **given)
        yield Case(reduction="none", upstream="rand", **given)
        yield Case(options=EVERY, upstream="neg", **given)
        yield Case(target="prob", options=("w",), upstream="neg", **given)


def _low(common: dict[str, Any]) -> Iterator[Case]:
    """Rows far below 0, without options, with all, and with probabilities."""
    given = {**common, "family": LOW.name, "upstream": "neg"}
    yield Case(**given)
    yield Case(options=EVERY, **given)
    yield Case(target="prob", options=("w",), **given)
    yield Case(**{**given, "reduction": "none", "upstream": "rand"})


def _values(seed: int) -> Iterator[Case]:
    """Values of options that change the code, not the arithmetic, so that one dtype has them: the sentinel 0, which is
    false where 1 is true; equal weights, which cancel in a mean only, and a single one that is not 0; a smoothing of 1,
    beside weights and in rows of probabilities, too, a small one and a large one; labels that are all the first class,
    or the last; a last axis of 1; and one-hot rows, those that add up to 1, some of zeros, and nothing but those.
    """
    common: dict[str, Any] = {"family": "gaussian", "shape": COMMON, "dtype": "float32", "seed": seed}
    each = {**common, "reduction": "none", "upstream": "rand"}
    for target in ("hot", "unit", "void"):
        yield Case(target=target, options=("w",), upstream="neg", **common)
        yield Case(target=target, options=("w", "ls"), reduction="sum", upstream="neg", **common)
        yield Case(target=target, **each)
    yield Case(options=("ign0",), upstream="neg", **common)
    yield Case(options=("weq", "ign0"), **each)
    yield Case(options=("w", "ls1", "ign"), upstream="neg", **common)
    yield Case(target="prob", options=("w", "ls1"), **each)
    for reduction, upstream in (("mean", "neg"), ("none", "rand")):
        given = {**common, "reduction": reduction, "upstream": upstream}
        for target in (*CONSTANT, "pad"):
            yield Case(target=target, **given)
        yield Case(options=("ls9",), **given)
    yield Case(options=("wone",), upstream="neg", **common)
    for family in (UNTRAINED.name, SMALL.name):
        yield Case(**{**common, "family": family, "options": ("w",), "upstream": "neg"})
    yield Case(**{**each, "shape": (64, 3), "options": ("wz", "ign")})
    for smoothing in ("ls1", "ls01"):
        yield Case(options=(smoothing,), upstream="neg", **common)
    yield Case(target="prob", options=("wone",), upstream="neg", **common)
    yield Case(options=("wone", "ls", "ign"), **each)
    yield Case(**{**each, "shape": (3, 7, 1)})


def _shapes(seed: int) -> Iterator[Case]:
    """Many pixels, many classes beside pixels, more than 100 rows beside one option, rows that fill blocks, one row,
    rows of which all are the same, as many rows as classes, fewer classes than pixels, and blocks of ignored rows.
    """
    common: dict[str, Any] = {"family": "gaussian", "dtype": "float32", "seed": seed}
    yield Case(shape=IMAGES, options=EVERY, reduction="none", upstream="rand", **common)
    yield Case(shape=IMAGES, target="prob", options=("w", "ls"), upstream="neg", **common)
    yield Case(shape=(2, 1003, 3), options=EVERY, upstream="neg", **common)
    yield Case(shape=(130, 10), options=("w",), reduction="sum", upstream="neg", **common)
    yield Case(shape=(130, 10), target="prob", options=("w", "ls"), upstream="neg", **common)
    yield Case(shape=(1, COMMON[1]), upstream="neg", **common)
    yield Case(shape=(2, 3, 5), upstream="neg", **common)
    yield Case(shape=COMMON[1:], options=("allign",), reduction="none", upstream="rand", **common)
    yield Case(shape=(1, COMMON[1]), options=("allign",), reduction="sum", upstream="neg", **common)
    yield Case(shape=(3, 7, 2), options=("ignmost",), upstream="neg", **common)
    for family in (WALLED.name, MASKED_FINITE.name):
        given = {**common, "family": family}
        for reduction, upstream in (("mean", "neg"), ("none", "rand")):
            yield Case(shape=(5, 1003), **{**given, "reduction": reduction, "upstream": upstream})
        yield Case(shape=COMMON, options=("w", "ign"), upstream="neg", **given)
    yield Case(shape=(130, 10), options=("wx", "ls", "ignmost"), upstream="neg", **common)
    yield Case(shape=BATCH, upstream="neg", **common)
    for dtype in ("float32", "bfloat16"):
        yield Case(**{**common, "dtype": dtype, "shape": BATCH, "reduction": "none", "upstream": "rand"})
    yield Case(shape=COMMON, reduction="sum", upstream="neg", layout=("bcast",), **common)
    for shape in SQUARE:
        yield Case(shape=shape, upstream="neg", **common)
        yield Case(shape=shape, options=EVERY, reduction="none", upstream="rand", **common)
    yield Case(shape=SQUARE[0], target="prob", options=("w",), upstream="neg", **common)


def _smoothed(common: dict[str, Any]) -> Iterator[Case]:
    """Smoothed probabilities beside classes at -inf, which make the value infinite: another tenth of it is lost in the
    rounding to 8 bits.
    """
    for family in ("masked", "exact-ones"):
        for reduction in REDUCTIONS:
            given = {**common, "family": family, "reduction": reduction, "options": ("ls",)}
            yield Case(target="prob", **given)


def _layers(dtype: str, seed: int) -> Iterator[Case]:
    """A last layer at a real size, called once and twice; in narrow dtypes also with a smoothing of a half, weights 8
    times as large as others, and inputs that cancel nothing: dC/da_prev adds up all classes.
    """
    shape, inputs = REAL.get(dtype, OTHERS)
    if dtype not in WIDE:
        apart: dict[str, Any] = {"options": ("wx", "lsh", "ign"), "reduction": "none", "upstream": "rand"}
        yield Case(family="one-hot", shape=shape, inputs=inputs, dtype=dtype, seed=seed, **apart)
    for family in ("confident", "few-active", "tail"):
        for options, reduction, upstream in (((), "mean", "one"), (EVERY, "none", "rand")):
            for layout in ("contig", "twice"):
                yield Case(
                    family=family,
                    shape=shape,
                    inputs=inputs,
                    dtype=dtype,
                    options=options,
                    reduction=reduction,
                    upstream=upstream,
                    layout=(layout,),
                    seed=seed,
                )
