"""Suspects: which known mistake explains a wrong result, element by element; none if none does."""

from __future__ import annotations

import numpy as np

from xentcheck.reference.formats import FORMATS, Array
from xentcheck.reference.oracle.quantities import BY_CLASS, QUANTITIES
from xentcheck.reference.problem import Problem
from xentcheck.reference.rows import to_rows
from xentcheck.vocabulary import DIRECTIONAL, LAYER_GRADIENTS, UNSURE

from .counterfactual import Counterfactual, wrong_elements
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

LARGEST = 200_000
"""Elements of the logits or of the weights beyond which nobody waits for a guess."""


def suspects(problem: Problem, quantity: str, got: Array, bound: Array) -> tuple[str, ...]:
    """The causes that explain a wrong value or gradient: "B20: off by the factor valid/N = 3/5 ...".

    A cause explains a result if what it would give is within twice the bound and 0.1 % of each element and of its
    error.
    got, bound: in the quantity's shape. UNSURE where nothing known fits; empty where none is looked for: other
    quantities, networks, more than 200,000 elements.
    """
    if quantity not in EXAMINED or problem.head == "network" or not (got.size and 0 < _elements(problem) <= LARGEST):
        return ()
    right = Counterfactual.of(problem)
    exact = np.atleast_1d(right.result(quantity))
    found, limit = _in_rows(got, quantity), _in_rows(bound, quantity)
    with np.errstate(all="ignore"):
        if pattern := nan_where_masked(right, exact, found, limit):
            return (pattern,)
        wrong, largest = wrong_elements(exact, found, limit), FORMATS[problem.dtype].largest
        lost = not np.isfinite(found[wrong]).any() and not (np.abs(exact[wrong]) > NEAR_LARGEST * largest).any()
        if lost and (told := not_finite(right, quantity, exact, found)):
            return tuple(dict.fromkeys((*told, *filter(None, (also_overflows(right, exact, found),)))))
        wanted = _Wanted(exact, found, limit, largest)
        everywhere = (mistake for source in SOURCES for mistake in source(right))
        for mistakes in (along(right) if quantity in DIRECTIONAL else (), everywhere):
            explained = dict.fromkeys(
                f"{code}: {text}"
                for code, text, wrong in mistakes
                if wanted.explained_by(np.atleast_1d(wrong.result(quantity)))
            )
            if explained:
                explained |= dict.fromkeys(same_factor(exact, found, limit))
                break
        else:
            noise = bool(rounded(right, exact, found, limit, quantity))
            explained = dict.fromkeys(numbers_of(right, quantity, exact, found, limit, noise))
            if not noise:
                explained |= dict.fromkeys(columns_of_sum(right, quantity, exact, found, limit))
            explained |= dict.fromkeys(named_ratios(right, exact, found, limit))
            explained |= dict.fromkeys(same_factor(exact, found, limit))
            explained = explained or dict.fromkeys(patterns_of(right, quantity, exact, found, limit) or (UNSURE,))
        also = also_overflows(right, exact, found)
        return tuple(explained | ({also: None} if also else {}))


def suspects_of_error(told: str) -> tuple[str, ...]:
    """What an exception's text says."""
    if "returned a loss of shape" in told:
        return ("B26: the output has another shape than the reduction and the logits ask for",)
    if "out of bounds" in told or "out of range" in told:
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
    """A result that is to be explained; largest: of its format, beyond which what is expected is infinite."""

    def __init__(self, exact: Array, got: Array, bound: Array, largest: float) -> None:
        left = UNEXPLAINED * np.minimum(np.where(np.isfinite(exact), np.abs(got - exact), 0.0), np.abs(got))
        self._exact, self._got, self._largest, self._limit = exact, got, largest, 2.0 * bound + left
        far = np.where(np.isfinite(got) & np.isfinite(exact), np.abs(got - exact) / np.maximum(bound, 1e-300), 0.0)
        self._worst = int(np.argmax(far)) if (far > 0).any() else None
        error = 0.0 if self._worst is None else float(np.abs(got - exact).flat[self._worst])
        self._tight = 0.0 if self._worst is None else min(float(self._limit.flat[self._worst]), MOST_LEFT * error)

    def explained_by(self, wrong: Array) -> bool:
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
