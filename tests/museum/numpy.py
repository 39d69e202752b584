"""Planted faults in NumPy: `CrossEntropy` as a function to (loss, dlogits), and faults of strides and memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from xentcheck.adapters import from_numpy
from xentcheck.adapters.base import Adapter

from . import calls, everywhere
from .base import BOTH, GRADIENT, NO_THREAD, Array, CrossEntropy, Fault, fault

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


@fault(FAULTS, "E53-weights-scaled-in-place", NO_THREAD, BOTH, lambda c: "w" in c.options and c.reduction == "mean")
class WeightsScaledInPlace(CrossEntropy):
    """Backward returns the right gradient, and leaves the caller's class weights twice as large."""

    def gradient(self, upstream: Array) -> Array:
        found = super().gradient(upstream)
        if self.weight is not None:
            self.weight *= 2
        return found


@fault(FAULTS, "E53-labels-masked-in-place", NO_THREAD, BOTH, lambda c: "ign" in c.options and c.target == "index")
class LabelsMaskedInPlace(CrossEntropy):
    """Ignored labels are 0 in the caller's memory after the call; the results are right."""

    def gradient(self, upstream: Array) -> Array:
        found = super().gradient(upstream)
        if not self.soft:
            self.target[self.target == self.ignore_index] = 0
        return found
