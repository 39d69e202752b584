"""NumPy's functions on tensors: by the name of each, what PyTorch has in its place.

What is not here is done by NumPy on a copy in this machine's memory: slower, and as right.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


OnDevice = Any
"""An array of `arrays`."""


def sign(x: Tensor) -> Tensor:
    """That of nan is nan."""
    import torch

    return torch.where(torch.isnan(x), x, torch.sign(x))


UFUNCS: dict[str, str | Callable[..., Tensor]] = {
    "absolute": "abs",
    "add": "add",
    "bitwise_and": "bitwise_and",
    "bitwise_or": "bitwise_or",
    "divide": "div",
    "equal": "eq",
    "exp": "exp",
    "expm1": "expm1",
    "fmax": "fmax",
    "greater": "gt",
    "greater_equal": "ge",
    "invert": "bitwise_not",
    "isfinite": "isfinite",
    "isinf": "isinf",
    "isnan": "isnan",
    "less": "lt",
    "less_equal": "le",
    "log": "log",
    "log1p": "log1p",
    "logical_not": "logical_not",
    "maximum": "maximum",
    "minimum": "minimum",
    "multiply": "mul",
    "negative": "neg",
    "not_equal": "ne",
    "right_shift": "bitwise_right_shift",
    "rint": "round",
    "sign": sign,
    "subtract": "sub",
}
"""What is done to each element: PyTorch's name of it, or a function of tensors."""


def where(like: OnDevice, mask: Any, *chosen: Any) -> Any:
    """Of two arrays; the indices of one are left to NumPy."""
    import torch

    if len(chosen) != 2:
        return NotImplemented
    (which,), (one, other) = like.operands(mask), like.operands(*chosen)
    return like.made(torch.where(which, one, other))


def copyto(like: OnDevice, target: Any, given: Any, casting: str = "unsafe", where: Any = True) -> Any:
    """Into an array on the device."""
    import torch

    if not isinstance(target, type(like)):
        return NotImplemented
    mask, (old, new) = like.operands(where)[0], like.operands(target, given)
    target.tensor.copy_(torch.where(mask, new, old))
    return None


def count_nonzero(like: OnDevice, x: Any, axis: int | None = None, *, keepdims: bool = False) -> Any:
    """As a number, or as a NumPy array."""
    return (x != 0).sum(axis, keepdims=keepdims)


def einsum(like: OnDevice, subscripts: str, *factors: Any) -> Any:
    """Sums of products."""
    import torch

    return like.taken_home(torch.einsum(subscripts, *like.operands(*factors)))


def moveaxis(like: OnDevice, x: OnDevice, source: int, target: int) -> Any:
    """A view."""
    return like.made(x.tensor.movedim(source, target))


def broadcast_to(like: OnDevice, x: OnDevice, shape: tuple[int, ...]) -> Any:
    """A view."""
    return like.made(x.tensor.expand(shape))


def zeros_like(like: OnDevice, x: OnDevice, dtype: Any = None, *, shape: Any = None) -> Any:
    """On the device."""
    import torch

    kind = getattr(torch, str(np.dtype(dtype or x.dtype)))
    return like.made(x.tensor.new_zeros(x.shape if shape is None else shape, dtype=kind))


def concatenate(like: OnDevice, parts: Any, axis: int = 0) -> Any:
    """On the device."""
    import torch

    return like.made(torch.cat(like.operands(*parts), axis))


def roll(like: OnDevice, x: OnDevice, shift: int, axis: int) -> Any:
    """A copy."""
    import torch

    return like.made(torch.roll(x.tensor, shift, axis))


def nanargmax(like: OnDevice, x: OnDevice) -> Any:
    """Of all elements, of which one at least is a number."""
    return np.where(np.isnan(x), -math.inf, x).argmax()


def _method(name: str) -> Callable[..., Any]:
    def function(like: OnDevice, x: Any, *given: Any, **named: Any) -> Any:
        return getattr(x, name)(*given, **named)

    return function


FUNCTIONS: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (where, copyto, count_nonzero, einsum, moveaxis, broadcast_to, zeros_like, concatenate, roll, nanargmax)
}
FUNCTIONS |= {name: _method(name) for name in ("all", "any", "max", "min", "sum")}
"""What takes arrays as a whole, by name: called with an array of the device, and NumPy's arguments."""
