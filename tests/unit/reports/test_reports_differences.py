"""Who is wrong: the report names the implementation outside its bound, and says when nobody is."""

from __future__ import annotations

from samples import record

from xentcheck.records.record import Record
from xentcheck.reports.analysis.differences import NOTEWORTHY, SHOWN, differences

FAR = {"got": (0.0).hex(), "expected": (2.0**-30).hex(), "bound": (2.0**-24).hex()}


def pair(first: dict[str, object], second: dict[str, object]) -> list[Record]:
    """Two implementations on one case."""
    return [record(adapter="torch", **first), record(adapter="jax", variant="jit", **second)]


def test_the_one_outside_its_bound_is_named() -> None:
    """Two differ and one disagrees with the exact value: that one is wrong, the other is not."""
    (found,) = differences(pair({"outcome": "disagree", "share": 30.0}, {}))
    assert (found.kind, found.quantity) == ("outside", "dC/dz")
    assert found.text == "outside its bound: torch eager cpu (30 of its bound); within: jax jit cpu"


def test_the_same_number_far_from_the_exact_one() -> None:
    """All agree with each other, and none with the exact value: cancellation."""
    (found,) = differences(pair(FAR, FAR))
    assert found.kind == "all far"
    assert (found.error, found.condition) == (2.0**23, 2.0**29)
    assert found.text.startswith("torch eager cpu, jax jit cpu all return 0, the exact value is 9.3")


def test_different_numbers_within_their_bounds() -> None:
    """Nobody is wrong: the input is ill-conditioned, by so many ULPs."""
    (found,) = differences(pair(FAR, FAR | {"got": (2.0**-29).hex()}))
    assert found.kind == "ill-conditioned"
    assert found.text == "all within; in ULP: torch eager cpu 8.39e+06, jax jit cpu 8.39e+06"


def test_below_the_normal_range_a_difference_has_no_ulps() -> None:
    """Numbers there have few digits: an error of many of their units is no cancellation, a wrong one has none."""
    tiny = FAR | {"expected": (2.0**-127).hex()}
    assert differences(pair(tiny, tiny)) == ()
    assert len(differences(pair(tiny | {"expected": (2.0**-126).hex()}, FAR))) == 1
    (found,) = differences(pair(tiny | {"outcome": "disagree"}, tiny))
    assert (found.error, found.condition) == (None, None)


def test_small_differences_and_single_implementations_are_left_out() -> None:
    """Nothing to explain below a limit, between variants of one adapter, and in conventions."""
    near = FAR | {"got": (2.0**-30 * (1 + NOTEWORTHY * 2.0**-24)).hex()}
    assert differences(pair(near, near)) == ()
    assert differences([record(**FAR), record(variant="compile", **FAR)]) == ()
    assert differences(pair(FAR | {"outcome": "convention"}, FAR)) == ()


def test_the_worst_come_first_and_are_few() -> None:
    """In any order of the records."""
    wrong = [FAR | {"case": f"c{i}", "got": (2.0**-30 * (2 + i)).hex()} for i in range(2 * SHOWN)]
    records = [r for fields in wrong for r in pair(fields, fields)]
    for found in (differences(records), differences(records[::-1])):
        assert [d.case for d in found] == [f"c{i}" for i in reversed(range(SHOWN, 2 * SHOWN))]
