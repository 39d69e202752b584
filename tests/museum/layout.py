"""Class F: axes, tails, masks and offsets."""

from __future__ import annotations

from xentcheck.cases import Case

from .base import BOTH, GRADIENT, NO_THREAD, VALUE, Array, CrossEntropy, Fault, families, fault

FAULTS: list[Fault] = []


@fault(FAULTS, "F73-softmax-over-rows", "Flux.jl#1425", BOTH, families("gaussian"))
class SoftmaxOverRows(CrossEntropy):
    """The exponentials are summed over the batch."""

    def parts(self) -> tuple[Array, Array, Array]:
        t, e, _ = super().parts()
        return t, e, e.sum(0, keepdims=True) * self.xp.ones_like(e[:, :1])


@fault(FAULTS, "F73-class-axis-last", "tinygrad#10985", BOTH, lambda c: len(c.shape) > 2)
class ClassAxisLast(CrossEntropy):
    """(N, C, d) is flattened as if the classes came last."""

    def rows(self, x: Array) -> Array:
        return x.reshape(-1, self.classes)

    def unrows(self, x: Array) -> Array:
        return x.reshape(self.logits.shape)


@fault(FAULTS, "F74-padding-counts", "verl#2899", BOTH, families("gaussian"))
class PaddingCounts(CrossEntropy):
    """Classes are padded to a multiple of 8 with logits 0, which stay in the sum."""

    def parts(self) -> tuple[Array, Array, Array]:
        t, e, total = super().parts()
        z = self.rows(self.logits)
        return t, e, total + (-self.classes % 8) * self.xp.exp(-self.shift(z))


@fault(FAULTS, "F74-last-column-lost", "llm.c#150", BOTH, families("gaussian"))
class LastColumnLost(CrossEntropy):
    """The tail that fills no vector of 4 is left out of the sum."""

    def parts(self) -> tuple[Array, Array, Array]:
        t, e, _ = super().parts()
        return t, e, e[:, : max(self.classes // 4 * 4, 1)].sum(1, keepdims=True)


@fault(FAULTS, "F74-last-column-without-gradient", NO_THREAD, GRADIENT, families("gaussian"))
class LastColumnWithoutGradient(CrossEntropy):
    """The last column of the gradient stays 0."""

    def error(self) -> Array:
        last = self.xp.arange(self.classes) == self.classes - 1
        return self.xp.where(last[None, :], 0.0, super().error())


@fault(FAULTS, "F75-masked-classes-count", "unsloth#10616", BOTH, families("masked"))
class MaskedClassesCount(CrossEntropy):
    """Masked classes at -6, the bound of a soft cap, instead of -inf take probability."""

    def rows(self, x: Array) -> Array:
        found = super().rows(x)
        return self.xp.where(self.xp.isinf(found), -6.0, found) if x is self.logits else found


@fault(FAULTS, "F77-narrow-offset", "pytorch#190139", GRADIENT, lambda c: c.shape[0] == 64)
class NarrowOffset(CrossEntropy):
    """Rows whose offset needs more than 7 bits get no gradient, as those beyond 31 bits did."""

    def error(self) -> Array:
        found = super().error()
        offset = self.xp.arange(found.shape[0]) * self.classes
        return self.xp.where((offset > 127)[:, None], 0.0, found)


@fault(FAULTS, "F78-last-chunk-lost", "pytorch#52713", BOTH, lambda c: c.shape[0] == 5)
class LastChunkLost(CrossEntropy):
    """Rows beyond the last full chunk of 4 are not computed."""

    def q(self) -> Array:
        found = super().q()
        done = self.xp.arange(found.shape[0]) < found.shape[0] // 4 * 4
        return self.xp.where(done[:, None], found, 0.0)


def _unbatched(case: Case) -> bool:
    return len(case.shape) == 1


@fault(FAULTS, "F80-unbatched-keeps-batch-axis", "pytorch#155247", VALUE, _unbatched)
class UnbatchedKeepsBatchAxis(CrossEntropy):
    """The loss of unbatched logits has shape (1,)."""

    def reduce(self, losses: Array) -> Array:
        return losses if self.reduction == "none" else super().reduce(losses)


@fault(
    FAULTS,
    "F78-square-images-transposed",
    NO_THREAD,
    BOTH,
    lambda c: len(c.shape) == 4 and c.shape[2] == c.shape[3] and c.reduction == "none",
)
class SquareImagesTransposed(CrossEntropy):
    """The losses of a square image are transposed."""

    def value(self) -> Array:
        found = super().value()
        square = found.ndim == 3 and found.shape[1] == found.shape[2]
        return self.xp.swapaxes(found, 1, 2) if square else found

    def gradient(self, upstream: Array) -> Array:
        square = upstream.ndim == 3 and upstream.shape[1] == upstream.shape[2]
        return super().gradient(self.xp.swapaxes(upstream, 1, 2) if square else upstream)
