"""Fused linear losses of PyTorch: functions of (x, weight, bias, target)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xentcheck.adapters.base import Capabilities
from xentcheck.adapters.layer import LAYER, OF, QUANTITIES
from xentcheck.reference.problem import Problem

from .adapter import DEVICES, TorchFunction
from .tensors import Leaves, Tensors

if TYPE_CHECKING:
    from torch import Tensor


class TorchLinear(TorchFunction):
    """A function of (x, weight, bias, target) in PyTorch, differentiated by autograd."""

    capabilities = Capabilities(devices=DEVICES, quantities=QUANTITIES, heads=("layer",))
    calling = "linear"

    def head(self, problem: Problem, inputs: Tensors) -> tuple[tuple[Tensor, ...], Leaves]:
        """x, weight and bias, and each as the leaf of its gradient."""
        import torch as framework

        needs, on = problem.needs or LAYER, framework.is_grad_enabled()
        leaves = {name: inputs[name].requires_grad_(on and name in needs) for name in LAYER}
        return tuple(leaves.values()), {q: [leaves[name]] for q, name in OF.items() if name in needs}
