"""What laws ask about: a problem whose relatives are exact, in a reduction that somebody has."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from xentcheck.cases.randomness import Stream
from xentcheck.reference.problem import Problem
from xentcheck.running.subjects import Subject

from .asker import Unanswered

SHAPE = (6, 7)
SHIFT = 64.0
WIDE = (33, 130)
MANY = (66, 1003)
"""A batch whose parts PyTorch gives to several threads."""

LONG = (66, 500)
"""More rows, and more classes, than a block."""

LARGE = (1030, 1003)
MANY_OF_LAYER, LARGE_OF_LAYER = (66, 120), (1030, 31)
"""The same behind a layer, whose weight holds the square of so many classes."""

IGNORED = -100


def base(dtype: str, shape: tuple[int, int] = SHAPE, reduction: str = "none", *, plain: bool = False) -> Problem:
    """Multiples of 1/8 up to 4, so that shifts by 64 and permutations are exact in every dtype but bfloat16 (1/4).

    plain: for an upstream gradient of 1.
    """
    s = Stream(f"laws.{dtype}")
    step = 2 if dtype == "bfloat16" else 8
    logits = s.integers(-2 * step, 2 * step + 1, shape) / step
    upstream = (s.integers(1, 5, shape[:1]) / 2.0) * s.signs(shape[:1])
    upstream = upstream if reduction == "none" else upstream[:1].reshape(())
    return Problem(
        logits=logits.astype(dtype),
        target=s.integers(0, shape[1], shape[:1]),
        reduction=reduction,
        upstream=(np.ones_like(upstream) if plain else upstream).astype(dtype),
    )


def base_for(subject: Subject, dtype: str) -> Problem:
    """What a subject is asked laws about: each row by itself if it can, else in its own reduction; with an upstream
    gradient if it takes one.
    """
    c = subject.adapter.capabilities
    reduction = "none" if "none" in c.reductions else c.reductions[0]
    return base(dtype, reduction=reduction, plain="upstream" not in c.options)


def value_of(p: Problem) -> str:
    """The quantity that is the value of the loss."""
    return "loss" if p.reduction == "none" else "cost"


def resized(p: Problem, shape: tuple[int, int]) -> Problem:
    """A problem of another shape, in the same reduction."""
    return base(p.dtype, shape, p.reduction, plain=bool((np.asarray(p.upstream) == 1).all()))


def moved(p: Problem, sign: int) -> Problem:
    """The problem on logits around a number that is beyond what exp reaches in the format that it is computed in."""
    far = np.asarray(sign * (1000.0 if p.dtype == "float64" else 128.0), p.dtype)
    return replace(p, logits=(np.asarray(p.logits) + far).astype(p.dtype))


def by_rows(p: Problem) -> Problem:
    """The problem; raises Unanswered unless each of its rows stands by itself."""
    if p.reduction != "none":
        raise Unanswered("its reduction has no rows by themselves")
    return p
