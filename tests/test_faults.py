"""The museum of planted faults: the quick profile catches each of them on the side that is wrong, and on no other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from xentcheck import adapters
from xentcheck.adapters.base import Adapter
from xentcheck.cases import Case
from xentcheck.museum import along, heads
from xentcheck.museum import jax as jax_museum
from xentcheck.museum import numpy as numpy_museum
from xentcheck.museum import torch as torch_museum
from xentcheck.museum.base import BOTH, ERROR, CrossEntropy, Fault
from xentcheck.profiles import cases
from xentcheck.reference.inputs import WIDE
from xentcheck.reports.record import Record
from xentcheck.runner import run_case
from xentcheck.subjects import subjects_of
from xentcheck.vocabulary import FAILING, VALUES

QUICK = cases("quick")
LOGITS = [case for case in QUICK if not case.inputs]
LAYERS = [case for case in QUICK if case.inputs and not case.hidden]

needs = {
    name: pytest.mark.skipif(bool(missing), reason=missing)
    for name in adapters.built_in()
    for missing in [adapters.get(name).unavailable()]
}


def each(faults: Iterable[Fault]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("fault", [pytest.param(f, id=f.name) for f in faults])


def alarms(chosen: Sequence[Case], tested: Sequence[Adapter]) -> Iterable[Record]:
    """The failing records of the main variants, in the order of the cases."""
    subjects = [subjects_of(adapter)[0] for adapter in tested]
    return (r for case in chosen for r in run_case(case, subjects) if r.outcome in FAILING)


def side(record: Record) -> str:
    """Which side of the implementation a failing record accuses: `value`, `gradient`, or `error` where it raised."""
    if record.outcome != "disagree":
        return record.outcome
    return "value" if record.quantity in VALUES else "gradient"


def sides(fault: Fault, chosen: Sequence[Case], adapter: Adapter) -> set[str]:
    """The sides that raise an alarm among the cases for a fault; the rest is not run once nothing can be added."""
    found: set[str] = set()
    for record in alarms([c for c in chosen if c.dtype == fault.dtype and fault.among(c)], [adapter]):
        found.add(side(record))
        if found >= BOTH or found >= ERROR:
            break
    return found


@each(numpy_museum.FAULTS)
def test_fault_in_numpy_is_caught(fault: Fault) -> None:
    """The quick profile catches the fault in NumPy, where it is."""
    assert sides(fault, LOGITS, numpy_museum.adapter(fault.implementation, fault.contract)) == fault.caught


@needs["torch"]
@each(torch_museum.FAULTS)
def test_fault_in_torch_is_caught(fault: Fault) -> None:
    """The quick profile catches the fault in PyTorch, where it is."""
    assert sides(fault, LOGITS, torch_museum.adapter(fault.implementation, fault.contract)) == fault.caught


@needs["jax"]
@each(jax_museum.FAULTS)
def test_fault_in_jax_is_caught(fault: Fault) -> None:
    """The quick profile catches the fault in JAX, where it is."""
    assert sides(fault, LOGITS, jax_museum.adapter(fault.implementation, fault.contract)) == fault.caught


@pytest.mark.parametrize("framework", [pytest.param(name, marks=needs[name]) for name in ("numpy", "torch")])
@each(heads.FAULTS)
def test_fault_in_last_layer_is_caught(fault: Fault, framework: str) -> None:
    """The quick profile catches a wrong gradient or value of a last layer, where it is."""
    assert sides(fault, LAYERS, heads.adapter(framework, fault.implementation)) == fault.caught


@pytest.mark.parametrize("dtype", WIDE)
@pytest.mark.parametrize(
    ("museum", "chosen"),
    [
        pytest.param(numpy_museum, LOGITS, id="numpy"),
        pytest.param(torch_museum, LOGITS, id="torch", marks=needs["torch"]),
        pytest.param(jax_museum, LOGITS, id="jax", marks=needs["jax"]),
    ],
)
def test_same_implementation_without_a_fault_raises_no_alarm(museum: object, chosen: list[Case], dtype: str) -> None:
    """What the faults are planted in is right, under every contract that a fault is judged by."""
    tested = [museum.adapter(CrossEntropy, contract) for contract in (None, "fused")]  # type: ignore[attr-defined]  # a module
    assert list(alarms([c for c in chosen if c.dtype == dtype], tested)) == []


@pytest.mark.parametrize("framework", [pytest.param(name, marks=needs[name]) for name in ("numpy", "torch")])
@each(along.FAULTS)
def test_fault_along_a_direction_is_caught(fault: Fault, framework: str) -> None:
    """The quick profile catches a wrong derivative of second order, or of forward mode."""
    assert sides(fault, LOGITS, along.adapter(framework, fault.implementation)) == fault.caught


@pytest.mark.parametrize("framework", [pytest.param(name, marks=needs[name]) for name in ("numpy", "torch")])
def test_last_layer_without_a_fault_raises_no_alarm(framework: str) -> None:
    """The adapter of the last layer's faults is right as long as nothing is changed."""
    assert list(alarms(LAYERS, [heads.adapter(framework, heads.right)])) == []


def test_museum_covers_every_class_of_fault_on_both_sides() -> None:
    """Every class A to G has faults, the value's and the gradient's among them, each under a name of its own."""
    museums = (numpy_museum.FAULTS, torch_museum.FAULTS, jax_museum.FAULTS, heads.FAULTS, along.FAULTS)
    for faults in museums:
        assert len({f.name for f in faults}) == len(faults)
    caught = {(f.name[0], s) for faults in museums for f in faults for s in f.caught}
    assert {(letter, s) for letter in "ABCDEFG" for s in BOTH} <= caught
