"""Properties that need no exact value, with tolerances from the same bounds: what the laws compare.

Each compares results of one implementation on related problems. Directions are signed and never constant along the
classes, which would lie in the null space of the softmax's Jacobian, but where that is the question.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from xentcheck.cases.randomness import Stream
from xentcheck.reference.labels import one_hot
from xentcheck.reference.problem import Problem
from xentcheck.vocabulary import REPEATED

from .asker import Answer, Asker, Failed, Residual, Unanswered, compare
from .related import IGNORED, LARGE, LARGE_OF_LAYER, SHAPE, SHIFT, by_rows, resized, value_of
from .ways.calls import (
    answered,
    asked_of,
    in_way,
    joined,
    label_dtypes,
    leading_axes,
    learned_weight,
    no_bias,
    strides,
    threads,
)
from .ways.gradients import gradient_of_target, gradient_of_weight
from .ways.options import with_options
from .ways.values import value_alone

Law = Callable[[Asker, Problem], Residual]


def _rows_sum_to_0(ask: Asker, p: Problem) -> Residual:
    g = ask(p, "dC/dz")
    return g["dC/dz"].sum(1), g.bounds["dC/dz"].sum(1)


def _shift(ask: Asker, p: Problem) -> Residual:
    moved = replace(p, logits=(np.asarray(p.logits) + np.asarray(SHIFT, p.dtype)).astype(p.dtype))
    asked = value_of(p), "dC/dz"
    return compare(ask(p, *asked), ask(moved, *asked), asked)


def _permutation(ask: Asker, p: Problem) -> Residual:
    order = np.argsort(Stream("laws.permutation").uniform(0, 1, (SHAPE[1],)), kind="stable")
    inverse = np.argsort(order)
    moved = replace(p, logits=np.asarray(p.logits)[:, order].copy(), target=inverse[p.target])
    value, asked = value_of(p), (value_of(p), "dC/dz")
    first, other = ask(p, *asked), ask(moved, *asked)
    back = Answer(
        p,
        {value: other[value], "dC/dz": other["dC/dz"][:, inverse]},
        {value: other.bounds[value], "dC/dz": other.bounds["dC/dz"][:, inverse]},
    )
    return compare(first, back, asked)


def _one_hot(ask: Asker, p: Problem) -> Residual:
    if not ask.labels:
        raise Unanswered("it takes no class indices")
    asked = value_of(p), "dC/dz"
    return compare(ask(p, *asked), ask(one_hot(p), *asked), asked)


def _batch(ask: Asker, p: Problem, first: int = 1) -> Residual:
    """The first rows alone, and the others alone, have the losses and gradients that they have together."""
    whole = ask(by_rows(p), "loss", "dC/dz")
    z = np.asarray(p.logits)
    found, limit = [], []
    for part in (slice(0, first), slice(first, None)):
        piece = replace(p, logits=z[part].copy(), target=p.target[part].copy(), upstream=p.upstream[part].copy())
        alone = ask(piece, "loss", "dC/dz")
        for q in ("loss", "dC/dz"):
            found.append((whole[q][part] - alone[q]).ravel())
            limit.append((whole.bounds[q][part] + alone.bounds[q]).ravel())
    return np.concatenate(found), np.concatenate(limit)


def _sum_of_rows(ask: Asker, p: Problem) -> Residual:
    """The sum over rows is the sum of the losses, and its gradient that of every row with an upstream of 1."""
    total = ask(replace(p, reduction="sum", upstream=np.ones((), p.dtype)), "cost", "dC/dz")
    rows = ask(replace(p, reduction="none", upstream=np.ones(SHAPE[0], p.dtype)), "loss", "dC/dz")
    found = np.concatenate([[total["cost"] - rows["loss"].sum()], (total["dC/dz"] - rows["dC/dz"]).ravel()])
    value = total.bounds["cost"] + rows.bounds["loss"].sum()
    return found, np.concatenate([[value], (total.bounds["dC/dz"] + rows.bounds["dC/dz"]).ravel()])


def _upstream(ask: Asker, p: Problem) -> Residual:
    """Twice the upstream gradient with the other sign, -2 times the gradient."""
    once, other = ask(p, "dC/dz"), ask(replace(p, upstream=(-2 * p.upstream).astype(p.dtype)), "dC/dz")
    return 2 * once["dC/dz"] + other["dC/dz"], 2 * once.bounds["dC/dz"] + other.bounds["dC/dz"]


def _independent(ask: Asker, p: Problem) -> Residual:
    """A call in between, on other data, changes neither what was returned before nor what is returned after."""
    asked = asked_of(ask, p)
    before = ask(p, *asked, shared=True)
    kept = {q: before[q].copy() for q in asked}
    ask(replace(p, logits=(-np.asarray(p.logits)).astype(p.dtype)), *asked)
    moved = [(before[q] - kept[q]).ravel() for q in kept]
    after = ask(p, *asked)
    found = moved + [(after[q] - kept[q]).ravel() for q in kept]
    limit = [np.zeros(kept[q].size) for q in kept] + [2 * before.bounds[q].ravel() for q in kept]
    return np.concatenate(found), np.concatenate(limit)


def _repeated(ask: Asker, p: Problem) -> Residual:
    """A call is what the one before it was, on the same data: no noise is drawn, and nothing is kept."""
    asked = asked_of(ask, p)
    first, second = ask(p, *asked), ask(p, *asked)
    found, limit = compare(first, second, asked)
    pairs = [(first[q], second[q]) for q in asked]
    alike = np.concatenate([np.ravel((x == y) | (np.isnan(x) & np.isnan(y))) for x, y in pairs])
    with np.errstate(all="ignore"):
        return np.where(alike, 0.0, np.where(np.isnan(found), np.inf, found)), limit


def _additive(ask: Asker, p: Problem) -> Residual:
    """The gradients of two upstream gradients add up to that of their sum."""
    one = np.abs(p.upstream)
    other = (np.flip(one) + 3).astype(p.dtype)
    parts = [ask(replace(p, upstream=u), "dC/dz") for u in (one, other, (one + other).astype(p.dtype))]
    g = [part["dC/dz"] for part in parts]
    return g[0] + g[1] - g[2], np.asarray(sum(part.bounds["dC/dz"] for part in parts))


def _chunks(ask: Asker, p: Problem) -> Residual:
    """More rows and classes than a block or a vector holds are what they are in two parts."""
    return _batch(ask, resized(p, LARGE if ask.logits else LARGE_OF_LAYER), LARGE[0] // 2)


def _fresh_memory(ask: Asker, p: Problem) -> Residual:
    """Nothing is returned that was never written: rows that are ignored are where that is forgotten."""
    asked = asked_of(ask, p)
    if ask.ignores:
        p = replace(p, target=np.where(np.arange(SHAPE[0]) % 3 == 0, IGNORED, p.target), ignore_index=IGNORED)
    return compare(ask(p, *asked, poisoned=True), ask(p, *asked), asked)


def _direction(p: Problem, name: str) -> Problem:
    """With a direction of multiples of 1/4."""
    v = Stream(f"laws.{name}").integers(-8, 9, SHAPE) / 4
    return replace(p, v=v.astype(p.dtype))


def _forward_is_reverse(ask: Asker, p: Problem, **how: Any) -> Residual:
    """The derivative of a row's loss along v is the product of its gradient with v."""
    along = _direction(p, "v")
    v = np.asarray(along.v).astype(np.float64)
    jvp, g = ask(along, "jvp", **how), ask(replace(p, upstream=np.ones_like(p.upstream)), "dC/dz")
    axis = 1 if p.reduction == "none" else None
    product, limit = (g["dC/dz"] * v).sum(axis), (g.bounds["dC/dz"] * np.abs(v)).sum(axis)
    return np.ravel(jvp["jvp"] - product), np.ravel(jvp.bounds["jvp"] + limit)


