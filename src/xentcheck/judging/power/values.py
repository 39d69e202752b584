"""Wrong answers for the values: a and log_a per element, loss and cost as deltas of each row's loss."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from xentcheck.reference.formats import Array
from xentcheck.reference.numbers.backends import FLOAT64
from xentcheck.reference.oracle import Block, Exact
from xentcheck.reference.targets import Targets

from .measure import NEGLIGIBLE, Power, largest, ratio


def softmax_deltas(block: Block, quantity: str, exact: Array) -> Iterator[tuple[str, Array]]:
    """Wrong answers for a and log_a; `wrong_axis` normalises the columns of this block."""
    B, s, z = block.softmax.backend, block.softmax, block.of(block.problem.logits)
    t = B.pair(s.t)[0]
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
        }
        if quantity == "a":
            wrong |= {"times_1_001": exact * 1.001, "times_1_25": exact * 1.25}
        else:
            wrong["negated"] = -exact
        for name, answer in wrong.items():
            delta = answer - exact
            if not np.isfinite(delta.sum()):
                same = (answer == exact) | ~np.isfinite(t) & ~np.isfinite(answer)
                delta = np.where(same, 0.0, np.where(np.isnan(delta), np.inf, delta))
            yield name, delta


def loss_deltas(exact: Exact, block: Block) -> dict[str, Array]:
    """Deltas (n,) of the losses of a block's rows; `plain` is the unweighted loss itself, for the weighted mean."""
    B, s, t = block.softmax.backend, block.softmax, block.targets
    with np.errstate(all="ignore"):
        loss = B.pair(B.scale(*block.loss))[0]
        others, log_total = B.pair(s.others)[0], B.pair(s.log_total)[0]
        mass = t.label_weight if t.hard else B.pair(B.sum(t.terms(B)))[0]
        deltas = {
            "zero": -loss,
            "negated": -2.0 * loss,
            "times_1_001": 1e-3 * loss,
            "times_1_25": 0.25 * loss,
            "times_1_5": 0.5 * loss,
            "without_largest_term": np.where(t.kept, mass * (np.log(others) - log_total), 0.0),
        }
        if block.rows.stop == len(exact.targets.kept):
            deltas["last_row_dropped"] = np.where(np.arange(len(loss)) == len(loss) - 1, -loss, 0.0)
        if t.smoothing:
            deltas["smoothing_left_out"] = np.where(t.kept, _losses(block, replace(t, smoothing=0.0)) - loss, 0.0)
        if not t.kept.all():
            deltas["ignored_rows_counted"] = np.where(t.kept, 0.0, _at_label(block))
        if t.weight is not None:
            plain = np.where(t.kept, _losses(block, replace(t, weight=None)), 0.0)
            deltas["plain"] = plain
            deltas["weights_left_out"] = plain - loss
    return deltas


def _losses(block: Block, t: Targets) -> Array:
    """The losses (n,) of these rows for targets that have smoothing or class weights, but not both."""
    if t.hard:
        return np.asarray(_at_label(block) * t.label_weight)
    surprise = np.negative(block.softmax.backend.pair(block.softmax.log_softmax())[0])
    if t.probabilities is None:
        return np.asarray((1.0 - t.smoothing) * _at_label(block) + t.smoothing * surprise.mean(1))
    q = t.terms(FLOAT64)
    return np.asarray(np.where(q != 0, q * surprise, 0.0).sum(1))


def _at_label(block: Block) -> Array:
    """-log a (n,) of the labels."""
    B, s, label = block.softmax.backend, block.softmax, block.targets.label
    return np.asarray(B.pair(s.log_total)[0] - B.pair(s.t)[0][np.arange(len(label)), label])


def note_losses(power: Power, exact: Exact, deltas: dict[str, Array], right: Array, bound: Array) -> None:
    """Power of a comparison of losses per example."""
    for name, delta in deltas.items():
        if name != "plain":
            power.note(name, largest(_significant([name], delta, right), bound))
    power.count_blind(right, bound)


def cost_deltas(exact: Exact, block: Block) -> dict[str, float]:
    """The sums of the deltas of a block's rows."""
    with np.errstate(all="ignore"):
        return {name: delta.sum() for name, delta in loss_deltas(exact, block).items()}


def note_cost(power: Power, exact: Exact, blocks: list[dict[str, float]], cost: Array, bound: Array) -> None:
    """Power of a comparison of the reduced cost, from the deltas of all rows."""
    t = exact.all_targets
    denominator = np.float64(exact.divisor)
    names = {name for block in blocks for name in block}
    with np.errstate(all="ignore"):
        total = {n: np.float64(sum(b[n] for b in blocks if n in b)) / denominator for n in names}
        if "plain" in names:
            kept = float(np.count_nonzero(t.kept)) if t.reduction == "mean" else 1.0
            total["weights_left_out"] = total.pop("plain") * denominator / max(kept, 1.0) - float(cost)
        total.pop("last_row_dropped", None)
        if t.reduction == "mean":
            total["not_divided"] = float(cost) * (denominator - 1.0)
            if t.probabilities is None:
                total["divided_by_n"] = float(cost) * (denominator / max(len(t.kept), 1) - 1.0)
    found = ratio(_significant(list(total), np.array(list(total.values())), cost), bound)
    for name, quotient in zip(total, found.tolist(), strict=True):
        power.note(name, quotient)
    power.count_blind(cost, bound)


def _significant(names: list[str], delta: Array, exact: Array) -> Array:
    """0 where delta is a rounding error of its own, and where the exact value and the wrong one are both infinite.

    names: of the wrong answers, one per delta of a cost, or that of all deltas.
    """
    with np.errstate(all="ignore"):
        another = np.array([name in ("not_divided", "divided_by_n") for name in names], bool)
        infinite = ~np.isfinite(exact) & ((delta != -exact) | another)
        large = np.abs(delta) > NEGLIGIBLE * np.abs(np.where(np.isfinite(exact), exact, 0.0))
    return np.where(large & ~infinite, delta, 0.0)
