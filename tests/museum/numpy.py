"""Planted faults in NumPy: `CrossEntropy` as a function to (loss, dlogits), and faults of strides and memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from xentcheck.adapters import from_numpy
from xentcheck.adapters.base import Adapter

from . import calls, everywhere
from .base import BOTH, GRADIENT, Array, CrossEntropy, Fault, fault

FAULTS: list[Fault] = [*everywhere.FAULTS, *calls.FAULTS]


def adapter(implementation: type[CrossEntropy], contract: str | None = None, **supported: Any) -> Adapter:
    """The adapter of an implementation; supported: its options and dtypes, all that are usual if none are named."""
    implementation = calls.fresh(implementation)

    def cross_entropy(logits: Array, target: Array, *, upstream: Any = None, **options: Any) -> tuple[Array, Array]:
        call = implementation(np, logits, target, **options)
        value = call.value()
        return value, call.gradient(np.ones_like(value) if upstream is None else upstream)

    return from_numpy(cross_entropy, name=implementation.__name__, contract=contract, **supported)


@fault(FAULTS, "F72-gradient-written-as-packed", "pytorch#75923", GRADIENT, lambda c: "trans" in c.layout)
class GradientWrittenAsPacked(CrossEntropy):
    """The output is made with the logits' strides, and written as if it were packed."""

    def gradient(self, upstream: Array) -> Array:
        out = np.empty_like(self.logits)
        np.lib.stride_tricks.as_strided(out, (out.size,), (out.itemsize,))[...] = super().gradient(upstream).ravel()
        return out


@fault(FAULTS, "F70-strides-ignored", "burn#4815", BOTH, lambda c: {"trans", "sliced"} & set(c.layout) != set())
class StridesIgnored(CrossEntropy):
    """Reads the logits' memory as if it were packed."""

    def rows(self, x: Array) -> Array:
        packed = np.empty(x.shape, x.dtype).strides
        return super().rows(np.lib.stride_tricks.as_strided(x, x.shape, packed))


@fault(FAULTS, "F70-strided-upstream-read-as-packed", "FlagGems#5723", GRADIENT, lambda c: c.upstream == "str")
class PackedUpstream(CrossEntropy):
    """Reads the upstream gradient's memory as if it were packed."""

    def factor(self, upstream: Array) -> Array:
        packed = np.empty(upstream.shape, upstream.dtype).strides
        return super().factor(np.lib.stride_tricks.as_strided(upstream, upstream.shape, packed))


@fault(FAULTS, "E53-gradient-written-into-logits", "unsloth#5002", BOTH, lambda c: c.reduction == "mean")
class GradientWrittenIntoLogits(CrossEntropy):
    """Backward returns the right gradient and leaves it in the logits' memory."""

    def gradient(self, upstream: Array) -> Array:
        self.logits[...] = super().gradient(upstream)
        return self.logits.copy()


@fault(FAULTS, "E53-shift-in-place", "Megatron-LM#1594", BOTH, lambda c: c.reduction == "mean")
class ShiftInPlace(CrossEntropy):
    """z -= max(z) on the caller's logits; the results are right."""

    def value(self) -> Array:
        z = self.logits
        z -= z.max(0 if z.ndim == 1 else 1, keepdims=True, initial=-np.inf)
        return super().value()
