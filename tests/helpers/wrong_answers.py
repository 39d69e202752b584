"""The standard wrong answers as actual arrays, from textbook formulas in float64 with the fault built in.

Nothing here knows the closed forms of `xentcheck.judging.power.measure` and `xentcheck.judging.power.values`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from xentcheck.reference.formats import Array
from xentcheck.reference.problem import Problem

Wrong = dict[str, Array]


@dataclass(frozen=True)
class Loss:
    """A loss in float64, to be given faults: z (N, C), the one-hot and the smoothing part of q, and the rest."""

    z: Array
    main: Array
    spread: Array
    upstream: Array
    denominator: float
    skipped: Array

    @classmethod
    def of(cls, p: Problem, z: Array, *, weight: bool = True, smoothing: bool = True, ignore: bool = True) -> Loss:
        """A problem's loss, or that without weights, smoothing or ignoring (then class 0 with weight 1)."""
        w = np.ones(p.classes) if p.weight is None or not weight else p.weight.astype(np.float64)
        upstream = np.broadcast_to(p.upstream.astype(np.float64), (len(z),))
        if p.probabilities:
            rows = float(len(z)) if p.reduction == "mean" else 1.0
            eps = p.label_smoothing if smoothing else 0.0
            main, spread = (1.0 - eps) * p.target.astype(np.float64) * w, np.broadcast_to(eps / p.classes * w, z.shape)
            return cls(z, main, spread, upstream, rows, np.zeros(len(z), bool))
        skipped = p.target == p.ignore_index
        label = np.where(skipped, 0, p.target)
        eps = p.label_smoothing if smoothing else 0.0
        one_hot = np.eye(p.classes)[label]
        main, spread = (1.0 - eps) * one_hot * w, np.broadcast_to(eps / p.classes * w, z.shape)
        main, spread = (np.where(skipped[:, None], 0.0, x) for x in (main, spread))
        if not ignore:
            main = np.where(skipped[:, None], one_hot, main)
        denominator = float(w[label][~skipped].sum()) if p.reduction == "mean" else 1.0
        return cls(z, main, spread, upstream, denominator, skipped)

    @property
    def a(self) -> Array:
        """(N, C) softmax."""
        e = np.exp(self.z - self.z.max(1, keepdims=True))
        return np.asarray(e / e.sum(1, keepdims=True))

    def rows(self) -> Array:
        """(N,) losses."""
        return self.against(np.log(np.exp(self.z - self.z.max(1, keepdims=True)).sum(1)) + self.z.max(1))

    def against(self, log_sum: Array) -> Array:
        """(N,) losses for any log-sum-exp."""
        q = self.main + self.spread
        with np.errstate(invalid="ignore"):
            return np.asarray(np.where(q != 0, q * (log_sum[:, None] - self.z), 0.0).sum(1))

    def gradient(self, main: float = 1.0) -> Array:
        """dC/dz = s (a Q - q); main = 0 leaves the one-hot (or the probabilities) out of q, not out of Q."""
        q = self.main + self.spread
        factor = (self.upstream / self.denominator)[:, None]
        return np.asarray(factor * (self.a * q.sum(1, keepdims=True) - main * self.main - self.spread))


def gradients(p: Problem, z: Array) -> tuple[Array, Wrong]:
    """The right dC/dz (N, C), and every wrong one that the problem's options make possible."""
    right = Loss.of(p, z)
    g = right.gradient()
    wrong = {"zero": np.zeros_like(g), "negated": -g, "doubled": g + g, "halved": g / 2.0}
    wrong["last_row_dropped"] = np.concatenate([g[:-1], 0.0 * g[-1:]])
    wrong["last_column_dropped"] = np.concatenate([g[:, :-1], 0.0 * g[:, -1:]], 1)
    wrong["onehot_dropped"] = right.gradient(main=0.0)
    wrong["upstream_ignored"] = replace(right, upstream=np.ones(len(z))).gradient()
    if p.reduction == "mean":
        wrong["not_divided"] = replace(right, denominator=1.0).gradient()
    if p.reduction == "none":
        wrong["first_upstream"] = replace(right, upstream=np.full(len(z), right.upstream[0])).gradient()
    if not p.probabilities:
        at_label = np.eye(p.classes, dtype=bool)[np.where(right.skipped, 0, p.target)]
        wrong["offtarget_zeroed"] = np.where(at_label, g, 0.0)
        if p.reduction == "mean":
            wrong["divided_by_n"] = replace(right, denominator=float(len(z))).gradient()
    if right.skipped.any():
        wrong["ignored_rows_leak"] = replace(Loss.of(p, z, ignore=False), denominator=right.denominator).gradient()
    if p.label_smoothing:
        wrong["smoothing_left_out"] = Loss.of(p, z, smoothing=False).gradient()
    if p.weight is not None:
        wrong["weights_left_out"] = Loss.of(p, z, weight=False).gradient()
    return g, wrong


