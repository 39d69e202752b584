"""Laws: properties that need no exact value, with tolerances from the same bounds; and how inputs and outputs are kept.

Each law compares results of one implementation on related problems. A probe direction is signed and never constant
along the classes: that would lie in the null space of the softmax's Jacobian.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xentcheck.reference.bounds import Bounds
from xentcheck.reference.oracle import Exact
from xentcheck.reference.problem import Problem
from xentcheck.reports.law import LawResult

from .randomness import Stream
from .runner import attempt, contracts_of
from .subjects import Subject

Array = NDArray[Any]
SHAPE = (6, 7)
SHIFT = 64.0


@dataclass(frozen=True)
class Answer:
    """What an implementation returned for a problem, in float64, with the bounds of its contract."""

    problem: Problem
    raw: Mapping[str, Array]
    bounds: Mapping[str, Array]

    def __getitem__(self, quantity: str) -> Array:
        return np.asarray(self.raw[quantity]).astype(np.float64)


class Unanswered(Exception):
    """The implementation does not support the problem, or raises."""


class Asker:
    """Asks one implementation."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject

    def __call__(self, problem: Problem, *quantities: str, shared: bool = False) -> Answer:
        """Its answer, copied at once, unless what becomes of its own memory is the question (`shared`)."""
        done = attempt(self.subject, problem, quantities)
        if done.result is None or not set(quantities) <= set(done.result.values):
            raise Unanswered(done.reason)
        contracts = contracts_of(self.subject, problem.dtype)[0]
        exact = Exact(problem)
        bounds = {q: Bounds(exact, contracts[q]).evaluate([q])[q] for q in quantities if q not in ("jvp", "hvp")}
        values = {q: np.asarray(x) if shared else np.array(x) for q, x in done.result.values.items()}
        return Answer(problem, values, bounds)


Deviation = tuple[Array, Array]
"""What should be 0, and how far from it rounding alone may bring it."""

Law = Callable[[Asker, Problem], Deviation]


def base(dtype: str, reduction: str = "none") -> Problem:
    """Multiples of 1/8 up to 4, so that shifts by 64 and permutations are exact in every dtype but bfloat16 (1/4)."""
    s = Stream(f"laws.{dtype}")
    step = 2 if dtype == "bfloat16" else 8
    logits = s.integers(-2 * step, 2 * step + 1, SHAPE) / step
    upstream = (s.integers(1, 5, SHAPE[:1]) / 2.0) * s.signs(SHAPE[:1])
    return Problem(
        logits=logits.astype(dtype),
        target=s.integers(0, SHAPE[1], SHAPE[:1]),
        reduction=reduction,
        upstream=upstream.astype(dtype) if reduction == "none" else np.ones((), dtype),
    )


def _rows_sum_to_0(ask: Asker, p: Problem) -> Deviation:
    g = ask(p, "dC/dz")
    return g["dC/dz"].sum(1), g.bounds["dC/dz"].sum(1)


def _shift(ask: Asker, p: Problem) -> Deviation:
    moved = replace(p, logits=(np.asarray(p.logits) + np.asarray(SHIFT, p.dtype)).astype(p.dtype))
    return _compare(ask(p, "loss", "dC/dz"), ask(moved, "loss", "dC/dz"), ("loss", "dC/dz"))


def _permutation(ask: Asker, p: Problem) -> Deviation:
    order = np.argsort(Stream("laws.permutation").uniform(0, 1, (SHAPE[1],)), kind="stable")
    inverse = np.argsort(order)
    moved = replace(p, logits=np.asarray(p.logits)[:, order].copy(), target=inverse[p.target])
    first, other = ask(p, "loss", "dC/dz"), ask(moved, "loss", "dC/dz")
    back = Answer(
        p,
        {"loss": other["loss"], "dC/dz": other["dC/dz"][:, inverse]},
        {"loss": other.bounds["loss"], "dC/dz": other.bounds["dC/dz"][:, inverse]},
    )
    return _compare(first, back, ("loss", "dC/dz"))


def _one_hot(ask: Asker, p: Problem) -> Deviation:
    hot = (np.arange(SHAPE[1]) == p.target[:, None]).astype(p.dtype)
    return _compare(ask(p, "loss", "dC/dz"), ask(replace(p, target=hot), "loss", "dC/dz"), ("loss", "dC/dz"))


