"""Reserved cases: each option is met alone, so that who supports it and little else is tested on it too."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from xentcheck import adapters
from xentcheck.adapters.base import needed_options
from xentcheck.cases import Case
from xentcheck.cases.build import build
from xentcheck.cases.profiles.alone import FACTORS, VALUES, WIDE, alone_cases, combined_cases
from xentcheck.cases.profiles.named import PROFILES, cases
from xentcheck.cases.profiles.reserved import RESERVED, linear_cases, reserved_for, tiny_cases
from xentcheck.reference import cross_entropy, cross_entropy_grad
from xentcheck.running.comparison import run_case
from xentcheck.running.subjects import subjects_of
from xentcheck.vocabulary import DTYPES, FAILING, OPTIONS, RARE_OPTIONS, REDUCTIONS

WITH = {
    "negative_weight": {"weight"},
    "wide_sentinel": {"ignore_index"},
    "smoothed_probabilities": {"probabilities", "label_smoothing"},
    "signed_targets": {"probabilities"},
}
"""Options that make sense beside another one only."""


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("option", [o for o in OPTIONS if o not in (*RARE_OPTIONS, "upstream")])
def test_each_option_is_met_alone(option: str, dtype: str) -> None:
    """With every reduction, in every dtype; upstream gradients are among the cases for all."""
    allowed = {option} | WITH.get(option, set())
    of_dtype = [case for case in (*alone_cases(0), *tiny_cases(0)) if case.dtype == dtype and case.upstream == "one"]
    for reduction in REDUCTIONS:
        needed = [needed_options(build(case)) for case in of_dtype if case.reduction == reduction]
        met = any(option in options and options <= allowed for options in needed)
        assert met or (dtype not in WIDE and option in ("negative_weight", "wide_sentinel"))


@pytest.mark.parametrize(
    "both",
    [
        *map(set, combinations(("weight", "ignore_index", "label_smoothing"), 2)),
        *({option, "k_dims"} for option in ("weight", "ignore_index", "label_smoothing")),
    ],
)
def test_each_pair_of_options_is_met_without_a_third(both: set[str]) -> None:
    """Who lacks one of three options is judged on the other two together, with every reduction."""
    for reduction in REDUCTIONS:
        some = [case for case in alone_cases(0) if (case.dtype, case.reduction) == ("float32", reduction)]
        assert any(needed_options(build(case)) == both for case in some)


def test_a_fused_linear_loss_is_judged_on_whichever_options_it_has() -> None:
    """On each set of weights, smoothing and ignored labels, without the others, with every reduction."""
    options = ("weight", "ignore_index", "label_smoothing")
    some = [case for case in linear_cases(0) if (case.dtype, case.shape) == ("float32", (6, 9))]
    for reduction in REDUCTIONS:
        needed = [needed_options(build(case)) - {"upstream"} for case in some if case.reduction == reduction]
        for size in range(4):
            assert all(set(own) in needed for own in combinations(options, size))


def test_smoothing_that_counts_ignored_rows_is_seen_where_there_are_no_weights() -> None:
    """Each option alone is right. So was https://github.com/pytorch/pytorch/issues/73205 until it was reported."""
    from torch.nn.functional import log_softmax, nll_loss

    def loss(z: Any, y: Any, *, ignore_index: int = -100, label_smoothing: float = 0.0) -> Any:
        log_a = log_softmax(z, 1)
        spread = -log_a.mean(1).mean()
        return (1 - label_smoothing) * nll_loss(log_a, y, ignore_index=ignore_index) + label_smoothing * spread

    (subject,) = subjects_of(
        adapters.from_torch(loss, options=["ignore_index", "label_smoothing"], reductions=["mean"])
    )
    found: dict[tuple[str, ...], set[str]] = {}
    for case in alone_cases(0):
        if (case.dtype, case.reduction, case.target) == ("float32", "mean", "index") and len(case.shape) == 2:
            found.setdefault(case.options, set()).update(r.outcome for r in run_case(case, [subject]))
    assert "disagree" in found["ls", "ign"]
    assert not any("disagree" in outcomes for options, outcomes in found.items() if options != ("ls", "ign"))
    assert "agree" in found["ls",] & found["ign",]


@pytest.mark.parametrize("profile", PROFILES[:2])
def test_every_profile_has_the_reserved_cases(profile: str) -> None:
    """And knows them again; the others are for all."""
    chosen = cases(profile)
    made = {name: set(function(0)) for name, (_, function) in RESERVED.items()}
    assert profile != "quick" or not made.pop("combined") & set(chosen)
    assert all(found <= set(chosen) for found in made.values())
    for case in chosen:
        kinds = [name for name, found in made.items() if case in found]
        assert [reserved_for(case)] == (kinds or [""])


