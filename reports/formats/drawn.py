"""What the plots draw, gathered record by record: plain numbers instead of records, however many there are."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from functools import cache
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xentcheck.records.record import Record, place_of
from xentcheck.records.words import printable

Array = NDArray[Any]

COLOURS = ("#2b83ba", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56b4e9", "#8c6bb1", "#7f7f7f")
MARKERS = "os^Dv<>P"

FLOOR, CEILING = 1e-19, 1e6
"""Errors are drawn at least here (an error of exactly 0), and at most here (infinity and nan)."""

WIDEST = 40.0
"""Margins beyond this are left out: 1 - a_y is below the float64 resolution there."""

LOWEST_SHARE = 1e-6
"""Smaller shares are drawn here."""

Style = tuple[str, str]
"""Colour and marker."""


class Drawn:
    """What the plots draw, gathered from records in canonical order as plain numbers: three of a point, one of a share.

    points: dtype -> label -> contract -> margin, error and bound of each point, one after the other. counts: elements
    per bin of ULPs. shares: by label and quantity. labels: all implementations that anything is drawn of.
    """

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self.points: dict[str, dict[str, dict[str, array[float]]]] = {}
        self.counts: dict[tuple[str, str], list[int]] = {}
        self.shares: dict[tuple[str, str], array[float]] = {}
        self.labels: set[str] = set()
        for r in records:
            self.add(r)

    def add(self, r: Record) -> None:
        """The next record."""
        if r.share is None and not r.ulp_counts and not r.margins:
            return
        label = _label(*place_of(r)[:3])
        self.labels.add(label)
        if points := _points(r):
            by_contract = self.points.setdefault(r.dtype, {}).setdefault(label, {})
            by_contract.setdefault(r.judged_by, array("d")).extend(x for point in points for x in point)
        if r.ulp_counts:
            before = self.counts.get((r.dtype, label))
            self.counts[r.dtype, label] = list(map(add, before, r.ulp_counts)) if before else list(r.ulp_counts)
        if r.share is not None and r.outcome != "deviation":
            drawn = max(r.share, LOWEST_SHARE) if r.share <= CEILING else CEILING
            self.shares.setdefault((label, r.quantity), array("d")).append(drawn)

    def number(self, dtype: str) -> int:
        """How many points there are of a dtype."""
        return sum(len(points) // 3 for each in self.points.get(dtype, {}).values() for points in each.values())

    @property
    def styles(self) -> dict[str, Style]:
        """Colour and marker per implementation, the same in all plots of a run."""
        return {label: (COLOURS[i % 8], MARKERS[(i + i // 8) % 8]) for i, label in enumerate(sorted(self.labels))}


def _points(r: Record) -> list[tuple[float, float, float]]:
    """Margin, error and bound, as far as they can be drawn."""
    return [
        (margin, max(error, FLOOR) if error <= CEILING else CEILING, bound)
        for margin, error, bound in r.margins
        if abs(margin) <= WIDEST
    ]


def triples(points: array[float]) -> Array:
    """Margin, error and bound of some points, (points, 3)."""
    return np.frombuffer(points).reshape(-1, 3)


def by_nearness(points: Array) -> Array:
    """The order of points: first those that are farthest beyond their bound."""
    margin, error, bound = np.where(np.isnan(points), np.inf, points).T
    with np.errstate(all="ignore"):
        beyond = np.where(points[:, 2] == 0, np.inf, error / points[:, 2])
    return np.lexsort((bound, error, margin, -np.where(np.isnan(beyond), np.inf, beyond)))


def envelope(margin: Array, bound: Array, bins: int = 24) -> Array:
    """The largest bound in each of some ranges of the margin, (ranges, 2)."""
    width = (margin.max() - margin.min()) / bins or 1.0
    slot = ((margin - margin.min()) / width).astype(int)
    order = np.lexsort((margin, -bound, slot))
    _, first = np.unique(slot[order], return_index=True)
    return np.stack((margin, bound), axis=1)[order[first]]


@cache
def _label(adapter: str, variant: str, device: str) -> str:
    return text_of(f"{adapter} {variant} {device}")


def text_of(text: str) -> str:
    """Text that matplotlib takes as it is: no mathematics between dollar signs, no name that it hides or refuses."""
    plain = (text if text.isprintable() else printable(text)).replace("$", r"\$")
    return f" {plain}" if plain.startswith("_") else plain
