"""Fused linear losses of NumPy: functions of (x, weight, bias, target)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from xentcheck.adapters.base import LAYER, LAYER_QUANTITIES, OF, Capabilities
from xentcheck.adapters.ways import OF_LAYERS
from xentcheck.reference.formats import Array
from xentcheck.reference.problem import Problem
from xentcheck.vocabulary import GRADIENTS, VALUES

from .adapter import DEVICES, NumpyFunction


class NumpyLinear(NumpyFunction):
    """A function of (x, weight, bias, target) that returns the loss and (dC/dx, dC/dweight, dC/dbias).

    It is called without a bias where its signature says that it may be: NumPy makes nan of None, which is no refusal.
    """

    capabilities = Capabilities(devices=DEVICES, quantities=LAYER_QUANTITIES, heads=("layer",))
    calling = "linear"
    ways = (*NumpyFunction.ways, *(way for way in OF_LAYERS if way != "no-bias"))

    def _evaluate(self, problem: Problem, arrays: dict[str, Array], wanted: Sequence[str]) -> dict[str, Array]:
        if {*VALUES, *GRADIENTS}.isdisjoint(wanted):
            return {}
        given: list[Any] = [arrays[name] for name in LAYER]
        if self.way == "no-bias":
            given[2] = None
        if self.way == "leading-axes":
            (n, k), y = given[0].shape, arrays["target"]
            given[0], arrays = given[0].reshape(2, -1, k), {**arrays, "target": y.reshape(2, -1, *y.shape[1:])}
            value, (dx, *others) = self._differentiate(problem, arrays, *given)
            gradients: Sequence[Any] = (np.reshape(dx, (n, k)), *others)
        else:
            value, gradients = self._differentiate(problem, arrays, *given)
        found = {"loss" if problem.reduction == "none" else "cost": value}
        return {**found, **dict(zip(OF, gradients, strict=True))}
