"""Layout: writable copies of a problem's arrays with the very strides of the originals, and what changed in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from xentcheck.reference.formats import Array
from xentcheck.reference.problem import Problem


@dataclass(frozen=True)
class OwnCopy:
    """An array's elements in memory of their own: element i of `shape` lies at buffer[offset + sum(i * strides)].

    buffer: 1-D, in the array's dtype. strides: in elements; 0 where the array is expanded. Floating-point gaps between
    the elements hold nan, so that an implementation that reads across them cannot go unnoticed.
    """

    buffer: Array
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int

    @property
    def view(self) -> Array:
        """The array that the layout describes, a view of the buffer."""
        start = self.buffer[self.offset :]
        return np.lib.stride_tricks.as_strided(start, self.shape, [s * self.buffer.itemsize for s in self.strides])


LEAD = 3
"""Elements before those of an array that is a part of another one: its own do not lie at the start of the memory."""


def own_copy(array: Array) -> OwnCopy:
    """Copy an array and keep its strides: transposed, sliced with gaps, or expanded (stride 0).

    >>> copy = own_copy(np.arange(12.0).reshape(3, 4)[:, ::2].T)
    >>> copy.strides, copy.view.tolist()
    ((2, 4), [[0.0, 4.0, 8.0], [2.0, 6.0, 10.0]])
    """
    strides = tuple(s // array.itemsize for s in array.strides)
    reach = [(n - 1) * s for n, s in zip(array.shape, strides, strict=True)] if array.size else []
    low = sum(r for r in reach if r < 0)
    high = sum(r for r in reach if r > 0)
    gap = 0 if array.dtype.kind in "iu" else np.nan
    lead = 0 if array.flags.c_contiguous else LEAD
    copy = OwnCopy(np.full(lead + high - low + 1, gap, array.dtype), array.shape, strides, lead - low)
    copy.view[...] = array
    return copy


def copied(problem: Problem) -> Problem:
    """The problem in memory of its own, with the same strides: whoever writes into it changes no other."""
    return problem.with_arrays({name: own_copy(array).view for name, array in problem.arrays().items()})


class OwnCopies(Mapping[str, OwnCopy]):
    """Copies of some arrays, by name, that can tell which of them were overwritten."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self._copies = {name: own_copy(array) for name, array in arrays.items()}
        self._before = {name: copy.buffer.tobytes() for name, copy in self._copies.items()}

    def __getitem__(self, name: str) -> OwnCopy:
        return self._copies[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._copies)

    def __len__(self) -> int:
        return len(self._copies)

    def changed(self, buffers: Mapping[str, Array] | None = None) -> tuple[str, ...]:
        """Names of the arrays whose elements differ now, and `beside_` names of those whose gaps do.

        buffers: what they hold now, if they live elsewhere.
        """
        now = buffers or {name: copy.buffer for name, copy in self._copies.items()}
        differing = (name for name, before in self._before.items() if now[name].tobytes() != before)
        return tuple(found for name in differing for found in self._where(name, now[name]))

    def _where(self, name: str, buffer: Array) -> Iterator[str]:
        """Whether the elements differ, the gaps between them, or both."""
        before = np.frombuffer(self._before[name], buffer.dtype)
        elements = replace(self._copies[name], buffer=before).view
        changed = replace(self._copies[name], buffer=buffer.copy())
        if changed.view.tobytes() != elements.tobytes():
            yield name
        changed.view[...] = elements
        if changed.buffer.tobytes() != before.tobytes():
            yield f"beside_{name}"
