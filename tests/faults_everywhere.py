"""The faults that can be planted in every framework, by class."""

from __future__ import annotations

import faults_backward
import faults_layout
import faults_range
import faults_reduction
import faults_targets
from faults import Fault

FAULTS: list[Fault] = [
    *faults_range.FAULTS,
    *faults_reduction.FAULTS,
    *faults_targets.FAULTS,
    *faults_backward.FAULTS,
    *faults_layout.FAULTS,
]
