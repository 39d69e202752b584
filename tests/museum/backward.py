"""Class E: the upstream gradient and the backward pass."""

from __future__ import annotations

from .base import GRADIENT, NO_THREAD, Array, CrossEntropy, Fault, families, fault

FAULTS: list[Fault] = []


@fault(FAULTS, "E50-upstream-ignored", "pytorch#94226", GRADIENT, lambda c: c.upstream == "neg")
class UpstreamIgnored(CrossEntropy):
    """Backward returns the gradient of the loss without the upstream gradient."""

    def factor(self, upstream: Array) -> Array:
        return super().factor(self.xp.ones_like(upstream))


@fault(FAULTS, "E50-upstream-added", "mlpack#2360", GRADIENT, lambda c: c.upstream == "neg")
class UpstreamAdded(CrossEntropy):
    """The upstream gradient is added to a - y instead of multiplied."""

    def gradient(self, upstream: Array) -> Array:
        plain = super().gradient(self.xp.ones_like(upstream))
        return plain + upstream if upstream.ndim == 0 else plain


@fault(FAULTS, "E50-first-upstream", "aprender#2182", GRADIENT, lambda c: c.upstream == "rand")
class FirstUpstream(CrossEntropy):
    """upstream[0] for all rows."""

    def factor(self, upstream: Array) -> Array:
        return super().factor(upstream)[:1]


@fault(FAULTS, "E50-mean-upstream", NO_THREAD, GRADIENT, lambda c: c.upstream == "rand")
class MeanUpstream(CrossEntropy):
    """The mean of the upstream gradients for all rows."""

    def factor(self, upstream: Array) -> Array:
        found = super().factor(upstream)
        return found.sum() / max(len(found), 1) * self.xp.ones_like(found)


@fault(FAULTS, "E54-zero-gradient", "DirectML#739", GRADIENT, lambda c: c.reduction == "none")
class ZeroGradient(CrossEntropy):
    """Reduction none returns exact zeros."""

    def gradient(self, upstream: Array) -> Array:
        found = super().gradient(upstream)
        return self.xp.zeros_like(found) if self.reduction == "none" else found


@fault(FAULTS, "E59-gradient-of-own-shard", "ms-swift#9947", GRADIENT, families("gaussian"))
class GradientOfOwnShard(CrossEntropy):
    """Only the half of the classes that holds the label gets a gradient."""

    def error(self) -> Array:
        if self.soft:
            return super().error()
        upper = self.xp.arange(self.classes) >= self.classes // 2
        own = upper[None, :] == (self.labels() >= self.classes // 2)[:, None]
        return self.xp.where(own, super().error(), 0.0)
