"""Causes in range and precision: narrow formats, logarithms of a softmax, sums put together from blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from xentcheck.diagnosis.counterfactual import Counterfactual, Mistake
from xentcheck.reference.formats import FORMATS, Array

BLOCKS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
"""Classes of a block in use."""

LONGEST = 256
"""Rows up to which a sum is added up one by one."""


def ranges(c: Counterfactual) -> Iterator[Mistake]:
    """Every such mistake that could make a difference to this problem."""
    with np.errstate(all="ignore"):
        yield from _logarithms(c)
        yield from _maxima(c)
        yield from _blocks(c)
        yield from _narrow(c)
        yield from _added_up(c)


def _logarithms(c: Counterfactual) -> Iterator[Mistake]:
    dtype = np.dtype(c.problem.dtype)
    a = c.softmax[0]
    top = c.z.max(1, keepdims=True, initial=-np.inf)
    lse = (top + (top - top) + np.log(np.exp(c.z - top).sum(1, keepdims=True))).astype(dtype).astype(np.float64)
    yield "A02", "the offset is added back before the difference: z - fl(m + log S)", replace(c, log_a=c.z - lse)
    for times in (2, 4, 8):
        sentence = f"log S counts {times} times: as many shards hold all classes"
        yield "B24", sentence, replace(c, log_a=c.softmax[1] - np.log(times))
    if len(c.z) > 1:
        log_sum = c.z.max(1, keepdims=True) - c.softmax[1].max(1, keepdims=True)
        for which, other in (
            ("the previous row", np.roll(log_sum, 1)),
            ("the next row", np.roll(log_sum, -1)),
            ("the first row", np.full_like(log_sum, log_sum[0, 0])),
            ("the last row", np.full_like(log_sum, log_sum[-1, 0])),
        ):
            log_a = c.z - other
            sentence = f"the log of the sum of exponentials is that of {which}"
            yield "A13", sentence, replace(c, log_a=log_a, a=np.exp(log_a))
    stored = a.astype(dtype).astype(np.float64)
    yield "A04", "the logarithm of a rounded softmax", replace(c, log_a=np.log(stored), a=stored)
    for eps in (1e-5, 1e-6, 1e-7, 1e-8, 1e-10, 1e-12):
        high = float(dtype.type(1.0 - eps))
        clipped = replace(c, log_a=np.log(np.clip(a, eps, high)))
        inside = np.where((stored > eps) & (stored <= high), c.q, 0.0)
        sentence = f"probabilities are clipped at {eps:g} and at 1 - {eps:g}"
        yield "A04", sentence, clipped
        yield "A04", sentence, replace(clipped, pulled=inside)
        added = f"eps is added to probabilities before the logarithm, eps = {eps:g}"
        yield "A04", added, replace(c, log_a=np.log(a + eps), pulled=c.q * a / (a + eps))


def _maxima(c: Counterfactual) -> Iterator[Mistake]:
    """The row's maximum is subtracted in one place only; it is a constant to the gradient, or is none."""
    top = c.z.max(1, keepdims=True, initial=-np.inf)
    if not np.isfinite(top).all():
        return
    at = c.z == top
    flows = (
        np.broadcast_to(c.upstream / c.denominator, c.z.shape[:1])[:, None]
        * c.q.sum(1, keepdims=True)
        * at
        / at.sum(1, keepdims=True)
    )
    for sentence, sign in (
        ("the maximum is subtracted in the sum of exponentials, and not added back", 1.0),
        ("the maximum is subtracted from the label's logit, and not in the sum of exponentials", -1.0),
    ):
        wrong = replace(c, log_a=c.softmax[1] + sign * top)
        yield "A14", sentence, wrong
        yield "A14", sentence, wrong.with_gradient(c.result("dC/dz") - sign * flows)