def test_who_combines_all_options_does_not_take_them() -> None:
    """The built-in adapters' matrix does not grow; whoever lacks one of the options takes them."""
    (numpy,) = subjects_of(adapters.get("numpy"))
    assert not any(numpy.takes(case) for case in (*alone_cases(0), *combined_cases(0)))

    def loss(logits: Any, target: Any, upstream: Any = 1.0) -> None: ...

    (partial,) = subjects_of(adapters.from_numpy(loss, options=["upstream", "k_dims"]))
    assert all(partial.takes(case) for case in (*alone_cases(0), *combined_cases(0)))


def rolled(logits: Any, target: Any, reduction: str = "mean", upstream: Any = 1.0) -> Any:
    """Another loss for (N, C, d) logits."""
    z = np.roll(logits, 1, 1) if logits.ndim > 2 else logits
    loss = cross_entropy(wide(z), target, reduction=reduction).astype(logits.dtype)
    return loss, gradient(logits, target, reduction, upstream)


def alone(logits: Any, target: Any, reduction: str = "mean", upstream: Any = 1.0) -> Any:
    """1.5 times the loss of (C,) logits."""
    loss = cross_entropy(wide(logits), target, reduction=reduction) * (1.5 if logits.ndim == 1 else 1)
    return loss.astype(logits.dtype), gradient(logits, target, reduction, upstream)


def packed(logits: Any, target: Any, reduction: str = "mean", upstream: Any = 1.0) -> Any:
    """As if logits were always contiguous."""
    z = np.ndarray(logits.shape, logits.dtype, logits) if logits.flags.c_contiguous else np.zeros_like(logits)
    loss = cross_entropy(wide(z), target, reduction=reduction).astype(logits.dtype)
    return loss, gradient(logits, target, reduction, upstream)


def wide(x: Any) -> Any:
    return x if x.dtype == np.float64 else x.astype(np.float32)


def gradient(logits: Any, target: Any, reduction: str, upstream: Any) -> Any:
    found = cross_entropy_grad(wide(logits), target, reduction=reduction, upstream=wide(np.asarray(upstream)))
    return found.astype(logits.dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("wrong", "where"), [(rolled, "3x7x2"), (alone, "11"), (packed, "4x11")])
def test_a_mistake_in_an_option_that_is_supported_alone_is_found(wrong: Any, where: str, dtype: str) -> None:
    """By a function that takes neither weights, nor smoothing, nor ignored labels, nor probabilities."""
    options = ["k_dims", "unbatched", "strided", "upstream"]
    (subject,) = subjects_of(adapters.from_numpy(wrong, options=options))
    chosen = [case for case in alone_cases(0) if case.dtype == dtype and subject.takes(case)]
    records = [r for case in chosen for r in run_case(case, [subject.outcomes_only()])]
    assert where in {r.case.split(".")[1] for r in records if r.outcome == "disagree"}


Given = dict[str, Any]
Where = Callable[[Given], bool]


def changed(where: Where, value: Given | None = None, gradient: Given | None = None) -> Callable[..., Any]:
    """The right loss, with other arguments of the value and of the gradient where something holds of the given ones."""

    def loss(logits: Any, target: Any, **options: Any) -> Any:
        given = {"z": logits, "y": target, "weight": None, "ignore_index": -100, "label_smoothing": 0.0} | options
        given = {"reduction": "mean", "upstream": 1.0} | given
        wrong = where(given)
        u = wide(np.asarray(given.pop("upstream")))
        z, y, w = (None if given[name] is None else own(given[name]) for name in ("z", "y", "weight"))
        right = {**given, "z": z, "y": y, "weight": w}
        others = (value or {}, gradient or value or {}) if wrong else ({}, {})
        of_value, of_gradient = ({**right, **more} for more in others)
        u = of_gradient.pop("upstream", u)
        found = cross_entropy(of_value.pop("z"), of_value.pop("y"), **of_value)
        slope = cross_entropy_grad(of_gradient.pop("z"), of_gradient.pop("y"), upstream=u, **of_gradient)
        return found.astype(logits.dtype), slope.astype(logits.dtype)

    return loss


def own(x: Any) -> Any:
    """An array in a wide dtype, or labels."""
    return x if x.dtype.kind in "iu" else wide(x)


