"""The oracle: exact results on the very inputs that an implementation receives, as (hi, lo) float64 pairs.

One set of cancellation-free equations (`rows`, `layers`) on a backend: double-double for float64 problems
(absolute error below 2^-90 of the quantity's scale, and 2^-1074), float64 for narrower ones (below 1e-3 ULP of float32
at that scale). The scale is |value| for a, log_a, loss and dC/dz with index targets, the sum of absolute terms
elsewhere. Certified by ball arithmetic in `tests/proof/test_oracle.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from xentcheck.errors import OracleError
from xentcheck.reference.formats import Array
from xentcheck.reference.numbers.arrays import Place, at_once, home, keep_freed_memory
from xentcheck.reference.numbers.backends import FLOAT64, Backend, Number
from xentcheck.reference.problem import Problem
from xentcheck.reference.rows import to_rows
from xentcheck.reference.targets import Targets

from . import layers
from .block import BLOCK, Block, Pair, rows_of_block
from .leaving import all_finite, leave
from .quantities import Part, Side, quantity_of
from .ranges import backend_for
from .rows import LIFT, RowSoftmax


class Exact(Side):
    """Exact results of one problem, block by block; shared by all implementations that are judged on it.

    rows: (M,), True for the rows that blocks consist of; None: all of them. The denominator is that of all rows.
    place: where (n, C) numbers of blocks are to lie, of problems that float64 is exact enough for, without a layer or
    direction: those of others lie in this machine's memory.
    """

    def __init__(self, problem: Problem, rows: Array | None = None, place: Place = home) -> None:
        self.problem = problem
        self.chosen = slice(None) if rows is None else np.flatnonzero(rows)
        self.backend: Backend = backend_for(problem)
        plain = self.backend.name == FLOAT64.name and problem.logits is not None and problem.v is None
        self.place = place if plain else home
        self.all_targets = Targets.of(problem)
        self.targets = self.all_targets.block(self.chosen)
        with np.errstate(all="ignore"):
            self.denominator: Number = self.all_targets.denominator(self.backend)
            self.factor: Number = self.backend.array(self.targets.upstream) / self.denominator
        self.divisor = float(self.backend.pair(self.denominator)[0])
        """The denominator in float64."""
        self.divided = bool(self.backend.sign(self.denominator) != 0)
        """Whether the denominator is not 0."""
        self.shared: dict[str, Array] = {}
        """What bounds under several contracts find of sums over all rows, by name."""

    def blocks(self) -> Iterator[Block]:
        """Row blocks in order; a layer's or network's logits come as one block."""
        B, p = self.backend, self.problem
        keep_freed_memory()
        if p.logits is None:
            with np.errstate(all="ignore"):
                z, masked = layers.logits(B, p)
                if not all_finite(np.where(masked, 0.0, B.pair(z)[0])) and layers.all_given_finite(p):
                    raise OracleError("the exact logits of the layer exceed float64; allowed: smaller a_prev, w and b")
                softmax = RowSoftmax.of_number(B, z[self.chosen], masked)
            every = slice(0, len(self.targets.kept))
            yield Block(p, self.chosen, every, softmax, self.targets, self.factor, self.divided)
            return
        rows = to_rows(p.logits)[self.chosen]
        step = rows_of_block(at_once(self.place(rows[:0]), BLOCK), rows.shape[1])
        for start in range(0, len(rows), step):
            part = slice(start, min(start + step, len(rows)))
            chosen = part if isinstance(self.chosen, slice) else self.chosen[part]
            with np.errstate(all="ignore"):
                softmax = RowSoftmax.of_logits(B, self.place(rows[part]).astype(np.float64))
            targets = self.targets.block(part, self.place)
            yield Block(p, chosen, part, softmax, targets, self.factor[part], self.divided, self.place)

    def walk(
        self, wanted: Iterable[str], sides: Sequence[Side], told: Callable[[int], object] = lambda rows: None
    ) -> Iterator[Part]:
        """What each side finds of every quantity that is wanted, and of no other: block by block, and at the end of
        all rows. What is seen of one block is gone before the next is made.

        told: called with the number of rows of each block that is done.
        """
        chosen = [quantity_of(name, self.problem) for name in dict.fromkeys(wanted)]
        left: dict[str, list[list[Any]]] = {q.name: [[] for _ in sides] for q in chosen if q.together}
        for block in self.blocks():
            views = [side.on(block) for side in sides]
            for q in chosen:
                if not q.together:
                    yield Part(q, block, [side.found(q, view) for side, view in zip(sides, views, strict=True)])
                    continue
                for i, side in enumerate(sides):
                    left[q.name][i].append(side.found(q, views[i]))
            views.clear()
            told(len(block.targets.kept))
        for q in chosen:
            if q.together:
                yield Part(q, None, [side.together(q, x) for side, x in zip(sides, left[q.name], strict=True)])

    def evaluate(self, quantities: Iterable[str]) -> dict[str, Pair]:
        """The quantities asked for, whole, in the shapes of the problem."""
        p, parts = self.problem, {q: list[Pair]() for q in quantities}
        with np.errstate(all="ignore"):
            for q, _, (number,) in self.walk(parts, [self]):
                parts[q.name].append(self.backend.pair(number))
        joined = {name: quantity_of(name, p).joined for name in parts}
        return {q: (joined[q]([hi for hi, _ in x], p), joined[q]([lo for _, lo in x], p)) for q, x in parts.items()}

    def cost(self, losses: list[tuple[Number, Array]]) -> Number:
        """The reduced cost from the rows' losses: their sum over the denominator, without overflow on the way."""
        B = self.backend
        numbers = B.concatenate([number for number, _ in losses])
        k = np.concatenate([k for _, k in losses] or [np.zeros(0, int)])
        top = int(k.max(initial=-LIFT, where=B.sign(numbers) != 0))
        finite = B.finite(numbers)
        if not finite.all():
            plain = np.where(finite, 0.0, B.pair(numbers)[0]).sum()
            return B.array(plain / self.divisor)
        cost = B.sum(B.scale(numbers, k - top)) / self.denominator
        return B.scale(leave(B, "cost", cost, not self.divided), top)

    def jvp(self, rows: list[Number]) -> Number:
        """jvp as an output, of those of all rows: reduced like the loss."""
        B = self.backend
        numbers = B.concatenate(rows)
        undefined = not (self.divided and B.finite(numbers).all())
        return leave(B, "jvp", B.sum(numbers) / self.denominator, undefined)