def _forward_mode(ask: Asker, p: Problem) -> Residual:
    """The same by forward mode, where a function has one, with each option: whoever writes a backward pass may write
    that, too.
    """
    try:
        found = [_forward_is_reverse(ask, p, way="forward-mode", also=("second_order",))]
    except Failed as error:
        raise Unanswered("it has no forward mode") from error
    for q in with_options(p, labels=ask.labels):
        found += answered(partial(_forward_is_reverse, ask, q, way="forward-mode", also=("second_order",)))
    return joined(found)


def _hessian_symmetric(ask: Asker, p: Problem) -> Residual:
    """w H v = v H w, row by row."""
    answers = [ask(_direction(p, name), "hvp") for name in ("v", "w")]
    v, w = (np.asarray(x.problem.v).astype(np.float64) for x in answers)
    found = (w * answers[0]["hvp"]).sum(1) - (v * answers[1]["hvp"]).sum(1)
    return found, (np.abs(w) * answers[0].bounds["hvp"]).sum(1) + (np.abs(v) * answers[1].bounds["hvp"]).sum(1)


def _hessian_null(ask: Asker, p: Problem) -> Residual:
    """The Hessian takes the direction of ones to 0, and its rows sum to 0 along any other."""
    ones = ask(replace(p, v=np.ones(SHAPE, p.dtype)), "hvp")
    other = ask(_direction(p, "v"), "hvp")
    return (
        np.concatenate([ones["hvp"].ravel(), other["hvp"].sum(1)]),
        np.concatenate([ones.bounds["hvp"].ravel(), other.bounds["hvp"].sum(1)]),
    )