def soft(given: Given) -> bool:
    return given["y"].dtype == given["z"].dtype


def ignores(given: Given, rows: slice) -> bool:
    return not soft(given) and given["z"].ndim > 1 and bool((given["y"][rows] == given["ignore_index"]).any())


KEPT = {"ignore_index": -(10**9)}
"""No row is ignored; the label -100 is then the first class."""

OTHER_OPTIONS = ("upstream", "k_dims", "unbatched", "strided", "second_order")
FAULTS: dict[str, tuple[str, Callable[..., Any], Callable[[Case], bool]]] = {
    "the upstream gradient of a weighted sum": (
        "weight",
        changed(lambda p: p["weight"] is not None and p["reduction"] == "sum", {}, {"upstream": np.float32(1)}),
        lambda c: c.upstream != "one",
    ),
    "logits that are not contiguous beside smoothing": (
        "label_smoothing",
        changed(lambda p: not p["z"].flags.c_contiguous and bool(p["label_smoothing"]), {"label_smoothing": 0.0}),
        lambda c: c.layout != ("contig",),
    ),
    "weights of pixels": (
        "weight",
        changed(lambda p: p["z"].ndim == 4, {"weight": None}),
        lambda c: len(c.shape) == 4,
    ),
    "the mean of a weighted row alone": (
        "weight",
        changed(
            lambda p: p["z"].ndim == 1 and p["weight"] is not None and p["reduction"] == "mean", {"reduction": "sum"}
        ),
        lambda c: len(c.shape) == 1,
    ),
    "a mean of probabilities over pixels": (
        "probabilities",
        changed(lambda p: p["z"].ndim > 2 and soft(p) and p["reduction"] == "mean", {"reduction": "sum"}),
        lambda c: len(c.shape) > 2,
    ),
    "the last class as a sentinel": (
        "ignore_index",
        changed(lambda p: p["ignore_index"] == p["z"].shape[p["z"].ndim > 1] - 1, KEPT),
        lambda c: "igntop" in c.options,
    ),
    "equal weights": (
        "weight",
        changed(lambda p: p["weight"] is not None and bool((p["weight"] == p["weight"][0]).all()), {"weight": None}),
        lambda c: "weq" in c.options,
    ),
    "weights of more rows than a block": (
        "weight",
        changed(lambda p: p["z"].shape[0] > 256, {"weight": None}),
        lambda c: c.shape[0] > 256,
    ),
    "smoothing in a batch of one": (
        "label_smoothing",
        changed(lambda p: p["z"].ndim == 2 and p["z"].shape[0] == 1, {"label_smoothing": 0.0}),
        lambda c: c.shape[0] == 1,
    ),
}
"""An option that is supported alone, a loss that is wrong in one place beside it, and the cases that are there."""


@pytest.mark.parametrize("name", FAULTS)
def test_what_goes_wrong_beside_one_option_is_found_by_the_cases_of_its_kind_alone(name: str) -> None:
    """In float32, by a function that has this option and no other."""
    option, loss, among = FAULTS[name]
    (subject,) = subjects_of(adapters.from_numpy(loss, options=[option, *OTHER_OPTIONS]))
    chosen = [c for c in alone_cases(0) if c.dtype == "float32" and "dir" not in c.options]
    records = [r for c in chosen for r in run_case(c, [subject.outcomes_only()])]
    found = {r.case for r in records if r.outcome in FAILING}
    assert found
    assert [case for case in found if not among(Case.parse(case))] == []
    assert sum(r.outcome == "agree" for r in records) > 50


@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES if dtype != "float32"])
def test_two_options_are_met_without_the_third_in_every_dtype(dtype: str) -> None:
    """A function that has smoothing and ignored rows, and smooths the ignored ones, too, in one dtype: nothing else
    shows it, whoever declares a contract of their own.
    """

    def loss(logits: Any, target: Any, ignore_index: int = -100, label_smoothing: float = 0.0, **given: Any) -> Any:
        z = wide(logits)
        kept = target != ignore_index
        right = {"ignore_index": ignore_index, "label_smoothing": label_smoothing, **given}
        u = right.pop("upstream", 1.0)
        value, gradient = cross_entropy(z, target, **right), cross_entropy_grad(z, target, upstream=u, **right)
        if label_smoothing and not kept.all() and given.get("reduction", "mean") == "mean" and logits.dtype == dtype:
            lost = cross_entropy(z, np.where(kept, 0, target), ignore_index=0, label_smoothing=1.0, reduction="sum")
            value = value + label_smoothing * lost / max(np.count_nonzero(kept), 1)
        return value.astype(logits.dtype), gradient.astype(logits.dtype)

    options = ["ignore_index", "label_smoothing", "k_dims", "unbatched", "strided"]
    (subject,) = subjects_of(adapters.from_numpy(loss, options=options, contract="storage"))
    chosen = [c for c in alone_cases(0) if c.dtype == dtype and c.target == "index" and "dir" not in c.options]
    records = [r for c in chosen for r in run_case(c, [subject.outcomes_only()])]
    assert {r.case.split(".")[4] for r in records if r.outcome in FAILING} == {"lsh+ignmost"}


