"""An adversary who rounds every operation as badly as a contract allows, and what share of each bound that reaches.

Arithmetic is exact enough (float64, or longdouble for float64 problems); each result is then moved by up to its unit
roundoff, up or down: one direction for a whole row, another one for a target element of it, or at random. exp and log
are moved by their ULPs, sums are taken in random order, what is below the normal range may be flushed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from xentcheck.reference.bounds.arithmetic import Arithmetic
from xentcheck.reference.bounds.contracts import Contract
from xentcheck.reference.formats import Array
from xentcheck.reference.problem import Problem
from xentcheck.reference.targets import Targets

ALMOST = 1.0 - 1e-9
"""Of a unit roundoff: the simulation rounds, too."""

ATTACKED = ("a", "log_a", "loss", "cost", "dC/dz", "dC/db", "dC/dw", "dC/da_prev", "jvp", "hvp")


@dataclass
class Adversary:
    """Rounds for one contract and dtype; arrays are (draws, rows, classes)."""

    arithmetic: Arithmetic
    rng: np.random.Generator
    draws: int
    rows: int
    target: Array
    worse: str

    @classmethod
    def of(cls, contract: Contract, p: Problem, draws: int, seed: int, worse: str = "nothing") -> Adversary:
        """For a problem whose targets are drawn: one class of each row. worse: a stage that errs by twice as much."""
        rng = np.random.default_rng(seed)
        rows = int(np.prod(p.loss_shape, dtype=int))
        target = rng.integers(0, p.classes, (draws, rows, 1)) == np.arange(p.classes)
        return cls(Arithmetic.of(contract, p.dtype), rng, draws, rows, target, worse)

    def direction(self, shape: tuple[int, ...]) -> Array:
        """-1 to 1 for each element: by row and target in most draws, at random in others, nothing in some."""
        rest = (1,) * (len(shape) - 2)
        sign = self.rng.choice([-1.0, 1.0], (self.draws, shape[1] if len(shape) > 1 else 1, *rest)[: len(shape)])
        found = np.broadcast_to(sign, shape)
        if len(shape) == 3 and shape[2] == self.target.shape[2] and shape[1] == self.rows:
            flip = self.rng.choice([-1.0, 1.0], (self.draws, self.rows, 1))
            found = np.where(self.target, flip * found, found)
        wild = self.rng.random((self.draws,) + (1,) * (len(shape) - 1)) < 0.125
        return np.where(wild, self.rng.uniform(-1.0, 1.0, shape), found)

    def moved(self, x: Array, u: float) -> Array:
        """The result of an operation in the wide format, off by u of itself, or flushed."""
        a = self.arithmetic
        with np.errstate(all="ignore"):
            out = x * (1.0 + ALMOST * u * self.direction(x.shape))
        small = (np.abs(x) < a.wide.smallest_normal) & (x != 0)
        out = np.where(small & (self.rng.random(x.shape) < 0.5), 0.0, out) if small.any() else out
        return np.where(represented(x, a.wide.name), x, out)

    def op(self, x: Array, stage: str = "") -> Array:
        """The result of one operation, and what storing its stage does."""
        x = self.moved(x, self.arithmetic.wide.unit_roundoff)
        return self.stored(x, stage) if stage and self.arithmetic.stores(stage) else x

    def stored(self, x: Array, stage: str = "output") -> Array:
        """Rounded to storage: by u_s, below the normal range by half of the spacing."""
        a = self.arithmetic
        if not a.narrow:
            return x
        d = (2.0 if stage == self.worse else 1.0) * ALMOST * self.direction(x.shape)
        small = np.abs(x) < a.storage.smallest_normal
        with np.errstate(all="ignore"):
            nearest = np.minimum(np.abs(x), a.storage.smallest_subnormal / 2.0)  # no rounding goes beyond 0
            out = np.where(small, x + d * nearest, x * (1.0 + a.output * d))
        return np.where(represented(x, a.storage.name), x, out)

    def kept(self, x: Array, stage: str) -> Array:
        """Stored if the stage is."""
        return self.stored(x, stage) if self.arithmetic.stores(stage) else x

    def plus(self, x: Array, y: Array, stage: str = "") -> Array:
        """x + y in a stage's format, off by no more than the smaller one, and exact where the sum is representable."""
        a, exact = self.arithmetic, x + y
        fmt = a.storage if stage and a.stores(stage) else a.wide
        with np.errstate(all="ignore"):
            error = np.minimum(fmt.unit_roundoff * np.abs(exact), np.minimum(np.abs(x), np.abs(y)))
            out = exact + (2.0 if stage == self.worse else 1.0) * ALMOST * error * self.direction(exact.shape)
        return np.where(represented(exact, fmt.name), exact, out)

    def total(self, x: Array, stage: str) -> Array:
        """The sum over the last axis in a random order, one addition after another."""
        parts = [x[..., i] for i in self.rng.permutation(x.shape[-1])]
        found = parts[0] if parts else np.zeros(x.shape[:-1])
        for part in parts[1:]:
            found = self.plus(found, part, stage)
        return found

    def exp(self, t: Array) -> Array:
        """exp with its ULPs; exp(0) is 1."""
        c, u = self.arithmetic.contract, self.arithmetic.wide.unit_roundoff
        with np.errstate(all="ignore"):
            exact = np.exp(t + np.where(np.isfinite(t), c.exp_slope * u * np.abs(t), 0.0) * self.direction(t.shape))
        return np.where(t == 0, 1.0, self.moved(exact, 2.0 * c.exp_ulps * u))

    def log(self, x: Array) -> Array:
        """log with its ULPs."""
        return self.moved(np.log(x), 2.0 * self.arithmetic.contract.log_ulps * self.arithmetic.wide.unit_roundoff)


