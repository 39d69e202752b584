"""What a fault may look at in a call of PyTorch: its arguments, their memory, and whether there is a graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def of_pixels(strides: tuple[int, ...]) -> Callable[..., Any]:
    return lambda torch, z, y, options: z.stride() == strides


def many_rows(z: Any) -> bool:
    """Whether there are more rows than a block of 64 has."""
    return z.ndim > 1 and len(z) > 64


def many_classes(z: Any) -> bool:
    """Whether a batch has more classes than a block of 64 has."""
    return z.ndim > 1 and z.shape[1] > 64


def smooths(options: Any) -> bool:
    """Whether labels are smoothed, and nothing else is asked for."""
    return "label_smoothing" in options and "weight" not in options


def alone(torch: Any) -> bool:
    """Whether nobody asks for a gradient."""
    return not torch.is_grad_enabled()


def ignores(y: Any) -> bool:
    """Whether labels are ignored."""
    return bool(not y.is_floating_point() and (y == -100).any())


def narrow(torch: Any, y: Any) -> bool:
    """Whether labels are of the next smaller dtype."""
    return bool(y.dtype == torch.int32)


def by_row_alone(torch: Any, y: Any, options: Any) -> bool:
    """Whether there is no graph, and each row has a loss, with weights."""
    return alone(torch) and options.get("reduction") == "none" and "weight" in options


def of_all(options: Any) -> bool:
    """Whether it is a sum, with weights and smoothing."""
    return options.get("reduction") == "sum" and {"weight", "label_smoothing"} <= options.keys()


def of_a_class(options: Any) -> bool:
    """Whether a class is ignored."""
    return options.get("ignore_index", -100) >= 0


def needs(torch: Any, z: Any) -> bool:
    """Whether logits require a gradient, or are those of a batched call, which says nothing of it."""
    return bool(z.requires_grad or batched(torch, z))


def batched(torch: Any, z: Any) -> bool:
    return bool(torch._C._functorch.is_batchedtensor(z))


def of_a_volume(torch: Any, z: Any) -> bool:
    """Whether the logits are a volume with the classes next to each other in memory, and in no other order."""
    last = z.ndim == 5 and z.is_contiguous(memory_format=torch.channels_last_3d)
    return last and not z.is_contiguous()
