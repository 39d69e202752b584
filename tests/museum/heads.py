"""Class G: a last layer whose dC/dw, dC/db, dC/da_prev or value is wrong, in the NumPy and the PyTorch adapter."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from xentcheck import reference
from xentcheck.adapters.base import Adapter
from xentcheck.adapters.needs import keywords
from xentcheck.reference.problem import Problem

from . import outputs
from .base import GRADIENT, NO_THREAD, VALUE, Fault, fault
from .outputs import Change, Values

FAULTS: list[Fault] = []


def adapter(framework: str, change: Change) -> Adapter:
    """A built-in adapter whose results for a last layer are changed in place; other heads stay right."""

    def behind_a_layer(problem: Problem, values: Values) -> None:
        if problem.head == "layer":
            change(problem, values)

    return outputs.adapter(framework, behind_a_layer)


def right(problem: Problem, values: Values) -> None:
    """No fault."""


def layer(p: Problem) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """a_prev, w and b."""
    assert p.a_prev is not None
    assert p.w is not None
    assert p.b is not None
    return p.a_prev, p.w, p.b


def delta(p: Problem, upstream: Any = None) -> NDArray[Any]:
    """dC/dz of a layer's logits, for the problem's upstream gradient or another one: (m, C)."""
    a_prev, w, b = layer(p)
    up = p.upstream if upstream is None else upstream
    return reference.cross_entropy_grad(a_prev @ w.T + b, p.target, **keywords(p), upstream=up)


def square(p: Problem) -> bool:
    """Whether dC/dw and its transpose have one shape."""
    return layer(p)[0].shape[1:] == (p.classes,)


@fault(FAULTS, "G90-dw-transposed", "deeplearning4j#345", GRADIENT)
def dw_transposed(p: Problem, values: Values) -> None:
    """a_prev^T delta where delta^T a_prev is due; nothing but the numbers tells them apart if C = K."""
    if square(p):
        values["dC/dw"] = values["dC/dw"].T.copy()


@fault(FAULTS, "G90-dw-negated", "deeplearning4j#345", GRADIENT)
def dw_negated(p: Problem, values: Values) -> None:
    """The sign of y - a."""
    values["dC/dw"] = -values["dC/dw"]


@fault(FAULTS, "G90-da-prev-by-transposed-w", "ledger#1580", GRADIENT)
def da_prev_transposed(p: Problem, values: Values) -> None:
    """delta w^T instead of delta w."""
    if square(p):
        values["dC/da_prev"] = delta(p) @ layer(p)[1].T


@fault(FAULTS, "G90-db-averaged", "ledger#1580", GRADIENT)
def db_averaged(p: Problem, values: Values) -> None:
    """The mean of delta over the rows instead of the sum."""
    values["dC/db"] = delta(p).mean(0)


@fault(FAULTS, "G94-db-drops-last-row", NO_THREAD, GRADIENT)
def db_drops_last_row(p: Problem, values: Values) -> None:
    """The last row of delta is not added to the bias gradient."""
    values["dC/db"] = delta(p)[:-1].sum(0)


@fault(FAULTS, "G94-dw-of-own-shard", "ml-cross-entropy#42", GRADIENT)
def dw_own_shard(p: Problem, values: Values) -> None:
    """The second half of the classes gets no weight gradient."""
    values["dC/dw"][p.classes // 2 :] = 0


@fault(FAULTS, "G94-da-prev-of-own-shard", "ml-cross-entropy#42", GRADIENT)
def da_prev_own_shard(p: Problem, values: Values) -> None:
    """dC/da_prev is not summed over the second half of the classes."""
    half = p.classes // 2
    values["dC/da_prev"] = delta(p)[:, :half] @ layer(p)[1][:half]


@fault(FAULTS, "E54-dw-of-labels-only", "tensorflow#16552", GRADIENT)
def dw_labels_only(p: Problem, values: Values) -> None:
    """The weights of classes that are no label are detached."""
    if not p.probabilities:
        values["dC/dw"][~np.isin(np.arange(p.classes), p.target)] = 0


@fault(FAULTS, "E55-dw-first-upstream", "Liger-Kernel#968", GRADIENT)
def dw_first_upstream(p: Problem, values: Values) -> None:
    """The upstream gradient is applied after the sum over the rows: upstream[0] for all."""
    if p.reduction == "none":
        values["dC/dw"] = p.upstream[0] * (delta(p, np.ones_like(p.upstream)).T @ layer(p)[0])


@fault(FAULTS, "A10-dw-accumulated-in-bfloat16", "Liger-Kernel#512", GRADIENT)
def dw_bfloat16(p: Problem, values: Values) -> None:
    """Each row's outer product is added to a bfloat16 accumulator."""
    total = np.zeros(values["dC/dw"].shape, ml_dtypes.bfloat16)
    for d, a in zip(delta(p), layer(p)[0], strict=True):
        total = (total + np.outer(d, a)).astype(ml_dtypes.bfloat16)
    values["dC/dw"] = total.astype(p.dtype)


@fault(FAULTS, "G91-bias-twice-at-label", "ml-cross-entropy#52", VALUE)
def bias_twice(p: Problem, values: Values) -> None:
    """The label's logit takes its bias twice, the sum of exponentials once."""
    if p.weight is None and not p.probabilities and not p.label_smoothing and "cost" in values:
        extra = layer(p)[2][p.target]
        values["cost"] = values["cost"] - (extra.mean() if p.reduction == "mean" else extra.sum())
