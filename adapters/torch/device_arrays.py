"""A tensor as an array of NumPy's kind: its operators and functions take it, and their work is done where it lies.

What has no class axis left is a NumPy array in this machine's memory, as `reference.numbers.arrays` says: sums, counts
and extremes, and elements that two arrays of indices name. Dtypes are those that NumPy's rules make of the operands'.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from xentcheck.reference.formats import Array
from xentcheck.reference.given import of_tensor

from .functions import FUNCTIONS, UFUNCS

if TYPE_CHECKING:
    import torch
    from torch import Tensor

STAYING = ("cuda",)
"""Devices on which large results stay to be judged there."""

LARGE = 2**20
"""Elements from which on a result is large."""

JUDGED = ("float64", "float32", "bfloat16", "float16")


def result_of(tensor: Tensor) -> Array:
    """A result as an array: on its device, if it is large and that is one of `STAYING`."""
    if tensor.device.type not in STAYING or tensor.numel() < LARGE or name_of(tensor) not in JUDGED:
        return of_tensor(tensor)
    home(tensor.detach().reshape(-1)[:1])  # waits for it: what fails on the way is the implementation's
    placed: Any = DeviceArray(tensor.detach())
    return placed  # type: ignore[no-any-return]  # it does as an array


def name_of(tensor: Tensor) -> str:
    """The name of a dtype, which is the same in NumPy."""
    return str(tensor.dtype).removeprefix("torch.")


def home(tensor: Tensor) -> Array:
    """The one way from a device into this machine's memory."""
    return of_tensor(tensor)


