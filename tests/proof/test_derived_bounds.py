"""The bounds of the code against a second derivation of them, written from `docs/numerics.md`: within a factor near 1.

Pinned numbers are regenerated from the code; this module says whether they are right.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from derived.bounds import derived
from numpy.typing import NDArray
from pins import contracts, pinned_cases

from xentcheck.cases import Case
from xentcheck.cases.build import build
from xentcheck.reference.bounds import Bounds
from xentcheck.reference.bounds.contracts import CATALOGUE, Contract
from xentcheck.reference.formats import FORMATS
from xentcheck.reference.oracle import Exact
from xentcheck.vocabulary import DTYPES

FACTOR = 1.02
"""Largest ratio of the two derivations: they differ in terms of second order, which the code rounds up."""

HUGE = 1e30
"""Bounds beyond this say nothing; how they saturate is no matter."""

LARGEST = 200
"""Elements of the logits, as the second derivation is slow."""


def compared(dtype: str) -> Iterator[tuple[Case, Contract]]:
    """Every case with every third of its contracts, so that each contract meets all kinds of options and heads."""
    small = [c for c in pinned_cases(dtype) if np.prod(c.shape) <= LARGEST]
    for i, case in enumerate(small):
        for contract in contracts(case)[(i + i // 3 + DTYPES.index(dtype)) % 3 :: 3]:
            yield case, contract


def ratios(code: NDArray[np.float64], other: NDArray[np.float64], floor: float) -> NDArray[np.float64]:
    """code/other, 1 where both say nothing; `floor` is added to both, so that flushed results do not matter."""
    x, y = (np.where(np.isnan(b), HUGE, np.minimum(b, HUGE)) + floor for b in (code, other))
    return np.asarray(x / y)


@pytest.mark.parametrize("dtype", DTYPES)
def test_two_derivations_agree(dtype: str) -> None:
    """All families, heads, options, reductions and directions, in both ways: 2 s a dtype, for every term of a bound."""
    floor = 2.0 ** (-1018 if dtype == "float64" else -122)
    far, met = [], set()
    for case, contract in compared(dtype):
        p = build(case)
        exact = Exact(p)
        values = exact.evaluate(p.quantities)
        code, other = Bounds(exact, contract).evaluate(p.quantities), derived(p, contract)
        for q in p.quantities:
            defined = np.isfinite(values[q][0])
            met.add((contract.name, q))
            found = ratios(code[q][defined], other[q][defined], floor)
            if not np.all((found <= FACTOR) & (found >= 1.0 / FACTOR)):
                far.append(f"{case} {contract.name} {q}: {found.min():.4g} to {found.max():.4g}")
    assert far == []
    quantities = {"a", "log_a", "loss", "cost", "dC/dz", "dC/db", "dC/dw", "dC/da_prev", "jvp", "hvp"}
    named = {name for name, _ in met} & set(CATALOGUE)
    assert {(name, q) for name in named for q in quantities} <= met


def test_a_ratio_sees_a_bound_that_is_missing_or_infinite() -> None:
    """0, inf and nan on one side are no agreement."""
    one = np.ones(1)
    for other in (0.0, np.inf, np.nan, 1.03, 0.97):
        found = ratios(one * other, one, 2.0**-122)
        assert not np.all((found <= FACTOR) & (found >= 1.0 / FACTOR))
    assert ratios(one * np.nan, one * np.inf, 0.0) == 1.0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("contract", [c for c in CATALOGUE if c != "stable"])
def test_a_masked_class_is_no_pivot(contract: str, dtype: str) -> None:
    """A class at -inf has the gradient 0 and nothing to round: no contract but the weakest lets it be more."""
    p = build(Case(family="masked", shape=(5, 10), dtype=dtype))
    masked = np.isneginf(np.asarray(p.logits).astype(np.float64))
    limit = Bounds(Exact(p), CATALOGUE[contract]).evaluate(["dC/dz"])["dC/dz"]
    assert masked.any()
    assert np.all(limit[masked] <= FORMATS[dtype].smallest_normal)
