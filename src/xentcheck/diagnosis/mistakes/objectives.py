"""Causes in what is minimised: another loss in its place, or a regulariser beside it. Codes as in `mistakes`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from xentcheck.diagnosis.counterfactual import Counterfactual, Mistake
from xentcheck.reference.formats import Array
from xentcheck.reference.rows import to_rows

Rows = tuple[Array, Array]
"""The losses (m,) of the rows and their gradients (m, C), before upstream gradient and denominator."""

HARDEST = (0.25, 0.5, 0.7, 0.75, 0.8, 0.9)
"""Shares of the rows in use, the others of which are too easy to count."""

BOOTSTRAPS = (0.95, 0.9, 0.8)
"""Shares of the given labels in use, beside what is predicted."""

SMALLEST = (1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
"""Limits in use, from below, of a row's loss."""

GREATEST = (10.0, 50.0, 100.0)
"""And from above."""

STEP = 1e-4
"""Of the logits, for a derivative along a direction: its error is 1e-8 of a third derivative."""


def objectives(c: Counterfactual) -> Iterator[Mistake]:
    """Every such mistake that could make a difference to this problem."""
    with np.errstate(all="ignore"):
        yield from _focal(c)
        yield from _hardest(c)
        yield from _clamped(c)
        yield from _unlike(c)
        yield from _others(c)
        yield from _of_probabilities(c)


def _made(c: Counterfactual, rows: Callable[[Array], Rows]) -> Counterfactual:
    """All results of losses that are given with their gradients."""
    losses, gradient = rows(c.z)
    s = np.broadcast_to(c.upstream / c.denominator, c.z.shape[:1])[:, None]
    per_row = c.factor * losses / c.denominator
    given = {"loss": per_row, "cost": np.asarray(per_row.sum()), "dC/dz": c.factor * s * gradient}
    if c.problem.v is not None:
        v = to_rows(c.problem.v).astype(np.float64)
        tangents = c.factor * (gradient * v).sum(1) / c.denominator
        step = STEP / max(float(np.abs(v).max(initial=0.0)), 1e-300)
        there, back = rows(c.z + step * v)[1], rows(c.z - step * v)[1]
        given["jvp"] = np.asarray(tangents if c.problem.reduction == "none" else tangents.sum())
        given["hvp"] = c.factor * s * (there - back) / (2.0 * step)
    return replace(c, given=given)


def _softmax(z: Array) -> tuple[Array, Array, Array]:
    """a, log a, and the log of the sum (m, 1)."""
    top = z.max(1, keepdims=True, initial=-np.inf)
    e = np.exp(z - top)
    total = e.sum(1, keepdims=True)
    return e / total, z - top - np.log(total), top + np.log(total)


def _scales(c: Counterfactual) -> tuple[Array, ...]:
    """(m,): what a term of a row may be multiplied by: 1 or its label's weight, 0 in ignored rows."""
    t = c.targets
    kept = t.kept.astype(np.float64)
    return (kept, t.label_weight * kept) if t.weight is not None and t.probabilities is None else (kept,)


def _entropy(z: Array) -> Rows:
    a, log_a, _ = _softmax(z)
    each = np.where(a > 0, -a * log_a, 0.0)
    value = each.sum(1)
    return value, each - a * value[:, None]


def _focal(c: Counterfactual) -> Iterator[Mistake]:
    """The factor of a focal loss as it is published, and its gradient, with the factor as a constant or not."""
    t = c.targets
    if t.probabilities is not None or t.smoothing:
        return
    rows = np.arange(len(c.z))
    p, log_p = c.softmax[0][rows, t.label], c.softmax[1][rows, t.label]
    right = c.result("dC/dz")
    factor = (1.0 - p) ** 2
    whole = factor - 2.0 * (1.0 - p) * np.where(p > 0, p * log_p, 0.0)
    losses = 0.25 * c.losses() * factor / c.denominator
    given = {"loss": losses, "cost": np.asarray(losses.sum())}
    sentence = "the factor 0.25 (1 - a_y)^2 of a focal loss is left on"
    yield "A12", sentence, replace(c, given={**given, "dC/dz": 0.25 * right * factor[:, None]})
    yield "A12", f"{sentence}, with its derivative", c.with_gradient(0.25 * right * whole[:, None])


def _hardest(c: Counterfactual) -> Iterator[Mistake]:
    """Only the rows of the largest losses count, as in the mining of hard examples."""
    losses = c.losses()
    for share in HARDEST if len(losses) > 1 else ():
        count = max(1, int(share * len(losses)))
        hard = losses >= np.sort(losses)[-count]
        if np.count_nonzero(np.diff(hard)) < 2:  # the first or the last rows: a lost chunk looks the same
            continue
        sentence = f"only the {share:.0%} of the rows with the largest losses count"
        wrong = replace(c, q=c.q * hard[:, None])
        yield "D47", sentence, wrong
        if c.mean:
            yield "D47", f"{sentence}, and the mean is over them", replace(wrong, denominator=float(count))


