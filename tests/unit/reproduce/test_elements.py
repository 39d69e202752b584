"""The worst elements that a replay shows, found block by block."""

from __future__ import annotations

import numpy as np
import pytest

from xentcheck.cases.build import build
from xentcheck.judging.metric import error_of
from xentcheck.reference.bounds import Bounds
from xentcheck.reference.bounds.contracts import CATALOGUE
from xentcheck.reference.oracle import Exact
from xentcheck.reproduce.elements import worst_elements

FUSED = CATALOGUE["fused"]


@pytest.mark.parametrize(
    "case",
    [
        "gaussian.70x5000.f32.index.w+ls.none.up-rand.contig.s0",
        "gaussian.3x4x5.f64.index.plain.mean.up-one.contig.s0",
        "gaussian.5x3k4.f32.index.plain.mean.up-one.contig.s0",
    ],
)
def test_they_are_those_of_arrays_of_the_whole(case: str) -> None:
    """Of several blocks of rows, of pixels and of a layer; one element that is wrong comes first."""
    p = build(case)
    exact = Exact(p)
    right, bounds = exact.evaluate(p.quantities), Bounds(exact, FUSED).evaluate(p.quantities)
    values = {q: np.array(pair[0], p.dtype) for q, pair in right.items()}
    last = p.quantities[-1]
    values[last][(-1,) * values[last].ndim] *= 2
    found = worst_elements(p, values, dict.fromkeys(values, FUSED), 7)
    assert list(found) == list(p.quantities)
    for q, elements in found.items():
        np.testing.assert_array_equal(Bounds(exact, FUSED).evaluate([q])[q], bounds[q])
        error = np.atleast_1d(error_of(values[q].astype(np.float64), *right[q]))
        share = np.sort((error / np.atleast_1d(bounds[q])).ravel())[::-1][:7]
        assert [e.share for e in elements] == list(share)
        for e in elements:
            numbers = values[q][e.index], right[q][0][e.index], bounds[q][e.index]
            assert (e.got, e.exact, e.bound) == tuple(map(float, numbers))
    assert found[last][0].index == tuple(n - 1 for n in values[last].shape)
    assert found[last][0].share > 1 >= found[p.quantities[0]][0].share


def test_a_result_of_another_shape_has_none() -> None:
    """Its record says why; the others are shown."""
    p = build("gaussian.5x3.f32.index.plain.mean.up-one.contig.s0")
    values = {"cost": np.zeros(2, np.float32), "dC/dz": np.zeros((5, 3), np.float32)}
    found = worst_elements(p, values, dict.fromkeys(values, FUSED), 2)
    assert list(found) == ["dC/dz"]
    assert len(found["dC/dz"]) == 2
