"""Comparing the texts of baselines: grades where runs gave several, and what is wrong with a run as a whole."""

from __future__ import annotations

import pytest

from xentcheck.reports.baselines.baseline import Baseline
from xentcheck.reports.baselines.compare import compare

HEADER = {"catalogue": ["fused", "stash", "stash-sum"]}


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        (("fused",), ("stash", "none"), ("lower", "fused", "none")),
        (("fused", "stash"), ("stash-sum",), ("lower", "stash", "stash-sum")),
        (("fused", "stash-sum"), ("stash",), ("grade", "fused or stash-sum", "stash")),
    ],
)
def test_of_several_grades_the_lowest_counts(
    before: tuple[str, ...], after: tuple[str, ...], change: tuple[str, str, str]
) -> None:
    """On either side: another one would hide that a run fell below it, or call a fall what runs did before."""
    sides = (Baseline(HEADER, {}, {"grade": {"torch/eager/cpu/bfloat16": grades}}) for grades in (before, after))
    assert [(c.kind, c.before, c.after) for c in compare(*sides).changes] == [change]


def test_each_failure_of_the_run_as_a_whole_is_told() -> None:
    """Not the first alone, which may be the one that is known."""
    failing = Baseline({}, {}, {"failure": {"partial: 1 of 2": ("",), "torch breaks the law shift": ("",)}})
    found = compare(Baseline({}, {}), failing).changes
    assert [(c.kind, c.after) for c in found] == [
        ("failure", "partial: 1 of 2"),
        ("failure", "torch breaks the law shift"),
    ]