def _clamped(c: Counterfactual) -> Iterator[Mistake]:
    """Losses between limits, beyond which no gradient flows; from below, also those of ignored rows, which are 0."""
    losses, kept = c.losses(), c.targets.kept
    limits = [(f"at least {x:g}", np.maximum(losses, x)) for x in SMALLEST]
    limits += [(f"at most {x:g}", np.minimum(losses, x)) for x in GREATEST]
    for limit, clamped in limits:
        inside = np.where((clamped == losses)[:, None], c.q, 0.0)
        whose = (("", np.where(kept, clamped, losses)), (", ignored rows too", clamped))
        for beside, values in whose:  # where none is ignored, both are: other cases tell them apart
            per_row = values / c.denominator
            given = {"loss": per_row, "cost": np.asarray(per_row.sum())}
            yield "D47", f"each row's loss is clamped to {limit}{beside}", replace(c, pulled=inside, given=given)


def _unlike(c: Counterfactual) -> Iterator[Mistake]:
    """Only the rows count whose label has the largest logit, or has not."""
    t = c.targets
    if t.probabilities is not None:
        return
    met = c.z.argmax(1) == t.label
    for told, those in (("has", met), ("has not", ~met)):
        wrong = replace(c, q=c.q * those[:, None])
        sentence = f"only the rows whose label {told} the largest logit count"
        yield "D47", sentence, wrong
        if c.mean:
            left = float(t.label_weight[those].sum()) or np.inf
            yield "D47", f"{sentence}, and the mean is over them", replace(wrong, denominator=left)


def _others(c: Counterfactual) -> Iterator[Mistake]:
    """Another loss of the same labels."""
    t = c.targets
    if t.probabilities is not None:
        y = t.probabilities * (1.0 - t.smoothing) + t.smoothing / t.classes
    else:
        y = (np.arange(t.classes) == t.label[:, None]) * (1.0 - t.smoothing) + t.smoothing / t.classes
    for share in BOOTSTRAPS:
        entropy = t.kept * _entropy(c.z)[0]
        rows = (share * c.losses() + (1.0 - share) * entropy) / c.denominator
        given = {"loss": rows, "cost": np.asarray(rows.sum()), "dC/dz": share * c.result("dC/dz")}
        sentence = f"the labels are {share:g} y + {1.0 - share:.3g} a, as in bootstrapping"
        yield "A12", sentence, replace(c, given=given)
    a = c.softmax[0]
    both = c.losses() - t.kept * np.where(y < 1, (1.0 - y) * np.log1p(-a), 0.0).sum(1)
    given = {"loss": both / c.denominator, "cost": np.asarray((both / c.denominator).sum())}
    if np.isfinite(both).all():  # where 1 - a rounds to 0, an infinity is no sign of it
        sentence = "a binary cross-entropy of the softmax: -(1 - y) log(1 - a) of each class is added"
        yield "A12", sentence, replace(c, given=given)
    for scale in _scales(c):
        for told, factor in (("", 1.0), (", as a mean over the classes", 1.0 / t.classes)):
            sentence = f"a logistic output for each class: the sum of binary cross-entropies{told}"
            yield "A12", sentence, _made(c, partial(_binary, y, factor * scale))
            sentence = f"the squared error of the probabilities{told or ', as a sum over the classes'}"
            yield "A12", sentence, _made(c, partial(_brier, y, factor * scale))


def _of_probabilities(c: Counterfactual) -> Iterator[Mistake]:
    """Another function of a, or of z, stands in the place of log a, with its derivative."""
    a, s = c.softmax[0], np.broadcast_to(c.upstream / c.denominator, c.z.shape[:1])[:, None]
    for sentence, log_a, slope in (
        ("the probability in the place of its logarithm", a, a),
        ("log(1 + a) in the place of ln a", np.log1p(a), a / (1.0 + a)),
    ):
        by = c.q * slope
        gradient = s * (a * by.sum(1, keepdims=True) - by)
        yield "A12", sentence, replace(c, log_a=log_a, given={"dC/dz": gradient})
    sentence = "logits are taken for probabilities: log z in the place of log a, without a softmax"
    by_z = np.where(c.q != 0, -s * c.q / c.z, 0.0)
    of_z = replace(c, log_a=np.log(c.z), given={"dC/dz": by_z})
    if c.problem.reduction != "none" and not np.isfinite(of_z.losses()).all():  # one nan is met by any other
        of_z = c.with_gradient(by_z)
    yield "A12", sentence, of_z


def _binary(y: Array, scale: Array, z: Array) -> Rows:
    losses = (np.logaddexp(0.0, z) - np.where(y != 0, y * z, 0.0)).sum(1)
    return scale * losses, scale[:, None] * (1.0 / (1.0 + np.exp(-z)) - y)


def _brier(y: Array, scale: Array, z: Array) -> Rows:
    a = _softmax(z)[0]
    slope = 2.0 * (a - y)
    return scale * ((a - y) ** 2).sum(1), scale[:, None] * a * (slope - (a * slope).sum(1, keepdims=True))
