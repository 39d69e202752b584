"""The cause that a run names for a fault of the museum is the fault's own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import pytest

from xentcheck.cases.profiles.named import cases
from xentcheck.museum import along, heads
from xentcheck.museum import numpy as numpy_museum
from xentcheck.museum.base import BOTH, GRADIENT, CrossEntropy, Fault, anywhere, options
from xentcheck.records.record import Record
from xentcheck.reference.formats import Array
from xentcheck.reports.analysis.causes.suspicion import suspicion
from xentcheck.running.comparison import run_case
from xentcheck.running.subjects import subjects_of
from xentcheck.vocabulary import FAILING

QUICK = [c for c in cases("quick") if not c.inputs and "dir" not in c.options and c.classes <= 2000]
LAYERS = [c for c in cases("quick") if c.inputs and not c.hidden]
ENOUGH = 8
"""Failing comparisons of a fault that are looked at."""

FEW = 4
"""So many of each fault of the museum: eight tell no more of them, and finding them takes twice as long."""


class ClipsElsewhere(CrossEntropy):
    """Another clip than the museum's."""

    def log_a(self) -> Array:
        return self.xp.log(self.xp.maximum(self.a(), 1e-10))


class PadsFurther(CrossEntropy):
    """Padding to another multiple."""

    def parts(self) -> tuple[Array, Array, Array]:
        t, e, total = super().parts()
        pad = -self.classes % 32
        return t, e, total + pad * self.xp.exp(-self.shift(self.rows(self.logits)))


class LosesTwoRows(CrossEntropy):
    """Another chunk."""

    def q(self) -> Array:
        found = super().q()
        return found * (self.xp.arange(found.shape[0]) < found.shape[0] // 2 * 2)[:, None]


class CountsAsLast(CrossEntropy):
    """Weighted smoothing is left out for the ignored rows' mask, and the denominator counts them all."""

    def denominator(self) -> Array:
        found = super().denominator()
        return found if self.soft else found + self.cast((~self.kept()).sum())


class HalfTheSmoothing(CrossEntropy):
    """1/C per class, as a variant with another constant."""

    def uniform(self) -> Array:
        return self.weights()[None, :] / self.classes if self.smoothing else super().uniform()


class SquaredUpstream(CrossEntropy):
    """The upstream gradient enters twice."""

    def factor(self, upstream: Array) -> Array:
        return super().factor(upstream * upstream)


VARIANTS = [
    Fault("A04 variant", "", BOTH, anywhere, ClipsElsewhere),
    Fault("F74 variant", "", BOTH, lambda c: c.family == "gaussian", PadsFurther),
    Fault("F78 variant", "", BOTH, lambda c: c.shape[0] == 5, LosesTwoRows),
    Fault("D40 variant", "", BOTH, options("ls"), HalfTheSmoothing),
    Fault("E50 variant", "", BOTH, anywhere, SquaredUpstream),
    Fault("B20 variant", "", BOTH, options("ign"), CountsAsLast),
]
"""Museum faults with other parameters; the last one is two faults at once where there are weights."""


def failures(fault: Fault) -> Iterator[Record]:
    behind_layer = fault in heads.FAULTS
    made = (
        heads.adapter("numpy", fault.implementation)
        if behind_layer
        else numpy_museum.adapter(fault.implementation, fault.contract)
    )
    subject = replace(subjects_of(made)[0], graded=False)
    for case in LAYERS if behind_layer else QUICK:
        if case.dtype == fault.dtype and fault.among(case):
            yield from (r for r in run_case(case, [subject]) if r.outcome in FAILING)


def named(fault: Fault, first: int = ENOUGH) -> str:
    """The code of the cause that the first failures of a fault agree on."""
    found = [record for record, _ in zip(failures(fault), range(first), strict=False)]
    sentence = suspicion(found)
    return sentence.partition("[")[2].partition("]")[0] if "[" in sentence else sentence


def test_the_cause_of_most_faults_is_named() -> None:
    """At least 80 % of the museum and of its variants; where no cause fits, it says that it is unsure.

    The classes from H on are no causes of their own: they say where something is wrong, and zeros are its usual form.
    """
    every = [f for f in (*numpy_museum.FAULTS, *heads.FAULTS, *VARIANTS) if f.name < "H"]
    found = {fault.name: named(fault, FEW) for fault in every}
    right = [name for name, code in found.items() if code in re.split("[+ -]", name.partition("-")[0])]
    assert len(right) >= 0.8 * len(every), {n: c for n, c in found.items() if n not in right}
    assert all(found.values())


ALONG = {
    "E57-hessian-of-zeros": "E57",
    "E57-diagonal-alone": "E57",
    "E57-twice-the-hessian": "B24",
    "E58-tangent-without-shift": "A01",
    "E58-tangent-times-minus-infinity": "A05",
    "E58-tangent-is-zero": "E58",
    "E58-tangent-of-all-rows": "B21",
}
"""Faults that a derivative along a direction alone shows, and their causes: its own, or what went wrong on the way."""


@pytest.mark.parametrize("fault", [f for f in along.FAULTS if f.caught == GRADIENT], ids=lambda f: f.name)
def test_a_fault_along_a_direction_is_explained(fault: Fault) -> None:
    """No other quantity of these cases is wrong."""
    (subject,) = subjects_of(along.adapter("numpy", fault.implementation))
    chosen = (c for c in cases("quick") if "dir" in c.options and c.dtype == fault.dtype and fault.among(c))
    records = [r for c in islice(chosen, ENOUGH) for r in run_case(c, [replace(subject, graded=False)])]
    found = [r for r in records if r.outcome in FAILING]
    assert {r.quantity for r in found} < {"jvp", "hvp"}
    assert f"[{ALONG[fault.name]}]" in suspicion(found)


@pytest.mark.parametrize("fault", [pytest.param(f, id=f.name) for f in heads.FAULTS])
def test_a_fault_behind_a_layer_is_explained(fault: Fault) -> None:
    """By one mistake in most of its failures; two in the words of another that gives the same, and is first."""
    same = {"G94-db-drops-last-row": "F78", "E55-dw-first-upstream": "E50"}
    assert named(fault) == same.get(fault.name, fault.name.partition("-")[0])
