"""The lattice: quick meets every pair of option levels, full every three; each level really makes its difference."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from test_covering import missing

from xentcheck.cases.build import build
from xentcheck.cases.profiles.alone import alone_cases
from xentcheck.cases.profiles.arrays.beside import beside_with_options
from xentcheck.cases.profiles.arrays.lattice import FACTORS, FORBIDDEN, covering_cases, levels_of
from xentcheck.cases.profiles.arrays.shaped import beside_each_option
from xentcheck.cases.profiles.arrays.varied import varied_cases
from xentcheck.cases.profiles.between import between_cases
from xentcheck.cases.profiles.linear import linear_cases
from xentcheck.cases.profiles.named import cases
from xentcheck.cases.profiles.reduced import reduced_cases
from xentcheck.cases.profiles.reserved import tiny_cases
from xentcheck.cases.profiles.sizes import singly_sized_cases, sized_cases
from xentcheck.cases.targets import SENTINELS


@pytest.mark.parametrize("bytes_too", [True, False], ids=["all-labels", "int64-labels"])
@pytest.mark.parametrize(("profile", "strength"), [("quick", 2), ("full", 3)])
def test_a_profile_meets_every_combination(profile: str, strength: int, bytes_too: bool) -> None:
    """Counted on the levels that the cases have, not on those that they were made from; also for those that take no
    labels of one byte, which are most.
    """
    rows = [levels for case in cases(profile) if len(levels := levels_of(case)) == len(FACTORS)]
    factors = FACTORS if bytes_too else {**FACTORS, "target": ("index", "prob")}
    rows = [row for row in rows if bytes_too or row["target"] != "u8"]
    forbidden = [pair for pair in FORBIDDEN if bytes_too or ("target", "u8") not in pair]
    assert missing(rows, factors, forbidden, strength) == []


def test_a_missing_case_is_noticed() -> None:
    """Without the cases of one layout all of its pairs are missing."""
    rows = [x for case in cases("quick") if len(x := levels_of(case)) == len(FACTORS) and x["layout"] != "bcast"]
    gaps = missing(rows, FACTORS, list(FORBIDDEN), 2)
    assert {"family": "ties", "layout": "bcast"} in [dict(sorted(gap.items())) for gap in gaps]


def test_signatures_are_few() -> None:
    """What a JIT compiles for: the rows of quick's array share theirs."""
    found = covering_cases(2, 0)
    assert len(found) > 100
    assert len({case.signature for case in found}) <= 80
    tiny, linear, alone = set(tiny_cases(0)), set(linear_cases(0)), set(alone_cases(0))
    single, sized = set(singly_sized_cases(0)), set(sized_cases(0))
    uncompiled = {*varied_cases(0), *beside_each_option(0), *beside_with_options(0)}
    reserved = tiny | linear | alone | single | set(reduced_cases(0)) | uncompiled
    between = set(between_cases(0, "quick"))
    assert len({case.signature for case in between}) <= 42
    assert len({case.signature for case in cases("quick") if case not in reserved | sized | between}) <= 286
    assert len({case.signature for case in sized}) <= 100
    assert len({case.signature for case in tiny}) <= 80
    assert len({case.signature for case in linear}) <= 320
    assert len({case.signature for case in alone}) <= 160


def test_another_seed_is_another_draw_of_the_same_rows() -> None:
    """Only the seed differs, so that compilations are shared."""
    first, other = covering_cases(2, 0), covering_cases(2, 1)
    assert {c.signature for c in first} == {c.signature for c in other}
    assert not set(first) & set(other)


FOUND = [build(case) for case in covering_cases(2, 0) if case.classes <= 1000]


def some(holds: Any) -> bool:
    return any(holds(p) for p in FOUND)


@pytest.mark.parametrize("sentinel", [v for k, v in SENTINELS.items() if k in FACTORS["ignore"]])
def test_ignored_and_kept_rows_occur_under_every_sentinel(sentinel: int) -> None:
    """The option is not only named: some rows are ignored, others kept."""
    found = [p.kept for p in FOUND if p.ignore_index == sentinel and not p.probabilities]
    assert any(kept.any() and not kept.all() for kept in found)


def test_weights_are_zero_and_negative_where_they_say_so() -> None:
    """A zero meets the label of a kept row, and signs differ."""
    assert some(lambda p: p.weight is not None and (p.weight < 0).any() and (p.weight > 0).any())
    assert some(
        lambda p: (
            p.weight is not None
            and not p.probabilities
            and p.kept.any()
            and (p.weight[p.target[p.kept].astype(int)] == 0).any()
        )
    )


def test_layouts_have_their_strides() -> None:
    """Expanded with stride 0, transposed, sliced; and strided targets and upstream gradients."""
    several = [p for p in FOUND if p.logits.size and min(p.logits.shape) > 1 and p.logits.ndim > 1]
    strides = [np.array(p.logits.strides) // p.logits.itemsize for p in several]
    assert any((s == 0).any() for s in strides)
    assert any(s[0] < s[-1] for s in strides)
    assert any(s[-1] == 2 for s in strides)
    assert some(lambda p: p.target.ndim and p.target.size > 1 and not p.target.flags.c_contiguous)
    assert some(lambda p: p.upstream.size > 1 and p.upstream.strides[-1] == 0)


def test_uint8_labels_and_ranks_occur() -> None:
    """Targets of one byte, and logits of 1 to 5 axes."""
    assert some(lambda p: p.target.dtype == np.uint8 and p.target.size > 1000)
    assert {p.logits.ndim for p in FOUND} == {1, 2, 3, 4, 5}


def test_factors_and_pairs_are_those_of_the_model() -> None:
    """Twelve factors: 66 pairs of them, and no level that is named twice."""
    assert len(list(combinations(FACTORS, 2))) == 66
    assert all(len(set(levels)) == len(levels) for levels in FACTORS.values())
