"""Each contract's algorithm, written out in NumPy, rounded where the contract says: what the bounds must hold for.

Arithmetic is in float64 or float32 (for bfloat16 and float16 as well), and `keep` rounds a stage's result to the
storage dtype. `autograd`: differentiation through the maximum, which takes each row's sum off the gradient at the first
maximum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from xentcheck.reference.bounds.contracts import CATALOGUE, Contract
from xentcheck.reference.formats import FORMATS, Array
from xentcheck.reference.problem import Problem

WIDE_ALGORITHMS = {
    "accurate": "accurate",
    "fused": "fused",
    "fused-lse": "fused-lse",
    "stash": "stash",
    "stash-lse": "stash-lse",
    "online": "online",
    "autograd": "decisive",
}
NARROW_ALGORITHMS = {
    **{name: name for name in CATALOGUE if name not in ("decisive", "stable")},
    "autograd": "decisive",
}
"""Algorithm -> the contract it meets. `stable`, which promises least, has witnesses of its own in `test_forms`."""

NUMPY_ULPS = (4.0, 4.0)
"""What the NumPy adapter declares in float32 (measured: 2.541 and 3.102 ULPs)."""


def algorithms(dtype: str) -> dict[str, str]:
    """The algorithms that differ for a dtype, and the contract that each meets."""
    return WIDE_ALGORITHMS if FORMATS[dtype].precision >= 24 else NARROW_ALGORITHMS


@dataclass(frozen=True)
class Machine:
    """Arithmetic in `wide`, with the results of some stages rounded to the storage dtype."""

    contract: Contract
    storage: np.dtype[Any]
    wide: np.dtype[Any]

    def keep(self, stage: str, x: Any) -> Array:
        """A stage's result, rounded to storage where the contract stores it."""
        wide = np.asarray(x, self.wide)
        return wide.astype(self.storage).astype(self.wide) if stage in self.contract.stored else wide

    def total(self, stage: str, x: Array) -> Array:
        """Sums of the rows (n, C) -> (n, 1); one addition at a time, or block by block, where the accumulator is in
        storage.
        """
        if stage not in self.contract.stored or self.storage == self.wide:
            return np.asarray(x.sum(1, keepdims=True))
        block = self.contract.row_block if stage == "reduction" else self.contract.class_block
        if block and x.shape[1] > block:
            parts = [self.total(stage, x[:, i : i + block]) for i in range(0, x.shape[1], block)]
            return self.total(stage, np.concatenate(parts, 1))
        sums = np.zeros((len(x), 1), self.wide)
        for column in x.T:
            sums = self.keep(stage, sums + column[:, None])
        return sums


def simulate(p: Problem, algorithm: str) -> dict[str, Array]:
    """All quantities of a problem by one algorithm, in its storage dtype."""
    contract = CATALOGUE[algorithms(p.dtype)[algorithm]]
    narrow = FORMATS[p.dtype].precision < 24
    m = Machine(contract, np.dtype(p.dtype), np.dtype("float32" if narrow else p.dtype))
    with np.errstate(all="ignore"):
        z = logits_of(p, m)
        a, log_a, inner = softmaxes(z, m)
        q, denominator = factors(p, m)
        losses = m.keep("between", m.total("forward_sum", np.where(q != 0, q * -log_a, m.wide.type(0)))[:, 0])
        cost = m.total("reduction", losses[None])[0, 0] / denominator
        g = gradient(p, m, inner, q, denominator)
        if contract.complement and not p.probabilities and not p.label_smoothing:
            at = np.arange(p.classes) == np.where(p.kept, p.target, 0)[:, None]
            others = np.where(at, 0, inner).sum(1, keepdims=True)
            rest = np.where(inner > 0.5, others, 1 - inner)
            g = np.where(at & p.kept[:, None], -rest * g_factor(p, m, q, denominator), g)
        if algorithm == "autograd":
            at_maximum = np.arange(p.classes) == z.argmax(1)[:, None]
            g = m.keep("between", g) - at_maximum * m.total("row_sum", m.keep("between", g))
    out = {"a": a, "log_a": log_a, "loss": losses, "cost": np.asarray(cost), "dC/dz": g}
    if p.head == "layer":
        g = g.astype(p.dtype).astype(m.wide)
        a_prev, w = (np.asarray(x).astype(m.wide) for x in (p.a_prev, p.w))
        out |= {"dC/db": g.sum(0), "dC/dw": g.T @ a_prev, "dC/da_prev": g @ w}
    with np.errstate(over="ignore"):
        return {name: out[name].astype(p.dtype) for name in p.quantities}