def _batch(ask: Asker, p: Problem) -> Deviation:
    """Each row alone has the loss and the gradient that it has among others."""
    whole = ask(p, "loss", "dC/dz")
    z = np.asarray(p.logits)
    found, limit = [], []
    for part in (slice(0, 1), slice(1, None)):
        piece = replace(p, logits=z[part].copy(), target=p.target[part].copy(), upstream=p.upstream[part].copy())
        alone = ask(piece, "loss", "dC/dz")
        for q in ("loss", "dC/dz"):
            found.append((whole[q][part] - alone[q]).ravel())
            limit.append((whole.bounds[q][part] + alone.bounds[q]).ravel())
    return np.concatenate(found), np.concatenate(limit)


def _sum_of_rows(ask: Asker, p: Problem) -> Deviation:
    """The sum over rows is the sum of the losses, and its gradient that of every row with an upstream of 1."""
    total = ask(replace(p, reduction="sum", upstream=np.ones((), p.dtype)), "cost", "dC/dz")
    rows = ask(replace(p, upstream=np.ones(SHAPE[0], p.dtype)), "loss", "dC/dz")
    found = np.concatenate([[total["cost"] - rows["loss"].sum()], (total["dC/dz"] - rows["dC/dz"]).ravel()])
    value = total.bounds["cost"] + rows.bounds["loss"].sum()
    return found, np.concatenate([[value], (total.bounds["dC/dz"] + rows.bounds["dC/dz"]).ravel()])


def _upstream(ask: Asker, p: Problem) -> Deviation:
    """Twice the upstream gradient with the other sign, -2 times the gradient."""
    once, other = ask(p, "dC/dz"), ask(replace(p, upstream=(-2 * p.upstream).astype(p.dtype)), "dC/dz")
    return 2 * once["dC/dz"] + other["dC/dz"], 2 * once.bounds["dC/dz"] + other.bounds["dC/dz"]


def _independent(ask: Asker, p: Problem) -> Deviation:
    """A call in between, on other data, changes neither what was returned before nor what is returned after."""
    before = ask(p, "loss", "dC/dz", shared=True)
    kept = {q: before[q].copy() for q in ("loss", "dC/dz")}
    ask(replace(p, logits=(-np.asarray(p.logits)).astype(p.dtype)), "loss", "dC/dz")
    moved = [(before[q] - kept[q]).ravel() for q in kept]
    after = ask(p, "loss", "dC/dz")
    found = moved + [(after[q] - kept[q]).ravel() for q in kept]
    limit = [np.zeros(kept[q].size) for q in kept] + [2 * before.bounds[q].ravel() for q in kept]
    return np.concatenate(found), np.concatenate(limit)


def _value_alone(ask: Asker, p: Problem) -> Deviation:
    """The loss that is asked for alone is the one that comes with a gradient."""
    return _compare(ask(p, "loss"), ask(p, "loss", "dC/dz"), ("loss",))


def _compare(x: Answer, y: Answer, quantities: tuple[str, ...]) -> Deviation:
    found = [(x[q] - y[q]).ravel() for q in quantities]
    return np.concatenate(found), np.concatenate([(x.bounds[q] + y.bounds[q]).ravel() for q in quantities])


LAWS: dict[str, tuple[str, Law]] = {
    "rows-sum-to-0": ("the rows of dC/dz sum to 0", _rows_sum_to_0),
    "shift": ("adding 64 to all logits changes nothing", _shift),
    "permutation": ("permuting the classes permutes the gradient", _permutation),
    "one-hot": ("one-hot probabilities are class indices", _one_hot),
    "batch": ("a row alone is what it is among others", _batch),
    "sum-of-rows": ("the sum over the batch is the sum of its rows", _sum_of_rows),
    "upstream": ("the gradient is linear in the upstream gradient", _upstream),
    "independent": ("a call on other data changes no other call's results", _independent),
    "value-alone": ("the value does not depend on whether a gradient is asked for", _value_alone),
}
"""Name -> what it says, and the comparison."""


def laws(subject: Subject, dtype: str) -> Iterator[LawResult]:
    """Every law that the implementation supports, in one dtype."""
    ask, p = Asker(subject), base(dtype)
    for name, (text, law) in LAWS.items():
        try:
            found, limit = law(ask, p)
        except Unanswered:
            continue
        with np.errstate(all="ignore"):
            shares = np.where(found == 0, 0.0, np.abs(found) / limit)
        share = float("nan") if np.isnan(shares).any() else float(shares.max(initial=0.0))
        place = {"adapter": subject.adapter.name, "variant": subject.variant, "device": subject.device}
        yield LawResult(**place, dtype=dtype, law=name, share=share, detail=text)
