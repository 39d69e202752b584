"""Reserved cases: each option is met alone, so that who supports it and little else is tested on it too."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest

from xentcheck import adapters
from xentcheck.adapters.needs import needed_options
from xentcheck.cases.build import build
from xentcheck.cases.profiles.alone import WIDE, alone_cases
from xentcheck.cases.profiles.arrays.combined import combined_cases
from xentcheck.cases.profiles.linear import linear_cases
from xentcheck.cases.profiles.named import PROFILES, cases
from xentcheck.cases.profiles.reserved import RESERVED, reserved_for, tiny_cases
from xentcheck.reference import cross_entropy, cross_entropy_grad
from xentcheck.running.comparison import run_case
from xentcheck.running.subjects import subjects_of
from xentcheck.vocabulary import DTYPES, OPTIONS, RARE_OPTIONS, REDUCTIONS

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


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("option", ["weight", "ignore_index", "label_smoothing"])
def test_a_fused_linear_loss_meets_each_option_alone_in_every_dtype(option: str, dtype: str) -> None:
    """A bfloat16 kernel without smoothing, whose weighted mean was wrong, agreed: its weights came with smoothing."""
    some = [case for case in linear_cases(0) if case.dtype == dtype and case.shape[0] < 10]
    for reduction in REDUCTIONS:
        needed = [needed_options(build(case)) - {"upstream"} for case in some if case.reduction == reduction]
        assert {option} in needed
        assert {"weight", "ignore_index"} in needed or dtype == "float64"


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
