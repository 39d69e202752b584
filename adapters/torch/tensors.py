"""A problem's arrays as tensors, the leaves that gradients are taken of, and the gradients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from xentcheck.adapters.layout import OwnCopies
from xentcheck.errors import AdapterError, Refused, told
from xentcheck.reference.formats import Array
from xentcheck.reference.given import of_tensor
from xentcheck.reference.problem import Problem
from xentcheck.vocabulary import ONE_BACKWARD

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Leaves = dict[str, list["Tensor"]]
"""Tensors by the gradient that is taken with respect to them."""


def from_numpy(array: Array) -> Tensor:
    """An array as a tensor over the same memory; PyTorch does not know the bfloat16 of `ml_dtypes`."""
    import torch

    if str(array.dtype) == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


class Tensors:
    """A problem's arrays as tensors of the same strides, in memory of their own on the device."""

    def __init__(self, problem: Problem, device: str) -> None:

        arrays = problem.arrays()
        arrays["upstream"] = np.asarray(problem.upstream, problem.dtype)
        self._copies = OwnCopies(arrays)
        self._buffers = {name: from_numpy(copy.buffer).to(device) for name, copy in self._copies.items()}
        # .to(device) on the array itself closes the gaps of a slice; as_strided makes views, not plain leaves
        self._tensors = {
            name: buffer.new_empty(0).set_(buffer.untyped_storage(), layout.offset, layout.shape, layout.strides)
            for (name, buffer), layout in zip(self._buffers.items(), self._copies.values(), strict=True)
        }

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def changed(self) -> tuple[str, ...]:
        """Names of the inputs that were overwritten."""
        return self._copies.changed({name: of_tensor(buffer) for name, buffer in self._buffers.items()})


ONE_LOCATION = "refers to a single memory location"
"""What PyTorch says where a tensor is written to whose elements share memory."""


@contextmanager
def refused_writes(problem: Problem) -> Iterator[None]:
    """Raise Refused where PyTorch does not let a function write into expanded logits, as some kernels would."""
    try:
        yield
    except RuntimeError as error:
        if ONE_LOCATION in str(error) and problem.logits is not None and 0 in problem.logits.strides:
            raise Refused("to write into expanded logits", told(error)) from error
        raise


def head(problem: Problem, inputs: Tensors) -> tuple[Tensor, Leaves]:
    """The logits, and for each gradient the leaves that it is taken with respect to (the hidden layer's first)."""
    import torch

    if problem.head == "logits":
        logits = inputs["logits"].requires_grad_(torch.is_grad_enabled())
        return logits, {"dC/dz": [logits]}
    needs = problem.needs or ("a_prev", "w", "b")
    a_prev = inputs["a_prev"].requires_grad_(torch.is_grad_enabled() and "a_prev" in needs)
    last = linear(inputs["w"], inputs["b"])
    if problem.head == "layer":
        last.weight.requires_grad_("w" in needs)
        last.bias.requires_grad_("b" in needs)
        leaves: Leaves = {"dC/db": [last.bias], "dC/dw": [last.weight], "dC/da_prev": [a_prev]}
        return last(a_prev), {q: found for q, found in leaves.items() if q in problem.quantities}
    hidden = linear(inputs["hidden_w"], inputs["hidden_b"])
    weights: list[Tensor] = [hidden.weight, last.weight]
    biases: list[Tensor] = [hidden.bias, last.bias]
    return last(torch.sigmoid(hidden(a_prev))), {"dC/db": biases, "dC/dw": weights, "dC/da_prev": [a_prev]}


def linear(w: Tensor, b: Tensor) -> torch.nn.Linear:
    """`nn.Linear` over these very tensors; made on the meta device, as it would draw random numbers."""
    import torch

    layer = torch.nn.Linear(w.shape[1], w.shape[0], device="meta")
    layer.weight, layer.bias = torch.nn.Parameter(w), torch.nn.Parameter(b)
    return layer


REENTRANT = "use_reentrant"
"""What PyTorch names where a checkpoint of the older kind refuses `torch.autograd.grad`."""


def pulled_back(output: Tensor, leaves: list[Tensor], upstream: Tensor, *, again: bool, graph: bool) -> list[Tensor]:
    """The gradients by `torch.autograd.grad`, or, where only that can, by `backward`.

    again: whether another call comes after this one.
    """
    import torch

    try:
        return list(torch.autograd.grad(output, leaves, upstream, retain_graph=again or graph, create_graph=graph))
    except RuntimeError as error:
        if graph or REENTRANT not in str(error):
            raise
    for leaf in leaves:
        leaf.grad = None
    differentiated: Any = output
    differentiated.backward(upstream, retain_graph=again)
    return [torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves]


def gradients(
    problem: Problem, output: Tensor, leaves: Leaves, upstream: Tensor, *, graph: bool = False
) -> dict[str, Tensor]:
    """Gradient per quantity, that of several leaves as one vector; of several backwards, the last.

    graph: whether the gradients can be differentiated again.
    """
    import torch

    upstream = upstream.to(output.dtype)
    flat = [leaf for group in leaves.values() for leaf in group]
    kept: list[tuple[Tensor, Tensor]] = []
    for earlier in range(problem.backwards):
        last = earlier == problem.backwards - 1
        given = upstream if last else -2 * upstream
        try:
            pulled = pulled_back(output, flat, given, again=not last, graph=graph and last)
        except Exception as error:
            if not earlier:
                raise
            raise Refused(ONE_BACKWARD, told(error)) from error
        kept += [] if last else [(gradient, gradient.clone()) for gradient in pulled]
    if not all(torch.allclose(*pair, rtol=0.0, atol=0.0, equal_nan=True) for pair in kept):
        raise AdapterError("a later backward changed the gradient of an earlier one; allowed: memory of its own")
    found = iter(pulled)
    groups = {quantity: [next(found) for _ in group] for quantity, group in leaves.items()}
    return {q: g[0] if len(g) == 1 else torch.cat([x.flatten() for x in g]) for q, g in groups.items()}
