"""What a function answers to a small problem, beside the exact value: which reduction it does, what it overlooks, and
where it takes the classes to be.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from xentcheck.adapters.wrap.fused import as_layer
from xentcheck.errors import ProcessEnded, foreign
from xentcheck.reference.bounds import bound
from xentcheck.reference.bounds.contracts import DEFAULT
from xentcheck.reference.formats import Array
from xentcheck.reference.oracle import Exact
from xentcheck.reference.problem import Problem

if TYPE_CHECKING:
    from xentcheck.adapters.base import Adapter

ROWS = ((0.0, 1.0, 3.0), (2.0, 0.0, 0.5))


SHARES = ((0.25, 0.25, 0.5), (0.125, 0.625, 0.25))
"""Rows of probabilities that add up to 1, as some functions ask for."""


def plain(dtype: str, **changes: Any) -> Problem:
    """Two rows of three classes."""
    given: dict[str, Any] = {"logits": np.array(ROWS, dtype), "target": np.array([0, 2])}
    return Problem(**{**given, **changes})


UNNAMED = "unnamed-"
"""What is guessed of a function of any keywords, with the name of one that it has no parameter for: that it uses it."""

CHANGING: dict[str, dict[str, Any]] = {
    "weight": {"weight": np.array((0.5, 2.0, 1.0))},
    "ignore_index": {"ignore_index": 1},
    "label_smoothing": {"label_smoothing": 0.5},
}
"""Options, where each makes another loss of two rows with the labels 0 and 1."""


def distances(adapter: Adapter, problem: Problem) -> dict[str, float]:
    """By reduction, how far its value is from the exact one, where it has that one's shape."""
    found: dict[str, float] = {}
    for reduction, value in values(adapter, problem).items():
        p = reduced(adapter, problem, reduction)
        assert p is not None
        exact = Exact(p).evaluate([_quantity(p)])[_quantity(p)][0]
        if value.shape == exact.shape:
            found[reduction] = float(np.abs(value - exact).max())
    return found


def values(adapter: Adapter, problem: Problem) -> dict[str, Array]:
    """What it answers in each reduction, in float64, where it does."""
    found: dict[str, Array] = {}
    for device, reduction in product(adapter.devices(), ("mean", "sum", "none")):
        p = reduced(adapter, problem, reduction)
        if p is None:
            continue
        try:
            found[reduction] = _value(adapter, p, device)
        except ProcessEnded:
            break  # each further call might cost another process, or the limit of time
        except Exception:
            continue
    return found


def _value(adapter: Adapter, p: Problem, device: str) -> Array:
    """Its value, in float64. Raises what the call does."""
    with foreign(), warnings.catch_warnings(action="ignore"):
        result = adapter.compute(p, [_quantity(p)], device=device, variant=uncompiled(adapter))
    return np.asarray(result.values[_quantity(p)]).astype(np.float64)


def uncompiled(adapter: Adapter) -> str:
    """The variant that compiles nothing, if there is one."""
    return "eager" if "eager" in adapter.variants else adapter.variants[0]


def _quantity(p: Problem) -> str:
    """The quantity that is the value of the loss."""
    return "loss" if p.reduction == "none" else "cost"


def overlooks_reductions(adapter: Adapter, dtype: str) -> bool:
    """Whether a function of any keywords returns the same whatever reduction it is asked for."""
    if UNNAMED + "reduction" not in adapter.guessed:
        return False
    found = list(values(adapter, plain(dtype)).values())
    return len(found) > 1 and all(np.array_equal(found[0], other) for other in found[1:])


def overlooks(adapter: Adapter, option: str, dtype: str) -> bool:
    """Whether a function of any keywords answers with an option what it answers without it: the same value and the same
    gradients in each of its reductions, for labels, and for rows of probabilities if it takes them.
    """
    if UNNAMED + option not in adapter.guessed:
        return False
    given = {k: x.astype(dtype) if isinstance(x, np.ndarray) else x for k, x in CHANGING[option].items()}
    targets = [np.array([0, 1])] if option == "ignore_index" else [np.array([0, 1]), np.array(SHARES, dtype)]
    answers = 0
    for target, reduction in product(targets, adapter.capabilities.reductions):
        with_it, without = (_answer(adapter, plain(dtype, target=target, **x), reduction) for x in (given, {}))
        if without is None:
            continue
        if with_it is None or not all(np.array_equal(x, y) for x, y in zip(with_it, without, strict=True)):
            return False
        answers += 1
    return answers > 0


def _answer(adapter: Adapter, problem: Problem, reduction: str) -> list[Array] | None:
    """All that it returns in a reduction; None where it cannot be asked, or raises an exception."""
    p, device = reduced(adapter, problem, reduction), adapter.devices()[0]
    if p is None:
        return None
    try:
        with foreign(), warnings.catch_warnings(action="ignore"):
            result = adapter.compute(p, adapter.provided(p, p.quantities), device=device, variant=uncompiled(adapter))
    except Exception:
        return None
    return [np.asarray(x) for x in result.values.values()]


def classes_last(adapter: Adapter, dtype: str) -> bool:
    """Whether its answer to rows of probabilities with an axis of pixels is right, within the bounds of the default
    contract, if the last axis holds the classes.
    """
    z = np.arange(24.0).reshape(2, 3, 4) % 5
    q = [np.roll((0.125, 0.125, 0.25, 0.5), i) for i in range(6)]  # rows add up to 1, as some functions ask for
    arrays = {"logits": z.astype(dtype), "target": np.reshape(q, z.shape).astype(dtype)}
    turned: dict[str, Any] = {name: np.moveaxis(x, -1, 1).copy() for name, x in arrays.items()}
    reduction = adapter.capabilities.reductions[0]
    ones = np.ones((2, 3) if reduction == "none" else (), dtype)
    as_rows = Problem(reduction=reduction, upstream=ones, **turned)
    try:
        found = _value(adapter, Problem.unchecked(reduction=reduction, upstream=ones, **arrays), adapter.devices()[0])
    except Exception:
        return False
    quantity = _quantity(as_rows)
    exact = Exact(as_rows).evaluate([quantity])[quantity][0]
    allowed = bound(quantity, as_rows, DEFAULT)
    return found.shape == exact.shape and bool((np.abs(found - exact) <= allowed).all())


def reduced(adapter: Adapter, problem: Problem, reduction: str) -> Problem | None:
    """The problem in that reduction, as the adapter is asked for it; None if no layer has it."""
    ones = np.ones(problem.loss_shape if reduction == "none" else (), problem.dtype)
    p = replace(problem, reduction=reduction, upstream=ones)
    return p if "logits" in adapter.capabilities.heads else as_layer(p)
