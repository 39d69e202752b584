"""Coverage counters: a pair counts if it was executed, and only then."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

from xentcheck.cases.profiles.arrays.lattice import FACTORS, FORBIDDEN
from xentcheck.cases.profiles.named import cases
from xentcheck.records.record import Record
from xentcheck.running.coverage import coverages, possible_pairs

CASE = "gaussian.3x31.f32.index.w+ls.mean.up-neg.trans.s0"


def record(case: str, outcome: str = "agree", adapter: str = "torch") -> Record:
    """One comparison of a case."""
    place = {"adapter": adapter, "variant": "eager", "device": "cpu", "dtype": "float32", "quantity": "cost"}
    power: dict[str, Any] = {"elements": 9, "applicable": ("zero",)}
    power |= {"rejected": ("zero",)} if outcome not in ("vacuous", "trivial") else {}
    return Record(**place, **power, group="g", contract="stash", outcome=outcome, case=case)


def test_one_case_meets_its_own_pairs() -> None:
    """Twelve factors, 66 pairs; the same case again adds none."""
    (found,) = coverages([record(CASE), record(CASE, "vacuous")])
    assert (found.met, found.possible, len(found.gaps)) == (66, len(possible_pairs()), len(possible_pairs()) - 66)
    assert "weight w x layout trans" not in found.gaps
    assert "weight wn x layout trans" in found.gaps


def test_what_could_not_have_failed_meets_nothing() -> None:
    """Neither what was not called, nor a convention, nor a comparison that zeros pass, nor one without elements."""
    nothing = ("unsupported", "unavailable", "error", "convention", "vacuous", "trivial")
    assert coverages([record(CASE, outcome) for outcome in nothing]) == []
    assert coverages([replace(record(CASE), elements=0)]) == []
    assert coverages([record(CASE.replace(".3x31.", shape)) for shape in (".0x31.", ".3x1.")]) == []


def test_quick_meets_every_pair_and_less_without_one_layout() -> None:
    """If everything is executed; alone this counts a whole profile, and notices what is left out."""
    every = [str(case) for case in cases("quick")]
    (whole,) = coverages(map(record, every))
    assert whole.gaps == ()
    (less,) = coverages(record(case) for case in every if ".bcast." not in case)
    assert {"layout bcast x family ties", "classes 3 x layout bcast"} <= set(less.gaps)


def test_possible_pairs_are_counted_independently() -> None:
    """All pairs of levels, less the forbidden ones."""
    sizes = [len(levels) for levels in FACTORS.values()]
    assert len(possible_pairs()) == sum(n * m for n, m in combinations(sizes, 2)) - len(FORBIDDEN)
    assert len({frozenset(pair) for pair in possible_pairs()}) == len(possible_pairs())


def test_what_an_adapter_does_not_support_shows_as_gaps() -> None:
    """PyTorch has no uint8 targets of higher rank: those pairs stay open in its column."""
    every = [str(case) for case in cases("quick") if not (case.target == "u8" and len(case.shape) > 2)]
    (found,) = coverages(map(record, every))
    assert {"rank 3 x target u8", "rank 4 x target u8", "rank 5 x target u8"} <= set(found.gaps)
