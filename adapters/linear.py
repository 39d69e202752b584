"""Fused linear losses: functions of (x, weight, bias, target) that never show their logits x weight^T + bias.

They are judged by dC/dx (dC/da_prev), dC/dweight (dC/dw) and dC/dbias (dC/db); their only head is the layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from xentcheck.adapters import jax, numpy, torch
from xentcheck.reference.problem import Problem
from xentcheck.vocabulary import GRADIENTS, VALUES

from .base import Array, Capabilities

if TYPE_CHECKING:
    from jax import Array as JaxArray
    from torch import Tensor

LAYER = ("a_prev", "w", "b")
"""A layer's arrays, in the order in which a function gets them."""

OF = {"dC/da_prev": "a_prev", "dC/dw": "w", "dC/db": "b"}
"""What each gradient is taken of."""

QUANTITIES = (*VALUES, *OF)


class TorchLinear(torch.TorchFunction):
    """A function of (x, weight, bias, target) in PyTorch, differentiated by autograd."""

    capabilities = Capabilities(devices=torch.DEVICES, quantities=QUANTITIES, heads=("layer",))
    calling = "linear"

    def head(self, problem: Problem, inputs: torch.Tensors) -> tuple[tuple[Tensor, ...], torch.Leaves]:
        """x, weight and bias, and each as the leaf of its gradient."""
        import torch as framework

        needs, on = problem.needs or LAYER, framework.is_grad_enabled()
        leaves = {name: inputs[name].requires_grad_(on and name in needs) for name in LAYER}
        return tuple(leaves.values()), {q: [leaves[name]] for q, name in OF.items() if name in needs}


class JaxLinear(jax.JaxFunction):
    """A function of (x, weight, bias, target) in JAX, under `jax.vjp` with respect to the first three."""

    capabilities = Capabilities(devices=jax.DEVICES, options=jax.NARROW, quantities=QUANTITIES, heads=("layer",))
    calling = "linear"

    def head(self, leaves: Mapping[str, JaxArray]) -> tuple[JaxArray, ...]:
        """x, weight and bias."""
        return tuple(leaves[name] for name in LAYER)


class NumpyLinear(numpy.NumpyFunction):
    """A function of (x, weight, bias, target) that returns the loss and (dC/dx, dC/dweight, dC/dbias)."""

    capabilities = Capabilities(devices=numpy.DEVICES, quantities=QUANTITIES, heads=("layer",))
    calling = "linear"

    def _evaluate(self, problem: Problem, arrays: dict[str, Array], wanted: Sequence[str]) -> dict[str, Array]:
        if {*VALUES, *GRADIENTS}.isdisjoint(wanted):
            return {}
        value, gradients = self._differentiate(problem, arrays, *(arrays[name] for name in LAYER))
        found = {"loss" if problem.reduction == "none" else "cost": value}
        return {**found, **dict(zip(OF, gradients, strict=True))}
