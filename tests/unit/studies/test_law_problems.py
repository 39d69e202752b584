"""What laws ask about: numbers that stay exact where a law moves them."""

from __future__ import annotations

import numpy as np
import pytest

from xentcheck.studies.related import SHAPE, SHIFT, base
from xentcheck.studies.ways.options import PIXELS, soft_rows, with_options, with_pixels
from xentcheck.vocabulary import DTYPES


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_shift_of_the_logits_is_exact(dtype: str) -> None:
    """They are multiples of so much that each dtype holds them beside 64, and of both signs, with several values."""
    p = base(dtype)
    for z in (np.asarray(p.logits), *(np.asarray(with_pixels(p, shape).logits) for shape in PIXELS)):
        moved = (z + np.asarray(SHIFT, dtype)).astype(dtype)
        assert np.array_equal(moved.astype(np.float64) - SHIFT, z.astype(np.float64))
        assert float(z.min()) < 0 < float(z.max())
        assert len(np.unique(z.astype(np.float64))) > 4


def test_each_option_is_asked_alone_and_with_others() -> None:
    """Weights, smoothing, rows of probabilities and ignored rows, once each by themselves."""
    problems = with_options(base("float32"), labels=True)
    kinds = [
        (p.weight is not None, bool(p.label_smoothing), p.probabilities, not p.probabilities and not p.kept.all())
        for p in problems
    ]
    assert {sum(kind) for kind in kinds} == {0, 1, 2, 3}
    assert {kind.index(True) for kind in kinds if sum(kind) == 1} == {0, 1, 2, 3}
    rows = soft_rows(base("float32"))
    assert rows.shape == SHAPE
    assert np.array_equal(rows.sum(1), np.ones(SHAPE[0]))
    assert sorted(set(rows.ravel().tolist())) == [0.0, 0.5]
