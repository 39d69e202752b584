"""The faults that can be planted in every framework, by class."""

from __future__ import annotations

from . import backward, batches, compositions, dtypes, edges, layout, reduction, targets, thresholds, values
from . import range as range_
from .base import Fault

FAULTS: list[Fault] = [
    *range_.FAULTS,
    *reduction.FAULTS,
    *targets.FAULTS,
    *backward.FAULTS,
    *layout.FAULTS,
    *compositions.FAULTS,
    *thresholds.FAULTS,
    *dtypes.FAULTS,
    *values.FAULTS,
    *edges.FAULTS,
    *batches.FAULTS,
]
