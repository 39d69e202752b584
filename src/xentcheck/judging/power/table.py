"""The wrong answers of each quantity, found by its name, as they are made and noted by the loop over blocks of rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from xentcheck.reference.formats import Array
from xentcheck.reference.oracle import Block, Exact
from xentcheck.reference.oracle.quantities import Quantity, Side

from .directions import hvp_deltas, note_jvp
from .gradients import WrongGradients, note_layer
from .measure import Power, note_deltas
from .values import cost_deltas, loss_deltas, note_cost, note_losses, softmax_deltas


class Wrong(NamedTuple):
    """A row of the table.

    made: what wrong answers are made of, from a block. note: writes down the power of a comparison, from that (of all
    blocks, where the quantity is of all rows), the exact value and the bound. By default what is made is a function of
    the exact value that gives names and deltas.
    """

    made: Callable[[Exact, Block], Any]
    note: Callable[[Power, Exact, Any, Array, Any], None] = note_deltas


def spread(exact: Exact, block: Block) -> list[tuple[str, dict[str, Array]]]:
    """The wrong gradients of a layer."""
    return WrongGradients(exact, block).spread()


WRONG: dict[str, Wrong] = {
    "a": Wrong(lambda exact, block: partial(softmax_deltas, block, "a")),
    "log_a": Wrong(lambda exact, block: partial(softmax_deltas, block, "log_a")),
    "loss": Wrong(loss_deltas, note_losses),
    "cost": Wrong(cost_deltas, note_cost),
    "dC/dz": Wrong(WrongGradients, lambda power, exact, wrong, right, bound: wrong.note(power, bound)),
    **{q: Wrong(spread, partial(note_layer, q)) for q in ("dC/db", "dC/dw", "dC/da_prev")},
    "jvp": Wrong(lambda exact, block: None, note_jvp),
    "hvp": Wrong(lambda exact, block: partial(hvp_deltas, exact, block)),
}


class WrongAnswers(Side):
    """The wrong answers of each block, made once for all quantities that share them."""

    def __init__(self, exact: Exact) -> None:
        self.exact = exact

    def on(self, block: Block) -> tuple[Block, dict[Any, Any]]:
        """The block, and what is made of it."""
        return block, {}

    def found(self, q: Quantity, view: tuple[Block, dict[Any, Any]]) -> Any:
        """What the wrong answers to a quantity are made of."""
        (block, known), make = view, WRONG[q.name].made
        if make not in known:
            known[make] = make(self.exact, block)
        return known[make]

    def together(self, q: Quantity, left: list[Any]) -> list[Any]:
        """The same of all blocks."""
        return left
