"""What a problem needs of an implementation beside its options: rows of probabilities that may not add up to 1."""

from __future__ import annotations

import numpy as np
import pytest

from xentcheck.adapters.needs import adds_up_to_1
from xentcheck.reference.problem import Problem


@pytest.mark.parametrize(("second", "found"), [(0.5, True), (0.495, True), (0.25, False), (0.75, False)])
def test_rows_add_up_to_1_if_each_of_them_does(second: float, found: bool) -> None:
    """But for the rounding of entries: whoever takes such rows alone is not asked for others."""
    p = Problem(logits=np.zeros((2, 3)), target=np.array([[0.5, 0.5, 0.0], [0.25, 0.25, second]]))
    assert adds_up_to_1(p) == found
