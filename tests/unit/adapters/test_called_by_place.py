"""Functions that take options by position only, or need what no call passes, and functions of unknown parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import xentcheck
from xentcheck.adapters.scripting import Call
from xentcheck.adapters.wrap.called import as_function
from xentcheck.adapters.wrap.implementation import adapter_of
from xentcheck.errors import AdapterError
from xentcheck.reference import cross_entropy, cross_entropy_grad
from xentcheck.reference.problem import Problem

WORDS = {"weight": ".w.", "ignore_index": ".ign."}
"""What a case has in its id, which has one of these options."""


def right(logits: Any, target: Any, upstream: Any = 1.0, **options: Any) -> tuple[Any, Any]:
    return cross_entropy(logits, target, **options), cross_entropy_grad(logits, target, upstream=upstream, **options)


def by_place(z: Any, y: Any, weight: Any, scale: float = 1.0, reduction: str = "sum", upstream: Any = 1.0, /) -> Any:
    assert scale == 1.0
    return right(z, y, upstream, weight=weight, reduction=reduction)


def required(z: Any, y: Any, weight: Any, *, ignore_index: int, reduction: str, upstream: Any) -> Any:
    return right(z, y, upstream, weight=weight, ignore_index=ignore_index, reduction=reduction)


def picky(z: Any, y: Any, **options: Any) -> Any:
    if options.pop("weight", None) is not None:
        raise TypeError("got an unexpected keyword argument 'weight'")
    return right(z, y, **options)


@pytest.mark.usefixtures("ordinary")
@pytest.mark.parametrize(
    ("function", "options", "calling"),
    [
        (by_place, {"weight"}, "function places=weight:+scale:1.0+reduction:+upstream: always=reduction+weight"),
        (required, {"weight", "ignore_index"}, "function always=reduction+ignore_index+weight+upstream"),
    ],
)
def test_options_reach_a_function_however_it_takes_them(function: Any, options: set[str], calling: str) -> None:
    """By position only, or without a default: alone this shows that it agrees, and that its options are judged."""
    adapter = adapter_of(function, "numpy")
    assert adapter.calling == calling
    run = xentcheck.check(function, "numpy", dtypes=["float32"])
    assert run.ok
    agreed = [r.case for r in run.records if r.outcome == "agree"]
    assert all(any(WORDS[option] in case for case in agreed) for option in options)


@pytest.mark.usefixtures("ordinary")
def test_a_wrong_one_is_caught() -> None:
    """This alone shows that what is passed by position is what is judged."""

    def unweighted(z: Any, y: Any, weight: Any, reduction: str, upstream: Any, /) -> Any:
        return right(z, y, upstream, reduction=reduction)

    run = xentcheck.check(unweighted, "numpy", dtypes=["float32"])
    losses = [r for r in run.records if r.quantity == "loss" and r.outcome != "unsupported"]
    assert {r.outcome for r in losses if ".w." in r.case} == {"disagree"}
    assert {r.outcome for r in losses if ".index.plain." in r.case} == {"agree"}


@pytest.mark.usefixtures("ordinary")
def test_what_a_function_of_any_keywords_refuses_is_unsupported() -> None:
    """By a TypeError too: alone this shows that other errors of it stay errors."""
    run = xentcheck.check(picky, "numpy", dtypes=["float32"])
    assert run.ok
    assert run.verdict.counts["unsupported"]

    def broken(z: Any, y: Any, **options: Any) -> Any:
        return right(z, y, **options) if options.get("weight") is None else [][1]

    assert xentcheck.check(broken, "numpy", dtypes=["float32"]).verdict.counts["error"]


def keyword_only(*, logits: Any, target: Any) -> Any: ...


def without_parameters() -> Any: ...


def chunked(logits: Any, target: Any, chunks: int, upstream: Any = 1.0) -> Any: ...


def without_bias(x: Any, weight: Any, target: Any) -> Any: ...


def swapped(y_true: Any, y_pred: Any) -> Any: ...


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            keyword_only,
            "^keyword_only takes 0 arguments by position; allowed: logits and ",
        ),
        (without_parameters, "^without_parameters takes 0 arguments by position; allowed: logits and "),
        (
            without_bias,
            r"^without_bias needs target, which .* \(a fused linear loss has a parameter for a bias, too\)$",
        ),
        (swapped, "^swapped takes y_true before y_pred; allowed: logits first, "),
        (chunked, "^chunked needs chunks, which no problem sets; allowed: a default there, or "),
    ],
)
def test_what_no_call_can_reach_is_refused_in_one_line(function: Any, message: str) -> None:
    """Not an error of every case."""
    with pytest.raises(AdapterError, match=message):
        adapter_of(function, "numpy")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ([], "loss(z, y)"),
        (["reduction='sum'"], "loss(z, y, None, 1.0, 'sum')"),
        (["weight=c", "label_smoothing=0.5"], "loss(z, y, c, label_smoothing=0.5)"),
    ],
)
def test_a_script_calls_it_the_same_way(options: list[str], text: str) -> None:
    """Up to the last place that is given, with what stands for the others."""
    call = Call.of("function places=weight:+scale:1.0+reduction:")
    problem = Problem(logits=np.zeros((1, 2)), target=np.array([0]))
    assert call(problem, ["z", "y"], options) == text


class KeepsItsFirstTarget:
    """What it is made for a training loop to call, and remembers."""

    def __init__(self, weight: Any = None, reduction: str = "mean") -> None:
        self.calls = 0

    def __call__(self, logits: Any, target: Any) -> int:
        self.calls += 1
        return self.calls


def test_a_class_is_called_again_and_not_made_anew() -> None:
    """By the same options, unless these are arrays."""
    call = as_function(KeepsItsFirstTarget)
    assert [call(0, 0), call(0, 0), call(0, 0, reduction="sum"), call(0, 0)] == [1, 2, 1, 3]
    weight = np.ones(3)
    assert [call(0, 0, weight=weight), call(0, 0, weight=weight)] == [1, 1]
