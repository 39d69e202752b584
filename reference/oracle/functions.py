"""Exact values by the names and options of `reference`, as pairs (hi, lo)."""

from __future__ import annotations

from typing import Any

import numpy as np

from xentcheck.reference.loss import problem_of
from xentcheck.reference.problem import NO_IGNORE, Problem

from .block import Pair
from .exact import Exact


def softmax(z: Any) -> Pair:
    """Exact (78) of logits (m, K), as a pair (hi, lo).

    >>> hi, lo = softmax([[0.0, 0.0]])
    >>> hi.tolist()
    [[0.5, 0.5]]
    """
    return _of_logits(z, "a")


def log_softmax(z: Any) -> Pair:
    """Exact log of (78) of logits (m, K), as a pair (hi, lo).

    >>> hi, lo = log_softmax([[0.0, -800.0]])
    >>> hi.tolist()
    [[0.0, -800.0]]
    """
    return _of_logits(z, "log_a")


def _of_logits(z: Any, quantity: str) -> Pair:
    logits = np.array(z)
    problem = Problem(logits=logits, target=np.zeros(logits.shape[:1], np.int64))
    return Exact(problem).evaluate([quantity])[quantity]


def cross_entropy(
    logits: Any,
    target: Any,
    *,
    weight: Any = None,
    ignore_index: int = NO_IGNORE,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Pair:
    """Exact loss with the options, shapes and conventions of `reference.cross_entropy`, as a pair (hi, lo).

    Raises ShapeError, DtypeError or TargetError like it.

    >>> hi, lo = cross_entropy([[0.0, -800.0]], [0])
    >>> float(hi)
    0.0
    """
    p = problem_of(logits, target, weight, ignore_index, reduction, label_smoothing)
    quantity = "loss" if reduction == "none" else "cost"
    return Exact(p).evaluate([quantity])[quantity]


def cross_entropy_grad(
    logits: Any,
    target: Any,
    *,
    weight: Any = None,
    ignore_index: int = NO_IGNORE,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    upstream: Any = 1.0,
) -> Pair:
    """Exact dC/dlogits with the options, shapes and conventions of `reference.cross_entropy_grad`, as a pair (hi, lo).

    Raises ShapeError, DtypeError or TargetError like it.

    >>> hi, lo = cross_entropy_grad([[0.0, 0.0]], [1])
    >>> hi.tolist()
    [[0.5, -0.5]]
    """
    p = problem_of(logits, target, weight, ignore_index, reduction, label_smoothing, upstream)
    return Exact(p).evaluate(["dC/dz"])["dC/dz"]
