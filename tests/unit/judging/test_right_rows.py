"""Right rows: which convention a result is told to fall under, and which rows are left."""

from __future__ import annotations

import numpy as np

from xentcheck.judging.right_rows import right_rows
from xentcheck.reference.problem import Problem


def test_of_several_conventions_the_first_is_told() -> None:
    """By precedence, whatever the order of the rows that they take out: all of these are out."""
    z = np.array([[np.nan, 0.0, 0.0], [1.0, 2.0, -np.inf], [0.0, -1.0, 4.0]])
    q = np.array([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.25, 0.25, 0.5]])
    found = right_rows(Problem(logits=z, target=q, reduction="none", upstream=np.ones(3)), "loss")
    assert found.convention is not None
    assert found.convention.id == "zero-times-inf"
    assert found.rows is not None
    assert found.rows.tolist() == [False, False, True]
