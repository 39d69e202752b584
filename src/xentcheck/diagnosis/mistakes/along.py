"""Causes in the derivatives along a direction of the logits: second order, and forward mode. Codes as in `causes`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from xentcheck.diagnosis.counterfactual import Counterfactual, Mistake
from xentcheck.reference.rows import to_rows


def along(c: Counterfactual) -> Iterator[Mistake]:
    """Every such mistake, of a problem that has a direction."""
    if c.problem.v is None:
        return
    v = to_rows(c.problem.v).astype(np.float64)
    with np.errstate(all="ignore"):
        hvp, jvp = c.result("hvp"), np.atleast_1d(c.result("jvp"))
        scale = np.broadcast_to(c.upstream / c.denominator, c.z.shape[:1])[:, None] * c.q.sum(1, keepdims=True)
        diagonal = scale * c.softmax[0] * v
    yield (
        "E57",
        "the second derivative is 0: the gradient that was saved is a constant to it",
        replace(c, given={"hvp": np.zeros_like(hvp)}),
    )
    yield "E57", "the Hessian's diagonal alone: a v, without a (a . v)", replace(c, given={"hvp": diagonal})
    yield (
        "E58",
        "the tangent is 0: forward mode takes the loss for a constant",
        replace(c, given={"jvp": np.zeros_like(jvp)}),
    )
