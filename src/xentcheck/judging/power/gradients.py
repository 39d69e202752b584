"""Wrong gradients: of the logits as deltas or multiples of the right one, and of a layer by its linear equations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from xentcheck.reference.bounds.gradient import GradientBounds
from xentcheck.reference.formats import Array
from xentcheck.reference.numbers.arrays import as_array
from xentcheck.reference.numbers.backends import FLOAT64
from xentcheck.reference.numbers.fast import kernels
from xentcheck.reference.oracle import Block, Exact, layers
from xentcheck.reference.targets import Targets

from .measure import NEGLIGIBLE, NO_BOUND, Power, largest, ratio


class Ratios(NamedTuple):
    """|exact gradient|/bound: the largest of each row (n,), that of all but the label, that of the last class; how many
    are not 0, and how many of those at most 1. given: the largest |q|/bound of rows of probabilities.
    """

    top: Array
    elsewhere: Array
    last: Array
    nonzero: int
    blind: int
    given: Array


class WrongGradients:
    """The wrong gradients of one block of a problem."""

    def __init__(self, exact: Exact, block: Block) -> None:
        self.exact, self.block = exact, block
        self.right = exact.backend.pair(block.gradient)[0]

    @cached_property
    def _factors(self) -> dict[str, Array]:
        """Those that are multiples of the right one: (n,) factors of delta in the exact gradient, by name."""
        whole, last = self.exact.all_targets, self.block.rows.stop == len(self.exact.targets.kept)
        found = dict(row_factors(self.block, self.exact.divisor, len(whole.kept), last=last))
        if whole.reduction == "none" and len(whole.kept) > 1:
            found["first_upstream"] = other_upstream(self.block.targets, float(whole.upstream[0]))
        return found

    def _times(self, top: Array) -> list[float]:
        """The largest |delta|/bound of each of them, from that of the right gradient's rows; a factor of 0 has none."""
        factors = np.abs(np.stack(list(self._factors.values())))
        with np.errstate(invalid="ignore"):  # 0 times a ratio to a bound of 0
            return [float(x) for x in np.where(factors == 0, 0.0, factors * top).max(1, initial=0.0)]

    def note(self, power: Power, bounds: GradientBounds) -> None:
        """Power of a comparison of this block's dC/dz."""
        found = self._formed(bounds) or self._ratios(bounds.whole)
        for name, quotient in zip(self._factors, self._times(found.top), strict=True):
            power.note(name, quotient)
        for name, delta in option_deltas(self.exact, self.block) if self.options else ():
            power.note(name, largest(delta, bounds.whole))
        power.nonzero += found.nonzero
        power.blind += found.blind
        power.note("last_column_dropped", float(found.last.max(initial=0.0)))
        t = self.block.targets
        factor = self.block.softmax.backend.pair(self.block.factor)[0]
        if t.probabilities is None:
            limit = bounds.at_label if t.hard else bounds.whole[np.arange(len(t.label)), t.label]
            power.note("onehot_dropped", largest(factor * (t.label_weight * (1.0 - t.smoothing)), limit))
            power.note("offtarget_zeroed", float(found.elsewhere.max(initial=0.0)))
        else:
            scale = np.abs(factor) * (1.0 - t.smoothing)
            there = np.maximum(scale * found.given, NO_BOUND)
            power.note("onehot_dropped", float(there.max(initial=0.0, where=(scale > 0) & (found.given > 0))))

    @property
    def options(self) -> bool:
        """Whether there are ignored rows, smoothing or weights to overlook."""
        t = self.block.targets
        return bool(t.smoothing or t.weight is not None or not t.kept.all())

    def _formed(self, bounds: GradientBounds) -> Ratios | None:
        """By a compiled loop that needs no array of bounds, where nothing else needs it."""
        compiled = kernels(self.right)
        if not compiled or self.options or not bounds.form:
            return None
        top, elsewhere, last, given = (np.empty(len(self.right)) for _ in range(4))
        nonzero, blind = compiled.ratios(np.ascontiguousarray(self.right), bounds.form, top, elsewhere, last, given)
        return None if blind < 0 else Ratios(top, elsewhere, last, nonzero, blind, given)

    def _ratios(self, bound: Array) -> Ratios:
        t = ratio(self.right, bound)
        top = t.max(1, initial=0.0)
        nonzero = int(np.count_nonzero(self.right))
        blind = int(np.count_nonzero(t <= 1)) - (t.size - nonzero)  # the ratio of zeros is 0
        last, given, targets = t[:, -1].copy(), np.zeros(len(t)), self.block.targets
        if targets.probabilities is None:
            t[np.arange(len(t)), targets.label] = 0.0
        else:
            given = ratio(_given(targets), bound).max(1, initial=0.0)
        return Ratios(top, t.max(1, initial=0.0), last, nonzero, blind, given)

    def spread(self) -> list[tuple[str, dict[str, Array]]]:
        """Wrong gradients of the layer: its equations are linear in dC/dz, so they turn a delta of it into theirs."""
        deltas = [(name, factor[:, None] * self.right) for name, factor in self._factors.items()]
        deltas += structural_deltas(self.block)
        deltas += option_deltas(self.exact, self.block) if self.options else ()
        return [(name, layers.gradients(FLOAT64, self.exact.problem, delta)) for name, delta in deltas if delta.any()]


