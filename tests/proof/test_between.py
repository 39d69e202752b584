"""No number of classes is far from one that is met, and values and layouts between the levels are what they say."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from xentcheck.adapters.layout import own_copy
from xentcheck.cases.build import build
from xentcheck.cases.case import Case
from xentcheck.cases.fields import SCALARS
from xentcheck.cases.profiles.between import CLASSES, between_cases
from xentcheck.cases.profiles.named import cases
from xentcheck.cases.profiles.reserved import reserved_for
from xentcheck.vocabulary import DTYPES


def plain(profile: str, dtype: str) -> list[int]:
    """The numbers of classes of a dtype's cases without any option, which all implementations have."""
    chosen = (c for c in cases(profile) if c.dtype == dtype and not (c.inputs or c.options) and c.target == "index")
    return sorted({case.classes for case in chosen if not reserved_for(case)})


def gaps(profile: str, dtype: str) -> list[tuple[int, int]]:
    """The intervals of `CLASSES` without a plain case."""
    found = plain(profile, dtype)
    return [(low, high) for low, high in CLASSES if not any(low <= c <= high for c in found)]


def test_the_next_number_of_classes_is_at_most_twice_as_large() -> None:
    """In float32 by `quick` already, up to 200000; without these cases it is up to nine times as large."""
    assert not gaps("quick", "float32")
    found = plain("quick", "float32")
    assert max(b / a for a, b in pairwise(found)) <= 2.0
    assert found[-1] > 200_000
    between = {c.classes for c in between_cases(0, "quick")}
    assert max(b / a for a, b in pairwise([c for c in found if c not in between and c > 2])) > 2.0


@pytest.mark.parametrize("dtype", DTYPES)
def test_full_draws_each_interval_anew(dtype: str) -> None:
    """Every dtype has a plain case in each, and another seed has other numbers of classes."""
    assert not gaps("full", dtype)
    first, second = ({c.classes for c in between_cases(seed, "full") if c.dtype == dtype} for seed in (0, 1))
    assert len(second - first) > len(CLASSES)


@pytest.mark.parametrize("upstream", SCALARS)
def test_scalar_upstream_gradients_are_what_they_say(upstream: str) -> None:
    """Also where float16 holds no more than 65504, and no normal number below 2^-14."""
    for dtype in ("float32", "float16"):
        p = build(Case(family="gaussian", shape=(5, 10), dtype=dtype, upstream=upstream))
        limits = (2.0**-14, 65504 / 2) if dtype == "float16" else (0.0, np.inf)
        number = SCALARS[upstream]
        assert p.upstream == np.asarray(np.clip(number, *limits) if number else 0.0, dtype)


@pytest.mark.parametrize(("option", "sentinel"), [("igntop", 9), ("ignabove", 10), ("ignminus", -1)])
def test_sentinels_lie_at_the_end_of_the_classes_and_beyond(option: str, sentinel: int) -> None:
    """About a third of the rows, and no other has it for its label."""
    p = build(Case(family="gaussian", shape=(64, 10), dtype="float32", options=(option,)))
    assert p.ignore_index == sentinel
    assert np.array_equal(np.flatnonzero(p.target == sentinel), np.arange(1, 63, 3))


def test_rows_of_a_padded_vocabulary_lie_in_longer_ones() -> None:
    """Their copies, too, with nan before, between and behind them; an array alone begins where its memory does."""
    p = build(Case(family="gaussian", shape=(4, 7), dtype="float32", layout=("padded",)))
    assert p.logits.strides == (48, 4)
    copy = own_copy(np.asarray(p.logits))
    assert copy.strides == (12, 1)
    assert copy.offset > 0
    assert np.isnan(copy.buffer).sum() == copy.buffer.size - 28
    assert np.isnan(copy.buffer[0])
    assert own_copy(np.zeros((4, 7))).offset == 0
