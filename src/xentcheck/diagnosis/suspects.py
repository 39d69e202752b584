"""Suspects: which known mistake explains a wrong result, element by element; none if none does."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

from xentcheck.reference.formats import FORMATS, Array
from xentcheck.reference.oracle.quantities import BY_CLASS, QUANTITIES
from xentcheck.reference.problem import Problem
from xentcheck.reference.rows import to_rows
from xentcheck.vocabulary import DIRECTIONAL, LAYER_GRADIENTS, UNSURE

from .counterfactual import Counterfactual, Mistake, wrong_elements
from .knobs.columns import columns_of_sum
from .knobs.solve import numbers_of
from .mistakes.axes import axes
from .mistakes.bent import bent
from .mistakes.forgotten import along, forgotten
from .mistakes.labels import labels
from .mistakes.layer import layer_causes
from .mistakes.normalisers import normalisers
from .mistakes.objectives import objectives
from .mistakes.options import options
from .mistakes.ranges import ranges
from .patterns.finite import also_overflows, nan_where_masked, not_finite
from .patterns.first import patterns_of
from .patterns.ratios import named_ratios, rounded, same_factor

IN_ROWS = tuple(q.name for q in QUANTITIES.values() if q.extent == BY_CLASS)
"""Quantities of the shape of the logits."""

EXAMINED = ("loss", "cost", *IN_ROWS, "jvp", *LAYER_GRADIENTS)
"""The quantities whose causes are looked for."""

SOURCES = (normalisers, forgotten, options, axes, ranges, objectives, bent, labels, layer_causes)
"""What makes mistakes, in the order in which they are told."""

UNEXPLAINED = 0.001
"""Share of an element, and of its error, that a cause may leave open beside twice the bound."""

MOST_LEFT = 0.5
"""Share of the worst element's error that may be left: just beyond the bound, all that is nearly right is near."""

FIRST = 2
"""Rows that are compared before all others: most mistakes are out of the question after them."""

NEAR_LARGEST = 1e-3
"""Share of a format's largest number from which on a factor too many makes an infinity."""

MANY = 20_000
"""Logits beyond which a mistake costs so much that after one kind of them has explained a result no other is tried."""

LARGEST = 200_000
"""Elements of the logits or of the weights beyond which nobody waits for a guess."""


OUT_OF_BOUNDS = re.compile(r"\b(target|index) -?\d+ is out of bounds", re.IGNORECASE)
"""What PyTorch and NumPy say of an index with its number; other things are out of range, too."""


def suspects(problem: Problem, quantity: str, got: Array, bound: Array) -> tuple[str, ...]:
    """The causes that explain a wrong value or gradient: "B20: off by the factor valid/N = 3/5 ...".

    A cause explains a result if what it would give is within twice the bound and 0.1 % of each element and of its
    error.
    got, bound: in the quantity's shape. UNSURE where nothing known fits; empty where none is looked for: other
    quantities, networks, more than 200,000 elements.
    """
    return suspects_of(problem, [(quantity, got, bound)])[0]


def suspects_of(problem: Problem, failures: Sequence[tuple[str, Array, Array]]) -> list[tuple[str, ...]]:
    """The causes of each of several wrong results of one problem, by `suspects`; its mistakes are made once.

    failures: quantity, result and bound. Beyond 20,000 logits the first kind of mistake that explains a result is the
    last that is tried.
    """
    told: list[tuple[str, ...]] = [() for _ in failures]
    if problem.head == "network" or not 0 < _elements(problem) <= LARGEST:
        return told
    right = Counterfactual.of(problem)
    wanted: dict[int, _Wanted] = {}
    with np.errstate(all="ignore"):
        for i, (quantity, got, bound) in enumerate(failures):
            if quantity in EXAMINED and got.size:
                w = _Wanted(right, quantity, got, bound)
                told[i] = w.at_once()
                if not told[i]:
                    wanted[i] = w
        for w in wanted.values():
            if w.quantity in DIRECTIONAL:
                w.try_all(along(right))
        pending = [w for w in wanted.values() if not w.explained]
        for source in SOURCES if pending else ():
            for mistake in source(right):
                for w in pending:
                    w.try_all([mistake])
            if right.z.size > MANY:
                pending = [w for w in pending if not w.explained]
                if not pending:
                    break
        for i, w in wanted.items():
            told[i] = w.told()
    return told


def suspects_of_error(told: str) -> tuple[str, ...]:
    """What an exception's text says."""
    if "returned a loss of shape" in told:
        return ("B26: the output has another shape than the reduction and the logits ask for",)
    if OUT_OF_BOUNDS.search(told):
        return ("C32: a label or the sentinel is used as an index that is not there",)
    return ()