def note_layer(
    quantity: str, power: Power, exact: Exact, spread: list[tuple[str, dict[str, Array]]], right: Array, bound: Array
) -> None:
    """Power of a comparison of one of the layer's gradients; spread: as `WrongGradients.spread` gives it."""
    for name, delta in spread:
        power.note(name, largest(delta[quantity], bound))
    if quantity == "dC/dw" and right.ndim == 2 and right.shape[0] == right.shape[1]:
        power.note("transposed", largest(right.T - right, bound))
    power.count_blind(right, bound)


def row_factors(block: Block, denominator: float, rows: int, *, last: bool) -> Iterator[tuple[str, Array]]:
    """Wrong gradients that are multiples of the right one: (name, (n,) factors of delta in the exact gradient).

    rows: N. last: whether the block has the last row.
    """
    t = block.targets
    ones = np.ones(len(t.label))
    yield from (("zero", -ones), ("negated", -2.0 * ones), ("doubled", ones), ("halved", -0.5 * ones))
    if last:
        yield "last_row_dropped", np.where(np.arange(len(ones)) == len(ones) - 1, -1.0, 0.0)
    if t.reduction == "mean":
        yield "not_divided", ones * (denominator - 1.0)
        if t.probabilities is None:
            yield "divided_by_n", ones * (denominator / rows - 1.0)
    yield "upstream_ignored", other_upstream(t, 1.0)


def structural_deltas(block: Block) -> Iterator[tuple[str, Array]]:
    """Wrong gradients that leave out a part of every row; `WrongGradients.note` has their ratios without the arrays."""
    B, t = block.softmax.backend, block.targets
    g = B.pair(block.gradient)[0]
    factor = B.pair(block.factor)[0][:, None]
    yield "last_column_dropped", last_column_dropped(g)
    if t.probabilities is None:
        label = np.arange(t.classes) == t.label[:, None]
        weight = (t.label_weight * (1.0 - t.smoothing))[:, None]
        yield "onehot_dropped", np.where(label, factor * weight, 0.0)
        yield "offtarget_zeroed", np.where(label, 0.0, -g)
    else:
        yield "onehot_dropped", factor * (1.0 - t.smoothing) * _given(t)


def option_deltas(exact: Exact, block: Block) -> Iterator[tuple[str, Array]]:
    """Wrong gradients that overlook ignored rows, smoothing or weights, where there are any."""
    B, t, s = block.softmax.backend, block.targets, block.softmax
    g = B.pair(block.gradient)[0]
    factor = B.pair(block.factor)[0][:, None]
    a = B.pair(s.e)[0] / B.pair(s.total)[0][:, None]
    if not t.kept.all():
        difference = a.copy()
        difference[np.arange(len(a)), t.label] -= 1.0
        yield "ignored_rows_leak", np.where(t.kept[:, None], 0.0, factor * difference)
    if t.smoothing:
        q = _given(t)
        plain = factor * (a * q.sum(1, keepdims=True) - q)
        yield "smoothing_left_out", _significant(plain - g, factor, t.kept)
    if t.weight is not None:
        q = replace(t, weight=None).terms(FLOAT64)
        by_rows = t.reduction == "mean" and t.probabilities is None
        share = exact.divisor / max(int(np.count_nonzero(exact.all_targets.kept)), 1) if by_rows else 1.0
        plain = factor * share * (a * q.sum(1, keepdims=True) - q)
        yield "weights_left_out", _significant(plain - g, factor, t.kept)


def _given(t: Targets) -> Array:
    """(n, C): the factors of -log a before smoothing."""
    return as_array(replace(t, smoothing=0.0).terms(FLOAT64))


def _significant(delta: Array, scale: Array, kept: Array) -> Array:
    """delta, and 0 where it is a rounding error of its own, or the row is ignored."""
    delta[~((np.abs(delta) > NEGLIGIBLE * np.abs(scale)) & kept[:, None])] = 0.0
    return delta


def last_column_dropped(right: Array) -> Array:
    """The delta that leaves the last class's derivative at 0."""
    delta = np.zeros_like(right)
    delta[:, -1] = -right[:, -1]
    return delta


def other_upstream(t: Targets, upstream: float) -> Array:
    """(n,) factors of delta in the derivative that takes this upstream gradient for those of all rows."""
    with np.errstate(all="ignore"):
        return np.where(t.upstream != 0, upstream / t.upstream, 1.0) - 1.0
