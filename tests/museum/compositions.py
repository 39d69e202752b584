"""Two faults in one implementation: what one of them spoils must not hide the other's."""

from __future__ import annotations

from .backward import FirstUpstream, UpstreamIgnored
from .base import BOTH, NO_THREAD, Array, Fault, fault, options
from .range import HalfSoftmax, LogOfSoftmax
from .reduction import DividesByAllRows, MeanOfChunkMeans, SumOfChunkMeans
from .targets import (
    IgnoredRowsAreSmoothed,
    IgnoredRowsKeepGradient,
    MaskInverted,
    SmoothingDropped,
    WeightsDroppedInBackward,
)

FAULTS: list[Fault] = []


@fault(FAULTS, "B20+C30-counts-and-keeps-ignored-rows", NO_THREAD, BOTH, options("ign"))
class CountsAndKeepsIgnoredRows(DividesByAllRows, IgnoredRowsKeepGradient):
    """Ignored rows are in the denominator, and keep their gradient."""


@fault(FAULTS, "D42+C31-smooths-ignored-rows-forgets-weights", NO_THREAD, BOTH, options("w", "ls", "ign"))
class SmoothsIgnoredRowsForgetsWeights(WeightsDroppedInBackward, IgnoredRowsAreSmoothed):
    """Ignored rows are smoothed; backward leaves the weights out."""


@fault(FAULTS, "A04+A10-unstable-and-half-precision", NO_THREAD, BOTH)
class UnstableAndHalfPrecision(LogOfSoftmax, HalfSoftmax):
    """The logarithm of a softmax that went through half precision, in both directions."""


@fault(FAULTS, "B22+E50-chunk-means-first-upstream", NO_THREAD, BOTH)
class ChunkMeansFirstUpstream(MeanOfChunkMeans, FirstUpstream):
    """Forward averages chunk means; backward takes upstream[0] for all rows."""


@fault(FAULTS, "B22+E50-doubled-and-upstream-ignored", NO_THREAD, BOTH)
class DoubledAndUpstreamIgnored(SumOfChunkMeans, UpstreamIgnored):
    """Twice the mean, and its gradient without the upstream gradient."""


@fault(FAULTS, "C36+D42-mask-inverted-smoothing-dropped", NO_THREAD, BOTH, options("ls", "ign"))
class MaskInvertedSmoothingDropped(SmoothingDropped, MaskInverted):
    """The inverted mask, without the smoothing."""


@fault(FAULTS, "B20+B21-mean-of-nothing-right", NO_THREAD, BOTH, options("w"))
class MeanOverRowsWithHalfWeights(DividesByAllRows):
    """The weighted mean divides by all rows, and half of each weight is lost on the way."""

    def q(self) -> Array:
        return super().q() / 2