def _blocks(c: Counterfactual) -> Iterator[Mistake]:
    """Partial sums of exponentials, each after the shift by another maximum, are added as they are.

    The gradient has the factors of this sum, as automatic differentiation makes them, or exp(z - lse).
    """
    classes = c.z.shape[1]
    top = c.z.max(1, keepdims=True, initial=-np.inf)
    every = range(2, classes if classes <= 16 else 0)
    for block in sorted({*BLOCKS, *every, *(-(-classes // parts) for parts in range(2, 9))}):
        if block >= classes:
            return
        starts = np.arange(0, classes, block)
        own = np.maximum.reduceat(c.z, starts, axis=1)
        for which, shift in (("last", own[:, -1:]), ("first", own[:, :1])):
            log_a = c.softmax[1] + top - shift
            told = f"blocks of {block} classes: the log of the sum is added to the maximum of the {which} block"
            yield "A13", told, replace(c, log_a=log_a, a=np.exp(log_a))
            yield "A13", told, replace(c, log_a=log_a)
        running = np.maximum.accumulate(own, 1)
        for sentence, shifts in (
            ("the running sum of exponentials is rescaled by exp(new - old) of its maximum", 2.0 * running - top),
            ("the running sum of exponentials is not rescaled where the maximum grows", running),
            ("the blocks' sums of exponentials are added without a common maximum", own),
        ):
            shift = np.repeat(shifts, np.diff([*starts, classes]), axis=1)
            e = np.exp(c.z - np.where(np.isfinite(shift), shift, 0.0))
            total = e.sum(1, keepdims=True)
            log_a = c.z - top - np.log(total)
            told = f"blocks of {block} classes: {sentence}"
            yield "A13", told, replace(c, log_a=log_a, a=e / total)
            yield "A13", told, replace(c, log_a=log_a, a=np.exp(log_a))
        for which, shifts in (("its own block", own), ("the blocks up to its own", running)):
            shift = np.repeat(shifts, np.diff([*starts, classes]), axis=1)
            sentence = f"the label's logit is shifted by the maximum of {which}, the sum by that of all"
            yield "A13", f"blocks of {block} classes: {sentence}", replace(c, log_a=c.softmax[1] + top - shift)


def _narrow(c: Counterfactual) -> Iterator[Mistake]:
    """A step in a narrower format than the problem's."""
    a, log_a = c.softmax
    for name in ("bfloat16", "float16"):
        if FORMATS[name].precision >= FORMATS[c.problem.dtype].precision:
            continue
        yield "A10", f"the logits are rounded to {name}", replace(c, z=_rounded(c.z, name))
        stored = _rounded(a, name)
        logarithm = np.where(stored > 0, np.log(stored), log_a)
        yield "A10", f"the softmax is kept in {name}", replace(c, a=stored)
        yield (
            "A10",
            f"the softmax is kept in {name}",
            replace(c, a=stored, log_a=logarithm),
        )
        yield "A10", f"the logarithm of the softmax is rounded to {name}", replace(c, log_a=_rounded(log_a, name))
        told = f"the log of the sum is rounded to {name}"
        narrow = replace(c, z=_rounded(c.z, name))
        for z, log_a_of in ((c.z, log_a), (narrow.z, narrow.softmax[1])):
            top = z.max(1, keepdims=True)
            lse = top - np.where(z == top, log_a_of, 0.0).min(1, keepdims=True)
            made = c.z - _rounded(lse, name)
            yield "A10", told, replace(c, log_a=made, a=np.exp(made))
            yield "A10", told, replace(c, log_a=made, a=_rounded(narrow.softmax[0], name))
        if c.layer:
            yield "A10", f"the layer is multiplied in {name}, as autocast does", _autocast(c, name)


def _added_up(c: Counterfactual) -> Iterator[Mistake]:
    """Rows are right until they are reduced: in a narrower format, or one by one in their own.

    What reaches the rows from the reduction is rounded to it as well.
    """
    losses, d = c.losses(), float(c.denominator)
    own = FORMATS[c.problem.dtype].precision
    count = float(np.count_nonzero(c.targets.kept))
    for name in ("bfloat16", "float16", "float32"):
        if FORMATS[name].precision > own or not len(losses):
            continue
        sentence = f"the losses are right, and are reduced in {name}, too low a precision"
        narrower = FORMATS[name].precision < own
        if c.problem.reduction != "none":
            rows = _rounded(losses, name)
            costs = [_one_by_one(rows, name) / d, _one_by_one(_rounded(rows / d, name), name)]
            if narrower:
                costs += [
                    rows.sum() / d,
                    _rounded(losses.sum(), name) / d,
                    losses.sum() / _rounded(np.array(d), name),
                ]
            costs += [_rounded(x, name) for x in (*costs, losses.sum() / d)]
            costs += (
                [_rounded(losses.sum() / count, name) * (count / d)] if 0.0 not in (count, d) and count != d else []
            )
            for cost in costs:
                yield "A10", sentence, replace(c, given={"cost": np.asarray(cost)})
        up, inverse = _rounded(c.upstream, name), float(_rounded(np.array(1.0 / d), name)) if d else np.inf
        divided = _rounded(up / _rounded(np.array(d), name), name)
        error = c.softmax[0] * c.q.sum(1, keepdims=True) - c.q
        for factor in (up / d, divided, _rounded(up * inverse, name), up * inverse) if narrower else ():
            yield "A10", sentence, c.with_gradient(factor[:, None] * error)


def _one_by_one(x: Array, name: str) -> Array:
    """The sum of numbers of a format, rounded to it after each addition."""
    numbers, total = x.astype(name), np.zeros((), name)
    for number in numbers[:LONGEST]:
        total = (total + number).astype(name)
    return np.asarray(total.astype(np.float64)) if len(x) <= LONGEST else np.asarray(np.nan)


def _autocast(c: Counterfactual, name: str) -> Counterfactual:
    """Both products of each layer: operands and results are rounded."""
    a_prev, w = (_rounded(x, name) for x in c.layer[:2])
    cast = replace(c, z=_rounded(a_prev @ w.T, name) + c.layer[2])
    delta = cast.result("dC/dz")
    narrow = _rounded(delta, name)
    products = {"dC/dw": narrow.T @ a_prev, "dC/da_prev": narrow @ w}
    return replace(cast, given={quantity: _rounded(x, name) for quantity, x in products.items()})


def _rounded(x: Array, name: str) -> Array:
    return np.asarray(x.astype(name).astype(np.float64))
