"""Planted faults in PyTorch: `CrossEntropy` as an autograd function, and faults of autograd, strides and memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from xentcheck.adapters import from_torch
from xentcheck.adapters.base import Adapter
from xentcheck.vocabulary import OPTIONS, RARE_OPTIONS

from . import calls, everywhere
from .base import BOTH, ERROR, GRADIENT, NO_THREAD, Array, CrossEntropy, Fault, fault

SHAPES = ("B26-none-returns-sum", "F80-unbatched-keeps-batch-axis")
"""A loss of another shape than the upstream gradient is refused before any number can be judged."""

FAULTS: list[Fault] = [replace(f, caught=ERROR) if f.name in SHAPES else f for f in (*everywhere.FAULTS, *calls.FAULTS)]


def adapter(implementation: type[CrossEntropy], contract: str | None = None) -> Adapter:
    """The adapter of an implementation; PyTorch is imported by its first call."""
    implementation = calls.fresh(implementation)

    def cross_entropy(input: Array, target: Array, **options: Any) -> Array:
        import torch

        base: Any = torch.autograd.Function

        class Loss(base):  # type: ignore[misc]  # PyTorch need not be installed where types are checked
            @staticmethod
            def forward(ctx: Any, logits: Array) -> Array:
                ctx.call = implementation(torch, logits, target, **options)
                return ctx.call.value()

            @staticmethod
            def backward(ctx: Any, upstream: Array) -> Array:
                return ctx.call.gradient(upstream)

        apply: Any = Loss.apply
        return apply(input)

    first_order = set(OPTIONS) - {"second_order", *RARE_OPTIONS}
    name = implementation.__name__
    return from_torch(cross_entropy, name=name, contract=contract, devices=["cpu"], options=first_order)


@fault(FAULTS, "E53-saved-gradient-scaled-in-place", "quack#209", GRADIENT, lambda c: "twice" in c.layout)
class SavedGradientScaledInPlace(CrossEntropy):
    """Forward saves the gradient, backward multiplies it in place: the second backward is wrong."""

    def value(self) -> Array:
        self.saved = super().gradient(self.xp.ones_like(super().value()))
        return super().value()

    def gradient(self, upstream: Array) -> Array:
        self.saved *= upstream.reshape(-1, *[1] * (self.logits.ndim - 1)) if upstream.ndim == 1 else upstream
        return self.saved.clone()


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


@fault(FAULTS, "F72-gradient-written-as-packed", "pytorch#75923", GRADIENT, lambda c: "trans" in c.layout)
class GradientWrittenAsPacked(CrossEntropy):
    """The output is made with the logits' strides, and written as if it were packed."""

    def gradient(self, upstream: Array) -> Array:
        out = self.xp.empty_like(self.logits)
        out.as_strided((out.numel(),), (1,)).copy_(super().gradient(upstream).reshape(-1))
        return out


@fault(FAULTS, "F70-strides-ignored", "mlx#657", BOTH, lambda c: {"trans", "sliced"} & set(c.layout) != set())
class StridesIgnored(CrossEntropy):
    """Reads the logits' memory as if it were packed."""

    def rows(self, x: Array) -> Array:
        packed = x.new_empty(x.shape, device="meta").stride()
        return super().rows(self.xp.as_strided(x, x.shape, packed))


@fault(FAULTS, "F70-saved-softmax-read-as-packed", "pytorch#139740", GRADIENT, lambda c: "trans" in c.layout)
class SavedSoftmaxReadAsPacked(CrossEntropy):
    """Backward reads the logits' memory as if it were packed; forward is right."""

    def gradient(self, upstream: Array) -> Array:
        self.logits = self.xp.as_strided(self.logits, self.logits.shape, self.logits.contiguous().stride())
        return super().gradient(upstream)


@fault(FAULTS, "F70-upstream-read-as-packed", "Torch-FL#171", GRADIENT, lambda c: c.upstream in ("str", "exp"))
class UpstreamReadAsPacked(CrossEntropy):
    """Reads a strided or expanded upstream gradient's memory as if it were packed."""

    def factor(self, upstream: Array) -> Array:
        memory = upstream.untyped_storage()
        if upstream.ndim == 1 and memory.nbytes() >= len(upstream) * upstream.itemsize:
            upstream = upstream.new_empty(0).set_(memory, 0, (len(upstream),), (1,))
        return super().factor(upstream)
