"""Causes in the upstream gradient, in the two halves of a - y, in rows that do not sum to 1, and along a direction.

The newcomer's mistakes are among them. Codes as in `mistakes`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from xentcheck.diagnosis.counterfactual import Counterfactual, Mistake
from xentcheck.reference.formats import Array
from xentcheck.reference.rows import to_rows


def forgotten(c: Counterfactual) -> Iterator[Mistake]:
    """Every such mistake that could make a difference to this problem."""
    with np.errstate(all="ignore"):
        yield from _upstreams(c)
        yield from _halves(c)
        yield from _jacobians(c)
        yield from _values(c)


def _scale(c: Counterfactual) -> Array:
    """(m, 1): upstream gradient over denominator."""
    return np.broadcast_to(c.upstream / c.denominator, c.z.shape[:1])[:, None]


def _summed_upstreams(c: Counterfactual) -> Iterator[Mistake]:
    """What reaches each row from its loss, behind the reduction, is summed over the rows."""
    t = c.targets
    each = np.broadcast_to(c.upstream / c.denominator, t.kept.shape) * t.kept
    sentence = "the sum over the rows of what reaches them from the reduction multiplies each row's gradient"
    yield "E50", sentence, replace(c, upstream=np.full_like(each, each.sum()), denominator=1.0)
    if t.weight is not None and t.probabilities is None and not t.smoothing:
        plain = np.where(t.label_weight[:, None] != 0, c.q / t.label_weight[:, None], 0.0)
        total = np.full_like(each, (each * t.label_weight).sum())
        yield "E50", sentence, replace(c, q=plain, upstream=total, denominator=1.0)


def _upstreams(c: Counterfactual) -> Iterator[Mistake]:
    up = c.upstream
    ones = np.ones_like(up)
    yield "E50", "the upstream gradient is ignored", replace(c, upstream=ones)
    if c.problem.reduction == "none" and len(up):
        yield "E50", "the first row's upstream gradient is used for all rows", replace(c, upstream=ones * up[0])
        for step, which in ((1, "previous"), (-1, "next")):
            yield "E50", f"the {which} row's upstream gradient is used", replace(c, upstream=np.roll(up, step))
        yield "E50", "the upstream gradients are used in reverse order", replace(c, upstream=up[::-1])
        yield "E50", "the mean of the upstream gradients is used for all rows", replace(c, upstream=ones * up.mean())
    yield "E50", "the upstream gradient is squared", replace(c, upstream=up * up)
    if (up < 0).any() and (up > 0).any():  # else it is a sign
        yield "E50", "the upstream gradient's absolute value is used", replace(c, upstream=np.abs(up))
    yield "E50", "the upstream gradient's sign alone is used", replace(c, upstream=np.sign(up))
    if len(up) > 1:
        yield from _summed_upstreams(c)
    if len(up) == c.z.shape[1] > 1 and c.problem.reduction == "none":
        by_class = c.result("dC/dz") / np.where(up != 0, up, 1.0)[:, None] * up
        yield "E50", "the upstream gradient of row j multiplies class j of every row", c.with_gradient(by_class)
    if c.mean:
        yield "E50", "the upstream gradient is squared", replace(c, upstream=up * up / c.denominator)
    added = replace(c, upstream=ones).result("dC/dz") + up[:, None]
    yield "E50", "the upstream gradient is added, not multiplied", replace(c, given={"dC/dz": added})
    if c.problem.backwards > 1:
        first = c.result("dC/dz")
        told = "the second backward call finds what the first left behind"
        yield "E53", told, replace(c, upstream=-2.0 * up * up)
        again = c.problem.backwards * (c.q if c.pulled is None else c.pulled)
        yield "E53", f"{told}: y is subtracted from the saved softmax once more in each call", replace(c, pulled=again)
        for sentence, before in (("the gradient", first), ("a - y", c.softmax[0] * c.q.sum(1, keepdims=True) - c.q)):
            saved = replace(c, a=before, row_mass=1.0)
            yield "E53", f"{told}: {sentence} in the place of the saved softmax", saved
            saved = replace(c, z=before)
            yield "E53", f"{told}: {sentence} in the place of the saved logits", saved
    yield "E54", "the result is 0", replace(c, factor=0.0)
    yield "G90", "the sign is wrong", replace(c, factor=-1.0)
    yield "B24", "twice the right result", replace(c, factor=2.0)
    yield "B24", "half of the right result", replace(c, factor=0.5)


def _halves(c: Counterfactual) -> Iterator[Mistake]:
    a, mass, s = c.softmax[0], c.q.sum(1, keepdims=True), _scale(c)
    right = s * (a * mass - c.q)
    flows = "no gradient flows through the log of the sum, as behind stop_gradient or detach"
    yield "E56", f"the gradient is -y alone: {flows}", replace(c, row_mass=0.0)
    yield "E56", "the gradient is a alone: y is not subtracted", c.with_gradient(s * a * mass)
    yield "E56", "a gradient at the label only: every z_j is in the sum below a_y", c.with_gradient(right * (c.q != 0))
    yield "E56", "no gradient at the label: a is right for the other classes only", c.with_gradient(right * (c.q == 0))
    yield (
        "E56",
        "each class is taken for a logistic output: a (1 - a) in place of the Jacobian",
        c.with_gradient(s * (a - c.q) * a * (1.0 - a)),
    )
    log_a = c.softmax[1]
    yield "E52", "in the gradient, log a stands in the place of a", c.with_gradient(s * (log_a * mass - c.q))
    yield "E52", "the logits are returned as gradient", c.with_gradient(c.z)
    yield "E52", "the logits are returned as gradient, times its factor", c.with_gradient(s * c.z)
    yield "E52", "the softmax is returned as gradient", c.with_gradient(a)


def _jacobians(c: Counterfactual) -> Iterator[Mistake]:
    """Backward passes in two steps: what reaches log a, or a, goes through the derivative of another function."""
    a, s = c.softmax[0], _scale(c)
    g, by_a = -s * c.q, np.where(c.q != 0, -s * c.q / a, 0.0)
    total, dot = g.sum(1, keepdims=True), (a * g).sum(1, keepdims=True)
    right = c.result("dC/dz")
    of_log, of_a = "g - a sum(g), that of the log-softmax", "a (g - sum(a g)), that of the softmax"
    for told, gradient in (
        (f"what reaches log a goes through {of_a}", a * (g - dot)),
        (f"what reaches a goes through {of_log}", by_a - a * by_a.sum(1, keepdims=True)),
        (f"g - sum(g) in the place of {of_log}", g - total),
        (f"a (g - sum(g)) in the place of {of_log}", a * (g - total)),
        (f"g - a sum(a g) in the place of {of_log}", g - a * dot),
        (f"g - a mean(g) in the place of {of_log}", g - a * total / a.shape[1]),
        (f"g (1 - a), its diagonal alone, in the place of {of_log}", g * (1.0 - a)),
        (f"a g in the place of {of_log}", a * g),
        (f"g + a sum(g), with the wrong sign, in the place of {of_log}", g + a * total),
        (f"a (g - sum(g)) in the place of {of_a}", a * (by_a - by_a.sum(1, keepdims=True))),
        (f"g - sum(a g) in the place of {of_a}", by_a - total),
        ("-y/a, the derivative by a, is returned: the derivative of the softmax is left out", by_a),
        (
            "what is right goes through the derivative of the softmax once more",
            a * (right - (a * right).sum(1)[:, None]),
        ),
        (f"sum(g) is over the rows in {of_log}", g - a * g.sum(0)),
        (f"sum(g) is over rows and classes in {of_log}", g - a * g.sum()),
        (f"sum(a g) is over the rows in {of_a}", a * (by_a - g.sum(0))),
    ):
        yield "E61", f"the derivative of another function: {told}", c.with_gradient(gradient)


def _values(c: Counterfactual) -> Iterator[Mistake]:
    """Rows whose factors do not sum to 1: lse - q.z; and a smoothing that is corrected once too often."""
    t = c.targets
    top = c.z.max(1, keepdims=True, initial=-np.inf)
    lse = (top + np.log(np.exp(c.z - top).sum(1, keepdims=True)))[:, 0]
    with np.errstate(all="ignore"):
        dot = np.where(c.q != 0, c.q * c.z, 0.0).sum(1)
    one = np.where(t.kept, lse, 0.0) - dot
    given = {"loss": c.factor * one / c.denominator, "cost": np.asarray(c.factor * (one / c.denominator).sum())}
    yield "D44", "rows of probabilities are taken to sum to 1: lse - q.z", replace(c, given=given)
    if t.smoothing and t.probabilities is None and t.classes > 2:
        hot = (np.arange(t.classes) == t.label[:, None]) * t.label_weight[:, None]
        even = t.kept[:, None] * (np.ones(t.classes) if t.weight is None else t.weight) * t.smoothing / t.classes
        part = 1.0 - t.smoothing * t.classes / (t.classes - 1.0)
        yield "D40", "smoothing twice corrected: 1 - eps C/(C - 1) at the label", replace(c, q=hot * part + even)
        spread = even * t.classes / (t.classes - 1.0)
        yield (
            "D40",
            "smoothing twice corrected: 1 - eps at the label, eps/(C - 1) at all classes",
            replace(c, q=hot * (1.0 - t.smoothing) + spread),
        )


def along(c: Counterfactual) -> Iterator[Mistake]:
    """Mistakes in the derivatives along a direction: second order, and forward mode."""
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
