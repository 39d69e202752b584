"""Finite differences: the book's one-sided quotient (46) and the central one, for checking gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from xentcheck.errors import ProblemError
from xentcheck.reference.formats import Array
from xentcheck.reference.inputs import floating

Function = Callable[[Array], Any]


def one_sided(f: Function, w: Any, step: float | None = None) -> Array:
    """dC/dw_j ~ (C(w + eps e_j) - C(w))/eps, equation (46); its error is O(eps).

    f: from an array to a number; w: any shape, floating. step: eps; default: the square root of the machine epsilon
    times max(1, |w_j|), which balances truncation and rounding [derived]. Returns the shape and dtype of w. Raises
    ProblemError unless the step is a finite number > 0, or DtypeError.

    >>> one_sided(lambda w: float((w * w).sum()), np.array([1.0, 2.0]), step=0.5).tolist()
    [2.5, 4.5]
    """
    w = floating(w, "w")
    here = f(w)
    quotients = [(f(up) - here) / (forth - at) for at, forth, up, _, _ in _moves(w, step, 1 / 2)]
    return np.asarray(quotients, w.dtype).reshape(w.shape)


def central(f: Function, w: Any, step: float | None = None) -> Array:
    """dC/dw_j ~ (C(w + h e_j) - C(w - h e_j))/(2 h) [derived]: the first-order errors of (46) cancel, O(h^2) is left.

    f: from an array to a number; w: any shape, floating. step: h; default: the cube root of the machine epsilon times
    max(1, |w_j|), which balances truncation and rounding [derived]. Returns the shape and dtype of w.
    Raises ProblemError unless the step is a finite number > 0, or DtypeError.

    >>> central(lambda w: float((w * w).sum()), np.array([1.0, 2.0]), step=0.5).tolist()
    [2.0, 4.0]
    """
    w = floating(w, "w")
    quotients = [(f(up) - f(down)) / (forth - back) for _, forth, up, back, down in _moves(w, step, 1 / 3)]
    return np.asarray(quotients, w.dtype).reshape(w.shape)


def _moves(w: Array, step: float | None, power: float) -> Iterator[tuple[Any, Any, Array, Any, Array]]:
    """Per element: its value, then the value and the whole array with the element moved up, and down.

    The quotients divide by the distance of the rounded values, so that rounding w + h is no error.
    """
    if step is not None and not (math.isfinite(step) and step > 0):
        raise ProblemError(f"step is {step}; allowed: a finite number > 0")
    for index in np.ndindex(w.shape):
        at = w[index]
        h = step if step is not None else float(np.finfo(w.dtype).eps) ** power * max(1.0, abs(float(at)))
        up, down = w.copy(), w.copy()
        up[index] += w.dtype.type(h)
        down[index] -= w.dtype.type(h)
        yield at, up[index], up, down[index], down
