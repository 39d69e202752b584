"""Right implementations in PyTorch: forms of the loss under autograd, as people write them."""

from __future__ import annotations

from typing import Any

from .base import Array, Fault
from .right import right

FAULTS: list[Fault] = []

PLAIN = ("upstream", "strided", "empty_batch", "second_order")
SMOOTHED = (*PLAIN, "label_smoothing")
SOFT = (*SMOOTHED, "probabilities")
ALL = (*SOFT, "weight", "negative_weight", "ignore_index", "k_dims", "unbatched")


def reduced(losses: Array, reduction: str) -> Array:
    """The losses, their sum or their mean."""
    return losses if reduction == "none" else losses.sum() if reduction == "sum" else losses.mean()


def of_log_a(log_a: Array, target: Array, reduction: str, eps: float) -> Array:
    """The loss of log-probabilities, smoothed by the mean of all classes."""
    if target.dtype == log_a.dtype:
        q = target if eps == 0 else target * (1 - eps) + eps / log_a.shape[1]
        return reduced(-(q * log_a).sum(1), reduction)
    picked = -log_a.gather(1, target[:, None])[:, 0]
    return reduced(picked if eps == 0 else (1 - eps) * picked - eps * log_a.mean(1), reduction)


def torch() -> Any:
    """PyTorch, imported by the first call."""
    import torch

    return torch


@right(FAULTS, "cross-entropy", options=ALL)
def cross_entropy(input: Array, target: Array, **options: Any) -> Array:
    """PyTorch's own."""
    return torch().nn.functional.cross_entropy(input, target, **options)


@right(FAULTS, "upcast", options=ALL)
def upcast(input: Array, target: Array, weight: Array | None = None, **options: Any) -> Array:
    """PyTorch's own in float32 for narrow logits, the loss rounded to their dtype."""
    wide = input.float() if input.itemsize < 4 else input
    targets = target.to(wide.dtype) if target.dtype == input.dtype else target
    weight = None if weight is None else weight.to(wide.dtype)
    return torch().nn.functional.cross_entropy(wide, targets, weight, **options).to(input.dtype)


@right(FAULTS, "double", options=ALL)
def double(input: Array, target: Array, weight: Array | None = None, **options: Any) -> Array:
    """PyTorch's own in float64, the loss rounded to the logits' dtype."""
    targets = target.double() if target.dtype == input.dtype else target
    weight = None if weight is None else weight.double()
    return torch().nn.functional.cross_entropy(input.double(), targets, weight, **options).to(input.dtype)


@right(FAULTS, "log-softmax-nll", options=(*PLAIN, "weight", "negative_weight", "ignore_index", "k_dims"))
def log_softmax_nll(input: Array, target: Array, weight: Array | None = None, **options: Any) -> Array:
    """nll_loss of log_softmax."""
    return torch().nn.functional.nll_loss(torch().log_softmax(input, 1), target, weight, **options)


@right(FAULTS, "log-softmax-gathered", options=SMOOTHED)
def log_softmax_gathered(input: Array, target: Array, reduction: str = "mean", label_smoothing: float = 0.0) -> Array:
    """log_softmax, gathered at the label; smoothing by its mean."""
    return of_log_a(torch().log_softmax(input, 1), target, reduction, label_smoothing)


@right(FAULTS, "logsumexp-minus-label", options=PLAIN)
def logsumexp_minus_label(input: Array, target: Array, reduction: str = "mean") -> Array:
    """logsumexp(z) - z_y."""
    return reduced(torch().logsumexp(input, 1) - input.gather(1, target[:, None])[:, 0], reduction)


@right(FAULTS, "margins", options=PLAIN)
def margins(input: Array, target: Array, reduction: str = "mean") -> Array:
    """logsumexp(z - z_y)."""
    return reduced(torch().logsumexp(input - input.gather(1, target[:, None]), 1), reduction)


@right(FAULTS, "label-apart", options=PLAIN)
def label_apart(input: Array, target: Array, reduction: str = "mean") -> Array:
    """log1p(exp(d)), or d + log1p(exp(-d)) for d > 0, of d = logsumexp of the other logits - z_y."""
    hot = torch().nn.functional.one_hot(target, input.shape[1]).bool()
    others = input.masked_fill(hot, torch().finfo(input.dtype).min)
    d = torch().logsumexp(others, 1) - input.gather(1, target[:, None])[:, 0]
    above, below = torch().where(d > 0, d, 0.0), torch().where(d > 0, 0.0, d)
    losses = torch().where(d > 0, d + torch().log1p(torch().exp(-above)), torch().log1p(torch().exp(below)))
    return reduced(losses, reduction)


@right(FAULTS, "logsumexp-of-blocks", options=PLAIN)
def logsumexp_of_blocks(input: Array, target: Array, reduction: str = "mean") -> Array:
    """The logsumexp of the logsumexps of 7 classes each, in float32 at least, - z_y; masked blocks would be nan."""
    wide = torch().promote_types(input.dtype, torch().float32)
    z = input.clamp(min=torch().finfo(input.dtype).min).to(wide)
    blocks = torch().stack([torch().logsumexp(block, 1) for block in z.split(7, 1)], 1)
    lse = torch().logsumexp(blocks, 1).to(input.dtype)
    return reduced(lse - input.gather(1, target[:, None])[:, 0], reduction)


@right(FAULTS, "autograd-through-max", options=PLAIN)
def autograd_through_max(input: Array, target: Array, reduction: str = "mean") -> Array:
    """t - log(sum(exp t)) for t = z - max(z), differentiated as written."""
    t = input - input.max(1, keepdim=True).values
    return of_log_a(t - t.exp().sum(1, keepdim=True).log(), target, reduction, 0.0)


@right(FAULTS, "autograd-through-amax", options=PLAIN)
def autograd_through_amax(input: Array, target: Array, reduction: str = "mean") -> Array:
    """The same through amax, which shares the gradient among equal maxima."""
    t = input - input.amax(1, keepdim=True)
    return of_log_a(t - t.exp().sum(1, keepdim=True).log(), target, reduction, 0.0)


@right(FAULTS, "detached-max", options=SMOOTHED)
def detached_max(input: Array, target: Array, reduction: str = "mean", label_smoothing: float = 0.0) -> Array:
    """The maximum is a constant to autograd."""
    t = input - input.detach().amax(1, keepdim=True)
    return of_log_a(t - t.exp().sum(1, keepdim=True).log(), target, reduction, label_smoothing)


@right(FAULTS, "one-hot", options=PLAIN)
def one_hot(input: Array, target: Array, reduction: str = "mean") -> Array:
    """The sum of one-hot rows times log-probabilities, where 0 times -inf is left out."""
    hot = torch().nn.functional.one_hot(target, input.shape[1]).bool()
    return reduced(-torch().where(hot, torch().log_softmax(input, 1), 0.0).sum(1), reduction)


@right(FAULTS, "float32-logsumexp", options=PLAIN)
def float32_logsumexp(input: Array, target: Array, reduction: str = "mean") -> Array:
    """logsumexp(z) - z_y in float32 for narrow logits, the reduced loss rounded to their dtype."""
    wide = input.float() if input.itemsize < 4 else input
    return logsumexp_minus_label(wide, target, reduction).to(input.dtype)
