"""Suspects: which known mistake explains a wrong result, element by element; none if none does."""

from __future__ import annotations

import numpy as np

from xentcheck.reference.formats import Array
from xentcheck.reference.problem import Problem
from xentcheck.reference.rows import to_rows
from xentcheck.vocabulary import GRADIENTS, LAYER_GRADIENTS

from .causes import causes
from .counterfactual import Counterfactual
from .layer_causes import layer_causes

EXAMINED = ("loss", "cost", "dC/dz", *LAYER_GRADIENTS)
"""The quantities whose causes are looked for."""

UNEXPLAINED = 0.02
"""Share of an element's error that a cause may leave open."""

BITS = 5
"""A result that is right to so many bits everywhere was computed in too low a precision."""

LARGEST = 200_000
"""Elements of the logits or of the weights beyond which nobody waits for a guess."""

UNSURE = "unsure: none of the known mistakes explains it"


def suspects(problem: Problem, quantity: str, got: Array, bound: Array) -> tuple[str, ...]:
    """The causes that explain a wrong value or gradient: "B20: off by the factor valid/N = 3/5 ...".

    A cause explains a result if what it would give is within twice the bound and 2 % of the error of each element.
    got, bound: in the quantity's shape. UNSURE where nothing known fits; empty where none is looked for: other
    quantities, networks, more than 200,000 elements.
    """
    if quantity not in EXAMINED or problem.head == "network" or not 0 < _elements(problem) <= LARGEST:
        return ()
    right = Counterfactual.of(problem)
    exact = np.atleast_1d(right.result(quantity))
    found, limit = _in_rows(got, quantity), _in_rows(bound, quantity)
    with np.errstate(all="ignore"):
        if pattern := _nan_where_masked(right, exact, found, limit):
            return (pattern,)
        explained = dict.fromkeys(
            f"{code}: {text}"
            for code, text, wrong in (*causes(right), *layer_causes(right))
            if _explains(np.atleast_1d(wrong.result(quantity)), exact, found, limit)
        )
        if explained:
            return tuple(explained)
        pattern = _not_finite(right, exact, found)
        if not pattern and quantity == "dC/dz":
            pattern = _where_wrong(right, exact, found, limit)
        if not pattern and quantity in LAYER_GRADIENTS:
            pattern = _where_zero(quantity, exact, found, limit)
        return (pattern or _precision(exact, found, limit, quantity) or UNSURE,)


def suspects_of_error(told: str) -> tuple[str, ...]:
    """What an exception's text says."""
    if "returned a loss of shape" in told:
        return ("B26: the output has another shape than the reduction and the logits ask for",)
    if "IndexError" in told or "out of bounds" in told or "out of range" in told:
        return ("C32: a label or the sentinel is used as an index that is not there",)
    return ()


def _elements(problem: Problem) -> int:
    """Of the logits, or of the weights if they have more."""
    return max(int(np.prod(problem.logits_shape)), 0 if problem.w is None else problem.w.size)


def _in_rows(x: Array, quantity: str) -> Array:
    """(m, C) for dC/dz, as it is for gradients of a layer, (m,) or (1,) for values; float64."""
    wide = np.asarray(x).astype(np.float64)
    if quantity == "dC/dz":
        return np.asarray(to_rows(wide))
    return wide if quantity in LAYER_GRADIENTS else wide.reshape(-1)


def _explains(expected: Array, exact: Array, got: Array, bound: Array) -> bool:
    if np.array_equal(expected, exact, equal_nan=True):
        return False
    same = (got == expected) | (np.isnan(got) & np.isnan(expected))
    near = np.abs(got - expected) <= 2.0 * bound + UNEXPLAINED * np.abs(got - exact)
    return bool((same | (near & np.isfinite(got))).all())


NAN_WHERE_MASKED = "A05: nan beside classes at -inf: 0 * inf, or inf - inf"


def _nan_where_masked(right: Counterfactual, exact: Array, got: Array, bound: Array) -> str:
    """Where all that is wrong is nan, and classes are at -inf, numbers say nothing about other mistakes."""
    wrong = ~(np.abs(got - exact) <= bound) & (got != exact)
    only_nan = wrong.any() and np.isnan(got[wrong]).all()
    return NAN_WHERE_MASKED if only_nan and np.isneginf(right.z).any() else ""


def _not_finite(right: Counterfactual, exact: Array, got: Array) -> str:
    """What a nan or an infinity says by itself."""
    bad = ~np.isfinite(got) & np.isfinite(exact)
    if not bad.any():
        return ""
    if np.isneginf(right.z).any() and np.isnan(got[bad]).any():
        return NAN_WHERE_MASKED
    wide = "float64" if right.problem.dtype == "float64" else "float32"
    top = right.z.max(1)
    if top.max() < np.log(np.finfo(wide).max) and top.min() > -80.0:
        return "A04: not finite where no exp can overflow: the logarithm of a softmax that is 0"
    return "A01: not finite where the exact value is: exp overflows, or all of it underflows; subtract the maximum"


def _where_wrong(right: Counterfactual, exact: Array, got: Array, bound: Array) -> str:
    """What the places of a gradient's wrong elements say."""
    wrong = ~(np.abs(got - exact) <= bound)
    columns, rows = np.flatnonzero(wrong.any(0)), np.flatnonzero(wrong.any(1))
    if (got[wrong] == 0).all():
        if 0 < len(columns) < wrong.shape[1] and columns[-1] == wrong.shape[1] - 1:
            return f"F74: no gradient from column {columns[0]} on"
        if 0 < len(rows) < wrong.shape[0] and rows[-1] == wrong.shape[0] - 1:
            return f"F78: no gradient from row {rows[0]} on: a lost chunk, or an offset that overflows"
        return "E54: the wrong elements are all 0"
    at_maximum = right.z == right.z.max(1, keepdims=True)
    if not wrong[~at_maximum].any():
        return "A11: wrong at the row's maximum only: a gradient flows through the maximum"
    return ""


def _where_zero(quantity: str, exact: Array, got: Array, bound: Array) -> str:
    """What the places of a layer's gradient say that are wrongly 0."""
    wrong = ~(np.abs(got - exact) <= bound)
    if not wrong.any() or got[wrong].any():
        return ""
    somewhere = wrong.reshape(len(wrong), -1).any(1)
    first = int(np.argmax(somewhere))
    if first and somewhere[first:].all():
        what = "row" if quantity == "dC/da_prev" else "class"
        return f"G94: no gradient from {what} {first} on: a lost shard or chunk"
    return "E54: the wrong elements are all 0"


def _precision(exact: Array, got: Array, bound: Array, quantity: str) -> str:
    """Whether everything is right to some bits, a matter of rounding; gradients relative to the largest."""
    wrong = ~(np.abs(got - exact) <= bound)
    floor = np.abs(exact).max(initial=0.0) * 2.0**-BITS if quantity in GRADIENTS else 0.0
    relative = float((np.abs(got - exact) / np.maximum(np.abs(exact), floor))[wrong].max(initial=0.0))
    if 0 < relative < 2.0**-BITS:
        return f"A10: right to about {int(-np.log2(relative))} bits: a step in too low a precision"
    return ""