def values(p: Problem, z: Array) -> tuple[Array, Wrong]:
    """The right loss (N,) or cost (), and every wrong one."""
    right = Loss.of(p, z)
    loss = right.rows()

    def reduce(by: Loss, rows: Array) -> Array:
        return rows if p.reduction == "none" else np.asarray(rows.sum() / by.denominator)

    value = reduce(right, loss)
    others = np.exp(z - z.max(1, keepdims=True))
    others[np.arange(len(z)), z.argmax(1)] = 0.0
    wrong = {"zero": np.zeros_like(value), "negated": -value}
    wrong |= {"times_1_001": value * 1.001, "times_1_25": value * 1.25, "times_1_5": value * 1.5}
    wrong["without_largest_term"] = reduce(right, right.against(np.log(others.sum(1)) + z.max(1)))
    if p.reduction == "none":
        wrong["last_row_dropped"] = np.concatenate([loss[:-1], [0.0]])
    if p.reduction == "mean":
        wrong["not_divided"] = np.asarray(loss.sum())
        if not p.probabilities:
            wrong["divided_by_n"] = np.asarray(loss.mean())
    if right.skipped.any():
        wrong["ignored_rows_counted"] = reduce(right, Loss.of(p, z, ignore=False).rows())
    if p.label_smoothing:
        wrong["smoothing_left_out"] = reduce(right, Loss.of(p, z, smoothing=False).rows())
    if p.weight is not None:
        plain = Loss.of(p, z, weight=False)
        wrong["weights_left_out"] = reduce(plain, plain.rows())
    return value, wrong


def softmaxes(z: Array, quantity: str) -> tuple[Array, Wrong]:
    """The right a or log a (N, C), and every wrong one."""
    t = z - z.max(1, keepdims=True)
    columns = np.exp(z - z.max(0)) / np.exp(z - z.max(0)).sum(0)
    a = np.exp(t) / np.exp(t).sum(1, keepdims=True)
    if quantity == "a":
        return a, {
            "zero": np.zeros_like(a),
            "unnormalised": np.exp(t),
            "wrong_axis": columns,
            "shifted": a[:, np.arange(-1, a.shape[1] - 1)],
            "times_1_001": a * 1.001,
            "times_1_25": a * 1.25,
        }
    log_a = t - np.log(np.exp(t).sum(1, keepdims=True))
    return log_a, {
        "zero": np.zeros_like(a),
        "negated": -log_a,
        "unnormalised": t,
        "wrong_axis": np.log(columns),
        "shifted": log_a[:, np.arange(-1, a.shape[1] - 1)],
    }


def layer(p: Problem, g: Array) -> Wrong:
    """dC/db, dC/dw and dC/da_prev behind a dC/dz: chain rule of a linear layer, and of a sigmoid layer before it."""
    a, w = (np.asarray(x, np.float64) for x in (p.a_prev, p.w))
    if p.hidden_w is None or p.hidden_b is None:
        return {"dC/db": g.sum(0), "dC/dw": g.T @ a, "dC/da_prev": g @ w}
    h = 1.0 / (1.0 + np.exp(-(a @ p.hidden_w.astype(np.float64).T + p.hidden_b)))
    d = (g @ w) * h * (1.0 - h)
    return {
        "dC/db": np.concatenate([d.sum(0), g.sum(0)]),
        "dC/dw": np.concatenate([(d.T @ a).ravel(), (g.T @ h).ravel()]),
        "dC/da_prev": d @ p.hidden_w.astype(np.float64),
    }


def logits(p: Problem) -> Array:
    """(N, C) logits in float64."""
    if p.logits is not None:
        return p.logits.astype(np.float64)
    a, w, b = (np.asarray(x, np.float64) for x in (p.a_prev, p.w, p.b))
    if p.hidden_w is not None and p.hidden_b is not None:
        a = 1.0 / (1.0 + np.exp(-(a @ p.hidden_w.astype(np.float64).T + p.hidden_b)))
    return np.asarray(a @ w.T + b)


def everything(p: Problem) -> dict[str, tuple[Array, Wrong]]:
    """Quantity -> (right, wrong answers by name), for all that the problem defines."""
    z = logits(p)
    with np.errstate(all="ignore"):
        found = {"loss" if p.reduction == "none" else "cost": values(p, z)}
        g, wrong = gradients(p, z)
        if p.logits is not None:
            return found | {q: softmaxes(z, q) for q in ("a", "log_a")} | {"dC/dz": (g, wrong)}
    right = layer(p, g)
    spread = {name: layer(p, x) for name, x in wrong.items()}
    for q, x in right.items():
        found[q] = x, {name: parts[q] for name, parts in spread.items()}
        if q == "dC/dw" and x.ndim == 2 and x.shape[0] == x.shape[1]:
            found[q][1]["transposed"] = x.T
    return found
