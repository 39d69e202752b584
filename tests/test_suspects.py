"""Suspects: the cause that a run names for a planted fault is the fault's own; where nothing fits, it is unsure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from xentcheck.build import build
from xentcheck.cases import Case
from xentcheck.causes import causes
from xentcheck.counterfactual import Counterfactual
from xentcheck.museum import numpy as numpy_museum
from xentcheck.museum.base import BOTH, Array, CrossEntropy, Fault, anywhere, options
from xentcheck.profiles import cases
from xentcheck.reference.bounds import Bounds, bound
from xentcheck.reference.contracts import CATALOGUE
from xentcheck.reference.oracle import Exact
from xentcheck.reports.record import Record
from xentcheck.reports.suspicion import suspicion
from xentcheck.runner import run_case
from xentcheck.subjects import subjects_of
from xentcheck.suspects import UNSURE, suspects, suspects_of_error
from xentcheck.vocabulary import FAILING

QUICK = [c for c in cases("quick") if not c.inputs and "dir" not in c.options and c.classes <= 2000]
ENOUGH = 12
"""Failing comparisons of a fault that are looked at."""


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
    subject = subjects_of(numpy_museum.adapter(fault.implementation, fault.contract))[0]
    for case in QUICK:
        if case.dtype == fault.dtype and fault.among(case):
            yield from (r for r in run_case(case, [subject]) if r.outcome in FAILING)


def named(fault: Fault) -> str:
    """The code of the cause that the first failures of a fault agree on."""
    found = [record for record, _ in zip(failures(fault), range(ENOUGH), strict=False)]
    sentence = suspicion(found)
    return sentence.partition("[")[2].partition("]")[0] if "[" in sentence else sentence


def test_the_cause_of_most_faults_is_named() -> None:
    """At least 70 % of the museum and of its variants; where no cause fits, it says that it is unsure."""
    every = [*numpy_museum.FAULTS, *VARIANTS]
    found = {fault.name: named(fault) for fault in every}
    right = [name for name, code in found.items() if code in re.split("[+ -]", name.partition("-")[0])]
    assert len(right) >= 0.7 * len(every), {n: c for n, c in found.items() if n not in right}
    assert all(found.values())


def problem(case: str) -> Any:
    return build(Case.parse(case))


CASE = "gaussian.5x10.f64.index.w+ls+ign.mean.up-neg.contig.s0"


def judged(case: str, quantity: str, wrong: Any) -> tuple[str, ...]:
    """What is suspected of a result made from the right one."""
    p = problem(case)
    exact = Exact(p)
    right = exact.evaluate([quantity])[quantity][0]
    bound = Bounds(exact, CATALOGUE["fused"]).evaluate([quantity])[quantity]
    return suspects(p, quantity, np.asarray(wrong(right)), bound)


def test_nothing_known_is_said_to_be_unknown() -> None:
    """An arbitrary gradient is explained by nothing; other quantities are not looked at."""
    noise = np.random.default_rng(3).normal(size=(5, 10))
    assert judged(CASE, "dC/dz", lambda right: noise) == (UNSURE,)
    assert judged("gaussian.5x10.f64.index.plain.mean.up-neg.contig.s0", "a", lambda right: right * 2) == ()


@pytest.mark.parametrize("quantity", ["cost", "dC/dz"])
def test_every_cause_is_recognised_among_all_others(quantity: str) -> None:
    """A result made by one cause is explained by it."""
    p = problem(CASE)
    for code, text, wrong in causes(Counterfactual.of(p)):
        with np.errstate(all="ignore"):
            made = wrong.result(quantity)
            same = np.array_equal(made, Counterfactual.of(p).result(quantity))
        if not same and np.isfinite(made).all():
            found = judged(CASE, quantity, lambda right, made=made: made.reshape(right.shape))
            assert f"{code}: {text}" in found


def test_the_right_computation_is_the_oracles() -> None:
    """Without a mistake the counterfactual is what `stable` allows of float64 arithmetic in any order."""
    for case in (
        CASE,
        "ties.3x5x3.f64.prob.w.none.up-rand.contig.s0",
        "masked.5x10.f64.index.ign.mean.up-neg.contig.s0",
    ):
        p = problem(case)
        for quantity in p.quantities[2:]:
            hi = Exact(p).evaluate([quantity])[quantity][0]
            found = Counterfactual.of(p).result(quantity)
            if quantity == "dC/dz" and hi.ndim > 2:
                hi = np.moveaxis(hi, 1, -1).reshape(found.shape)
            limit = bound(quantity, p, "stable")
            if quantity == "dC/dz" and limit.ndim > 2:
                limit = np.moveaxis(limit, 1, -1)
            assert (np.abs(found - hi.reshape(found.shape)) <= limit.reshape(found.shape)).all()


def test_errors_speak_for_themselves() -> None:
    """A refused shape, an index out of range, and what says nothing."""
    assert suspects_of_error("AdapterError: f returned a loss of shape (); allowed: (5,)")[0].startswith("B26")
    assert suspects_of_error("IndexError: index -100 is out of bounds for axis 0 with size 10")[0].startswith("C32")
    assert suspects_of_error("RuntimeError: out of registers") == ()
