"""The gradients of what no training differentiates: of the target, and of class weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from xentcheck.reference.problem import Problem
from xentcheck.studies.asker import Asker, Residual, Unanswered, compare
from xentcheck.studies.related import WIDE, resized, value_of

from .calls import TALL, answered, joined
from .options import soft_rows, with_options


def gradient_of_target(ask: Asker, p: Problem) -> Residual:
    """The target's gradient times the target is the loss, which is linear in it, but for what smoothing adds to rows of
    zeros: with weights, with smoothing, and with both; with more rows, and more classes, than a block. A function that
    refuses rows of another sum has no such gradient; the law is not asked.
    """
    if not ask.any_rows:
        raise Unanswered("it takes rows that add up to 1 alone")
    plain, *others = _of_rows(p)
    larger = (replace(q, target=soft_rows(q)) for q in _larger(p))
    chosen = (plain, *others[-1:]) if ask.compiles else (plain, *others, *larger)
    return joined(found for q in chosen for found in answered(partial(_times_the_target, ask, q)))


def _larger(p: Problem) -> Iterator[Problem]:
    """Problems with more rows, and with more classes, than a block."""
    return (resized(p, shape) for shape in (TALL, WIDE))


def _of_rows(p: Problem) -> Iterator[Problem]:
    """Rows of probabilities in the reduction that is asked about, and means of them with weights and smoothing."""
    yield replace(p, target=soft_rows(p))
    for q in with_options(p, labels=False):
        if q.reduction == "mean" and not q.probabilities and (q.weight is not None or q.label_smoothing):
            yield replace(q, target=soft_rows(q))


def _times_the_target(ask: Asker, rows: Problem) -> Residual:
    value = value_of(rows)
    found = ask(rows, value, way="gradient-of-target")
    residual, limit = compare(found, ask(rows, value, "dC/dz"), (value,))
    if not rows.label_smoothing:
        return residual, limit
    nothing = ask(replace(rows, target=np.zeros_like(rows.target)), value, "dC/dz")
    return residual + np.ravel(nothing[value]), limit + np.ravel(nothing.bounds[value])


def gradient_of_weight(ask: Asker, p: Problem) -> Residual:
    """The weight's gradient times the weight is the loss, in which it divides nothing; with more rows, and more
    classes, than a block, too.
    """
    weighted = _weighted(p)

    def differ(q: Problem) -> Residual:
        return compare(ask(q, "cost", way="gradient-of-weight"), ask(q, "cost", "dC/dz"), ("cost",))

    summed = weighted[-1:] if ask.compiles else weighted
    rows = weighted[:1] if ask.compiles else weighted
    larger = [] if ask.compiles else [_weighted(q)[0] for q in _larger(p)]
    problems = [replace(q, reduction="sum") for q in (*summed, *larger)]
    problems += [replace(q, target=soft_rows(q)) for q in (*rows, *larger)]
    return joined(found for q in problems for found in answered(partial(differ, q)))


def _weighted(p: Problem) -> list[Problem]:
    """Means with weights: alone first, and with smoothing."""
    return [q for q in with_options(p, labels=False) if q.weight is not None]