def test_full_meets_every_three_levels_beside_one_option() -> None:
    """Of its values, shapes, dtypes, reductions, upstream gradients and layouts; a fault that needs three is met."""
    found = (*alone_cases(0), *combined_cases(0))
    for target, values in VALUES:
        own = [c for c in found if c.target == target and c.options in values]
        for shape in FACTORS["shape"]:
            for layout in FACTORS["layout"]:
                met = {c.dtype for c in own if c.shape == shape and c.layout == (layout,)}
                assert met == set(DTYPES)
    (subject,) = subjects_of(
        adapters.from_numpy(
            changed(
                lambda p: p["z"].ndim == 4 and p["z"].dtype == np.float64 and not p["z"].flags.c_contiguous,
                {"weight": None},
            ),
            options=["weight", *OTHER_OPTIONS],
        )
    )
    wrong = [
        sum(
            r.outcome in FAILING
            for c in some
            if c.dtype == "float64" and len(c.shape) == 4
            for r in run_case(c, [subject])
        )
        for some in (alone_cases(0), combined_cases(0))
    ]
    assert wrong[0] == 0
    assert wrong[1] > 0


def test_derivatives_along_a_direction_are_judged_beside_one_option() -> None:
    """A Hessian that is wrong with weights alone, of a right value and gradient."""
    import torch

    def loss(z: Any, y: Any, *, weight: Any = None, reduction: str = "mean") -> Any:
        found = torch.nn.functional.cross_entropy(z, y, weight=weight, reduction=reduction)
        return found if weight is None else found + (found - found.detach()) ** 2

    (subject,) = subjects_of(adapters.from_torch(loss, options=["weight", *OTHER_OPTIONS]), ["cpu"])
    chosen = [
        c
        for c in alone_cases(0)
        if (c.dtype == "float32" and len(c.shape) == 2 and "w" in c.options) or "dir" in c.options
    ]
    records = [r for c in chosen for r in run_case(c, [subject.outcomes_only()])]
    assert {(r.case.split(".")[4], r.quantity) for r in records if r.outcome in FAILING} == {("w+dir", "hvp")}


@pytest.mark.parametrize("option", ["ignore_index", "label_smoothing", "weight", ""])
def test_a_fused_linear_loss_is_judged_on_more_rows_than_a_chunk(option: str) -> None:
    """Chunks of 64 rows, of which the second forgets the one option that there is; without any, dC/dw in bfloat16."""
    import torch

    def loss(x: Any, w: Any, b: Any, y: Any, **given: Any) -> Any:
        reduction = given.pop("reduction", "mean")
        of = torch.nn.functional.cross_entropy
        z = torch.cat([x[:64] @ w.T, x[64:] @ (w if option else w.detach()).T]) + b
        if len(x) <= 64 or not option or y.is_floating_point():
            return of(z, y, reduction=reduction, **given)
        forgotten = {k: v for k, v in given.items() if k != option}
        ends = y[64:].clamp(min=0)
        rows = torch.cat(
            [of(z[:64], y[:64], reduction="none", **given), of(z[64:], ends, reduction="none", **forgotten)]
        )
        return rows if reduction == "none" else rows.sum() if reduction == "sum" else rows.mean()

    options = [*filter(None, [option]), "upstream", "strided"]
    (subject,) = subjects_of(adapters.from_torch(loss, options=options, head="layer"), ["cpu"])
    chosen = [c for c in linear_cases(0) if len(c.shape) == 2 and (c.shape[0] > 64 or c.family == "dyadic")]
    chosen = [c for c in chosen if c.dtype == ("float32" if option else "bfloat16") and c.target == "index"]
    records = [r for c in chosen for r in run_case(c, [subject.outcomes_only()])]
    assert {r.case.split(".")[1] for r in records if r.outcome in FAILING} == {"130x300k6"}
