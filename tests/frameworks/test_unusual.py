"""Unusual inputs: each kind is in `quick` for a fault that it alone catches, and right implementations pass it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import numpy as np
import pytest

from xentcheck import adapters
from xentcheck.cases import Case
from xentcheck.cases.build import build
from xentcheck.cases.case import quantities_of
from xentcheck.cases.profiles.named import cases
from xentcheck.cases.profiles.sizes import long_cases
from xentcheck.errors import CaseError
from xentcheck.museum import numpy as numpy_museum
from xentcheck.museum import outputs, sizes
from xentcheck.museum.base import Fault
from xentcheck.reference.problem import Problem
from xentcheck.running.comparison import run_case
from xentcheck.running.subjects import Subject, subjects_of
from xentcheck.vocabulary import DTYPES, FAILING, REDUCTIONS, VALUES

QUICK = cases("quick")
IN_FULL = {"H15-elements-in-float32"}
"""Seconds of a case each: beyond `quick`."""

FAULTS = [pytest.param(f, id=f.name) for f in sizes.FAULTS if f.name not in IN_FULL]
SMALL = 60_000


def logits_of(dtype: str) -> list[Case]:
    """The cases of a dtype on logits without a direction, the smallest first."""
    return sorted(
        (c for c in QUICK if c.dtype == dtype and not c.inputs and "dir" not in c.options),
        key=lambda c: np.prod(c.shape),
    )


@pytest.mark.parametrize("of", FAULTS)
def test_each_fault_on_logits_is_caught_by_its_kind(of: Fault) -> None:
    """On the sides that are wrong, and no other."""
    subjects = subjects_of(numpy_museum.adapter(of.implementation))
    assert found_by(subjects, filter(of.among, logits_of(of.dtype)), of.caught) == of.caught


def found_by(subjects: list[Subject], chosen: Iterable[Case], enough: frozenset[str]) -> set[str]:
    """The sides that cases accuse, until there are enough."""
    found: set[str] = set()
    for case in chosen:
        found |= {
            "value" if r.quantity in VALUES else "gradient" for r in run_case(case, subjects) if r.outcome in FAILING
        }
        if found >= enough:
            break
    return found


@pytest.mark.nightly
def test_each_fault_on_logits_is_caught_by_its_kind_alone() -> None:
    """Every small case of float32 in `quick` judges all of them at once; alone it shows that each kind is needed."""
    faults = [f for f in sizes.FAULTS if f.name not in IN_FULL]
    subjects = [subjects_of(numpy_museum.adapter(f.implementation))[0] for f in faults]
    names = {s.adapter.name: f for s, f in zip(subjects, faults, strict=True)}
    others = {
        (names[r.adapter].name, str(case))
        for case in logits_of("float32")
        if np.prod(case.shape) < SMALL
        for r in run_case(case, [s for s in subjects if not names[s.adapter.name].among(case)])
        if r.outcome in FAILING
    }
    assert others == set()


@pytest.mark.parametrize("framework", ["numpy", "torch"])
@pytest.mark.parametrize("of", [pytest.param(f, id=f.name) for f in sizes.CHANGES])
def test_each_fault_behind_a_layer_is_caught_by_its_kind_alone(of: Fault, framework: str) -> None:
    """And each along a direction; of the other cases every seventh."""
    if missing := adapters.get(framework).unavailable():
        pytest.skip(missing)
    subjects = subjects_of(outputs.adapter(framework, of.implementation), ["cpu"])[:1]
    chosen = [c for c in QUICK if c.dtype == of.dtype and (c.inputs or "dir" in c.options) and not c.hidden]
    others = [c for c in chosen if not of.among(c)][::7]
    assert found_by(subjects, filter(of.among, chosen), of.caught) == of.caught
    assert found_by(subjects, others, frozenset({"none"})) == set()


def rows_are(p: Problem, holds: Callable[[Any], Any]) -> bool:
    """Whether rows of probabilities (N, C) are of a kind."""
    return p.probabilities and p.target.ndim == 2 and p.target.size > 0 and bool(holds(p.target))


def one_hot_rows(p: Problem) -> bool:
    return rows_are(p, lambda q: (np.sort(q, 1)[:, -2:] == (0, 1)).all())


def many(p: Problem, rows: int) -> bool:
    return len(p.logits_shape) == 2 and p.logits_shape[0] > rows


BESIDE: dict[str, Callable[[Problem], bool]] = {
    "one-hot rows in a weighted mean": lambda p: one_hot_rows(p) and p.weight is not None and p.reduction == "mean",
    "smoothed one-hot rows": lambda p: one_hot_rows(p) and p.label_smoothing > 0,
    "rows that add up to 1": lambda p: rows_are(p, lambda q: (abs(q.sum(1) - 1) < 1e-6).all() and (q != 0).all()),
    "a row of equal probabilities": lambda p: rows_are(p, lambda q: (q == q[:, :1]).all(1).any() and (q != 0).all()),
    "a row of zeros in a mean": lambda p: rows_are(p, lambda q: (q == 0).all(1).any()) and p.reduction == "mean",
    "images of probabilities, smoothed": lambda p: (
        p.probabilities and len(p.logits_shape) == 4 and p.label_smoothing > 0 and p.reduction == "mean"
    ),
    "more than 100 pixels": lambda p: np.prod(p.loss_shape[1:]) > 100,
    "many classes of pixels": lambda p: len(p.logits_shape) > 2 and p.classes > 1000,
    "a weighted sum of many rows": lambda p: many(p, 64) and p.weight is not None and p.reduction == "sum",
    "smoothed probabilities in many rows": lambda p: many(p, 64) and p.probabilities and p.label_smoothing > 0,
    "ignored rows among thousands": lambda p: many(p, 4096) and not p.kept.all(),
    "smoothed labels in thousands of rows": lambda p: many(p, 4096) and not p.probabilities and p.label_smoothing > 0,
    "probabilities in thousands of rows": lambda p: many(p, 4096) and p.probabilities,
    "a smoothed row alone": lambda p: p.logits_shape[0] == 1 and not p.probabilities and p.label_smoothing > 0,
}
ALONG: dict[str, Callable[[Problem], bool]] = {
    "in a sum": lambda p: p.reduction == "sum",
    "of pixels": lambda p: len(p.logits_shape) > 2,
    "without a batch": lambda p: len(p.logits_shape) == 1,
    "of smoothed probabilities": lambda p: p.probabilities and p.label_smoothing > 0,
    "beside ignored rows": lambda p: not p.kept.all() and p.weight is None and not p.label_smoothing,
    "beside weights": lambda p: p.weight is not None and not p.probabilities and not p.label_smoothing,
    "of many classes": lambda p: p.classes > 64,
    "of many rows": lambda p: many(p, 100),
    "of transposed logits": lambda p: p.logits is not None and not p.logits.flags.c_contiguous,
}
"""What a path of its own may be for, on logits, and along a direction."""


@pytest.mark.parametrize(
    ("holds", "quantity"),
    [
        *(pytest.param(holds, "dC/dz", id=name) for name, holds in BESIDE.items()),
        *(pytest.param(holds, "hvp", id=f"along {name}") for name, holds in ALONG.items()),
    ],
)
def test_a_path_of_its_own_is_met(holds: Callable[[Problem], bool], quantity: str) -> None:
    """A gradient that is twice as large there, by an implementation that has every option."""

    def doubled(p: Problem, values: outputs.Values) -> None:
        if holds(p) and quantity in values:
            values[quantity] *= 2

    subjects = subjects_of(outputs.adapter("numpy", doubled))
    chosen = [c for c, p in small_problems() if quantity in quantities_of(c) and subjects[0].takes(c) and holds(p)]
    assert any(r.outcome in FAILING for c in chosen for r in run_case(c, subjects) if r.quantity == quantity)


@cache
def small_problems() -> list[tuple[Case, Problem]]:
    """The cases of float32 on logits, but the largest."""
    small = [c for c in QUICK if c.dtype == "float32" and not c.inputs and np.prod(c.shape) < SMALL]
    return [(c, build(c)) for c in small if c.shape[0]]


def test_a_third_backward_is_asked_for() -> None:
    """A gradient that is doubled by the third call passes two."""
    pytest.importorskip("torch")
    subjects = subjects_of(sizes.third_backward())
    chosen = [c for c in QUICK if c.dtype == "float32" and {"twice", "thrice"} & set(c.layout) and not c.inputs]
    failing = {c.layout for c in chosen for r in run_case(c, subjects) if r.outcome in FAILING}
    assert failing == {("thrice",)}


def test_eager_meets_what_a_compiler_hides() -> None:
    """JAX eager runs masked classes, in every dtype."""
    pytest.importorskip("jax")
    (eager,) = (s for s in subjects_of(sizes.hidden_by_xla(), ["cpu"]) if s.variant == "eager")
    chosen = [c for c in QUICK if eager.takes(c)]
    assert {c.dtype for c in chosen if c.family == "masked"} == {"float64", "float32", "bfloat16", "float16"}
    chosen = [c for c in chosen if c.dtype == "float32" and c.target == "index" and not c.options]
    failing = {c.family for c in chosen for r in run_case(c, [eager]) if r.outcome in FAILING}
    assert failing == {"masked"}


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_eager_is_asked_for_every_reduction(reduction: str) -> None:
    """Results that only eager doubles, for one reduction alone."""
    pytest.importorskip("jax")
    (eager,) = (s for s in subjects_of(sizes.doubled_in_eager(reduction), ["cpu"]) if s.variant == "eager")
    chosen = [c for c in QUICK if eager.takes(c) and c.family == "gaussian" and c.target == "index"]
    assert {c.dtype for c in chosen if c.reduction == reduction} == set(DTYPES)
    plainest = {c.reduction: c for c in sorted(chosen, key=lambda c: -len(c.options)) if c.dtype == "float32"}
    failing = {c.reduction for c in plainest.values() for r in run_case(c, [eager]) if r.outcome in FAILING}
    assert failing == {reduction}


def test_the_tail_beyond_float32s_integers_is_in_full() -> None:
    """More elements than 2^24, in many rows and in many classes; seconds each, so that only `full` runs them."""
    large = [c for c in long_cases(0, "full") if int(np.prod(c.shape)) > 2**24]
    assert {max(c.shape) == c.shape[0] for c in large} == {True, False}
    assert not [c for c in QUICK if int(np.prod(c.shape)) > 2**24]


def test_rows_beside_broken_ones_are_judged() -> None:
    """Those with nan or +inf are anybody's; a wrong number in a right row is found, at its own index."""
    case = Case.parse("broken-rows.5x10.f32.index.plain.none.up-one.contig.s0")

    def wrong(problem: object, values: outputs.Values) -> None:
        values["dC/dz"][4, 3] = 7.0
        values["dC/dz"][1] = 0.0

    records = {r.quantity: r for r in run_case(case, subjects_of(outputs.adapter("numpy", wrong)))}
    assert {q: r.outcome for q, r in records.items()} == dict.fromkeys(("a", "log_a", "loss"), "agree") | {
        "dC/dz": "disagree"
    }
    assert records["dC/dz"].index == (4, 3)


