"""Mistakes from public reports and of newcomers, written without the causes: a run names each by its own code.

Right for all of them, and misleading for none: what fits two causes has the code of either.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from test_named_causes import named

from xentcheck.museum.base import BOTH, GRADIENT, VALUE, CrossEntropy, Fault, anywhere, options
from xentcheck.reference.formats import Array


class LogitsReturned(CrossEntropy):
    def gradient(self, upstream: Array) -> Array:
        return self.logits + 0


class AtTheLabelOnly(CrossEntropy):
    def error(self) -> Array:
        return np.where(self.q() != 0, super().error(), 0.0)


class MinusYOnly(CrossEntropy):
    def error(self) -> Array:
        return -self.q()


class SoftmaxOnly(CrossEntropy):
    def error(self) -> Array:
        return super().error() + self.q()


class MeanOverElements(CrossEntropy):
    def denominator(self) -> Array:
        return super().denominator() * self.classes


class SevenTenths(CrossEntropy):
    def factor(self, upstream: Array) -> Array:
        return super().factor(upstream) * 0.731


class FirstLogitShift(CrossEntropy):
    def shift(self, z: Array) -> Array:
        return z[:, :1]


class SoftCap(CrossEntropy):
    def rows(self, x: Array) -> Array:
        found = super().rows(x)
        return 30.0 * np.tanh(found / 30.0) if found.shape[-1] == self.classes else found


class ZLoss(CrossEntropy):
    def losses(self) -> Array:
        z = self.rows(self.logits)
        top = z.max(1)
        lse = top + np.log(np.exp(z - top[:, None]).sum(1))
        return super().losses() + np.where(self.kept(), 1e-4 * lse**2, 0.0)


class HalfPrecisionInput(CrossEntropy):
    def rows(self, x: Array) -> Array:
        found = super().rows(x)
        return found.astype("bfloat16").astype(found.dtype)


class Clipped(CrossEntropy):
    def gradient(self, upstream: Array) -> Array:
        return np.clip(super().gradient(upstream), -0.01, 0.01)


class ThreeChunks(CrossEntropy):
    def reduce(self, losses: Array) -> Array:
        if self.reduction != "mean" or self.soft or self.weight is not None or len(losses) < 3:
            return super().reduce(losses)
        kept = self.cast(self.kept())
        parts = [slice(i, i + 2) for i in range(0, len(losses), 2)]
        return np.asarray(np.mean([losses[p].sum() / kept[p].sum() for p in parts]), losses.dtype)


class RowWeight(CrossEntropy):
    def q(self) -> Array:
        if not self.soft or self.weight is None:
            return super().q()
        rows = self.rows(self.target)
        if self.smoothing:
            rows = rows * (1 - self.smoothing) + self.smoothing / self.classes
        return rows * (rows * self.weight).sum(1, keepdims=True)


class Logistic(CrossEntropy):
    def error(self) -> Array:
        a = self.a()
        return (a * super().error().sum(1, keepdims=True) + (a - self.q())) * a * (1 - a)


class Log2(CrossEntropy):
    def log_a(self) -> Array:
        return super().log_a() / np.log(np.float32(2.0))


class TwiceCorrected(CrossEntropy):
    def q(self) -> Array:
        if not self.smoothing or self.soft:
            return super().q()
        labels = np.where(self.kept(), self.labels(), 0)
        hot = (np.arange(self.classes) == labels[:, None]) * self.cast(self.kept())[:, None]
        w = self.weights()
        label = hot * w[labels][:, None] * (1 - self.smoothing * self.classes / (self.classes - 1))
        return label + self.cast(self.kept())[:, None] * w[None] * self.smoothing / self.classes


class Focal(CrossEntropy):
    def losses(self) -> Array:
        p = self.a()[np.arange(len(self.labels())), np.where(self.kept(), self.labels(), 0)]
        return super().losses() * (1 - p) ** 2


class Temperature(CrossEntropy):
    def rows(self, x: Array) -> Array:
        found = super().rows(x)
        return found / 2 if found.shape[-1] == self.classes and x is self.logits else found


class ClassZeroIgnored(CrossEntropy):
    def kept(self) -> Array:
        return super().kept() & (self.labels() != 0)


class Clamped(CrossEntropy):
    def rows(self, x: Array) -> Array:
        found = super().rows(x)
        return np.clip(found, -10, 10) if found.shape[-1] == self.classes else found


class SumOfBlocks(CrossEntropy):
    def parts(self) -> tuple[Array, Array, Array]:
        t, e, _ = super().parts()
        z = self.rows(self.logits)
        blocks = [z[:, i : i + 4] for i in range(0, z.shape[1], 4)]
        return t, e, sum(np.exp(b - b.max(1, keepdims=True)).sum(1, keepdims=True) for b in blocks)


class NotRescaled(CrossEntropy):
    def parts(self) -> tuple[Array, Array, Array]:
        t, e, _ = super().parts()
        z = self.rows(self.logits)
        running = np.maximum.accumulate(z, axis=1)
        return t, e, np.exp(z - running).sum(1, keepdims=True)


class Divergence(CrossEntropy):
    def losses(self) -> Array:
        q, w = self.q(), self.weights()
        rows = np.where(w != 0, q / np.where(w != 0, w, 1), 0)
        return super().losses() + np.where(rows > 0, q * np.log(np.where(rows > 0, rows, 1)), 0).sum(1)


class AllButTwo(CrossEntropy):
    def q(self) -> Array:
        if not self.smoothing or self.soft:
            return super().q()
        labels = np.where(self.kept(), self.labels(), 0)
        hot = np.arange(self.classes) == labels[:, None]
        spread = np.where(hot, 1 - self.smoothing, self.smoothing / max(self.classes - 2, 1))
        return (spread * self.weights() * self.cast(self.kept())[:, None]).astype(self.logits.dtype)


class LosesMass(CrossEntropy):
    def q(self) -> Array:
        if not self.smoothing or self.soft:
            return super().q()
        labels = np.where(self.kept(), self.labels(), 0)
        hot = np.arange(self.classes) == labels[:, None]
        spread = np.where(hot, 1 - self.smoothing, self.smoothing / self.classes)
        return (spread * self.weights() * self.cast(self.kept())[:, None]).astype(self.logits.dtype)


class ShiftedAgain(CrossEntropy):
    def labels(self) -> Array:
        return np.roll(super().labels(), -1)


class LabelsInBfloat16(CrossEntropy):
    def labels(self) -> Array:
        found = super().labels().astype("bfloat16").astype(np.int64)
        return np.minimum(found, self.classes - 1)


class EpsilonInTheLogarithm(CrossEntropy):
    def error(self) -> Array:
        a = self.a()
        r = self.q() * a / (a + 1e-5)
        return a * r.sum(1, keepdims=True) - r


class KeptInBfloat16(CrossEntropy):
    def error(self) -> Array:
        a = self.a().astype("bfloat16").astype(self.logits.dtype)
        return super().error() + (a - self.a()) * self.q().sum(1, keepdims=True)


MISTAKES: list[tuple[str, type[CrossEntropy], Any, Any]] = [
    ("E52", LogitsReturned, GRADIENT, anywhere),
    ("E56", AtTheLabelOnly, GRADIENT, lambda c: c.target == "index" and "ls" not in c.options),
    ("E56", MinusYOnly, GRADIENT, anywhere),
    ("E56", SoftmaxOnly, GRADIENT, anywhere),
    ("B24", MeanOverElements, BOTH, lambda c: c.reduction == "mean"),
    ("B24", SevenTenths, GRADIENT, anywhere),
    ("A01", FirstLogitShift, BOTH, anywhere),
    ("A12", SoftCap, BOTH, anywhere),
    ("D45", ZLoss, VALUE, lambda c: c.target == "index"),
    ("A10", HalfPrecisionInput, BOTH, lambda c: c.family == "gaussian" and c.target == "index"),
    ("E51", Clipped, GRADIENT, anywhere),
    ("B22", ThreeChunks, VALUE, lambda c: c.reduction == "mean"),
    ("D43", RowWeight, BOTH, lambda c: c.target == "prob" and "w" in c.options),
    ("A12", Log2, VALUE, anywhere),
    ("D40", TwiceCorrected, BOTH, options("ls")),
    ("A12", Focal, VALUE, lambda c: c.target == "index" and "ls" not in c.options),
    ("A12", Temperature, BOTH, lambda c: c.target == "index"),
    ("C34", ClassZeroIgnored, BOTH, lambda c: c.target == "index" and c.family == "gaussian"),
    ("A12", Clamped, BOTH, lambda c: c.target == "index"),
    ("A13", SumOfBlocks, BOTH, lambda c: c.family == "gaussian" and c.classes > 4),
    ("A13", NotRescaled, BOTH, lambda c: c.family == "gaussian"),
    ("D46", Divergence, VALUE, lambda c: c.target == "prob"),
    ("D40", AllButTwo, BOTH, options("ls")),
    ("D40", LosesMass, BOTH, options("ls")),
    ("F76", ShiftedAgain, BOTH, lambda c: c.target == "index" and not c.options),
    ("F76", LabelsInBfloat16, BOTH, lambda c: c.target == "index" and c.classes > 256),
    ("A04", EpsilonInTheLogarithm, GRADIENT, lambda c: c.family == "gaussian"),
    ("A10", KeptInBfloat16, GRADIENT, lambda c: c.family == "gaussian" and c.target == "index"),
]


@pytest.mark.parametrize(("code", "made", "sides", "among"), MISTAKES, ids=lambda x: getattr(x, "__name__", ""))
def test_a_common_mistake_is_named(code: str, made: type[CrossEntropy], sides: Any, among: Any) -> None:
    """By its own code, from the first failures of `quick`: alone this has mistakes that the museum does not."""
    assert named(Fault(made.__name__, "", sides, among, made)) == code
