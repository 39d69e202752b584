"""Profiles: what their cases cover, in which shapes, and how many records a run of them has."""

from __future__ import annotations

from collections import defaultdict
from itertools import product

import pytest

from xentcheck.cases.case import Case, quantities_of
from xentcheck.cases.families import FAMILIES, LOGIT_FAMILIES
from xentcheck.cases.fields import LAYOUTS, OPTIONS, TARGETS, UPSTREAMS
from xentcheck.cases.layer_families import ALL_LAYER_FAMILIES
from xentcheck.cases.profiles.named import cases
from xentcheck.cases.profiles.sets import OPTION_SETS, SHAPES
from xentcheck.errors import ProfileError
from xentcheck.running.comparison import planned
from xentcheck.vocabulary import DTYPES, REDUCTIONS


def test_full_contains_quick() -> None:
    """What `quick` finds, `full` finds: alone this makes both."""
    assert {str(c) for c in cases("quick")} < {str(c) for c in cases("full")}


def test_an_unknown_profile_is_refused() -> None:
    """The error names those allowed, on one line."""
    with pytest.raises(ProfileError, match=r"^unknown profile 'slow'; allowed: quick, full, deep$"):
        cases("slow")


def test_quick_covers_families_options_and_quantities() -> None:
    """Every family, option, upstream, layout, rank, dtype, reduction and quantity occurs in the quick profile."""
    found = cases("quick")
    assert {c.family for c in found} == set(LOGIT_FAMILIES) | set(ALL_LAYER_FAMILIES)
    assert {o for c in found for o in c.options} == set(OPTIONS)
    assert {c.target for c in found} == set(TARGETS)
    assert {c.upstream for c in found} == set(UPSTREAMS)
    assert {x for c in found for x in c.layout} == set(LAYOUTS)
    assert {len(c.shape) for c in found} == {1, 2, 3, 4, 5}
    for dtype in DTYPES:
        one = [c for c in found if c.dtype == dtype]
        assert {c.reduction for c in one} == set(REDUCTIONS)
        assert {q for c in one for q in quantities_of(c)} == {
            *("a", "log_a", "loss", "cost", "dC/dz", "dC/db", "dC/dw", "dC/da_prev", "jvp", "hvp")
        }


def test_shapes_do_not_depend_on_the_family() -> None:
    """One signature compiles once for all families: in full, each of the lattice has all of them."""
    families = defaultdict(set)
    for case in cases("full"):
        families[case.signature].add(case.family)
    lattice = {
        Case(family="ties", shape=SHAPES[r][o], dtype=d, target=target, options=options, reduction=r).signature
        for d, r, (o, (target, options)) in product(DTYPES, REDUCTIONS, enumerate(OPTION_SETS))
    }
    assert len(lattice) == 72
    assert all(families[signature] >= set(FAMILIES) for signature in lattice)


def test_planned_counts_what_a_run_records() -> None:
    """No subjects: nothing is planned."""
    assert planned(cases("quick"), []) == 0
