"""Other ways in which PyTorch's users call a loss: none of them changes its value or its gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from xentcheck.adapters.ways import PULLED, elsewhere
from xentcheck.errors import Refused
from xentcheck.reference.problem import Problem

from .tensors import Leaves, Tensors, gradients

if TYPE_CHECKING:
    from torch import Tensor

Loss = Callable[..., "Tensor"]
"""Of the arrays before the target; `target=` takes the place of the problem's."""

GRADIENT_OF = {"gradient-of-target": "target", "gradient-of-weight": "weight"}


@contextmanager
def without_a_gradient(way: str, leaves: Iterable[Tensor]) -> Iterator[None]:
    """What a call that nobody differentiates is made in: there are four such calls.

    `inference`: in inference mode. `detached`: nothing requires a gradient, where one could be. `kept-parameters`: what
    requires a gradient, under `no_grad`. Else nothing requires one, under `no_grad`.
    """
    import torch

    for leaf in leaves:
        leaf.requires_grad_(way == "kept-parameters")
    with torch.inference_mode() if way == "inference" else torch.set_grad_enabled(way == "detached"):
        yield


def called(way: str, loss: Loss, arguments: tuple[Tensor, ...], target: Tensor, weight: Tensor | None = None) -> Tensor:
    """The loss, of arrays that an operation has made, of one of two batches, or with another call beside it."""
    import torch

    if way == "computed-inputs":
        return loss(*(x.clone() for x in arguments))
    if way == "interleaved":
        output = loss(*arguments)
        _call_others(loss, arguments, target)
        return output
    if way == "reused-buffers":
        return _of_reused_buffers(loss, arguments, target, weight)
    if way in ("evaluated-before", "evaluated-copy"):
        with torch.no_grad():
            loss(*(x.detach().clone() if way == "evaluated-copy" else x.detach() for x in arguments))
        return loss(*arguments)
    if way == "vmap":
        beside = target[-1:].expand(target.shape) if target.ndim else target  # of other labels, as batches are
        two = torch.stack((-arguments[0], arguments[0])), torch.stack((beside, target))
        mapped: Tensor = torch.func.vmap(lambda x, y: loss(x, *arguments[1:], target=y))(*two)
        return mapped[1]
    return loss(*arguments)


def _call_others(loss: Loss, arguments: tuple[Tensor, ...], target: Tensor) -> None:
    """A call on half of the rows, which may be refused, and two on other numbers, whose gradients are taken."""
    import torch

    first, *others = (x.detach().clone() for x in arguments)
    shorter = None
    if target.ndim and len(target) > 1:
        some = slice(0, len(target) // 2)
        with suppress(Exception):
            shorter = loss(first[some].clone().requires_grad_(), *others, target=target[some])  # what it keeps is alive
    calls = []
    for factor in (-1, 0.5):
        own = [x.clone().requires_grad_() for x in (factor * first, *others)]
        calls.append((own, loss(*own)))
    for own, other in calls:
        if other.requires_grad:
            torch.autograd.grad(other.sum(), own, allow_unused=True)
    del shorter


def _of_reused_buffers(loss: Loss, arguments: tuple[Tensor, ...], target: Tensor, weight: Tensor | None) -> Tensor:
    """The loss, after one of other numbers in the same tensors, as buffers of a training step are filled anew."""
    import torch

    held = [*arguments, target, *(() if weight is None else (weight,))]
    kept = [x.detach().clone() for x in held]
    with torch.no_grad():
        for x, before in zip(arguments, kept, strict=False):
            x.copy_(-before)
        for x in held[len(arguments) :]:
            x.copy_(torch.roll(x.clone(), 1, 0) if x.ndim else x)
    loss(*arguments)
    with torch.no_grad():
        for x, before in zip(held, kept, strict=True):
            x.copy_(before)
    return loss(*arguments)


def product(way: str, problem: Problem, loss: Loss, arguments: tuple[Tensor, ...], inputs: Tensors) -> Tensor:
    """The product of the target, or of the weight, with the gradient at another one: the loss itself, which is linear
    in it. The gradient is pulled back from `PULLED`, and divided by it.

    Raises Refused if there is no such gradient.
    """
    import torch

    of = inputs[GRADIENT_OF[way]]
    given = of.detach().clone()
    with torch.no_grad():
        of.copy_(elsewhere(given, torch.roll(given, 1, min(1, given.ndim - 1))))
    output = loss(*arguments)
    if not of.requires_grad or not output.requires_grad:
        raise Refused(way)
    (gradient,) = torch.autograd.grad(output, of, grad_outputs=torch.full_like(output, PULLED), allow_unused=True)
    with torch.no_grad():
        of.copy_(given)
    if gradient is None or not gradient.any():
        raise Refused(way)
    terms = (given.double() * gradient.double() / PULLED).reshape(of.shape)
    rows = problem.reduction == "none"
    return terms.sum(1 if rows else tuple(range(terms.ndim))).to(output.dtype)


def along(loss: Loss, logits: Tensor, v: Tensor) -> Tensor:
    """jvp by forward mode. Raises Refused where the output has no tangent."""
    from torch.autograd import forward_ad

    forward: Any = forward_ad
    with forward.dual_level():
        tangent = forward.unpack_dual(loss(forward.make_dual(logits, v))).tangent
    if tangent is None:
        raise Refused("forward mode")
    found: Tensor = tangent
    return found


def taken(way: str, problem: Problem, output: Tensor, leaves: Leaves, upstream: Tensor) -> dict[str, Tensor]:
    """The gradients: those that `backward` leaves in the leaves, or those that can be differentiated again."""
    if way != "backward":
        return gradients(problem, output, leaves, upstream, graph=way == "create-graph")
    differentiated: Any = output
    differentiated.backward(upstream.to(output.dtype))
    found = {q: group[0].grad for q, group in leaves.items()}
    return {q: gradient for q, gradient in found.items() if gradient is not None}
