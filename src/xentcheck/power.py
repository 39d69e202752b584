"""Power: which of the standard wrong answers a comparison would have rejected.

A wrong answer is the right one plus delta, with delta in closed form. A comparison can tell it apart if delta is not 0
somewhere, and rejects it if some |delta| > 2 bound: a wrong implementation rounds too. Where delta is a multiple of the
right answer, the row maxima of |exact|/bound decide, without an array for each wrong answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xentcheck.reference.oracle import Block

Array = NDArray[Any]

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
    with np.errstate(all="ignore"):
        quotient = np.abs(delta) / bound
        if np.isfinite(np.max(bound, initial=0.0)) and np.isfinite(np.max(quotient, initial=0.0)):
            return np.asarray(quotient)
    quotient = np.where(np.isinf(bound), NO_BOUND, quotient)
    return np.where(np.asarray(delta) == 0, 0.0, np.where(np.isnan(quotient), np.inf, quotient))


def largest(delta: Array, bound: Array) -> float:
    """Largest `ratio`, 0 for no elements."""
    return float(ratio(delta, bound).max(initial=0.0))


def row_factors(block: Block, denominator: float, rows: int) -> Iterator[tuple[str, Array]]:
    """Wrong gradients that are multiples of the right one: (name, (n,) factors of delta in the exact gradient)."""
    t = block.targets
    ones = np.ones(len(t.label))
    yield from (("zero", -ones), ("negated", -2.0 * ones), ("doubled", ones), ("halved", -0.5 * ones))
    if block.rows.stop == rows:
        yield "last_row_dropped", np.where(np.arange(len(ones)) == len(ones) - 1, -1.0, 0.0)
    if t.reduction == "mean":
        yield "not_divided", ones * (denominator - 1.0)
        if t.probabilities is None:
            yield "divided_by_n", ones * (denominator / rows - 1.0)
    with np.errstate(all="ignore"):
        inverse = np.where(t.upstream != 0, 1.0 / t.upstream, 1.0)
    yield "upstream_ignored", inverse - 1.0


def gradient_deltas(block: Block, denominator: float, kept_rows: int) -> Iterator[tuple[str, Array]]:
    """Wrong gradients that are no multiples of the right one, as arrays delta (n, C) in float64.

    denominator, kept_rows: of the whole problem, not of the block.
    """
    yield from structural_deltas(block)
    yield from option_deltas(block, denominator, kept_rows)


def structural_deltas(block: Block) -> Iterator[tuple[str, Array]]:
    """Wrong gradients that leave out a part of every row; `structural_ratios` has their ratios without the arrays."""
    B, t = block.softmax.backend, block.targets
    g = B.pair(block.gradient)[0]
    factor = B.pair(block.factor)[0][:, None]
    last = np.zeros_like(g)
    last[:, -1] = -g[:, -1]
    yield "last_column_dropped", last
    if t.probabilities is None:
        label = np.arange(t.classes) == t.label[:, None]
        weight = (t.label_weight * (1.0 - t.smoothing))[:, None]
        yield "onehot_dropped", np.where(label, factor * weight, 0.0)
        yield "offtarget_zeroed", np.where(label, 0.0, -g)
    else:
        yield "onehot_dropped", factor * B.pair(t.terms(B))[0]


def structural_ratios(block: Block, exact_ratio: Array, bound: Array) -> Iterator[tuple[str, float]]:
    """Largest ratios of `structural_deltas`, from `exact_ratio` = ratio(exact gradient, bound), which it overwrites."""
    B, t = block.softmax.backend, block.targets
    factor = B.pair(block.factor)[0]
    yield "last_column_dropped", float(exact_ratio[:, -1].max(initial=0.0))
    if t.probabilities is None:
        rows = np.arange(len(t.label))
        yield "onehot_dropped", largest(factor * (t.label_weight * (1.0 - t.smoothing)), bound[rows, t.label])
        exact_ratio[rows, t.label] = 0.0
        yield "offtarget_zeroed", float(exact_ratio.max(initial=0.0))
    else:
        yield "onehot_dropped", largest(factor[:, None] * B.pair(t.terms(B))[0], bound)


def option_deltas(block: Block, denominator: float, kept_rows: int) -> Iterator[tuple[str, Array]]:
    """Wrong gradients that overlook ignored rows, smoothing or weights, where there are any."""
    B, t, s = block.softmax.backend, block.targets, block.softmax
    if t.kept.all() and not t.smoothing and t.weight is None:
        return
    g = B.pair(block.gradient)[0]
    factor = B.pair(block.factor)[0][:, None]
    a = B.pair(s.e)[0] / B.pair(s.total)[0][:, None]
    label = np.arange(t.classes) == t.label[:, None]
    kept = t.kept[:, None]
    if not t.kept.all():
        yield "ignored_rows_leak", np.where(kept, 0.0, factor * (a - label))
    if t.smoothing:
        plain = factor * t.label_weight[:, None] * (a - label)
        yield "smoothing_left_out", _significant(np.where(kept, plain - g, 0.0), factor)
    if t.weight is not None:
        plain = _unweighted(block, denominator, kept_rows, a, label)
        yield "weights_left_out", _significant(np.where(kept, plain - g, 0.0), factor)


def _unweighted(block: Block, denominator: float, kept_rows: int, a: Array, label: Array) -> Array:
    """dC/dz as if all class weights were 1."""
    t = block.targets
    factor = block.softmax.backend.pair(block.factor)[0][:, None]
    if t.probabilities is not None:
        return np.asarray(factor * (a * t.probabilities.sum(1, keepdims=True) - t.probabilities))
    q = t.smoothing / t.classes + (1.0 - t.smoothing) * label
    share = denominator / max(kept_rows, 1) if t.reduction == "mean" else 1.0
    return np.asarray(factor * share * (a - q))


def _significant(delta: Array, scale: Array) -> Array:
    return np.where(np.abs(delta) > NEGLIGIBLE * np.abs(scale), delta, 0.0)


def first_upstream(block: Block, upstream_0: float) -> Array:
    """(n,) factors of the gradient that takes the first row's upstream for all rows."""
    up = block.targets.upstream
    with np.errstate(all="ignore"):
        return np.where(up != 0, upstream_0 / up, 1.0) - 1.0


def softmax_deltas(block: Block, quantity: str, z: Array) -> Iterator[tuple[str, Array]]:
    """Wrong answers for a and log_a; `wrong_axis` normalises the columns of this block."""
    B, s = block.softmax.backend, block.softmax
    a, log_a, t = (B.pair(x)[0] for x in (s.softmax(), s.log_softmax(), s.t))
    exact = a if quantity == "a" else log_a
    log_total = B.pair(s.log_total)[0][:, None]
    total = B.pair(s.total)[0][:, None]
    with np.errstate(all="ignore"):
        top = z.max(0, keepdims=True)
        e = np.exp(z - top)
        columns = e / e.sum(0) if quantity == "a" else z - top - np.log(e.sum(0))
        wrong = {
            "zero": np.zeros_like(exact),
            "unnormalised": exact * total if quantity == "a" else exact + log_total,
            "wrong_axis": columns,
            "shifted": np.roll(exact, 1, 1),
            "times_1_001" if quantity == "a" else "negated": exact * 1.001 if quantity == "a" else -exact,
        }
        for name, answer in wrong.items():
            same = (answer == exact) | ~np.isfinite(t) & ~np.isfinite(answer)
            yield name, np.where(same, 0.0, np.where(np.isnan(answer - exact), np.inf, answer - exact))
