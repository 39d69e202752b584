"""Asking an implementation about related problems, for checks that compare its answers with each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from copy import copy
from dataclasses import dataclass, replace

import numpy as np

from xentcheck.adapters.base import SHORT
from xentcheck.adapters.wrap.fused import as_layer
from xentcheck.reference.bounds import Bounds
from xentcheck.reference.formats import Array
from xentcheck.reference.labels import one_hot
from xentcheck.reference.oracle import Exact
from xentcheck.reference.problem import Problem
from xentcheck.running.attempts import attempt
from xentcheck.running.subjects import Subject, contract_of
from xentcheck.vocabulary import FAILING, OVERWRITABLE

Residual = tuple[Array, Array]
"""What should be 0, and how far from it rounding alone may bring it."""


@dataclass(frozen=True)
class Answer:
    """What an implementation returned for a problem, in float64, with the bounds of its contract.

    overwritten: the inputs that it wrote into, as it may.
    """

    problem: Problem
    raw: Mapping[str, Array]
    bounds: Mapping[str, Array]
    overwritten: tuple[str, ...] = ()

    def __getitem__(self, quantity: str) -> Array:
        return np.asarray(self.raw[quantity]).astype(np.float64)


class Unanswered(Exception):
    """The implementation does not support the problem."""


class Failed(Exception):
    """The implementation raises, or ends its process, on a problem that it supports: no law can hold."""


class Misshapen(Exception):
    """The implementation answers with what is no result, or changes what is not its own: no law can hold."""


REAL = "fiuV"
"""Kinds of dtypes that are real numbers; `V` is the bfloat16 of `ml_dtypes`."""


class Asker:
    """Asks one implementation; one that takes no labels gets them as one-hot rows.

    compiles: each problem of another shape, or with another option, costs a compilation: laws ask fewer of them.
    any_rows: it takes rows of probabilities that do not add up to 1.
    """

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.labels = subject.adapter.capabilities.labels
        self.logits = "logits" in subject.adapter.capabilities.heads
        self.compiles = subject.compiles
        self.any_rows = SHORT not in subject.adapter.refused
        self.ignores = self.labels and "ignore_index" in subject.adapter.capabilities.options

    def __call__(
        self,
        problem: Problem,
        *quantities: str,
        shared: bool = False,
        poisoned: bool = False,
        way: str = "",
        also: tuple[str, ...] = (),
        laid: Callable[[str, Array], Array] | None = None,
    ) -> Answer:
        """Its answer, copied at once, unless what becomes of its own memory is the question (`shared`).

        poisoned: fresh memory holds nan during the call. way: another way to make it, of WAYS. also: options that it is
        asked for, although it does not declare them. laid: where the elements of an array lie, by its name. Raises
        Unanswered if the way, or an answer, cannot be had, Failed where there is an exception instead, and Misshapen if
        it is no answer, or another input than the logits changed.
        """
        subject = with_options(self.subject, also) if also else self.subject
        poison = subject.adapter.poisoned() if poisoned else nullcontext()
        other = subject.adapter.otherwise(way) if way else nullcontext()
        if poison is None or other is None:
            raise Unanswered(f"no call can be made so: {way or 'with poisoned memory'}")
        asked, names = problem if self.labels else one_hot(problem), {q: q for q in quantities}
        if not self.logits:
            layer = as_layer(asked)
            if layer is None:
                raise Unanswered("no layer makes these logits")
            asked, names = layer, {q: THROUGH.get(q, q) for q in quantities}
        if laid:
            asked = laid_out(asked, laid)
        with poison, other:
            done = attempt(subject, asked, list(names.values()))
        if done.outcome in FAILING:
            raise Failed(f"{done.outcome}: {done.reason}")
        if done.result is None or not set(names.values()) <= set(done.result.values):
            raise Unanswered(done.reason)
        if harmed := [name for name in done.result.changed_inputs if name not in OVERWRITABLE]:
            raise Misshapen(f"{', '.join(harmed)} changed; allowed: {', '.join(OVERWRITABLE)}")
        found = {q: done.result.values[name] for q, name in names.items()}
        for q, name in names.items():
            x = np.asarray(found[q])
            if x.shape != asked.shapes[name] or x.dtype.kind not in REAL:
                raise Misshapen(f"{q} is {x.shape} {x.dtype}; allowed: {asked.shapes[name]} {asked.dtype}")
        exact = Exact(asked)
        bounds = {
            q: Bounds(exact, contract_of(subject, problem.dtype, name, found[q])).evaluate([name])[name]
            for q, name in names.items()
        }
        values = {q: np.asarray(x) if shared else np.array(x) for q, x in found.items()}
        return Answer(problem, values, bounds, done.result.changed_inputs)


def with_options(subject: Subject, options: tuple[str, ...]) -> Subject:
    """The subject, as one that declares these options, too."""
    adapter = copy(subject.adapter)
    c = adapter.capabilities
    adapter.capabilities = replace(c, options=c.options | set(options))
    return replace(subject, adapter=adapter)


def laid_out(problem: Problem, laid: Callable[[str, Array], Array]) -> Problem:
    """The problem with arrays of the same values. Raises Unanswered if they are the same arrays."""
    arrays = {name: laid(name, x) for name, x in problem.arrays().items()}
    moved = {name: x for name, x in arrays.items() if x.strides != getattr(problem, name).strides}
    if not moved:
        raise Unanswered("no array lies elsewhere")
    return problem.with_arrays(moved)


THROUGH = {"dC/dz": "dC/da_prev"}
"""Behind the identity the gradient of the inputs is that of the logits."""


def compare(x: Answer, y: Answer, quantities: tuple[str, ...]) -> Residual:
    """The differences of two answers that should be equal, 0 for equal infinities, and the sums of their bounds."""
    with np.errstate(invalid="ignore"):
        found = [np.where(x[q] == y[q], 0.0, x[q] - y[q]).ravel() for q in quantities]
    return np.concatenate(found), np.concatenate([(x.bounds[q] + y.bounds[q]).ravel() for q in quantities])
