"""Class E along a direction of the logits: second order and forward mode, in the NumPy and the PyTorch adapter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xentcheck import reference
from xentcheck.adapters.base import Adapter
from xentcheck.cases import Case
from xentcheck.reference.problem import Problem

from . import outputs
from .base import ERROR, GRADIENT, Fault, fault
from .outputs import Change, Values

FAULTS: list[Fault] = []


def adapter(framework: str, change: Change) -> Adapter:
    """A built-in adapter whose derivatives along a direction are changed in place."""

    def along(problem: Problem, values: Values) -> None:
        if problem.v is not None:
            change(problem, values)

    return outputs.adapter(framework, along)


def directed(*families: str) -> Callable[[Case], bool]:
    """The cases with a direction, of some families or of all."""
    return lambda case: "dir" in case.options and (not families or case.family in families)


def plain(p: Problem) -> bool:
    """Class indices and no options: q is one-hot, and Q is 1."""
    return not p.probabilities and p.weight is None and not p.label_smoothing and bool(p.kept.all())


def wide(x: Any) -> NDArray[np.float64]:
    """In float64."""
    return np.asarray(x).astype(np.float64)


@fault(FAULTS, "E57-hessian-of-zeros", "tensorflow#7403", GRADIENT, directed())
def hessian_of_zeros(p: Problem, values: Values) -> None:
    """The saved gradient is a constant to the second derivative, which is 0."""
    values["hvp"][...] = 0


@fault(FAULTS, "E57-once-differentiable", "pytorch#2210", ERROR, directed())
def once_differentiable(p: Problem, values: Values) -> None:
    """The backward pass cannot be differentiated."""
    raise RuntimeError("trying to differentiate twice a function that was marked with @once_differentiable")


@fault(FAULTS, "E57-diagonal-alone", "xgboost#638", GRADIENT, directed())
def diagonal_alone(p: Problem, values: Values) -> None:
    """diag(a) v, without a (a.v)."""
    if plain(p) and p.reduction != "none":
        a, v = reference.softmax(wide(p.logits)), wide(p.v)
        rows = len(a) if p.reduction == "mean" else 1
        values["hvp"] = (float(p.upstream) / rows * a * v).astype(p.dtype)


@fault(FAULTS, "E57-twice-the-hessian", "xgboost#5769", GRADIENT, directed())
def twice_the_hessian(p: Problem, values: Values) -> None:
    """The factor 2 of a majoriser."""
    values["hvp"] = (2 * wide(values["hvp"])).astype(p.dtype)


@fault(FAULTS, "E58-tangent-without-shift", "pytorch#73741", GRADIENT, directed("common-offset"))
def tangent_without_shift(p: Problem, values: Values) -> None:
    """Forward mode weighs by exp(z)/sum(exp(z)), without the maximum subtracted."""
    with np.errstate(over="ignore"):
        total = np.exp(np.asarray(p.logits)).sum(1)
    lost = ~np.isfinite(total) | (total == 0)
    if lost.any():
        values["jvp"] = np.where(lost if p.reduction == "none" else lost.any(), np.nan, values["jvp"]).astype(p.dtype)


@fault(FAULTS, "E58-tangent-times-minus-infinity", "optax#1762", GRADIENT, directed("masked"))
def tangent_times_minus_infinity(p: Problem, values: Values) -> None:
    """Forward mode multiplies the tangent of the weights, 0, by log a, -inf."""
    lost = np.isneginf(np.asarray(p.logits)).any(1)
    if lost.any():
        values["jvp"] = np.where(lost if p.reduction == "none" else lost.any(), np.nan, values["jvp"]).astype(p.dtype)


@fault(FAULTS, "E58-tangent-is-zero", "t5x#351", GRADIENT, directed())
def tangent_is_zero(p: Problem, values: Values) -> None:
    """Forward mode finds no rule, and takes the loss for a constant."""
    values["jvp"][...] = 0


@fault(FAULTS, "E58-tangent-of-all-rows", "jax#13529", GRADIENT, directed())
def tangent_of_all_rows(p: Problem, values: Values) -> None:
    """Forward mode sums over the rows where the loss is their mean."""
    if p.reduction == "mean":
        values["jvp"] = (wide(values["jvp"]) * len(np.asarray(p.logits))).astype(p.dtype)
