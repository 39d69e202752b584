"""The oracle: exact results on the very inputs that an implementation receives, as (hi, lo) float64 pairs.

One set of cancellation-free equations (`exact_rows`, `exact_layers`) on a backend: double-double for float64 problems
(absolute error below 2^-90 of the quantity's scale, and 2^-1074), float64 for narrower ones (below 1e-3 ULP of float32
at that scale). The scale is |value| for a, log_a, loss and dC/dz with index targets, the sum of absolute terms
elsewhere. Certified by ball arithmetic in `tests/test_oracle.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xentcheck.errors import OracleError

from . import exact_layers
from .backends import Backend, Number
from .exact_rows import LIFT, RowSoftmax
from .leaving import all_finite, leave
from .loss import problem_of
from .problem import NO_IGNORE, Array, Problem
from .ranges import backend_for
from .rows import from_rows, to_rows
from .targets import Targets

Pair = tuple[NDArray[np.float64], NDArray[np.float64]]

BLOCK = 131072
"""Elements of one row block: logits are evaluated a cache-sized block at a time."""


@dataclass(frozen=True)
class Block:
    """Exact results of some rows; `softmax` and `targets` are also what the error bounds start from."""

    rows: slice
    softmax: RowSoftmax
    targets: Targets
    factor: Number
    divided: bool = True

    @cached_property
    def undefined(self) -> Array:
        """(n,): rows without a finite maximum, or with a factor (weight, target, upstream) that is not finite."""
        t = self.targets
        given = all_finite(t.weight, t.probabilities)
        return np.asarray(~(self.softmax.defined & np.isfinite(t.upstream) & given))

    def a(self) -> Number:
        """(78) of these rows."""
        return leave(self.softmax.backend, "a", self.softmax.softmax(), ~self.softmax.defined[:, None])

    def log_a(self) -> Number:
        """log of (78) of these rows; -inf where the logit is."""
        B, s = self.softmax.backend, self.softmax
        return leave(B, "log_a", s.log_softmax(), ~s.defined[:, None] | ~B.finite(s.t))

    @cached_property
    def gradient(self) -> Number:
        """dC/dz of these rows."""
        B = self.softmax.backend
        undefined = self.undefined | (not self.divided)
        return leave(B, "dC/dz", self.softmax.gradient(self.targets, self.factor), undefined[:, None])

    @cached_property
    def loss(self) -> tuple[Number, Array]:
        """Loss of these rows as (number, k) for number * 2^k."""
        B, t = self.softmax.backend, self.targets
        number, k = self.softmax.loss(t)
        masked = ~B.finite(self.softmax.t)
        if masked.any():
            rows = np.arange(len(t.label))
            met = masked[rows, t.label] & (t.label_weight != 0) if t.hard else (masked & (t.sizes() != 0)).any(1)
        else:
            met = np.zeros(len(t.label), bool)
        return leave(B, "loss", number, self.undefined | met), k


class Exact:
    """Exact results of one problem, block by block; shared by all implementations that are judged on it."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.backend: Backend = backend_for(problem)
        self.targets = Targets.of(problem)
        with np.errstate(all="ignore"):
            self.denominator: Number = self.targets.denominator(self.backend)
            self.factor: Number = self.backend.array(self.targets.upstream) / self.denominator
        self.divided = bool(self.backend.sign(self.denominator) != 0)
        """Whether the denominator is not 0."""

    def blocks(self) -> Iterator[Block]:
        """Row blocks in order; a layer's or network's logits come as one block."""
        B = self.backend
        if self.problem.logits is None:
            with np.errstate(all="ignore"):
                z, masked = exact_layers.logits(B, self.problem)
                if not all_finite(np.where(masked, 0.0, B.pair(z)[0])) and self.finite_layers:
                    raise OracleError("the exact logits of the layer exceed float64; allowed: smaller a_prev, w and b")
                softmax = RowSoftmax.of_number(B, z, masked)
            yield Block(slice(0, len(self.targets.kept)), softmax, self.targets, self.factor, self.divided)
            return
        rows = to_rows(self.problem.logits)
        step = max(1, BLOCK // max(1, rows.shape[1]))
        for start in range(0, len(rows), step):
            part = slice(start, min(start + step, len(rows)))
            with np.errstate(all="ignore"):
                softmax = RowSoftmax.of_logits(B, rows[part].astype(np.float64))
            yield Block(part, softmax, self.targets.block(part), self.factor[part], self.divided)

    def cost(self, losses: list[tuple[Number, Array]]) -> Pair:
        """The reduced cost from the rows' losses: their sum over the denominator, without overflow on the way."""
        B = self.backend
        numbers = B.concatenate([number for number, _ in losses])
        k = np.concatenate([k for _, k in losses] or [np.zeros(0, int)])
        top = int(k.max(initial=-LIFT, where=B.sign(numbers) != 0))
        with np.errstate(all="ignore"):
            finite = B.finite(numbers)
            if not finite.all():
                plain = np.where(finite, 0.0, B.pair(numbers)[0]).sum()
                return B.pair(B.array(plain / B.pair(self.denominator)[0]))
            cost = B.sum(B.scale(numbers, k - top)) / self.denominator
            return B.pair(B.scale(leave(B, "cost", cost, not self.divided), top))

    def layer(self, block: Block) -> dict[str, Number]:
        """The gradients of the layers before the softmax."""
        B = self.backend
        found = exact_layers.gradients(B, self.problem, block.gradient)
        undefined = not (self.finite_layers and B.finite(block.gradient).all())
        return {q: leave(B, q, value, undefined) for q, value in found.items()}

    @property
    def finite_layers(self) -> bool:
        """Whether all inputs and weights of the layers are finite."""
        p = self.problem
        return all_finite(p.a_prev, p.w, p.hidden_w, p.hidden_b)

    def jvp(self, parts: list[Number]) -> Number:
        """jvp as an output, of those of all rows: reduced like the loss."""
        B = self.backend
        rows = B.concatenate(parts)
        if self.problem.reduction == "none":
            return rows
        with np.errstate(all="ignore"):
            return leave(B, "jvp", B.sum(rows) / self.denominator, not (self.divided and B.finite(rows).all()))

    def _along(self) -> dict[str, Pair]:
        """jvp and hvp along the problem's direction."""
        from .directions import Directional

        p, B = self.problem, self.backend
        v = to_rows(np.asarray(p.v)).astype(np.float64)
        parts = [Directional.of(block, v[block.rows]) for block in self.blocks()]
        hi, lo = B.pair(self.jvp([part.jvp for part in parts]))
        shape = p.shapes["jvp"]
        hvp = _join([B.pair(part.hvp) for part in parts], p.logits_shape, rows=True)
        return {"jvp": (hi.reshape(shape), lo.reshape(shape)), "hvp": hvp}

    def evaluate(self, quantities: Iterable[str]) -> dict[str, Pair]:
        """The quantities asked for, whole, in the shapes of the problem."""
        p, B = self.problem, self.backend
        wanted = set(quantities)
        parts: dict[str, list[Pair]] = {q: [] for q in ("a", "log_a", "loss", "dC/dz")}
        losses: list[tuple[Number, Array]] = []
        out: dict[str, Pair] = {}
        with np.errstate(all="ignore"):
            for block in self.blocks():
                if "a" in wanted:
                    parts["a"].append(B.pair(block.a()))
                if "log_a" in wanted:
                    parts["log_a"].append(B.pair(block.log_a()))
                if wanted & {"loss", "cost"}:
                    losses.append(block.loss)
                    parts["loss"].append(B.pair(B.scale(*block.loss)))
                if "dC/dz" in wanted and p.logits is not None:
                    parts["dC/dz"].append(B.pair(block.gradient))
                elif wanted & {"dC/dz", "dC/db", "dC/dw", "dC/da_prev"}:
                    out["dC/dz"] = B.pair(block.gradient)
                    out |= {q: B.pair(value) for q, value in self.layer(block).items()}
            if "cost" in wanted:
                out["cost"] = self.cost(losses)
            if wanted & {"jvp", "hvp"}:
                out |= self._along()
        for quantity, pairs in parts.items():
            if quantity in wanted and quantity not in out:
                shape = p.loss_shape if quantity == "loss" else p.logits_shape
                out[quantity] = _join(pairs, shape, rows=quantity != "loss")
        return {q: out[q] for q in quantities}


def _join(pairs: list[Pair], shape: tuple[int, ...], rows: bool) -> Pair:
    def whole(i: int) -> NDArray[np.float64]:
        if not pairs:
            return np.zeros(shape)
        flat = np.concatenate([pair[i] for pair in pairs])
        return np.asarray(from_rows(flat, shape) if rows else flat.reshape(shape))

    return whole(0), whole(1)


def softmax(z: Any) -> Pair:
    """Exact (78) of logits (m, K), as a pair (hi, lo).

    >>> hi, lo = softmax([[0.0, 0.0]])
    >>> hi.tolist()
    [[0.5, 0.5]]
    """
    return _of_logits(z, "a")


def log_softmax(z: Any) -> Pair:
    """Exact log of (78) of logits (m, K), as a pair (hi, lo).

    >>> hi, lo = log_softmax([[0.0, -800.0]])
    >>> hi.tolist()
    [[0.0, -800.0]]
    """
    return _of_logits(z, "log_a")


def _of_logits(z: Any, quantity: str) -> Pair:
    logits = np.array(z)
    problem = Problem(logits=logits, target=np.zeros(logits.shape[:1], np.int64))
    return Exact(problem).evaluate([quantity])[quantity]


def cross_entropy(
    logits: Any,
    target: Any,
    *,
    weight: Any = None,
    ignore_index: int = NO_IGNORE,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Pair:
    """Exact loss with the options, shapes and conventions of `reference.cross_entropy`, as a pair (hi, lo).

    Raises ShapeError, DtypeError or TargetError like it.

    >>> hi, lo = cross_entropy([[0.0, -800.0]], [0])
    >>> float(hi)
    0.0
    """
    p = problem_of(
        logits,
        target,
        weight=weight,
        ignore_index=ignore_index,
        reduction=reduction,
        label_smoothing=label_smoothing,
    )
    quantity = "loss" if reduction == "none" else "cost"
    return Exact(p).evaluate([quantity])[quantity]


def cross_entropy_grad(
    logits: Any,
    target: Any,
    *,
    weight: Any = None,
    ignore_index: int = NO_IGNORE,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    upstream: Any = 1.0,
) -> Pair:
    """Exact dC/dlogits with the options, shapes and conventions of `reference.cross_entropy_grad`, as a pair (hi, lo).

    Raises ShapeError, DtypeError or TargetError like it.

    >>> hi, lo = cross_entropy_grad([[0.0, 0.0]], [1])
    >>> hi.tolist()
    [[0.5, -0.5]]
    """
    p = problem_of(
        logits,
        target,
        weight=weight,
        ignore_index=ignore_index,
        reduction=reduction,
        label_smoothing=label_smoothing,
        upstream=upstream,
    )
    return Exact(p).evaluate(["dC/dz"])["dC/dz"]
