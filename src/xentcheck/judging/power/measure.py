"""Power: which of the standard wrong answers a comparison would have rejected.

A wrong answer is the right one plus delta, with delta in closed form. A comparison can tell it apart if delta is not 0
somewhere, and rejects it if some |delta| > 2 bound: a wrong implementation rounds too. Where delta is a multiple of the
right answer, the row maxima of |exact|/bound decide, without an array for each wrong answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from xentcheck.reference.formats import Array
from xentcheck.reference.numbers.arrays import as_array

THRESHOLD = 2.0

NO_BOUND = 2.0**-1000
"""Ratio where the bound is infinite: the wrong answer differs from the right one, and nothing rejects it."""

NEGLIGIBLE = 2.0**-40
"""Deltas below this share of the terms they are made of are rounding errors of delta itself."""


@dataclass
class Power:
    """Largest |delta| / bound per wrong answer; and how many non-zero elements could be zeroed unnoticed."""

    ratios: dict[str, float] = field(default_factory=dict)
    nonzero: int = 0
    blind: int = 0

    def note(self, name: str, ratio: float) -> None:
        """Record a wrong answer's ratio; 0 means that it coincides with the right answer."""
        if ratio > 0:
            self.ratios[name] = max(self.ratios.get(name, 0.0), ratio)

    def count_blind(self, exact: Array, bound: Array) -> None:
        """Count the elements whose exact value is not 0, and those that the bound lets be 0."""
        nonzero = np.isfinite(exact) & (exact != 0)
        self.nonzero += int(np.count_nonzero(nonzero))
        self.blind += int(np.count_nonzero(nonzero & (np.abs(exact) <= bound)))

    @property
    def applicable(self) -> tuple[str, ...]:
        """The wrong answers that differ from the right one here."""
        return tuple(sorted(self.ratios))

    @property
    def rejected(self) -> tuple[str, ...]:
        """Those that the bound rejects."""
        return tuple(sorted(name for name, ratio in self.ratios.items() if ratio > THRESHOLD))

    @property
    def blind_fraction(self) -> float | None:
        """Share of the non-zero elements that could be zeroed unnoticed."""
        return self.blind / self.nonzero if self.nonzero else None


def ratio(delta: Array, bound: Array) -> Array:
    """|delta| / bound; 0 where delta is 0, next to nothing where the bound is infinite, inf where it is 0."""
    delta, bound = as_array(delta), as_array(bound)
    with np.errstate(all="ignore"):
        quotient = as_array(np.abs(delta))
        quotient /= bound
        if np.isfinite(bound.max(initial=0.0)) and np.isfinite(quotient.max(initial=0.0)):
            return quotient
    quotient = np.where(np.isinf(bound), NO_BOUND, quotient)
    return np.where(delta == 0, 0.0, np.where(np.isnan(quotient), np.inf, quotient))


def largest(delta: Array, bound: Array) -> float:
    """Largest `ratio`, 0 for no elements."""
    return float(ratio(delta, bound).max(initial=0.0))


def note_deltas(
    power: Power, exact: Any, made: Callable[[Array], Iterable[tuple[str, Array]]], right: Array, bound: Array
) -> None:
    """Power of a comparison with exact values `right`, from which `made` makes names and deltas of wrong answers."""
    for name, delta in made(right):
        power.note(name, largest(delta, bound))
    power.count_blind(right, bound)
