"""Fused linear losses of PyTorch: functions of (x, weight, bias, target)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xentcheck.adapters.base import LAYER, LAYER_QUANTITIES, OF, Capabilities
from xentcheck.adapters.ways import OF_LAYERS
from xentcheck.reference.problem import Problem

from .adapter import DEVICES, TorchFunction
from .tensors import Leaves, Tensors

if TYPE_CHECKING:
    from torch import Tensor


class TorchLinear(TorchFunction):
    """A function of (x, weight, bias, target) in PyTorch, differentiated by autograd."""

    capabilities = Capabilities(devices=DEVICES, quantities=LAYER_QUANTITIES, heads=("layer",))
    calling = "linear"
    ways = (*TorchFunction.ways, *OF_LAYERS)

    def head(self, problem: Problem, inputs: Tensors) -> tuple[tuple[Tensor, ...], Leaves]:
        """x, weight and bias, and each as the leaf of its gradient."""
        import torch as framework

        needs, on = problem.needs or LAYER, framework.is_grad_enabled()
        if self.way == "no-bias":
            needs = tuple(name for name in needs if name != "b")
        leaves = {name: inputs[name].requires_grad_(on and name in needs) for name in LAYER}
        return tuple(leaves.values()), {q: [leaves[name]] for q, name in OF.items() if name in needs}

    def _loss(self, problem: Problem, inputs: Tensors, *arguments: Tensor, target: Tensor | None = None) -> Tensor:
        given: list[Any] = list(arguments)
        y = inputs["target"] if target is None else target
        if self.way == "no-bias":
            given[2] = None
        if self.way == "leading-axes":
            given[0], y = arguments[0].reshape(2, -1, arguments[0].shape[-1]), y.reshape(2, -1, *y.shape[1:])
        return super()._loss(problem, inputs, *given, target=y)
