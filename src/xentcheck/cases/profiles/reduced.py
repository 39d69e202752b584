"""What decides at a size, and along a direction, for those that have one reduction, or lack rows, strides or labels.

The other cases of a size have one reduction or another, with an upstream gradient, strides or single rows besides: of
these a function that lacks one takes so few that no wrong answer would be told from the right one.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from xentcheck.cases.case import Case
from xentcheck.cases.layer_families import LAYER_FAMILIES
from xentcheck.vocabulary import DTYPES, REDUCTIONS

FIELDS = ("dtype", "family", "shape", "target", "options")
Row = tuple[str, str, tuple[int, ...], str, tuple[str, ...], tuple[str, ...]]
"""These fields of a case, and its reductions."""

FEW = ((3, 100), (3, 1003), (3, 50257))
TALL = ((130, 10), (130, 100), (102, 1003))
"""Three rows at the class counts of the second step to the fourth; and more than 100 rows."""

SUM, BY_ROW, MEAN_AND_SUM = ("sum",), ("none",), ("mean", "sum")

OF_LOGITS: tuple[Row, ...] = (
    *(("float64", family, (5, 10), "hot", (), REDUCTIONS) for family in ("gaussian", "few-active", "confident")),
    ("float32", "gaussian", FEW[2], "index", (), SUM),
    ("float32", "gaussian", FEW[2], "hot", (), SUM),
    *(("float32", "gaussian", (5, 10), "index", options, SUM) for options in (("dir",), ("ls", "dir"))),
    ("float32", "gaussian", (5, 1003), "hot", ("dir",), MEAN_AND_SUM),
    *(("bfloat16", family, shape, "index", (), SUM) for family in ("gaussian", "saturated-miss") for shape in TALL[:2]),
    *(("bfloat16", family, FEW[0], "index", (), SUM) for family in ("gaussian", "few-active")),
    ("bfloat16", "confident", FEW[0], "index", ("ls",), SUM),
    ("bfloat16", "gaussian", TALL[2], "index", (), BY_ROW),
    *(("bfloat16", "few-active", shape, "hot", (), REDUCTIONS) for shape in FEW[:2]),
    ("float16", "gaussian", FEW[0], "index", (), SUM),
    *(
        ("float16", "gaussian", shape, "index", options, SUM)
        for shape in TALL[:2]
        for options in ((), ("wx",), ("ign",))
    ),
    *(("float16", "exact-ones", shape, "index", ("ls",), MEAN_AND_SUM) for shape in TALL[:2]),
    *(("float16", "few-active", shape, "hot", (), REDUCTIONS) for shape in FEW[:2]),
)

INPUTS = 6
OF_LAYERS: tuple[Row, ...] = (
    *(("float64", family, (9, 9), "index", (), ("sum", "none")) for family in ("gaussian", "dyadic", "confident")),
    *(("float32", family, (9, 300), "index", (), REDUCTIONS) for family in ("gaussian", "one-hot")),
    *(("float32", family, (9, 1003), "index", (), REDUCTIONS) for family in ("gaussian", "one-hot")),
    ("float32", "gaussian", (9, 1003), "prob", (), REDUCTIONS),
    ("float32", "gaussian", (130, 1003), "prob", (), SUM),
    ("float32", "gaussian", (130, 9), "index", (), SUM),
    *(("float32", "gaussian", (130, 300), "index", options, SUM) for options in ((), ("ls",))),
    *(("bfloat16", family, (9, 100), "index", (), BY_ROW) for family in ("dyadic", "one-hot", "few-active")),
    *(
        ("bfloat16", "one-hot", (9, 100), "index", options, ("mean",))
        for options in (("ign",), ("wfar", "lsh", "ignmost"))
    ),
    *(("bfloat16", family, (9, 100), "hot", (), ("mean",)) for family in ("gaussian", "one-hot")),
    ("float16", "one-hot", (9, 100), "index", ("wx", "lsh", "ign"), ("mean",)),
    *((dtype, family, (9, 100), "hot", (), ("mean",)) for dtype in DTYPES[2:] for family in ("dyadic", "confident")),
    *((dtype, family, (3, 3), "hot", (), REDUCTIONS) for dtype in DTYPES for family in LAYER_FAMILIES),
)

SHAPES = frozenset(row[2] for row in OF_LOGITS)
LAYER_SHAPES = frozenset(row[2] for row in OF_LAYERS)


@cache
def reduced_cases(seed: int) -> tuple[Case, ...]:
    """Those on logits."""
    return _cases(OF_LOGITS, 0, seed)


@cache
def reduced_layer_cases(seed: int) -> tuple[Case, ...]:
    """Those of fused linear losses."""
    return _cases(OF_LAYERS, INPUTS, seed)


def _cases(rows: tuple[Row, ...], inputs: int, seed: int) -> tuple[Case, ...]:
    def made(row: Row, reduction: str) -> Case:
        given: dict[str, Any] = dict(zip(FIELDS, row, strict=False))
        return Case(reduction=reduction, inputs=inputs, seed=seed, **given)

    return tuple(made(row, reduction) for row in rows for reduction in row[-1])
