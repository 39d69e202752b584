"""Wrong gradients: of the logits as deltas or multiples of the right one, and of a layer by its linear equations."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from xentcheck.reference.formats import Array
from xentcheck.reference.numbers.backends import FLOAT64
from xentcheck.reference.oracle import Block, Exact, layers
from xentcheck.reference.targets import Targets

from .measure import NEGLIGIBLE, Power, largest, ratio


class WrongGradients:
    """The wrong gradients of one block of a problem."""

    def __init__(self, exact: Exact, block: Block) -> None:
        self.problem, self.block = exact.problem, block
        self.right = exact.backend.pair(block.gradient)[0]
        self.denominator = float(exact.backend.pair(exact.denominator)[0])
        self.last = block.rows.stop == len(exact.targets.kept)
        whole = exact.all_targets
        self.rows = len(whole.kept)
        self.kept_rows = int(np.count_nonzero(whole.kept))
        self.first_upstream = float(whole.upstream[0]) if self.rows else 1.0

    def factors(self) -> list[tuple[str, Array]]:
        """Those that are multiples of the right one: (name, (n,) factors of delta in the exact gradient)."""
        found = list(row_factors(self.block, self.denominator, self.rows, last=self.last))
        if self.problem.reduction == "none" and self.rows > 1:
            found.append(("first_upstream", first_upstream(self.block, self.first_upstream)))
        return found

    def note(self, power: Power, bound: Array) -> None:
        """Power of a comparison of this block's dC/dz."""
        t = ratio(self.right, bound)
        top = t.max(1, initial=0.0)
        for name, factor in self.factors():
            power.note(name, float((np.abs(factor) * top).max(initial=0.0)) if factor.any() else 0.0)
        for name, delta in option_deltas(self.block, self.denominator, self.kept_rows):
            power.note(name, largest(delta, bound))
        nonzero = int(np.count_nonzero(self.right))
        power.nonzero += nonzero
        power.blind += int(np.count_nonzero(t <= 1)) - (t.size - nonzero)  # the ratio of zeros is 0
        for name, found in structural_ratios(self.block, t, bound):
            power.note(name, found)

    def spread(self) -> list[tuple[str, dict[str, Array]]]:
        """Wrong gradients of the layer: its equations are linear in dC/dz, so they turn a delta of it into theirs."""
        deltas = [(name, factor[:, None] * self.right) for name, factor in self.factors()]
        deltas += structural_deltas(self.block)
        deltas += option_deltas(self.block, self.denominator, self.kept_rows)
        return [(name, layers.gradients(FLOAT64, self.problem, delta)) for name, delta in deltas if delta.any()]


def note_layer(
    power: Power, quantity: str, right: Array, bound: Array, spread: list[tuple[str, dict[str, Array]]]
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
    with np.errstate(all="ignore"):
        inverse = np.where(t.upstream != 0, 1.0 / t.upstream, 1.0)
    yield "upstream_ignored", inverse - 1.0


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
        yield "onehot_dropped", factor * (1.0 - t.smoothing) * _given(t)


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
        yield "onehot_dropped", largest(factor[:, None] * (1.0 - t.smoothing) * _given(t), bound)


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
        if t.probabilities is None:
            plain = factor * t.label_weight[:, None] * (a - label)
        else:
            q = _given(t)
            plain = factor * (a * q.sum(1, keepdims=True) - q)
        yield "smoothing_left_out", _significant(np.where(kept, plain - g, 0.0), factor)
    if t.weight is not None:
        plain = _unweighted(block, denominator, kept_rows, a, label)
        yield "weights_left_out", _significant(np.where(kept, plain - g, 0.0), factor)


def _given(t: Targets) -> Array:
    """(n, C): rows of probabilities with their class weights, before smoothing."""
    assert t.probabilities is not None
    return t.probabilities if t.weight is None else t.probabilities * t.weight


def _unweighted(block: Block, denominator: float, kept_rows: int, a: Array, label: Array) -> Array:
    """dC/dz as if all class weights were 1."""
    t = block.targets
    factor = block.softmax.backend.pair(block.factor)[0][:, None]
    if t.probabilities is not None:
        q = np.asarray(t.unweighted(FLOAT64))
        return np.asarray(factor * (a * q.sum(1, keepdims=True) - q))
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