def represented(x: Array, dtype: str) -> Array:
    """Where a result is a number of a format: no rounding moves it."""
    with np.errstate(all="ignore"):
        return np.asarray(x.astype(dtype).astype(x.dtype) == x)


def attack(p: Problem, contract: Contract, draws: int, seed: int, worse: str = "nothing") -> dict[str, Array]:
    """Quantity -> results (draws, *shape) of the worst arithmetic that a contract allows, for targets of 2 axes."""
    who = Adversary.of(contract, p, draws, seed, worse)
    high = np.longdouble if p.dtype == "float64" else np.float64
    with np.errstate(all="ignore"):
        z = logits_of(p, who, high)
        a, log_a, inner = softmaxes(z, who)
        stored = who.arithmetic.contract.stored
        kept = log_a
        found = {"a": a if "exponentials" in stored else who.stored(a)}
        found["log_a"] = kept if {"exponents", "log_a"} & {*stored} else who.stored(log_a)
        q, up, denominator = factors(p, who, high)
        losses = row_losses(p, who, kept, q)
        picked = (
            p.weight is None and not p.probabilities and not p.label_smoothing and {"exponents", "log_a"} & {*stored}
        )
        found["loss"] = losses if picked else who.stored(losses)
        total = who.total(found["loss"] if "between" in stored else losses, "reduction")
        found["cost"] = who.stored(who.op(total / denominator[:, 0, 0]))
        s = who.op(who.op(1.0 / denominator, "between") * up, "between")
        g = who.stored(gradient(p, who, inner, q, s, z == z.max(-1, keepdims=True)))
        found["dC/dz"] = g
        if p.v is not None:
            found |= along(p, who, inner, q, s, denominator, high)
        if p.head == "layer":
            x, w = (np.asarray(part).astype(high) for part in (p.a_prev, p.w))
            found["dC/db"] = who.stored(who.total(np.moveaxis(g, 1, -1), "batch_sum"))
            found["dC/dw"] = products(who, np.moveaxis(g, 1, 2)[:, :, None, :], x.T[None, None])
            found["dC/da_prev"] = products(who, g[:, :, None, :], w.T[None, None])
    return {name: found[name] for name in p.quantities if name in found}


def products(who: Adversary, x: Array, y: Array) -> Array:
    """Stored sums over the last axis of rounded products."""
    return who.stored(who.total(who.op(np.asarray(x * y)), ""))


