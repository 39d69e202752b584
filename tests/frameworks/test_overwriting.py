"""Kernels of PyTorch that leave the gradient in their logits, in every call: which laws still hold for them."""

from __future__ import annotations

from typing import Any

import pytest
from lawful import broken

from xentcheck.adapters.base import Adapter
from xentcheck.adapters.wrap.implementation import adapter_of
from xentcheck.adapters.wrap.trying.refusals import tried

KEPT: dict[str, bool] = {}
"""What a kernel keeps between calls."""


def kernel(*, keeps: bool = False, only_alone: bool = False, overwrites: tuple[str, ...] = ()) -> Adapter:
    """A loss per row that overwrites its logits in its forward pass.

    keeps: a call without a graph leaves a state, which doubles the gradient of the next one. only_alone: logits are
    overwritten in calls without a graph only.
    """
    torch = pytest.importorskip("torch")
    KEPT.clear()

    class Overwriting(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, z: Any, y: Any, after: bool, graph: bool) -> Any:
            found = -torch.log_softmax(z, 1).gather(1, y[:, None])[:, 0]
            g = torch.softmax(z, 1)
            g[torch.arange(len(y)), y] -= 1
            if not (only_alone and graph):
                z.detach().copy_(g)
            ctx.save_for_backward(2 * g if after else g)
            return found

        @staticmethod
        def backward(ctx: Any, upstream: Any) -> Any:
            (g,) = ctx.saved_tensors
            return g * upstream[:, None], None, None, None

    def loss(logits: Any, labels: Any) -> Any:
        graph = torch.is_grad_enabled()
        after, KEPT["evaluated"] = keeps and graph and KEPT.get("evaluated", False), not graph
        return Overwriting.apply(logits, labels, after, graph)

    return tried(adapter_of(loss, "torch", overwrites=overwrites))


@pytest.mark.parametrize("overwrites", [(), ("logits",)])
def test_a_kernel_that_overwrites_its_logits_keeps_all_laws(overwrites: tuple[str, ...]) -> None:
    """Also where it is evaluated before: on a copy, as nobody could use the logits again."""
    assert broken(kernel(overwrites=overwrites)) == set()


def test_a_state_that_an_evaluation_leaves_breaks_its_law_there_too() -> None:
    """The copy does not hide it."""
    assert "evaluated-before" in broken(kernel(keeps=True))


def test_logits_that_an_evaluation_alone_overwrites_break_its_law() -> None:
    """Nobody expects that of a call that keeps them where a gradient is asked for."""
    assert "evaluated-before" in broken(kernel(only_alone=True))
