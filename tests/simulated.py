"""Each contract's algorithm, written out in NumPy in the problem's own dtype: what the bounds must hold for.

`fused`: everything by e/S and (z - m) - log S. `fused-lse`: the loss as fl(m + log S) - z_y. `stash`: the gradient's
softmax is the exponential of the stored log a. `stash-lse`: both by log-sum-exp. `autograd`: differentiation through
the maximum, which takes each row's sum off the gradient at the first maximum.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xentcheck.reference.problem import Problem

Array = NDArray[Any]

ALGORITHMS = {
    "fused": "fused",
    "fused-lse": "fused-lse",
    "stash": "stash",
    "stash-lse": "stash-lse",
    "autograd": "stable",
}
"""Algorithm -> the contract it meets."""

NUMPY_ULPS = (3.0, 3.0)
"""Accuracy of NumPy's exp and log in ULPs, both dtypes (measured: 2.5 and 3.0 in float32)."""


def simulate(p: Problem, algorithm: str) -> dict[str, Array]:
    """All quantities of a problem by one algorithm, every operation rounded to the problem's dtype."""
    with np.errstate(all="ignore"):
        z = logits_of(p)
        m = z.max(1, keepdims=True)
        t = z - m
        e = np.exp(t)
        total = e.sum(1, keepdims=True)
        lse = m + np.log(total)
        log_a = z - lse if algorithm in ("fused-lse", "stash-lse", "autograd") else t - np.log(total)
        a = e / total
        inner = np.exp(log_a) if algorithm in ("stash", "stash-lse") else a
        q, denominator = factors(p)
        losses = np.where(q != 0, q * -log_a, p_type(p)(0)).sum(1)
        cost = losses.sum() / denominator
        upstream = np.broadcast_to(p.upstream.reshape(-1).astype(p.dtype), losses.shape)
        factor = (upstream / denominator)[:, None]
        g = factor * (inner * q.sum(1, keepdims=True) - q)
        if algorithm == "autograd":
            at_maximum = np.arange(p.classes) == z.argmax(1)[:, None]
            g = g - at_maximum * g.sum(1, keepdims=True)
    out = {"a": a, "log_a": log_a, "loss": losses, "cost": np.asarray(cost), "dC/dz": g}
    if p.head == "layer":
        out |= {"dC/db": g.sum(0), "dC/dw": g.T @ np.asarray(p.a_prev), "dC/da_prev": g @ np.asarray(p.w)}
    return {name: out[name] for name in p.quantities}


def p_type(p: Problem) -> Any:
    """The scalar type of the problem's dtype."""
    return np.dtype(p.dtype).type


def logits_of(p: Problem) -> Array:
    """(N, C) logits as the implementation has them: given, or computed."""
    if p.logits is not None:
        return p.logits
    assert p.head == "layer"
    return np.asarray(p.a_prev) @ np.asarray(p.w).T + np.asarray(p.b)


def factors(p: Problem) -> tuple[Array, Any]:
    """q (N, C) of -log a, and what the reduction divides by."""
    one = p_type(p)(1)
    weight = np.ones(p.classes, p.dtype) if p.weight is None else p.weight
    if p.probabilities:
        return p.target * weight, p_type(p)(len(p.target)) if p.reduction == "mean" else one
    kept = p.target != p.ignore_index
    label = np.where(kept, p.target, 0)
    eps = p_type(p)(p.label_smoothing)
    at_label = np.where(kept, weight[label], p_type(p)(0))
    q = np.where(kept[:, None], weight * (eps / p_type(p)(p.classes)), p_type(p)(0))
    q[np.arange(len(q)), label] += at_label * (one - eps)
    return q, at_label.sum() if p.reduction == "mean" else one