LAWS: dict[str, tuple[str, Law]] = {
    "rows-sum-to-0": ("the rows of dC/dz sum to 0", _rows_sum_to_0),
    "shift": ("adding 64 to all logits changes nothing", _shift),
    "permutation": ("permuting the classes permutes the gradient", _permutation),
    "one-hot": ("one-hot probabilities are class indices", _one_hot),
    "batch": ("a row alone is what it is among others", _batch),
    "sum-of-rows": ("the sum over the batch is the sum of its rows", _sum_of_rows),
    "upstream": ("the gradient is linear in the upstream gradient", _upstream),
    "additive": ("the gradients of two upstream gradients add up to that of their sum", _additive),
    "chunks": ("a large batch is what its halves are", _chunks),
    "forward-reverse": ("the derivative along a direction is the gradient's product with it", _forward_is_reverse),
    "hessian-symmetric": ("the Hessian is symmetric", _hessian_symmetric),
    "hessian-null": ("the Hessian takes ones to 0, and its products sum to 0", _hessian_null),
    "fresh-memory": ("nothing is returned that was never written", _fresh_memory),
    "independent": ("a call on other data changes no other call's results", _independent),
    "value-alone": ("the value does not depend on whether a gradient is asked for", value_alone),
    "learned-weight": ("a weight that requires a gradient changes nothing", learned_weight),
    "threads": ("two threads change nothing", threads),
    "strides": ("where elements lie in memory changes nothing", strides),
    "label-dtypes": ("labels of another dtype are the same labels", label_dtypes),
    "computed-inputs": ("inputs that an operation has made are the same inputs", in_way("computed-inputs", long=True)),
    "interleaved": ("a call before the gradient is taken changes nothing", in_way("interleaved")),
    "reused-buffers": (
        "what arrays held in a call before changes nothing",
        in_way("reused-buffers", every=False, refilled=True),
    ),
    "evaluated-before": (
        "a call without a gradient changes no gradient",
        in_way("evaluated-before", every=False, of_copies="evaluated-copy"),
    ),
    "backward": ("`backward` leaves the gradient in the leaves", in_way("backward")),
    "create-graph": ("a gradient with a graph of its own is the same gradient", in_way("create-graph")),
    "vmap": ("a batch is what it is as one of two in a batched call", in_way("vmap", every=False)),
    "forward-mode": ("the derivative by forward mode is the gradient's product with the direction", _forward_mode),
    "gradient-of-target": ("the target times its gradient is the loss", gradient_of_target),
    "gradient-of-weight": ("the weight times its gradient is the loss", gradient_of_weight),
    "no-bias": ("no bias is a bias of 0", no_bias),
    "leading-axes": ("rows in two axes are the same rows", leading_axes),
    REPEATED: ("the same call on the same data returns the same result", _repeated),
}
"""Name -> what it says, and the comparison."""

MEMORY = "independent"
"""The law that looks at the memory of what was returned, of which only copies leave another process."""
