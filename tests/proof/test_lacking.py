"""Right losses that lack something: the cases that are left to them show what each of their groups must reject."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations, product
from typing import Any

import pytest

from xentcheck import adapters
from xentcheck.adapters.base import LABELS
from xentcheck.adapters.needs import adds_up_to_1, needed_options
from xentcheck.cases import Case
from xentcheck.cases.build import build
from xentcheck.cases.profiles.named import cases
from xentcheck.records.record import Record
from xentcheck.reports.analysis.power import power_of
from xentcheck.running.comparison import run_case
from xentcheck.running.subjects import Subject, subjects_of
from xentcheck.vocabulary import DTYPES, FAILING, OPTIONS, REDUCTIONS

LACKED = tuple(option for option in OPTIONS if option not in ("uint8_targets", "wide_sentinel"))
ANY_ROWS = "rows of any sum"
"""What a function lacks beside options that takes only rows that add up to 1; without LABELS it takes rows only."""

ALSO = {
    "weight": {"negative_weight"},
    "label_smoothing": {"smoothed_probabilities"},
    "probabilities": {"smoothed_probabilities", "signed_targets", ANY_ROWS},
    ANY_ROWS: {"signed_targets"},
    LABELS: {"ignore_index"},
}
"""By what is lacked: what is lacked along with it."""

COMMON = ("weight", "ignore_index", "label_smoothing", "probabilities", "upstream", "unbatched", "k_dims")
"""What the losses of tutorials lack, all of it or some."""

REDUCED = (REDUCTIONS, *((reduction,) for reduction in REDUCTIONS))
"""Losses have all reductions, or one."""


def subject_of(head: str, lacking: frozenset[str], reductions: tuple[str, ...] = REDUCTIONS) -> Subject:
    """PyTorch's own loss, of logits or behind a layer, without some options and reductions."""
    torch = pytest.importorskip("torch")

    def loss(z: Any, y: Any, **given: Any) -> Any:
        return torch.nn.functional.cross_entropy(z, y, **given)

    def linear(x: Any, w: Any, b: Any, y: Any, **given: Any) -> Any:
        return loss(torch.nn.functional.linear(x, w, b), y, **given)

    options = [option for option in LACKED if option not in lacking]
    function = loss if head == "logits" else linear
    made = adapters.from_torch(function, options=options, reductions=list(reductions), head=head)
    return subjects_of(made, ["cpu"])[0].outcomes_only()


@dataclass(frozen=True)
class Found:
    """What a case needs, and what is found of a right loss in it."""

    case: Case
    needs: frozenset[str]
    records: tuple[Record, ...]


@cache
def found(head: str, dtype: str) -> tuple[Found, ...]:
    """All cases that anybody takes who lacks something."""
    everyone = replace(subject_of(head, frozenset()), always=True)
    someone = subject_of(head, frozenset({"weight"}))

    def cases_of() -> Iterator[Found]:
        for case in cases("quick"):
            if case.dtype == dtype and bool(case.inputs) == (head == "layer") and someone.takes(case):
                p = build(case)
                rows = {LABELS} if not p.probabilities else set() if adds_up_to_1(p) else {ANY_ROWS}
                yield Found(case, frozenset(needed_options(p) | rows), tuple(run_case(case, [everyone])))

    everything = tuple(cases_of())
    assert [r.replay for f in everything for r in f.records if r.outcome in FAILING] == []
    return everything


def lacking(most: int) -> list[frozenset[str]]:
    """Sets of up to so many things, and all sets of `COMMON`, and what they take along."""
    some = [set(c) for n in range(most + 1) for c in combinations((*LACKED, LABELS, ANY_ROWS), n)]
    some += [set(c) for n in range(len(COMMON) + 1) for c in combinations(COMMON, n)]
    sets = (frozenset(chosen.union(*(ALSO.get(option, set()) for option in chosen))) for chosen in some)
    return [chosen for chosen in dict.fromkeys(sets) if not {LABELS, "probabilities"} <= chosen]


def blind(head: str, dtype: str, most: int) -> dict[str, list[str]]:
    """By group and wrong answer: what those lack that are blind to it."""
    everything = found(head, dtype)
    out: dict[str, list[str]] = {}
    for lacks, reductions in product(lacking(most), REDUCED):
        subject = subject_of(head, lacks, reductions)
        left = [f for f in everything if f.case.reduction in reductions and not f.needs & lacks]
        groups = power_of(r for f in left if subject.takes(f.case) for r in f.records).groups()
        assert any(g.rejected for g in groups)
        for name in (f"{g.name}: {wrong}" for g in groups for wrong in (*g.blind, *(["all"] if g.undecided else []))):
            out.setdefault(name, []).append(f"{'+'.join(reductions)} without {', '.join(sorted(lacks)) or 'nothing'}")
    return out


AT_NIGHT = pytest.mark.nightly


@pytest.mark.parametrize(
    ("head", "dtype"),
    [
        ("logits", "float32"),
        ("layer", "bfloat16"),
        *(pytest.param("logits", dtype, marks=AT_NIGHT) for dtype in DTYPES if dtype != "float32"),
        *(pytest.param("layer", dtype, marks=AT_NIGHT) for dtype in DTYPES if dtype != "bfloat16"),
    ],
)
def test_a_right_loss_is_not_blind_whatever_it_lacks(head: str, dtype: str) -> None:
    """Up to two things, or any of the common ones, with all reductions and with each alone: nothing else has so few
    cases. In other dtypes at night.
    """
    assert blind(head, dtype, 2) == {}