class DeviceArray(NDArrayOperatorsMixin):
    """A tensor to which NumPy hands what is done to it."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy's."""
        return np.dtype(name_of(self.tensor))

    @property
    def shape(self) -> tuple[int, ...]:
        """As of an array."""
        return tuple(self.tensor.shape)

    @property
    def ndim(self) -> int:
        """How many axes it has."""
        return int(self.tensor.ndim)

    @property
    def size(self) -> int:
        """How many elements it has."""
        return int(self.tensor.numel())

    @property
    def flat(self) -> DeviceArray:
        """Its elements one after another."""
        return self.reshape(-1)

    def __len__(self) -> int:
        return len(self.tensor)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """A copy in this machine's memory."""
        return np.asarray(home(self.tensor), dtype)

    # What is done to elements, and to arrays as a whole

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **given: Any) -> Any:
        """A ufunc by PyTorch, or by NumPy on copies."""
        import torch

        name = UFUNCS.get(ufunc.__name__) if method == "__call__" and not given.keys() - {"casting"} else None
        if name is None:
            found = self._by_numpy(getattr(ufunc, method), inputs, given)
        else:
            tensors = self.operands(*inputs, real=name == "div")
            shape = np.broadcast_shapes(*(getattr(x, "shape", ()) for x in inputs))
            function = getattr(torch, name) if isinstance(name, str) else name
            found = self.made(function(*tensors).expand(shape))
        if out is None:
            return found
        if isinstance(out[0], DeviceArray) and isinstance(found, DeviceArray):
            out[0].tensor.copy_(found.tensor)
        else:
            np.copyto(out[0], found, casting="unsafe")
        return out[0]

    def __array_function__(self, func: Any, types: Any, given: Any, named: Mapping[str, Any]) -> Any:
        """A function by PyTorch, or by NumPy on copies."""
        own = FUNCTIONS.get(func.__name__)
        found = NotImplemented if own is None else own(self, *given, **named)
        return self._by_numpy(func, given, named) if found is NotImplemented else found

    def _by_numpy(self, function: Any, given: Any, named: Mapping[str, Any]) -> Any:
        def at_home(x: Any) -> Any:
            if isinstance(x, (list, tuple)):
                return type(x)(at_home(part) for part in x)
            return np.asarray(x) if isinstance(x, DeviceArray) else x

        return function(*at_home(tuple(given)), **{name: at_home(x) for name, x in named.items()})

    def made(self, tensor: Tensor) -> DeviceArray:
        """Another array on the device."""
        return type(self)(tensor)

    def taken_home(self, tensor: Tensor) -> Any:
        """Numbers as NumPy has them, of no axes as a number."""
        return home(tensor)[()]

    def operands(self, *given: Any, real: bool = False) -> list[Tensor]:
        """What is combined, on the device, in the dtype that NumPy's rules find; real: whole numbers are made real."""
        import torch

        kind = np.result_type(*(getattr(x, "dtype", x) for x in given))
        kind = np.dtype(np.float64) if real and kind.kind in "iub" else kind
        return [self._operand(x, getattr(torch, str(kind))) for x in given]

    def _operand(self, x: Any, kind: torch.dtype) -> Tensor:
        import torch

        if isinstance(x, DeviceArray):
            return x.tensor.to(kind)
        if not np.ndim(x):
            return torch.full((), np.asarray(x).item(), dtype=kind, device=self.tensor.device)
        one = x[tuple(slice(None if step else 1) for step in x.strides)]  # of an array that repeats itself
        return self._moved(one).to(kind)

    def _moved(self, x: Array) -> Tensor:
        """A copy on the device."""
        import torch

        whole = np.ascontiguousarray(x)
        if str(whole.dtype) == "bfloat16":
            return torch.tensor(whole.view(np.int16), device=self.tensor.device).view(torch.bfloat16)
        return torch.tensor(whole, device=self.tensor.device)

    def place(self, x: Any) -> Any:
        """An array on the device where this one lies."""
        tensor = x.tensor.to(self.tensor.device) if isinstance(x, DeviceArray) else self._moved(x)
        return self.made(tensor)

    # Methods

    def __getitem__(self, key: Any) -> Any:
        parts = key if isinstance(key, tuple) else (key,)
        found = self.tensor[tuple(self._index(part) for part in parts)]
        single = sum(isinstance(part, np.ndarray) and part.dtype.kind in "iu" for part in parts) > 1
        return self.made(found) if found.ndim and not single else self.taken_home(found)

    def __setitem__(self, key: Any, value: Any) -> None:
        parts = key if isinstance(key, tuple) else (key,)
        self.tensor[tuple(self._index(part) for part in parts)] = self._operand(value, self.tensor.dtype)

    def _index(self, part: Any) -> Any:
        if isinstance(part, DeviceArray):
            return part.tensor
        if isinstance(part, np.ndarray):
            return self._moved(part)
        return int(part) if isinstance(part, np.integer) else part

    def astype(self, dtype: Any, *, copy: bool = True, **given: Any) -> DeviceArray:
        """In another dtype."""
        import torch

        return self.made(self.tensor.to(getattr(torch, str(np.dtype(dtype))), copy=copy))

    def view(self, dtype: Any) -> DeviceArray:
        """The same bits as another dtype of their size."""
        import torch

        return self.made(self.tensor.view(getattr(torch, str(np.dtype(dtype)))))

    def reshape(self, *shape: Any) -> DeviceArray:
        """A view where there can be one."""
        return self.made(self.tensor.reshape(*shape))

    def ravel(self) -> DeviceArray:
        """Of one axis."""
        return self.reshape(-1)

    def copy(self, order: str = "C") -> DeviceArray:
        """On the same device."""
        return self.made(self.tensor.clone())

    def sort(self, axis: int = -1) -> None:
        """In place."""
        self.tensor.copy_(self.tensor.sort(axis).values)

    def argmax(self, axis: int | None = None) -> Any:
        """The first of the largest, or of those that are nan."""
        return self.taken_home(self.tensor.argmax(axis))

    def sum(self, axis: int | None = None, dtype: Any = None, *, keepdims: bool = False) -> Any:
        """Over an axis, or over all."""
        return (self if dtype is None else self.astype(dtype))._over("sum", axis, keepdims)

    def mean(self, axis: int) -> Any:
        """Over an axis."""
        return self.sum(axis) / self.shape[axis]

    def all(self, axis: int | None = None) -> Any:
        """Whether each is true."""
        return self._over("all", axis, False)

    def any(self, axis: int | None = None) -> Any:
        """Whether one is true."""
        return self._over("any", axis, False)

    def max(self, axis: int | None = None, *, keepdims: bool = False, initial: float = -np.inf) -> Any:
        """The largest, and `initial` at least; nan if there is one."""
        if not self.size:
            return np.asarray(self).max(axis, keepdims=keepdims, initial=initial)
        return np.maximum(self._over("amax", axis, keepdims), initial)

    def min(self, axis: int | None = None, *, keepdims: bool = False, initial: float = np.inf) -> Any:
        """The smallest, and `initial` at most; nan if there is one."""
        if not self.size:
            return np.asarray(self).min(axis, keepdims=keepdims, initial=initial)
        return np.minimum(self._over("amin", axis, keepdims), initial)

    def _over(self, name: str, axis: int | None, keepdims: bool) -> Any:
        axes = tuple(range(self.ndim)) if axis is None else axis
        found = getattr(self.tensor, name)(axes, keepdim=keepdims)
        return self.taken_home(found) if axis is None or axis % self.ndim == self.ndim - 1 else self.made(found)
