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
Change = Callable[[Problem, Values], None]


def adapter(framework: str, change: Change) -> Adapter:
    """A built-in adapter whose results are changed in place."""
    base: Any = type(adapters.get(framework))

    class WrongOutput(base):  # type: ignore[misc]  # one class for every framework's adapter
        def compute(self, problem: Problem, quantities: Sequence[str], *, device: str, variant: str) -> Result:
            result = super().compute(problem, quantities, device=device, variant=variant)
            values = {q: np.array(x) for q, x in result.values.items()}
            change(problem, values)
            return Result(values, result.changed_inputs)

    made: Adapter = WrongOutput()
    return made


def largest_off(quantity: str) -> Change:
    """1 % off in the largest element of one quantity."""

    def change(problem: Problem, values: Values) -> None:
        if quantity in values and values[quantity].size:
            wrong = values[quantity]
            at = np.unravel_index(np.nan_to_num(np.abs(wrong.astype(np.float64))).argmax(), wrong.shape)
            wrong[at] = (wrong[at].astype(np.float64) * 1.01).astype(wrong.dtype)

    return change


def raises(problem: Problem, values: Values) -> None:
    """An exception, where a right implementation returns."""
    raise ValueError("not here")


def gradient_missing(problem: Problem, values: Values) -> None:
    """No dC/dz."""
    values.pop("dC/dz", None)


def loss_with_an_axis(problem: Problem, values: Values) -> None:
    """The losses as a column; their numbers are right."""
    if "loss" in values:
        values["loss"] = values["loss"][..., None]


def gradient_narrowed(problem: Problem, values: Values) -> None:
    """dC/dz in a dtype that does not hold all numbers of the logits'."""
    if "dC/dz" in values:
        with np.errstate(over="ignore"):
            values["dC/dz"] = values["dC/dz"].astype("bfloat16" if problem.dtype == "float16" else np.float16)