def logits_of(p: Problem, who: Adversary, high: Any) -> Array:
    """(draws, N, C), given or computed."""
    if p.logits is not None:
        return np.broadcast_to(p.logits.astype(high), (who.draws, *p.logits.shape))
    x, w, b = (np.asarray(part).astype(high) for part in (p.a_prev, p.w, p.b))
    each = np.broadcast_to(x[None, :, None, :] * w[None, None], (who.draws, len(x), *w.shape))
    plain = who.kept(who.total(who.op(each), ""), "logits")
    infinite = np.isinf(b)
    z = who.kept(who.op(plain + np.where(infinite, 0.0, b)), "logits")
    return np.where(infinite, b, z)


def softmaxes(z: Array, who: Adversary) -> tuple[Array, Array, Array]:
    """a, log a and the softmax of the gradient."""
    c, u = who.arithmetic.contract, who.arithmetic.wide.unit_roundoff
    top = z.max(-1, keepdims=True)
    t = np.where(z == top, 0.0, who.op(z - top, "exponents"))
    if c.shift_units:
        off = c.shift_units * u * np.where(np.isfinite(z), np.abs(z), 0.0) * who.direction(z.shape)
        t = np.where(t == 0, 0.0, t + off)
    e = who.kept(who.exp(t), "exponentials")
    S = who.kept(online(z, who) if c.rescales else who.total(e, "forward_sum")[..., None], "sum")
    S = np.maximum(S, 1.0)  # rounding is monotone, and 1 a number of every format
    log_S = who.kept(np.where(S == 1, 0.0, who.log(S)), "log")
    if c.complement:  # log1p of the sum without the largest term
        first = np.arange(z.shape[-1]) == z.argmax(-1)[..., None]
        R = who.total(np.where(first, 0.0, e), "forward_sum")[..., None]
        log_S = who.moved(np.log1p(R), 2.0 * c.log_ulps * u)
    if c.log_form == "lse":
        lse = who.op(top + log_S, "exponents" if "exponents" in c.stored else "between")
        log_a = who.op(z - lse, "exponents")
    else:
        log_a = who.op(t - log_S, "exponents")
    log_a = np.where(np.isneginf(z), -np.inf, log_a)
    a = who.kept(who.op(who.kept(who.op(1.0 / S), "exponentials") * e), "exponentials")
    kept = log_a if "exponents" in c.stored else who.kept(log_a, "log_a")
    by_log = c.gradient_form == "exp" and bool(who.rng.integers(0, 2))
    return a, kept, who.kept(who.exp(kept), "exponentials") if by_log else a


def online(z: Array, who: Adversary) -> Array:
    """S in one pass over ascending logits, rescaled whenever the maximum grows."""
    order = np.sort(z, -1)
    S, m = np.ones_like(order[..., :1]), order[..., :1]
    for i in range(1, z.shape[-1]):
        x = order[..., i : i + 1]
        grown = np.where(np.isneginf(m), 0.0, who.op(who.exp(who.op(m - x)) * S))
        S, m = np.where(x == m, who.plus(S, np.ones_like(S)), who.plus(grown, np.ones_like(S))), x
    return S


def factors(p: Problem, who: Adversary, high: Any) -> tuple[Array, Array, Array]:
    """q of -log a (draws, N, C) as it is formed, the upstream gradients and the denominators."""
    shape = (who.draws, who.rows, p.classes)
    t = Targets.of(p)
    weight = np.ones(p.classes, high) if p.weight is None else p.weight.astype(high)
    if p.probabilities:
        q = np.broadcast_to(np.asarray(t.probabilities, high), shape)
        if p.label_smoothing:
            q = who.op(who.op(q * (1 - high(p.label_smoothing)), "between") + p.label_smoothing / p.classes, "between")
        q = q if p.weight is None else who.op(q * weight, "between")
    else:
        hot = (np.arange(p.classes) == t.label[:, None]) * t.kept[:, None]
        q = np.broadcast_to(hot * weight, shape)
        if p.label_smoothing:
            eps = high(p.label_smoothing)
            spread = who.op(np.broadcast_to(t.kept[:, None] * weight * eps / p.classes, shape), "between")
            q = who.op(who.op(q * (1 - eps), "between") + spread, "between")
    up = np.broadcast_to(t.upstream.astype(high)[None, :, None], (who.draws, who.rows, 1))
    if p.reduction != "mean":
        return q, up, np.ones((who.draws, 1, 1), high)
    if p.probabilities or p.weight is None:
        return q, up, np.full((who.draws, 1, 1), high(t.kept.sum()))
    weights = np.broadcast_to(t.label_weight.astype(high), (who.draws, who.rows))
    return q, up, who.kept(who.total(weights, "reduction")[:, None, None], "between")


