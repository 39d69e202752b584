"""Fused linear losses of NumPy: functions of (x, weight, bias, target)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from xentcheck.adapters.base import Capabilities
from xentcheck.adapters.layer import LAYER, OF, QUANTITIES
from xentcheck.reference.formats import Array
from xentcheck.reference.problem import Problem
from xentcheck.vocabulary import GRADIENTS, VALUES

from .adapter import DEVICES, NumpyFunction

if TYPE_CHECKING:
    pass


class NumpyLinear(NumpyFunction):
    """A function of (x, weight, bias, target) that returns the loss and (dC/dx, dC/dweight, dC/dbias)."""

    capabilities = Capabilities(devices=DEVICES, quantities=QUANTITIES, heads=("layer",))
    calling = "linear"

    def _evaluate(self, problem: Problem, arrays: dict[str, Array], wanted: Sequence[str]) -> dict[str, Array]:
        if {*VALUES, *GRADIENTS}.isdisjoint(wanted):
            return {}
        value, gradients = self._differentiate(problem, arrays, *(arrays[name] for name in LAYER))
        found = {"loss" if problem.reduction == "none" else "cost": value}
        return {**found, **dict(zip(OF, gradients, strict=True))}