def _elements(problem: Problem) -> int:
    """Of the logits, or of the weights if they have more."""
    return max(int(np.prod(problem.logits_shape)), 0 if problem.w is None else problem.w.size)


def _in_rows(x: Array, quantity: str) -> Array:
    """(m, C) for what has the logits' shape, as it is for gradients of a layer, (m,) or (1,) for values; float64."""
    wide = np.asarray(x).astype(np.float64)
    if quantity in IN_ROWS:
        return np.asarray(to_rows(wide))
    return wide if quantity in LAYER_GRADIENTS else wide.reshape(-1)


class _Wanted:
    """A result of a problem that is to be explained, and the causes that do."""

    def __init__(self, right: Counterfactual, quantity: str, got: Array, bound: Array) -> None:
        self.quantity, self.explained = quantity, dict[str, None]()
        self._right, self._exact = right, np.atleast_1d(right.result(quantity))
        self._got, self._bound = _in_rows(got, quantity), _in_rows(bound, quantity)
        self._largest = FORMATS[right.problem.dtype].largest
        exact, found = self._exact, self._got
        left = UNEXPLAINED * np.minimum(np.where(np.isfinite(exact), np.abs(found - exact), 0.0), np.abs(found))
        self._limit = 2.0 * self._bound + left
        comparable = np.isfinite(found) & np.isfinite(exact)
        far = np.where(comparable, np.abs(found - exact) / np.maximum(self._bound, 1e-300), 0.0)
        self._worst = int(np.argmax(far)) if (far > 0).any() else None
        error = 0.0 if self._worst is None else float(np.abs(found - exact).flat[self._worst])
        self._tight = 0.0 if self._worst is None else min(float(self._limit.flat[self._worst]), MOST_LEFT * error)

    def at_once(self) -> tuple[str, ...]:
        """What a nan or an infinity says by itself, before any mistake is tried."""
        seen = self._right, self._exact, self._got, self._bound
        if pattern := nan_where_masked(*seen):
            return (pattern,)
        wrong = wrong_elements(*seen[1:])
        finite = np.isfinite(self._got[wrong]).any()
        if finite or (np.abs(self._exact[wrong]) > NEAR_LARGEST * self._largest).any():
            return ()
        told = not_finite(self._right, self.quantity, self._exact, self._got)
        return tuple(dict.fromkeys((*told, *self._overflows()))) if told else ()

    def try_all(self, mistakes: Iterable[Mistake]) -> None:
        """Keeps those that explain the result."""
        for code, text, wrong in mistakes:
            if self._explained_by(np.atleast_1d(wrong.result(self.quantity))):
                self.explained[f"{code}: {text}"] = None

    def told(self) -> tuple[str, ...]:
        """The mistakes that explain the result; where there is none its numbers, or else its patterns."""
        right, quantity, found = self._right, self.quantity, dict(self.explained)
        seen = self._exact, self._got, self._bound
        if not found:
            noise = bool(rounded(right, *seen, quantity))
            found |= dict.fromkeys(numbers_of(right, quantity, *seen, noise))
            if not noise:
                found |= dict.fromkeys(columns_of_sum(right, quantity, *seen))
            found |= dict.fromkeys(named_ratios(right, *seen))
        found |= dict.fromkeys(same_factor(*seen))
        found = found or dict.fromkeys(patterns_of(right, quantity, *seen) or (UNSURE,))
        return tuple(found | dict.fromkeys(self._overflows()))

    def _overflows(self) -> tuple[str, ...]:
        return tuple(filter(None, (also_overflows(self._right, self._exact, self._got),)))

    def _explained_by(self, wrong: Array) -> bool:
        """Whether all is near, and not as it should be; the worst element and the first rows are compared first."""
        if self._worst is not None and wrong.size == self._got.size:
            off = abs(float(wrong.flat[self._worst]) - float(self._got.flat[self._worst]))
            if not off <= self._tight:
                return False
        if not self._near(wrong, slice(FIRST)):
            return False
        return not np.array_equal(wrong, self._exact, equal_nan=True) and self._near(wrong, slice(None))

    def _near(self, wrong: Array, rows: slice) -> bool:
        expected, got = wrong[rows], self._got[rows]
        expected = np.where(np.abs(expected) > self._largest, np.copysign(np.inf, expected), expected)
        same = (got == expected) | (np.isnan(got) & np.isnan(expected))
        near = np.abs(got - expected) <= self._limit[rows]
        return bool((same | (near & np.isfinite(got))).all())
