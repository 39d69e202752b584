"""The oracle: exact results on the very inputs that an implementation receives, as (hi, lo) float64 pairs.

One set of cancellation-free equations (`rows`, `layers`) on a backend: double-double for float64 problems
(absolute error below 2^-90 of the quantity's scale, and 2^-1074), float64 for narrower ones (below 1e-3 ULP of float32
at that scale). The scale is |value| for a, log_a, loss and dC/dz with index targets, the sum of absolute terms
elsewhere. Certified by ball arithmetic in `tests/proof/test_oracle.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

from xentcheck.errors import OracleError
from xentcheck.reference.formats import Array
from xentcheck.reference.numbers.backends import Backend, Number
from xentcheck.reference.problem import Problem
from xentcheck.reference.rows import from_rows, to_rows
from xentcheck.reference.targets import Targets

from . import layers
from .block import BLOCK, Block, Pair
from .directions import Directional
from .leaving import all_finite, leave
from .ranges import backend_for
from .rows import LIFT, RowSoftmax


class Exact:
    """Exact results of one problem, block by block; shared by all implementations that are judged on it.

    rows: (M,), True for the rows that blocks consist of; None: all of them. The denominator is that of all rows.
    """

    def __init__(self, problem: Problem, rows: Array | None = None) -> None:
        self.problem = problem
        self.chosen = slice(None) if rows is None else np.flatnonzero(rows)
        self.backend: Backend = backend_for(problem)
        self.all_targets = Targets.of(problem)
        self.targets = self.all_targets.block(self.chosen)
        with np.errstate(all="ignore"):
            self.denominator: Number = self.all_targets.denominator(self.backend)
            self.factor: Number = self.backend.array(self.targets.upstream) / self.denominator
        self.divided = bool(self.backend.sign(self.denominator) != 0)
        """Whether the denominator is not 0."""
        self.shared: dict[str, Array] = {}
        """What bounds under several contracts find of sums over all rows, by name."""

    def blocks(self) -> Iterator[Block]:
        """Row blocks in order; a layer's or network's logits come as one block."""
        B = self.backend
        _keep_freed_memory()
        if self.problem.logits is None:
            with np.errstate(all="ignore"):
                z, masked = layers.logits(B, self.problem)
                if not all_finite(np.where(masked, 0.0, B.pair(z)[0])) and self.finite_layers:
                    raise OracleError("the exact logits of the layer exceed float64; allowed: smaller a_prev, w and b")
                softmax = RowSoftmax.of_number(B, z[self.chosen], masked)
            yield Block(slice(0, len(self.targets.kept)), softmax, self.targets, self.factor, self.divided)
            return
        rows = to_rows(self.problem.logits)[self.chosen]
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
        found = layers.gradients(B, self.problem, block.gradient)
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


@cache
def _keep_freed_memory() -> None:
    """Freed arrays of a block stay with the process: else each of its arrays may be mapped page by page again.

    glibc keeps as much as twice the largest array that was freed, up to 32 MiB, and starts with 128 KiB.
    """
    np.empty(2**25 - 2**16, np.uint8)


def _join(pairs: list[Pair], shape: tuple[int, ...], rows: bool) -> Pair:
    def whole(i: int) -> NDArray[np.float64]:
        if not pairs:
            return np.zeros(shape)
        flat = np.concatenate([pair[i] for pair in pairs])
        return np.asarray(from_rows(flat, shape) if rows else flat.reshape(shape))

    return whole(0), whole(1)
