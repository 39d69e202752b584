"""Class B: normaliser and reduction."""

from __future__ import annotations

from .base import BOTH, GRADIENT, VALUE, Array, CrossEntropy, Fault, families, fault, options

FAULTS: list[Fault] = []


@fault(FAULTS, "B20-divides-by-all-rows", "TransformerEngine#2476", BOTH, options("ign"))
class DividesByAllRows(CrossEntropy):
    """The mean divides by N, ignored rows included."""

    def denominator(self) -> Array:
        return self.cast(self.rows(self.logits).shape[0])


@fault(FAULTS, "B20-backward-divides-by-all-rows", "Paddle#76033", GRADIENT, options("ign"))
class BackwardDividesByAllRows(CrossEntropy):
    """Forward divides by the kept rows, backward by all of them."""

    def factor(self, upstream: Array) -> Array:
        up = upstream.reshape(-1)
        return up / self.rows(self.logits).shape[0] if self.reduction == "mean" else up


@fault(FAULTS, "B21-divides-by-kept-rows", "iree#24228", BOTH, options("w"))
class DividesByKeptRows(CrossEntropy):
    """The weighted mean divides by the number of kept rows instead of their weights."""

    def denominator(self) -> Array:
        return super().denominator() if self.soft else self.cast(self.kept()).sum()


@fault(FAULTS, "B21-sums-all-weights", "pytorch#69511", BOTH, options("w", "ign"))
class SumsAllWeights(CrossEntropy):
    """The denominator takes the weight of class 0 for ignored rows."""

    def denominator(self) -> Array:
        if self.soft:
            return super().denominator()
        return super().denominator() + self.cast(~self.kept()).sum() * self.weights()[0]


@fault(FAULTS, "B21-sum-instead-of-mean", "scikit-learn#17694", BOTH, options("w"))
class SumInsteadOfMean(CrossEntropy):
    """The mean is not divided at all."""

    def denominator(self) -> Array:
        return self.cast(1.0)


@fault(FAULTS, "B22-mean-of-chunk-means", "transformers#34191", VALUE, lambda c: c.reduction == "mean")
class MeanOfChunkMeans(CrossEntropy):
    """The mean of the means of two chunks of unequal size."""

    def reduce(self, losses: Array) -> Array:
        if self.reduction != "mean" or self.soft or self.weight is not None or len(losses) < 2:
            return super().reduce(losses)
        kept, half = self.cast(self.kept()), len(losses) // 2
        return (losses[:half].sum() / kept[:half].sum() + losses[half:].sum() / kept[half:].sum()) / 2


@fault(FAULTS, "B22-sum-of-chunk-means", "Automodel#3803", BOTH, lambda c: c.reduction == "mean")
class SumOfChunkMeans(CrossEntropy):
    """Two chunks are each divided by their own rows and added: twice the mean."""

    def denominator(self) -> Array:
        return super().denominator() / 2


@fault(FAULTS, "B23-backward-always-divides", "aprender#2182", GRADIENT, lambda c: c.reduction != "mean")
class BackwardAlwaysDivides(CrossEntropy):
    """Backward divides by N for every reduction."""

    def factor(self, upstream: Array) -> Array:
        return super().factor(upstream) / (1 if self.reduction == "mean" else max(self.rows(self.logits).shape[0], 1))


@fault(FAULTS, "B23-normalisation-skipped", "mxnet#5981", GRADIENT, lambda c: c.target == "prob")
class NormalisationSkipped(CrossEntropy):
    """Backward does not divide where targets are probabilities."""

    def factor(self, upstream: Array) -> Array:
        return upstream.reshape(-1) if self.soft else super().factor(upstream)


@fault(FAULTS, "B24-divided-twice", "mxnet#2231", GRADIENT, lambda c: len(c.shape) > 2)
class DividedTwice(CrossEntropy):
    """Backward divides by the spatial size once more."""

    def factor(self, upstream: Array) -> Array:
        return super().factor(upstream) / (self.logits.shape[2] if self.logits.ndim > 2 else 1)


@fault(FAULTS, "B24-shards-counted-twice", "Megatron-LM#7452", VALUE, families("gaussian"))
class ShardsCountedTwice(CrossEntropy):
    """The sum of exponentials over two shards that each hold all classes: the loss is log 2 too large."""

    def log_a(self) -> Array:
        t, _, total = self.parts()
        return t - self.xp.log(2 * total)


@fault(
    FAULTS, "B26-none-returns-sum", "Liger-Kernel#421", VALUE, lambda c: c.reduction == "none" and c.upstream == "one"
)
class NoneReturnsSum(CrossEntropy):
    """Reduction none returns a scalar."""

    def reduce(self, losses: Array) -> Array:
        return losses.sum() if self.reduction == "none" else super().reduce(losses)
