"""The faults that can be planted in every framework, by class."""

from __future__ import annotations

from . import backward, compositions, layout, reduction, targets
from . import range as range_
from .base import Fault

FAULTS: list[Fault] = [
    *range_.FAULTS,
    *reduction.FAULTS,
    *targets.FAULTS,
    *backward.FAULTS,
    *layout.FAULTS,
    *compositions.FAULTS,
]
