"""The height of sums over classes: graded by partial sums, on rows that few of them round to one side."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from xentcheck import adapters
from xentcheck.adapters.base import Adapter
from xentcheck.reference.formats import Array
from xentcheck.running.subjects import Subject
from xentcheck.studies.heights import LADDER, Height, heights, held_to, rows

SIZES = (1003, 4096)

RUNGS = [name for name, _ in LADDER]


def function(total: Callable[[Array], Array]) -> Callable[..., tuple[Array, Array]]:
    """A loss per row and its gradient, with a sum of exponentials of one's own."""

    def loss(z: Array, y: Array, **options: Any) -> tuple[Array, Array]:
        t = z - z.max(1, keepdims=True)
        e = np.exp(t)
        s = total(e)
        g = e / s
        n = np.arange(len(y))
        g[n, y] -= 1
        return (np.log(s) - t[n, y][:, None])[:, 0], g

    return loss


def in_lanes(lanes: int) -> Callable[[Array], Array]:
    """So many running sums, added up one after another."""

    def total(e: Array) -> Array:
        padded = np.pad(e, ((0, 0), (0, -e.shape[1] % lanes)))
        return padded.reshape(len(e), -1, lanes).cumsum(1, dtype=e.dtype)[:, -1].sum(1, keepdims=True)

    return total


def found(adapter: Adapter, dtypes: tuple[str, ...] = ("float32",)) -> list[Height]:
    """The heights of an adapter on the CPU."""
    return list(heights([Subject(adapter, adapter.variants[0], "cpu", "")], dtypes, SIZES))


def handmade(total: Callable[[Array], Array]) -> Adapter:
    """The function as an adapter that declares its contract."""
    return adapters.from_numpy(function(total), name="handmade", contract="fused")


def test_one_running_sum_is_graded_below_many_partial_sums() -> None:
    """128 partial sums are within what they promise, one running sum is not within what 16 do, at either size."""
    assert RUNGS.index(held_to(found(handmade(in_lanes(128))))) <= RUNGS.index("128 partial sums")
    alone = found(handmade(in_lanes(1)))
    assert RUNGS.index(held_to(alone)) in (RUNGS.index("4 running sums"), RUNGS.index("1 running sum"))
    assert all(h.shares["16 partial sums"] > 1 for h in alone)


def test_a_sum_in_bfloat16_has_no_height() -> None:
    """It exceeds even any order."""
    coarse = found(handmade(lambda e: e.sum(1, keepdims=True).astype("bfloat16").astype(e.dtype)))
    assert held_to(coarse) == ""
    assert [h.rung for h in coarse] == ["", ""]


@pytest.mark.parametrize(("framework", "rung"), [("numpy", "1024 partial sums"), ("torch", "16 partial sums")])
def test_the_built_in_implementations_keep_what_they_declare(framework: str, rung: str) -> None:
    """NumPy adds in pairs; PyTorch in the lanes of a vector, which 128 partial sums would not cover."""
    if missing := (adapter := adapters.get(framework)).unavailable():
        pytest.skip(missing)
    here = found(adapter, ("float64", "float32"))
    assert {h.place[3] for h in here} == {"float64", "float32"}
    assert RUNGS.index(held_to(here)) >= RUNGS.index(rung)
    assert max(h.shares["4 running sums"] for h in here) <= 1.0
    assert adapter.running_sums == 4


def test_who_cannot_be_asked_has_no_height() -> None:
    """Narrow dtypes, other reductions only, and an implementation that fails."""
    assert found(handmade(in_lanes(1)), ("bfloat16", "float16")) == []
    assert found(adapters.from_numpy(function(in_lanes(1)), name="mean", reductions=["mean"])) == []

    def failing(z: Array, y: Array, **options: Any) -> tuple[Array, Array]:
        raise RuntimeError("no")

    assert found(adapters.from_numpy(failing, name="failing")) == []


def test_the_rung_of_all_sizes_is_met_by_each() -> None:
    """A share above 1 or nan at one size excludes a rung."""
    place = ("x", "eager", "cpu", "float32")
    good = dict.fromkeys(RUNGS, 0.5)
    bad = good | {RUNGS[0]: math.nan, RUNGS[1]: 1.5}
    assert held_to([Height(place, 1, good)]) == RUNGS[0]
    assert held_to([Height(place, 1, good), Height(place, 2, bad)]) == RUNGS[2]
    assert held_to([]) == ""


def test_the_rows_are_the_same_every_time_and_finite() -> None:
    """Eleven rows; a seed gives others."""
    p, again, other = rows(1003, "float32"), rows(1003, "float32"), rows(1003, "float32", 1)
    assert p.logits is not None
    assert p.logits.shape == (11, 1003)
    assert np.isfinite(p.logits).all()
    assert np.array_equal(p.logits, again.logits)
    assert not np.array_equal(p.logits, other.logits)
