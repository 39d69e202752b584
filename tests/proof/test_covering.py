"""Covering arrays: every allowed combination occurs, by a count that shares nothing with the generator."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xentcheck.cases.profiles.arrays.covering import Pair, covering_array, feasible


def missing(
    rows: list[dict[str, Any]], factors: dict[str, tuple[Any, ...]], forbidden: list[Pair], strength: int
) -> list[dict[str, Any]]:
    """The combinations of levels, without a forbidden pair, that no row has."""
    found = []
    for names in combinations(factors, strength):
        there = {tuple(row[n] for n in names) for row in rows}
        for levels in product(*(factors[n] for n in names)):
            part = dict(zip(names, levels, strict=True))
            if levels not in there and feasible(part, forbidden):
                found.append(part)
    return found


@st.composite
def models(draw: Any) -> tuple[dict[str, tuple[int, ...]], list[Pair], int, dict[str, tuple[int, ...]]]:
    """Factors, forbidden pairs of levels other than the first, a strength, and a frame."""
    factors = {f"f{i}": tuple(range(draw(st.integers(1, 4)))) for i in range(draw(st.integers(3, 6)))}
    levels = [(name, level) for name, values in factors.items() for level in values[1:]]
    pairs = [frozenset(p) for p in combinations(levels, 2) if p[0][0] != p[1][0]]
    forbidden = draw(st.lists(st.sampled_from(pairs), max_size=6)) if pairs else []
    framed = draw(st.lists(st.sampled_from(sorted(factors)), unique=True))
    frame = {name: tuple(min(level, draw(st.integers(1, 3))) for level in factors[name]) for name in framed}
    return factors, forbidden, draw(st.integers(2, 3)), frame


@settings(derandomize=True, deadline=None, max_examples=150, database=None)
@given(models())
def test_every_allowed_combination_occurs_and_no_forbidden_one(model: Any) -> None:
    """Whatever the factors, the forbidden pairs and the frame: alone this draws them at random."""
    factors, forbidden, strength, frame = model
    rows = covering_array(factors, forbidden, strength, frame)
    assert missing(rows, factors, forbidden, strength) == []
    assert all(feasible(row, forbidden) and list(row) == list(factors) for row in rows)
    assert rows == covering_array(factors, forbidden, strength, frame)


def test_the_count_notices_a_missing_row() -> None:
    """Without its last row an array does not cover: each row was added for something."""
    factors = {"x": (0, 1, 2), "y": (0, 1, 2), "z": (0, 1)}
    rows = covering_array(factors, [], 2)
    assert missing(rows, factors, [], 2) == []
    assert missing(rows[:-1], factors, [], 2) != []


def test_arrays_are_small() -> None:
    """Four factors of three levels at strength 2 need 9 rows; a greedy array is within half as many again."""
    assert len(covering_array(dict.fromkeys("wxyz", (0, 1, 2)), [], 2)) <= 13


def test_a_frame_is_reused() -> None:
    """Rows with many levels of a cheap factor share the combinations of the dear ones."""
    factors = {"shape": (0, 1, 2), "kind": (0, 1), "family": tuple(range(12))}
    frame = {"shape": (0, 1, 2), "kind": (0, 1)}
    rows = covering_array(factors, [], 2, frame)
    assert len(rows) >= 36
    assert len({(r["shape"], r["kind"]) for r in rows}) == 6


def test_a_first_level_that_does_not_go_with_all_is_refused() -> None:
    """Otherwise a row could run into a dead end."""
    with pytest.raises(ValueError, match="the first level of x does not go with every level of the others"):
        covering_array({"x": (0, 1), "y": (0, 1)}, [frozenset({("x", 0), ("y", 1)})], 2)
