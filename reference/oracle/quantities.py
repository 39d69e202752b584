"""The table of quantities: what each is in a block of rows, how far it may be missed, and what is of all rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import EllipsisType
from typing import Any, NamedTuple

import numpy as np

from xentcheck.reference.formats import Array
from xentcheck.reference.numbers.backends import Number
from xentcheck.reference.problem import Problem
from xentcheck.reference.rows import from_rows, to_rows

from .block import Block

BY_CLASS, BY_ROW, WHOLE = "by class", "by row", "whole"
"""What a quantity has a number for: each class of each row, each row, or the problem as a whole."""


@dataclass(frozen=True)
class Quantity:
    """A row of the table: what a quantity is, and how far it may be missed.

    extent: BY_CLASS, BY_ROW or WHOLE. exact: the exact numbers of a block, (n, C) or (n,); of a layer, whose rows are
    one block, whole. bound: theirs, from a block's bounds under a contract (`bounds.whole.BlockBounds`). together: for
    what is summed over rows, two functions of what `exact` and `bound` leave of each block: of the evaluation
    (`Exact`) and of a contract (`Bounds`), and of the list. reduced: its row where the problem sums over rows.
    """

    name: str
    extent: str
    exact: Callable[[Block], Any]
    bound: Callable[[Any], Any]
    together: tuple[Callable[[Any, list[Any]], Number], Callable[[Any, list[Any]], Array]] | None = None
    reduced: Quantity | None = None

    def in_rows(self, x: Array) -> Array:
        """An array of the quantity by row: (M, C), or (M,); as it is where rows have no part to themselves."""
        if self.extent == WHOLE:
            return x
        return to_rows(x) if self.extent == BY_CLASS else x.reshape(-1)

    def shape(self, p: Problem) -> tuple[int, ...]:
        """Its shape in a problem."""
        shapes = {BY_CLASS: p.logits_shape, BY_ROW: p.loss_shape}
        return shapes.get(self.extent) or p.shapes.get(self.name, ())

    def joined(self, parts: list[Array], p: Problem) -> Array:
        """What was found of all blocks, in the quantity's shape."""
        if self.extent == WHOLE:
            return np.asarray(parts[0])
        rows = np.concatenate(parts) if parts else np.zeros(0)
        return np.asarray(from_rows(rows, p.logits_shape) if self.extent == BY_CLASS else rows.reshape(p.loss_shape))

    def index(self, p: Problem, position: int) -> tuple[int, ...]:
        """The index, in the quantity's own shape, of a position in row form."""
        if self.extent != BY_CLASS:
            shape = self.shape(p)
            return tuple(int(i) for i in np.unravel_index(position, shape)) if shape else ()
        row, label = divmod(position, p.classes)
        where = [int(i) for i in np.unravel_index(row, p.loss_shape)] if p.loss_shape else []
        return (*where[:1], label, *where[1:])


def _losses(block: Block) -> Number:
    return block.softmax.backend.scale(*block.loss)


def _of_layer(name: str) -> Quantity:
    return Quantity(name, WHOLE, lambda block: block.layer[name], lambda bounds: bounds.layer[name])


QUANTITIES: dict[str, Quantity] = {
    q.name: q
    for q in (
        Quantity("a", BY_CLASS, Block.a, lambda bounds: bounds.rows.softmax()),
        Quantity("log_a", BY_CLASS, Block.log_a, lambda bounds: bounds.rows.log_softmax()),
        Quantity("loss", BY_ROW, _losses, lambda bounds: bounds.rows.loss.output),
        Quantity(
            "cost",
            WHOLE,
            lambda block: block.loss,
            lambda bounds: bounds.rows.loss.summed,
            (lambda exact, losses: exact.cost(losses), lambda bounds, losses: bounds.cost(losses)),
        ),
        Quantity("dC/dz", BY_CLASS, lambda block: block.gradient, lambda bounds: bounds.gradient),
        *map(_of_layer, ("dC/db", "dC/dw", "dC/da_prev")),
        Quantity(
            "jvp",
            BY_ROW,
            lambda block: block.along["jvp"],
            lambda bounds: bounds.along.output,
            reduced=Quantity(
                "jvp",
                WHOLE,
                lambda block: block.along["jvp"],
                lambda bounds: bounds.along,
                (lambda exact, rows: exact.jvp(rows), lambda bounds, rows: bounds.jvp(rows)),
            ),
        ),
        Quantity("hvp", BY_CLASS, lambda block: block.along["hvp"], lambda bounds: bounds.along.hvp),
    )
}
"""All of them by name, in the order in which they are looked at."""


def quantity_of(name: str, p: Problem) -> Quantity:
    """The row of the table that holds for a problem.

    >>> p = Problem(logits=np.zeros((2, 3)), target=np.array([0, 1]), v=np.zeros((2, 3)))
    >>> quantity_of("hvp", p).extent, quantity_of("jvp", p).extent
    ('by class', 'whole')
    """
    q = QUANTITIES[name]
    return q.reduced if q.reduced and p.reduction != "none" else q


class Side:
    """What is found by `Exact.walk`: the exact values (0), the bounds of a contract (1), or something of its own."""

    which = 0

    def on(self, block: Block) -> Any:
        """What it looks at a block by."""
        return block

    def found(self, q: Quantity, view: Any) -> Any:
        """What there is of a quantity, or what is left of it until all rows are known."""
        return (q.exact, q.bound)[self.which](view)

    def together(self, q: Quantity, left: list[Any]) -> Any:
        """What there is of it, from what is left of each block."""
        assert q.together is not None
        return q.together[self.which](self, left)


class Part(NamedTuple):
    """What each side finds of a quantity in a block, or in all of them: then there is none."""

    quantity: Quantity
    block: Block | None
    found: list[Any]

    @property
    def rows(self) -> slice | EllipsisType:
        """Where it stands in the quantity, by row."""
        return ... if self.block is None or self.quantity.extent == WHOLE else self.block.rows