def row_losses(p: Problem, who: Adversary, log_a: Array, q: Array) -> Array:
    """(draws, N): the sum of q_i (-log a_i)."""
    terms = np.where(q == 0, 0.0, -log_a * q)
    if p.probabilities or p.label_smoothing:
        return who.total(who.op(terms, "between"), "forward_sum")
    picked = terms.sum(-1)
    return picked if p.weight is None else who.op(picked, "between")


def gradient(p: Problem, who: Adversary, a: Array, q: Array, s: Array, first: Array) -> Array:
    """(draws, N, C): s (a Q - q), and its row's sum at the maximum or everywhere, as the contract has it."""
    if p.probabilities or p.label_smoothing:
        terms = who.op(s * q, "between")
        Q = who.total(terms, "backward_sum")[..., None]
        g = who.plus(who.op(a * Q), -terms)
    else:
        w = q.sum(-1, keepdims=True)
        scale = s if p.weight is None else who.op(s * w, "between")
        at_label = who.plus(a, -np.ones_like(a))
        if who.arithmetic.contract.complement:
            others = who.total(np.where(q != 0, 0.0, a), "forward_sum")[..., None]
            at_label = np.where(a > 0.5, -others, at_label)
        g = who.op(np.where(q != 0, at_label, a) * scale) * (w != 0)
    where = who.arithmetic.contract.row_sum
    if where == "none":
        return g
    row_sum = who.total(g, "backward_sum")[..., None]
    return g - first * row_sum if where == "pivots" else g - row_sum


def along(p: Problem, who: Adversary, a: Array, q: Array, s: Array, denominator: Array, high: Any) -> dict[str, Array]:
    """jvp and hvp along v; under a contract with a margin v - v_y may be in its place, or the label apart."""
    v = np.broadcast_to(np.asarray(p.v).astype(high), a.shape)
    Q = who.total(q, "backward_sum")[..., None]
    form = "plain"
    if who.arithmetic.contract.margin and not (p.probabilities or p.label_smoothing):
        form = str(who.rng.choice(["plain", "from the label", "label apart"]))
    at_label = np.take_along_axis(v, np.broadcast_to(Targets.of(p).label[None, :, None], (*a.shape[:2], 1)), -1)
    v = who.plus(v, -at_label) if form == "from the label" else v
    mean = who.total(who.op(a * v, "between"), "backward_sum")[..., None]
    rows = who.plus(who.op(Q * mean)[..., 0], -who.total(who.op(q * v), "backward_sum"))
    product = label_apart(p, who, a, v) if form == "label apart" else who.op(a * who.plus(v, -mean))
    hvp = who.stored(who.op(product * who.op(s * Q, "between")))
    if p.reduction == "none":
        return {"jvp": who.stored(rows), "hvp": hvp}
    total = who.total(rows, "reduction")
    return {"jvp": who.stored(who.op(total / denominator[:, 0, 0])), "hvp": hvp}


def label_apart(p: Problem, who: Adversary, a: Array, v: Array) -> Array:
    """(draws, N, C): a o (v - a.v) as the second derivative of log1p(exp(lse of the others - z_y))."""
    hot = np.broadcast_to(np.arange(p.classes) == Targets.of(p).label[None, :, None], a.shape)
    others = np.where(hot, 0.0, a)
    rest = who.total(others, "forward_sum")[..., None]
    w = who.op(np.divide(others, rest, out=np.zeros_like(others), where=rest != 0))
    means = [who.total(who.op(w * v, "between"), "backward_sum")[..., None] for _ in range(2)]
    far = who.op(
        who.plus(np.ones_like(rest), -rest) * who.plus(means[0], -np.where(hot, v, 0.0).sum(-1, keepdims=True))
    )
    return np.where(hot, -who.op(rest * far), who.op(others * who.plus(far, who.plus(v, -means[1]))))
