"""Ways to make a call, none of which changes its results, and what is taken of what a call returns."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

WAYS = {
    "strides": "the elements of the arrays lie apart in memory",
    "backwards": "the elements of the arrays lie in reverse order in memory",
    "label-dtypes": "labels are integers of another size",
    "threads": "there are two threads",
    "inference": "in inference mode",
    "detached": "nothing requires a gradient, where one could be taken",
    "kept-parameters": "what requires a gradient, where none can be taken",
    "computed-inputs": "what is differentiated is the result of an operation",
    "interleaved": "a call on fewer rows, and two others with their gradients, come before the gradient is taken",
    "reused-buffers": "the arrays have held other numbers in a call before",
    "evaluated-before": "a call without a gradient comes before",
    "evaluated-copy": "a call without a gradient comes before, on copies of the arrays",
    "backward": "the gradient is added up in the leaves",
    "create-graph": "the gradient has a graph of its own",
    "vmap": "as one of two batches in a batched call",
    "forward-mode": "the derivative along a direction by forward mode",
    "learned-weight": "a weight requires a gradient",
    "gradient-of-target": "the target times its gradient",
    "gradient-of-weight": "the weight times its gradient",
    "no-bias": "without a bias, where that is 0",
    "leading-axes": "x has two axes of rows",
}
"""Ways to make a call that change no result, and what is otherwise in them."""

OF_LAYERS = ("no-bias", "leading-axes")
"""Those that only a fused linear loss has."""

OF_NUMPY = ("backwards",)
"""Those that only NumPy has: no other array has a stride below 0."""


PULLED = -2.0
"""What gradients of the target and of the weight are pulled back from."""


def elsewhere(given: Any, turned: Any) -> Any:
    """Another point with the same sum and nothing that is 0, between what is given and what is turned by one class.

    [derived] the gradient of what is linear is the same at each point, and its product with the given one is the value
    there; at the point itself the same number everywhere, the value over the sum, would do as well.
    """
    return given / 8 + turned / 2 + 3 * given.mean() / 8


def loss_of(name: str, output: Any) -> Any:
    """The loss among what a function returns: the first of several, as beside a z-loss, of which a warning tells."""
    if not isinstance(output, (tuple, list)) or not output:
        return output
    warnings.warn(f"{name} returned {len(output)} results; the first one is judged as the loss", stacklevel=2)
    return output[0]


@contextmanager
def calling(adapter: Any, way: str) -> Iterator[None]:
    """Calls of an adapter are made in a way inside."""
    adapter.way = way
    try:
        yield
    finally:
        adapter.way = ""
