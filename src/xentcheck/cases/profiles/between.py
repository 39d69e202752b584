"""Between the levels: numbers of classes and rows, values of options and layouts that the lattice leaves out.

Kernels branch at sizes, and code at values: a fault may have any of them for its trigger. `quick` has one case between
each two levels in float32; `full` has several more in every dtype, which each seed draws anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from xentcheck.cases.case import Case
from xentcheck.cases.families import EDGES
from xentcheck.cases.fields import SMOOTHING
from xentcheck.cases.randomness import Stream
from xentcheck.vocabulary import DTYPES

from .sizes import SUMS_OVERFLOW_ABOVE

CLASSES = (
    (32, 64),
    (65, 99),
    (130, 255),
    (257, 508),
    (513, 999),
    (1025, 2047),
    (2049, 4095),
    (4097, 8191),
    (8193, 16383),
    (16385, 29999),
    (32769, 49151),
    (50258, 65535),
    (65537, 128255),
    (151937, 262144),
)
"""Intervals of class counts that no other case has."""

VARIED: tuple[dict[str, Any], ...] = (
    {"reduction": "mean", "upstream": "eighth"},
    {"reduction": "none", "options": ("wx", "ls", "ign"), "upstream": "rand"},
    {"reduction": "sum", "upstream": "amp", "layout": ("padded",)},
    {"reduction": "mean", "options": ("w", "ls3", "igntop"), "upstream": "neg"},
    {"reduction": "none", "target": "prob", "upstream": "rand"},
    {"reduction": "mean", "options": ("ignminus",), "layout": ("padded",)},
    {"reduction": "none", "layout": ("padded",)},
    {"reduction": "mean", "options": ("wfar",), "upstream": "eighth"},
)
"""What the cases of the intervals have besides: nothing or options, in turn."""

PADDED = 6
PLAIN = (0, 2, PADDED)
"""Those that every implementation has."""

PER_ROW: dict[str, Any] = {"reduction": "none", "upstream": "rand"}
"""What each number of classes of `quick` has besides, if it has no loss per row yet."""

QUICK = (33, 66, 200, 300, 777, 1600, 3100, 6001, 12000, 20000, 40000, 50261, 100003, 200003)
"""A number of classes of each interval, for `quick`, where nothing else is varied."""

WITH_OPTIONS = {301: 3, 1501: 4, 3001: 1, 6003: 5, 12001: 7}
"""Class counts of `quick` that have options: which of `VARIED`."""

ROWS = (7, 2, 9, 3, 6, 4)
MOST = 2**20
"""Logits of a case."""

COMMON = (5, 10)
"""The shape on which most of the option sets are compiled anyway."""

VALUES: tuple[dict[str, Any], ...] = (
    {"shape": COMMON, "options": ("wneg", "ign"), "reduction": "mean", "upstream": "neg"},
    {"shape": COMMON, "options": ("wfar", "ls3", "ignabove"), "reduction": "mean", "upstream": "neg"},
    {"shape": COMMON, "options": ("w", "ls", "igntop"), "reduction": "none", "upstream": "rand"},
    {"shape": COMMON, "options": ("w", "ignminus"), "reduction": "mean", "upstream": "amp"},
    {"shape": COMMON, "target": "prob", "options": ("wfar",), "reduction": "mean", "upstream": "eighth"},
    {"shape": COMMON, "reduction": "mean", "upstream": "nil"},
    {"shape": COMMON, "options": ("ign",), "reduction": "mean"},
    {"shape": (4, 7, 4), "options": ("ign",), "reduction": "mean"},
    {"shape": (2, 5, 8, 8), "reduction": "none", "upstream": "rand"},
    {"shape": (3, 5, 4, 4), "options": ("wx", "ign"), "reduction": "mean", "upstream": "neg"},
    {"shape": (600, 33), "options": ("wx", "ls", "ign"), "reduction": "none", "upstream": "rand"},
    {"shape": (1, 40), "reduction": "sum", "upstream": "neg"},
)
"""Values of options, square images, more rows than threads of a block and fewer than the next level."""

VOCABULARY = (3, 50257)
"""A vocabulary that is a multiple of nothing, with the first and the last class as labels."""


def between_cases(seed: int, profile: str) -> Iterator[Case]:
    """All of them."""
    for dtype in DTYPES:
        if profile == "quick" and dtype != "float32":
            continue
        common: dict[str, Any] = {"family": "gaussian", "dtype": dtype, "seed": seed}
        for i, (classes, varied) in enumerate(_sized(profile, seed, dtype)):
            rows = min(ROWS[i % len(ROWS)], MOST // classes)
            yield _case({**common, "shape": (rows, classes)}, varied)
        for values in VALUES:
            yield Case(**common, **values)
        for varied in (VARIED[0], VARIED[1]):
            yield _case({**common, "shape": VOCABULARY, "family": EDGES.name}, varied)


def _case(common: dict[str, Any], varied: dict[str, Any]) -> Case:
    """A case, without smoothing where float16 adds up too many log-probabilities for it."""
    if common["dtype"] == "float16" and common["shape"][1] > SUMS_OVERFLOW_ABOVE:
        kept = tuple(option for option in varied.get("options", ()) if option not in SMOOTHING)
        varied = {**varied, "options": kept}
    return Case(**common, **varied)


def _sized(profile: str, seed: int, dtype: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Class counts, and what goes with each: plain and with options in turn, in another dtype the other way round."""
    if dtype == "float32":
        yield from ((classes, VARIED[PLAIN[i % len(PLAIN)]]) for i, classes in enumerate(QUICK))
        yield from ((classes, VARIED[o]) for classes, o in WITH_OPTIONS.items())
        yield from ((classes, PER_ROW) for i, classes in enumerate(QUICK) if PLAIN[i % len(PLAIN)] != PADDED)
    if profile == "quick":
        return
    d = DTYPES.index(dtype)
    for i, (low, high) in enumerate(CLASSES):
        drawn = Stream(f"between.{dtype}.{i}.s{seed}").integers(low, high + 1, (3,))
        for j, classes in enumerate(drawn):
            chosen = PLAIN[(i + d) % len(PLAIN)] if j == 0 else (3 * i + 5 * j + d) % len(VARIED)
            yield int(classes), VARIED[chosen]
