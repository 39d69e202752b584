"""The museum: each planted fault is caught by the case that must kill it, and no right implementation raises an alarm.

The cases are those of the tables that `benchmarks/museum.py` derives from whole profiles, nightly, as it does the tests
that are marked so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import pytest

from xentcheck import adapters
from xentcheck.adapters.base import Adapter
from xentcheck.cases.case import Case
from xentcheck.cases.fields import SOFT
from xentcheck.cases.profiles.named import cases
from xentcheck.museum import heads, tables
from xentcheck.museum.base import BOTH, CrossEntropy
from xentcheck.museum.catalogue import MUSEUMS, RIGHTS, Planted, planted
from xentcheck.museum.fused import Fused
from xentcheck.records.findings import is_right
from xentcheck.records.record import Record
from xentcheck.reference.inputs import WIDE
from xentcheck.running.comparison import run_case
from xentcheck.running.deviations import Deviations, load
from xentcheck.running.subjects import subjects_of
from xentcheck.studies.kill_table.faults import LAW, broken_laws, side_of, sides_at, subjects_for
from xentcheck.vocabulary import DTYPES, FAILING

KILLS = tables.read(tables.KILLS)
CLOSEST = tables.read(tables.CLOSEST)
CLASSES = "ABCDEFGHIJ"

DEAR, FOURTH = "jax", 4
"""The framework that compiles every operation of every fault: by day it has each fourth of what the others have."""

needs = {
    name: pytest.mark.skipif(bool(missing), reason=missing)
    for name in MUSEUMS
    for missing in [adapters.get(name).unavailable()]
}


def each(right: bool, frameworks: Iterable[str] = MUSEUMS) -> pytest.MarkDecorator:
    """The faults, or the right implementations, of some frameworks."""
    found = [p for framework in frameworks for p in planted(framework)]
    chosen = [p for p in found if p.fault.name != "none" and is_right(p.fault.name) == right]
    dear = [p for p in chosen if p.framework == DEAR and not right]
    at_night = {p.fault.name for p in dear} - {p.fault.name for p in dear[::FOURTH]}
    return pytest.mark.parametrize(
        "of",
        [
            pytest.param(
                p,
                id=f"{p.framework}-{p.fault.name}",
                marks=[needs[p.framework]] + [pytest.mark.nightly] * (p.framework == DEAR and p.fault.name in at_night),
            )
            for p in chosen
        ],
    )


@cache
def profile(name: str) -> tuple[Case, ...]:
    """The cases of a profile, made once."""
    return tuple(cases(name))


@cache
def ids(name: str) -> frozenset[str]:
    """Their ids."""
    return frozenset(map(str, profile(name)))


def alarms(chosen: Iterable[Case], tested: Sequence[Adapter]) -> list[Record]:
    """The failing records of the main variants, known deviations apart."""
    subjects = [subjects_of(adapter, ["cpu"])[0].outcomes_only() for adapter in tested]
    deviations = Deviations(load())
    found = (deviations.apply(r) for case in chosen for r in run_case(case, subjects))
    return [r for r in found if r.outcome in FAILING]


@each(right=False)
def test_a_fault_is_caught_by_the_cases_that_must_kill_it(of: Planted) -> None:
    """The sides that are wrong are accused, and no other, whatever the implementation declares; alone this proves that
    nobody can take a check away unseen.
    """
    subjects, accused = subjects_for(of), set()
    for side, witness in KILLS[of.framework][of.fault.name].items():
        if side == LAW:
            assert witness in broken_laws(subjects, of.fault.dtype)
            accused.add(LAW)
    for witness in {w: None for s, w in KILLS[of.framework][of.fault.name].items() if s != LAW}:
        accused |= sides_at(subjects, Case.parse(witness)).keys()
    assert accused == of.fault.caught


@pytest.mark.parametrize("framework", MUSEUMS)
def test_the_table_has_every_fault_and_cases_of_the_profiles_only(framework: str) -> None:
    """All faults, none that is gone; each case is in `full`; `quick` has those of at least 90 % of the faults."""
    faults = {p.fault.name: p.fault for p in planted(framework) if not is_right(p.fault.name)}
    table = KILLS[framework]
    assert table.keys() == faults.keys()
    assert {name: row.keys() for name, row in table.items()} == {name: set(f.caught) for name, f in faults.items()}
    witnesses = {name: {w for side, w in row.items() if side != LAW} for name, row in table.items()}
    assert set().union(*witnesses.values()) <= ids("full")
    assert sum(found <= ids("quick") for found in witnesses.values()) >= 0.9 * len(table)
    for kind in "HIJ":
        new = [found <= ids("quick") for name, found in witnesses.items() if name.startswith(kind)]
        assert sum(new) >= 0.9 * len(new)


@each(right=True)
def test_a_right_implementation_is_silent_where_it_comes_closest_to_an_alarm(of: Planted) -> None:
    """With nothing declared, in all of its dtypes, where most of a bound is used up on whole profiles."""
    chosen = [Case.parse(text) for text in CLOSEST[of.framework][of.fault.name]]
    assert {case.dtype for case in chosen} == set(of.fault.implementation.dtypes or DTYPES)
    assert alarms(chosen, [of.adapter()]) == []


@pytest.mark.parametrize("framework", MUSEUMS)
def test_the_table_of_the_right_ones_is_complete(framework: str) -> None:
    """Every right implementation, in cases of the profiles."""
    assert CLOSEST[framework].keys() == {f.name for f in RIGHTS[framework]}
    assert {case for row in CLOSEST[framework].values() for case in row} <= ids("full")


def test_the_museum_is_large_enough() -> None:
    """Faults of one size, dtype, value or call; right implementations; every class on both sides."""
    for framework in ("numpy", "torch"):
        assert sum(p.fault.name[0] in "HIJ" for p in planted(framework)) >= 40
    assert len({f.name for framework in RIGHTS for f in RIGHTS[framework]}) >= 30
    caught = {(p.fault.name[0], side) for framework in MUSEUMS for p in planted(framework) for side in p.fault.caught}
    assert {(letter, side) for letter in CLASSES for side in BOTH} <= caught


RIGHT_ONES: dict[str, list[Any]] = {
    "plain": [(CrossEntropy, None), (CrossEntropy, "fused")],
    "fused": [(Fused, "fused")],
}


@pytest.mark.parametrize("dtype", WIDE)
@pytest.mark.parametrize(
    "framework",
    [pytest.param(name, marks=[needs[name], *([] if name == "numpy" else [pytest.mark.nightly])]) for name in MUSEUMS],
)
def test_what_the_faults_are_planted_in_raises_no_alarm(framework: str, dtype: str) -> None:
    """It is right, under every contract that a fault is judged by."""
    tested = [MUSEUMS[framework].adapter(*pair) for pairs in RIGHT_ONES.values() for pair in pairs]
    assert alarms([c for c in profile("quick") if c.dtype == dtype and not c.inputs], tested) == []


@pytest.mark.nightly
@pytest.mark.parametrize("framework", [pytest.param(name, marks=needs[name]) for name in ("numpy", "torch")])
def test_a_last_layer_without_a_fault_raises_no_alarm(framework: str) -> None:
    """The adapter of the last layer's faults is right as long as nothing is changed."""
    layers = [case for case in profile("quick") if case.inputs and not case.hidden]
    assert alarms(layers, [heads.adapter(framework, heads.right)]) == []


@pytest.mark.nightly
@each(right=False)
def test_a_fault_is_accused_on_no_other_side(of: Planted) -> None:
    """On all cases of `quick` that are there for it; what accuses it is in the table."""
    chosen = [c for c in profile("quick") if of.meets(c) and of.fault.among(c)]
    found = {
        side_of(r)
        for subject in subjects_for(of)
        for c in chosen
        for r in run_case(c, [subject])
        if r.outcome in FAILING
    }
    assert LAW in of.fault.caught or found <= of.fault.caught


@pytest.mark.parametrize("name", ["D44-targets-clipped", "D44-negative-entries-masked"])
def test_only_target_rows_outside_of_0_to_1_show_that_they_are_changed(name: str) -> None:
    """Such rows, and no other case on logits of their shape."""
    adapter = next(p for p in planted("numpy") if p.fault.name == name).adapter()
    chosen = [c for c in profile("quick") if c.dtype == "float32" and c.shape == (5, 10) and c.target in SOFT]
    signed = [c for c in chosen if c.target == "signed" and not c.inputs]
    assert {side_of(r) for r in alarms(signed, [adapter])} == BOTH
    assert alarms([c for c in chosen if c not in signed and not c.inputs], [adapter]) == []
