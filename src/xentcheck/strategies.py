"""Hypothesis strategies: cases and problems, of those options that an implementation supports. Needs `hypothesis`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from xentcheck.adapters.wrap.functions import selection
from xentcheck.cases.case import Case
from xentcheck.cases.families import FAMILIES
from xentcheck.cases.fields import SOFT
from xentcheck.cases.layer_families import LAYER_FAMILIES
from xentcheck.reference.formats import Array
from xentcheck.reference.problem import NO_IGNORE, Problem

from .errors import CaseError
from .vocabulary import DTYPES, HEADS, OPTIONS, RARE_OPTIONS, REDUCTIONS

__all__ = ["cases", "problems"]

LARGEST = 1 << 16
"""Logits of a case: most time should go into many cases, not into large ones."""

STRIDED = ("trans", "sliced", "bcast", "tstr")

U8_CLASSES = 156
"""Classes of uint8 labels: 156 is -100 in eight bits, a fault of PyTorch that is known and has a case of its own."""

RARE = 40
"""One in so many cases has no rows."""

SIZES = (2, 3, 4, 5, 7, 8, 9, 16, 17, 31, 32, 33, 64, 100, 127, 128, 129, 255, 256, 257, 1000, 1003, 1025)
"""Rows and classes around the widths of vectors and blocks."""


@dataclass(frozen=True)
class _Supported:
    """What may be drawn, each in the words of `vocabulary`."""

    dtypes: tuple[str, ...]
    reductions: tuple[str, ...]
    options: tuple[str, ...]
    heads: tuple[str, ...]

    @classmethod
    def of(
        cls,
        dtypes: Collection[str] | None,
        reductions: Collection[str] | None,
        options: Collection[str] | None,
        heads: Collection[str] | None,
    ) -> _Supported:
        usual = tuple(o for o in OPTIONS if o not in RARE_OPTIONS)
        return cls(
            selection("dtypes", dtypes, DTYPES),
            selection("reductions", reductions, REDUCTIONS),
            usual if options is None else selection("options", options, OPTIONS, empty=True),
            selection("heads", HEADS[:1] if heads is None else heads, HEADS),
        )

    def some(self, option: str, *levels: Any) -> tuple[Any, ...]:
        """The levels, if the option is supported."""
        return levels if option in self.options else ()


def cases(
    *,
    dtypes: Collection[str] | None = None,
    reductions: Collection[str] | None = None,
    options: Collection[str] | None = None,
    heads: Collection[str] | None = None,
) -> SearchStrategy[Case]:
    """Cases: every family, option and layout, shapes around the widths of vectors and blocks, any seed.

    dtypes, reductions, options, heads: what the implementation supports, as in `adapters.from_torch`; by default all
    but `uint8_targets`, on logits. Raises AdapterError for other words.

    >>> from hypothesis import find
    >>> case = find(cases(dtypes=["float32"], options=[], reductions=["mean"]), lambda case: case.classes > 2)
    >>> case.dtype, case.options, case.reduction
    ('float32', (), 'mean')
    """
    return _cases(_Supported.of(dtypes, reductions, options, heads))


def problems(
    *,
    dtypes: Collection[str] | None = None,
    reductions: Collection[str] | None = None,
    options: Collection[str] | None = None,
    rows: int = 6,
    classes: int = 8,
) -> SearchStrategy[Problem]:
    """Problems on logits whose numbers Hypothesis draws, and shrinks: use with `xentcheck.assert_values_agree`.

    dtypes, reductions: as in `cases`. options: of `weight`, `ignore_index`, `label_smoothing`, `probabilities`,
    `k_dims`, `unbatched`, `strided` and `upstream`; others make no difference here. rows, classes: the most there are.
    No problem is degenerate in a way that libraries disagree on: every row has a finite logit, labels are in range and
    not masked. Raises AdapterError.

    >>> from hypothesis import find
    >>> drawn = problems(dtypes=["float64"], options=[], rows=2, classes=3)
    >>> p = find(drawn, lambda p: p.logits.shape == (2, 3))
    >>> p.logits.tolist(), p.target.tolist()
    ([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]], [0, 0])
    """
    return _problems(_Supported.of(dtypes, reductions, options, None), rows, classes)


@st.composite
def _cases(draw: DrawFn, may: _Supported) -> Case:
    head = draw(st.sampled_from(may.heads))
    soft = (
        *may.some("probabilities", "prob", "sparse"),
        *may.some("signed_targets", *may.some("probabilities", "signed")),
    )
    target = draw(st.sampled_from(("index", *soft, *may.some("uint8_targets", "u8"))))
    reduction = draw(st.sampled_from(may.reductions))
    weights = may.some("weight", "w", "wz", "wx", *may.some("negative_weight", "wn"))
    ignored = may.some("ignore_index", "ign", "ign1", "ign255", "ignbig", *may.some("wide_sentinel", "ignwide"))
    smoothed = may.some("label_smoothing", "ls", "lsh")
    if target in SOFT:
        ignored, smoothed = (), may.some("smoothed_probabilities", *smoothed)
    chosen = [draw(st.sampled_from(("", *kind))) for kind in (weights, ignored, smoothed)]
    shape = draw(_shapes(may, head))
    if head == "logits" and 0 not in shape and draw(st.sampled_from((False, *may.some("second_order", True)))):
        chosen.append("dir")
    per_row = ("rand", *may.some("strided", "str", "exp")) if reduction == "none" else ()
    layouts = ("contig", "twice", *(may.some("strided", *STRIDED) if head == "logits" else ()))
    try:
        case = Case(
            family=draw(st.sampled_from(tuple(FAMILIES if head == "logits" else LAYER_FAMILIES))),
            shape=shape,
            dtype=draw(st.sampled_from(may.dtypes)),
            target=target,
            options=tuple(filter(None, (chosen[0], *chosen[2:3], *chosen[1:2], *chosen[3:]))),
            reduction=reduction,
            upstream=draw(st.sampled_from(("one", *may.some("upstream", "neg", *per_row)))),
            layout=(draw(st.sampled_from(layouts)),),
            inputs=draw(st.integers(1, 20)) if head != "logits" else 0,
            hidden=draw(st.integers(1, 9)) if head == "network" else 0,
            seed=draw(st.integers(0, 999)),
        )
    except CaseError:  # options that do not go together
        assume(False)
    assume(np.prod(case.shape) <= LARGEST and not (target == "u8" and case.classes > U8_CLASSES))
    return case


@st.composite
def _shapes(draw: DrawFn, may: _Supported, head: str) -> tuple[int, ...]:
    size = st.one_of(st.sampled_from(SIZES), st.integers(1, 300))
    rows, classes = draw(size), draw(size)
    ranks = (2, *may.some("unbatched", 1), *may.some("k_dims", 3, 4, 5)) if head == "logits" else (2,)
    rank = draw(st.sampled_from(ranks))
    if rank == 1:
        return (classes,)
    if head == "logits" and may.some("empty_batch", True) and draw(st.integers(0, RARE)) == RARE:
        rows = 0
    return (rows, classes, *(draw(st.integers(1, 4)) for _ in range(rank - 2)))


@st.composite
def _problems(draw: DrawFn, may: _Supported, rows: int, classes: int) -> Problem:
    dtype = draw(st.sampled_from(may.dtypes))
    c = draw(st.integers(1, classes))
    # row by row, as lists are what Hypothesis shrinks best
    z, labels = draw(_rows(rows, c, 6e4 if dtype == "float16" else 1e6))
    given: dict[str, Any] = {"target": labels}
    if draw(st.sampled_from((False, *may.some("probabilities", True)))):
        outside = draw(st.sampled_from((False, *may.some("signed_targets", True))))
        given["target"] = draw(_table(len(z), c, _multiples(8, *((-8, 16) if outside else (1, 8))))).astype(dtype)
        smoothed = may.some("smoothed_probabilities", *may.some("label_smoothing", 0.1, 0.5))
        given["label_smoothing"] = draw(st.sampled_from((0.0, *smoothed)))
    else:
        if draw(st.sampled_from((False, *may.some("ignore_index", True)))):
            ignored = np.array(draw(st.lists(st.booleans(), min_size=len(z), max_size=len(z))))
            given["target"] = np.where(ignored & (np.arange(len(z)) > 0), NO_IGNORE, labels)
        if draw(st.booleans()):  # with probabilities 0 times infinity is a convention
            masked = draw(_table(len(z), c, st.booleans()))
            z = np.where(masked & (np.arange(c) != labels[:, None]), -np.inf, z)
        given["label_smoothing"] = draw(st.sampled_from((0.0, *may.some("label_smoothing", 0.1, 0.5))))
    if draw(st.sampled_from((False, *may.some("weight", True)))):
        given["weight"] = draw(_table(1, c, _multiples(8, 1, 16)))[0].astype(dtype)
    given["reduction"] = draw(st.sampled_from(may.reductions))
    factors = _multiples(4, -8, 8).filter(bool) if "upstream" in may.options else st.just(1.0)
    upstream = draw(_table(1, len(z), factors))[0].astype(dtype)
    given["upstream"] = upstream if given["reduction"] == "none" else upstream[0]
    problem = Problem(logits=z.astype(dtype), **given)
    changes = {"unbatched": (_alone, len(z) == 1), "k_dims": (_folded, len(z) % 2 == 0), "strided": (_transposed, True)}
    for option, (change, fits) in changes.items():
        if fits and draw(st.sampled_from((False, *may.some(option, True)))):
            problem = change(problem)
    return problem


@st.composite
def _rows(draw: DrawFn, rows: int, c: int, largest: float) -> tuple[Array, Array]:
    """Logits and labels."""
    number = st.one_of(st.integers(-8, 8).map(float), st.floats(-8, 8), st.floats(-largest, largest))
    row = st.tuples(st.integers(0, c - 1), st.lists(number, min_size=c, max_size=c))
    drawn = draw(st.lists(row, min_size=1, max_size=rows))
    return np.array([z for _, z in drawn]), np.array([y for y, _ in drawn], np.int64)


@st.composite
def _table(draw: DrawFn, rows: int, c: int, element: SearchStrategy[Any]) -> Array:
    line = st.lists(element, min_size=c, max_size=c)
    return np.array(draw(st.lists(line, min_size=rows, max_size=rows)))


def _multiples(of: int, low: int, high: int) -> SearchStrategy[float]:
    """low/of to high/of."""
    return st.integers(low, high).map(lambda k: k / of)


def _alone(p: Problem) -> Problem:
    """(C,) instead of (1, C)."""
    upstream = p.upstream[0] if p.reduction == "none" else p.upstream
    return replace(p, logits=np.asarray(p.logits)[0], target=p.target[0], upstream=np.asarray(upstream))


def _folded(p: Problem) -> Problem:
    """(N/2, C, 2) instead of (N, C)."""

    def fold(x: Array) -> Array:
        return np.ascontiguousarray(np.moveaxis(x.reshape(-1, 2, *x.shape[1:]), 1, -1))

    upstream = fold(p.upstream) if p.reduction == "none" else p.upstream
    return replace(p, logits=fold(np.asarray(p.logits)), target=fold(p.target), upstream=upstream)


def _transposed(p: Problem) -> Problem:
    """Logits in the other order of memory."""
    return replace(p, logits=np.asfortranarray(p.logits))