def test_extremes_are_what_they_say() -> None:
    """0, 1e-30 and 1e20 in every second row, as far as a dtype goes."""
    for name, dtype, value in (
        ("zero", "f32", 0.0),
        ("tiny", "f32", np.float32(1e-30)),
        ("huge", "f32", np.float32(1e20)),
        ("tiny", "f16", 2.0**-14),
        ("huge", "f16", 65504 / 4),
    ):
        p = build(Case.parse(f"gaussian.5x10.{dtype}.index.plain.none.up-{name}.contig.s0"))
        assert [u == value for u in p.upstream.tolist()] == [False, True, False, True, False]


def test_what_equal_weights_the_first_class_and_a_scaled_loss_are() -> None:
    """3/8 in every class; 0 in the rows that are ignored, and in no other; 2^14 in every dtype, also in float16."""
    for dtype in ("f64", "f32", "bf16", "f16"):
        p = build(Case.parse(f"gaussian.5x10.{dtype}.index.weq+ign0.mean.up-scale.contig.s0"))
        assert p.weight is not None
        assert set(p.weight.tolist()) == {0.375}
        assert (p.ignore_index, [int(t) for t in p.target].count(0), float(p.upstream)) == (0, 1, 2.0**14)


def test_ignored_rows_lie_where_they_say() -> None:
    """First, last, side by side, all but one."""
    where = {"ignfirst": "01111", "ignlast": "11110", "ignpair": "10011", "ignmost": "01000"}
    for option, kept in where.items():
        p = build(Case.parse(f"gaussian.5x10.f32.index.{option}.mean.up-one.contig.s0"))
        assert "".join(str(int(k)) for k in p.kept) == kept


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("dyadic.5x10k10.f32.index.plain.mean.up-one.needs-z.s0", "unknown layout"),
        ("gaussian.5x10.f32.index.plain.mean.up-one.needs-w.s0", "a last layer only"),
        ("broken-rows.5x10.f32.index.plain.mean.up-one.contig.s0", "needs reduction none"),
        ("gaussian.5x10.f32.u8.ignlast.mean.up-one.contig.s0", "a uint8 holds no sentinel"),
    ],
)
def test_what_does_not_go_together_is_refused(text: str, what: str) -> None:
    """With one line."""
    with pytest.raises(CaseError, match=what):
        Case.parse(text)
