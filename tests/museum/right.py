"""Right implementations in NumPy that differ in legitimate arithmetic: none of them may raise an alarm.

Each replaces one step of `Fused`: the sums over classes here, all else in `right_forms`. Out of scope, as no bound
that decides something holds for them: sums over classes one after another in bfloat16 or float16, which stagnate;
-log(softmax(z)) even in float64, which is infinite where a probability underflows; exponentials without a shift;
another shift than the maximum where there is one class only, as log(exp(t)) - t is not 0; and z - mean(z) under
automatic differentiation, which spreads the rounding error of a whole row over each of its elements.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .base import NO_THREAD, Array, Fault, anywhere
from .fused import Fused

FAULTS: list[Fault] = []
"""The right implementations, as faults that nothing may catch."""


def right(
    into: list[Fault],
    name: str,
    *,
    options: Sequence[str] | None = None,
    dtypes: Sequence[str] | None = None,
    needs: str = "",
) -> Callable[[Any], Any]:
    """Decorator that adds a right implementation; options, dtypes: what it supports, all for None; needs: a module."""

    def add(implementation: Any) -> Any:
        implementation.options, implementation.dtypes, implementation.needs = options, dtypes, needs
        into.append(Fault(f"none-{name}", NO_THREAD, frozenset(), anywhere, implementation, dtype=""))
        return implementation

    return add


@right(FAULTS, "fused")
class Plain(Fused):
    """Wide, and rounded once."""


class Summed(Fused):
    """Sums over classes in another order."""

    def total(self, e: Array) -> Array:
        """The sum over the classes: (m, 1)."""
        return e.sum(1, keepdims=True)

    def parts(self) -> tuple[Array, Array, Array]:
        t, e, _ = super().parts()
        return t, e, self.total(e)


@right(FAULTS, "reversed")
class Reversed(Summed):
    """The classes are added from the last to the first."""

    def total(self, e: Array) -> Array:
        return np.cumsum(e[:, ::-1], 1, dtype=e.dtype)[:, -1:]


@right(FAULTS, "one-after-another")
class OneAfterAnother(Summed):
    """The classes are added from the first to the last."""

    def total(self, e: Array) -> Array:
        return np.cumsum(e, 1, dtype=e.dtype)[:, -1:]


class Blocks(Summed):
    """Partial sums of blocks, added one after another."""

    block = 16

    def total(self, e: Array) -> Array:
        starts = range(0, self.classes, self.block)
        return np.cumsum(np.hstack([e[:, i : i + self.block].sum(1, keepdims=True) for i in starts]), 1)[:, -1:]


@right(FAULTS, "blocks-of-16")
class BlocksOf16(Blocks):
    """Partial sums of 16 classes."""


@right(FAULTS, "blocks-of-32")
class BlocksOf32(Blocks):
    """Partial sums of 32 classes."""

    block = 32


@right(FAULTS, "blocks-of-1024")
class BlocksOf1024(Blocks):
    """Partial sums of 1024 classes."""

    block = 1024


@right(FAULTS, "lanes")
class Lanes(Summed):
    """Eight partial sums, each of every eighth class."""

    def total(self, e: Array) -> Array:
        return np.hstack([np.cumsum(e[:, i::8], 1)[:, -1:] for i in range(min(8, self.classes))]).sum(1, keepdims=True)


@right(FAULTS, "pairwise")
class Pairwise(Summed):
    """Neighbours are added, then their sums."""

    def total(self, e: Array) -> Array:
        while e.shape[1] > 1:
            e = np.hstack([e[:, : e.shape[1] // 2 * 2 : 2] + e[:, 1::2], e[:, e.shape[1] // 2 * 2 :]])
        return e


@right(FAULTS, "ascending")
class Ascending(Summed):
    """The smallest exponentials are added first."""

    def total(self, e: Array) -> Array:
        return np.cumsum(np.sort(e, 1), 1)[:, -1:]


@right(FAULTS, "compensated-kahan")
class Kahan(Summed):
    """Compensated sums by Kahan."""

    def total(self, e: Array) -> Array:
        total, lost = np.zeros_like(e[:, 0]), np.zeros_like(e[:, 0])
        for column in e.T:
            term = column - lost
            new = total + term
            total, lost = new, (new - total) - term
        return total[:, None]


@right(FAULTS, "compensated-neumaier")
class Neumaier(Summed):
    """Compensated sums by Neumaier."""

    def total(self, e: Array) -> Array:
        total, lost = np.zeros_like(e[:, 0]), np.zeros_like(e[:, 0])
        for column in e.T:
            new = total + column
            lost = lost + np.where(total >= column, (total - new) + column, (column - new) + total)
            total = new
        return (total + lost)[:, None]


@right(FAULTS, "float64-sum")
class Float64Sum(Summed):
    """The exponentials are added in float64."""

    def total(self, e: Array) -> Array:
        return e.sum(1, keepdims=True, dtype=np.float64).astype(e.dtype)


class Online(Summed):
    """One pass over the classes, in which the running sum is rescaled when the maximum grows."""

    block = 64

    def total(self, e: Array) -> Array:
        z = self.rows(self.logits)
        m, total = np.full_like(z[:, :1], -np.inf), np.zeros_like(z[:, :1])
        for i in range(0, self.classes, self.block):
            part = z[:, i : i + self.block]
            new = np.maximum(m, part.max(1, keepdims=True))
            safe = np.where(np.isinf(new), 0, new)
            total = total * np.exp(m - safe) + np.exp(part - safe).sum(1, keepdims=True)
            m = new
        return total


@right(FAULTS, "online-blocks-of-64")
class OnlineBlocks(Online):
    """An online softmax over blocks of 64 classes."""


@right(FAULTS, "online-blocks-of-1024")
class OnlineLargeBlocks(Online):
    """An online softmax over blocks of 1024 classes."""

    block = 1024
