"""One output wrong and all others right: for each check, the fault that nothing but it notices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xentcheck import adapters
from xentcheck.adapters.base import Adapter, Result
from xentcheck.reference.problem import Problem

Values = dict[str, NDArray[Any]]
Change = Callable[[Values], Values]


def adapter(framework: str, change: Change, changed_inputs: tuple[str, ...] = ()) -> Adapter:
    """A built-in adapter whose results go through a change; the inputs it is said to have written into come along."""
    base: Any = type(adapters.get(framework))

    class WrongOutput(base):  # type: ignore[misc]  # one class for every framework's adapter
        def compute(self, problem: Problem, quantities: Sequence[str], *, device: str, variant: str) -> Result:
            result = super().compute(problem, quantities, device=device, variant=variant)
            return Result(change(dict(result.values)), result.changed_inputs + changed_inputs)

    made: Adapter = WrongOutput()
    return made


def largest_off(quantity: str) -> Change:
    """1 % off in the largest element of one quantity."""

    def change(values: Values) -> Values:
        if quantity in values and values[quantity].size:
            wrong = np.array(values[quantity])
            at = np.unravel_index(np.nan_to_num(np.abs(wrong.astype(np.float64))).argmax(), wrong.shape)
            wrong[at] = (wrong[at].astype(np.float64) * 1.01).astype(wrong.dtype)
            values[quantity] = wrong
        return values

    return change


def raises(values: Values) -> Values:
    """An exception, where a right implementation returns."""
    raise ValueError("not here")


def gradient_missing(values: Values) -> Values:
    """No dC/dz."""
    return {q: x for q, x in values.items() if q != "dC/dz"}


def loss_with_an_axis(values: Values) -> Values:
    """The losses as a column; their numbers are right."""
    return {q: x[..., None] if q == "loss" else x for q, x in values.items()}


def gradient_in_float64(values: Values) -> Values:
    """dC/dz in another dtype, with the same numbers."""
    return {q: x.astype(np.float64) if q == "dC/dz" else x for q, x in values.items()}


def nothing(values: Values) -> Values:
    """The right results."""
    return values