def softmaxes(z: Array, m: Machine) -> tuple[Array, Array, Array]:
    """a, log a as the loss finds it, and the softmax of the gradient."""
    top = z.max(1, keepdims=True)
    t = m.keep("exponents", z - top)
    e = m.keep("exponentials", np.exp(t))
    total = m.keep("sum", running_total(z) if m.contract.rescales else m.total("forward_sum", e))
    log_total = m.keep("log", np.log(total))
    if m.contract.complement:
        first = np.arange(z.shape[1]) == z.argmax(1)[:, None]
        log_total = np.log1p(np.where(first, 0, e).sum(1, keepdims=True))
    by_lse = m.contract.log_form == "lse"
    log_a = z - m.keep("exponents", top + log_total) if by_lse else t - log_total
    log_a = m.keep("log_a", m.keep("exponents", log_a))
    a = m.keep("exponentials", e / total)
    by_log = m.contract.gradient_form == "exp" and "exponentials" not in m.contract.stored
    return a, log_a, np.exp(log_a) if by_log else a


def running_total(z: Array) -> Array:
    """Sums of exp(z - max z) of the rows (n, C) -> (n, 1) in one pass, rescaled whenever the maximum grows."""
    top, total = z[:, :1], np.ones_like(z[:, :1])
    for column in z.T[1:, :, None]:
        higher = np.maximum(top, column)
        same = higher == top  # -inf - -inf is nan
        total = total * np.exp(np.where(same, 0, top - higher)) + np.exp(np.where(column == higher, 0, column - higher))
        top = higher
    return np.asarray(total)


def gradient(p: Problem, m: Machine, inner: Array, q: Array, denominator: Any) -> Array:
    """s (a Q - q), s and its products rounded between kernels, Q summed in the backward accumulator."""
    upstream = np.broadcast_to(p.upstream.reshape(-1).astype(m.wide), len(q))
    factor = m.keep("between", upstream / denominator)[:, None]
    terms = m.keep("between", factor * q)
    return inner * m.keep("between", m.total("backward_sum", terms)) - terms


def g_factor(p: Problem, m: Machine, q: Array, denominator: Any) -> Array:
    """(N, 1): upstream gradient over the denominator, times the weight of the label."""
    upstream = np.broadcast_to(p.upstream.reshape(-1).astype(m.wide), len(q))
    return np.asarray((upstream / denominator * q.sum(1))[:, None])


def logits_of(p: Problem, m: Machine) -> Array:
    """(N, C) logits as the implementation has them: given, or computed and stored."""
    if p.logits is not None:
        return np.asarray(p.logits).astype(m.wide)
    assert p.head == "layer"
    a_prev, w, b = (np.asarray(x).astype(m.wide) for x in (p.a_prev, p.w, p.b))
    return np.asarray((a_prev @ w.T + b).astype(p.dtype).astype(m.wide))


def factors(p: Problem, m: Machine) -> tuple[Array, Any]:
    """q (N, C) of -log a, and what the reduction divides by."""
    one = m.wide.type(1)
    between: Callable[[Any], Array] = lambda x: m.keep("between", x)  # noqa: E731 - one word for a rounding
    weight = np.ones(p.classes, m.wide) if p.weight is None else p.weight.astype(m.wide)
    eps = m.wide.type(p.label_smoothing)
    if p.probabilities:
        q = p.target.astype(m.wide)
        if eps:
            q = between(between(q * between(one - eps)) + between(eps / m.wide.type(p.classes)))
        return between(q * weight), m.wide.type(len(p.target)) if p.reduction == "mean" else one
    kept = p.target != p.ignore_index
    label = np.where(kept, p.target, 0)
    at_label = np.where(kept, weight[label], m.wide.type(0))
    q = np.where(kept[:, None], between(weight * between(eps / m.wide.type(p.classes))), m.wide.type(0))
    q[np.arange(len(q)), label] += between(at_label * (one - eps))
    if p.reduction != "mean":
        return q, one
    count = m.wide.type(kept.sum())  # a count is no sum of roundings
    return q, between(count if p.weight is None else m.total("reduction", at_label[None])[0, 0])
