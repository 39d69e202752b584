"""The right implementation of classes H to J, which promises more than its caller asks for."""

from __future__ import annotations

from typing import Any

from .base import Array, CrossEntropy


class Fused(CrossEntropy):
    """The same with every step wide, and narrow results rounded once: what the contract `fused` promises."""

    def __init__(self, xp: Any, logits: Array, target: Array, *, weight: Array | None = None, **options: Any) -> None:
        self.given = logits.dtype
        self.narrow = logits.dtype.itemsize < 4
        soft = target.ndim == logits.ndim and target.dtype == logits.dtype
        super().__init__(xp, logits, target, weight=weight, **options)
        if self.narrow:
            self.logits = self.widened(logits)
            self.target = self.widened(target) if soft else target
            self.weight = None if weight is None else self.widened(weight)

    def widened(self, x: Array) -> Array:
        """x in float32 where it is narrow."""
        return self.xp.asarray(x, dtype=self.xp.float32) if self.narrow else x

    def value(self) -> Array:
        return self.xp.asarray(super().value(), dtype=self.given)

    def gradient(self, upstream: Array) -> Array:
        return self.xp.asarray(super().gradient(self.widened(upstream)), dtype=self.given)

    @property
    def height(self) -> int:
        """m, the number of rows."""
        return int(self.rows(self.logits).shape[0])

    def columns(self) -> Array:
        """(1, C): 0 to C - 1."""
        return self.xp.arange(self.classes)[None, :]
