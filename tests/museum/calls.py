"""Class J: right at the first call only, or in memory that calls share."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from .base import GRADIENT, LAW, NO_THREAD, Array, CrossEntropy, Fault, Where, anywhere, fault
from .fused import Fused

FAULTS: list[Fault] = []


def planted(name: str, caught: frozenset[str], among: Where = anywhere) -> Any:
    """A fault in an implementation that may promise `fused`."""
    return fault(FAULTS, name, NO_THREAD, caught, among, honest="fused")


class Remembering(Fused):
    """An implementation with a memory that outlives its calls; every adapter gets a fresh one."""

    memory: ClassVar[dict[Any, Any]] = {}

    def key(self) -> bytes:
        """The logits' bytes."""
        z = self.logits
        return np.ascontiguousarray(z.detach().numpy() if hasattr(z, "detach") else z).tobytes()

    def times(self) -> int:
        """How often the gradient of these logits was asked for before."""
        self.memory[self.key()] = self.memory.get(self.key(), -1) + 1
        return int(self.memory[self.key()])


def fresh(implementation: type[CrossEntropy]) -> type[CrossEntropy]:
    """The implementation, with a memory of its own if it has one."""
    if not issubclass(implementation, Remembering):
        return implementation
    return type(implementation.__name__, (implementation,), {"memory": {}, "__doc__": implementation.__doc__})


def again(case: Any) -> bool:
    """The cases with more than one backward."""
    return bool({"twice", "thrice"} & set(case.layout))


@planted("J05-second-backward-is-zero", GRADIENT, again)
class SecondBackwardZero(Remembering):
    """The second gradient of the same logits is 0."""

    def gradient(self, upstream: Array) -> Array:
        return super().gradient(upstream) * (self.times() < 1)


@planted("J05-third-backward-is-zero", GRADIENT, lambda c: "thrice" in c.layout)
class ThirdBackwardZero(Remembering):
    """The third gradient of the same logits is 0."""

    def gradient(self, upstream: Array) -> Array:
        return super().gradient(upstream) * (self.times() < 2)


@planted("J05-backwards-add-up", GRADIENT, again)
class BackwardsAddUp(Remembering):
    """The gradient is added to what an earlier backward of the same logits returned."""

    def gradient(self, upstream: Array) -> Array:
        found = super().gradient(upstream)
        self.memory[self.key()] = found + self.memory.get(self.key(), 0)
        return self.memory[self.key()]


@planted("J05-first-upstream-is-kept", GRADIENT, again)
class FirstUpstreamKept(Remembering):
    """A later backward of the same logits uses the upstream gradient of the first."""

    def factor(self, upstream: Array) -> Array:
        return self.memory.setdefault(self.key(), super().factor(upstream))


@planted("J06-gradient-in-a-static-buffer", LAW)
class StaticGradient(Remembering):
    """Gradients of one shape share their memory."""

    def gradient(self, upstream: Array) -> Array:
        found = super().gradient(upstream)
        buffer = self.memory.setdefault(tuple(found.shape), self.xp.empty_like(found))
        buffer[...] = found
        return buffer


@planted("J06-losses-in-a-static-buffer", LAW)
class StaticLosses(Remembering):
    """Losses of one shape share their memory."""

    def value(self) -> Array:
        found = super().value()
        buffer = self.memory.setdefault(tuple(found.shape), self.xp.empty_like(found))
        buffer[...] = found
        return buffer


@planted("J06-remembered-by-shape", LAW)
class RememberedByShape(Remembering):
    """The gradient is computed once for each shape."""

    def error(self) -> Array:
        return self.memory.setdefault((tuple(self.logits.shape), self.given), super().error())


@planted("J06-losses-add-up", LAW)
class LossesAddUp(Remembering):
    """What the losses are added to is not cleared after the first call of a shape."""

    def losses(self) -> Array:
        found = super().losses()
        before = self.memory.get(tuple(found.shape), 0.0)
        self.memory[tuple(found.shape)] = found
        return found + before


@planted("J06-every-third-gradient-is-zero", LAW)
class EveryThirdGradientZero(Remembering):
    """Each third gradient is 0."""

    def gradient(self, upstream: Array) -> Array:
        self.memory["calls"] = self.memory.get("calls", 0) + 1
        return super().gradient(upstream) * (self.memory["calls"] % 3 != 0)
