"""NumPy: the reference as an implementation under test, and any pair of functions or formulas in NumPy."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np

from xentcheck import reference
from xentcheck.adapters.base import Adapter, Capabilities, Result
from xentcheck.adapters.layout import OwnCopies
from xentcheck.adapters.needs import keywords
from xentcheck.adapters.ways import OF_NUMPY, calling
from xentcheck.reference.formats import Array
from xentcheck.reference.inputs import widened
from xentcheck.reference.problem import Problem
from xentcheck.vocabulary import GRADIENTS, HEADS, VALUES

DEVICES = ("cpu",)


class NumpyFunction(Adapter):
    """A function of (logits, target) that returns the loss and its gradient dC/dlogits.

    It gets, by keyword, only what differs from the defaults: weight, ignore_index, reduction, label_smoothing as in
    `torch.nn.functional.cross_entropy`, and upstream (an array of the loss's shape) where it is not all ones.
    """

    package = "numpy"
    copies = True
    calling = "function"
    capabilities = Capabilities(devices=DEVICES, quantities=(*VALUES, "dC/dz"))
    accuracies = (("cpu", "float64", 1.5, 1.5),)
    exp_ulps = 4.0
    log_ulps = 4.0
    ways: tuple[str, ...] = ("strides", "label-dtypes", *OF_NUMPY)
    way = ""

    def __init__(self, function: Callable[..., tuple[Any, Any]], name: str) -> None:
        self.name = name
        self.function = function

    def devices(self) -> tuple[str, ...]:
        """`cpu`, which is always there."""
        return self.capabilities.devices

    def settings(self) -> dict[str, str]:
        """The settings during `compute`: floating-point warnings off, as the values are judged instead."""
        return {"errstate": "ignore", "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "")}

    def compute(self, problem: Problem, quantities: Sequence[str], *, device: str, variant: str) -> Result:
        """Value and gradient as the function returns them."""
        wanted = self.provided(problem, quantities)
        copies = OwnCopies({**problem.arrays(), "upstream": np.asarray(problem.upstream, problem.dtype)})
        arrays = {name: copy.view for name, copy in copies.items()}
        with np.errstate(all="ignore"):
            found = self._evaluate(problem, arrays, wanted)
        return Result({q: np.asarray(found[q]) for q in wanted}, copies.changed())

    def poisoned(self) -> AbstractContextManager[None]:
        """`np.empty` and `np.empty_like` give nan."""
        return poisoned_memory()

    def otherwise(self, way: str) -> AbstractContextManager[None] | None:
        """With elements that lie apart or backwards, and with other labels: these are a matter of the problem."""
        return calling(self, way) if way in self.ways else None

    def _evaluate(self, problem: Problem, arrays: dict[str, Array], wanted: Sequence[str]) -> dict[str, Array]:
        if {*VALUES, *GRADIENTS}.isdisjoint(wanted):
            return {}
        value, gradient = self._differentiate(problem, arrays, arrays["logits"])
        return {"loss" if problem.reduction == "none" else "cost": value, "dC/dz": gradient}

    def _differentiate(self, problem: Problem, arrays: dict[str, Array], *arguments: Array) -> tuple[Any, Any]:
        options = {name: arrays.get(name, value) for name, value in keywords(problem).items()}
        for _ in range(problem.backwards - 1):
            first = {"upstream": -2 * arrays["upstream"]} if "upstream" in self.capabilities.options else {}
            given = [array.copy() for array in arguments]  # it may overwrite them, which is no fault of the next call
            self.function(*given, arrays["target"], **options, **first)
        if (arrays["upstream"] != 1).any():
            options["upstream"] = arrays["upstream"]
        return self.function(*arguments, arrays["target"], **options)


@contextmanager
def poisoned_memory() -> Iterator[None]:
    """What `np.empty` and `np.empty_like` return is full of nan inside, where the dtype has one."""

    def poison(allocate: Callable[..., Array]) -> Callable[..., Array]:
        def allocated(*arguments: Any, **options: Any) -> Array:
            found = allocate(*arguments, **options)
            if found.dtype.kind == "f" or found.dtype.name == "bfloat16":
                found[...] = np.nan
            return found

        return allocated

    with patch.object(np, "empty", poison(np.empty)), patch.object(np, "empty_like", poison(np.empty_like)):
        yield


class NumpyAdapter(NumpyFunction):
    """The reference itself, its heads chained by the equations of backpropagation (BP2)-(BP4).

    >>> from xentcheck.adapters.numpy.adapter import NumpyAdapter
    >>> NumpyAdapter().devices()
    ('cpu',)
    """

    contracts = (("*", "*", "*", "accurate"),)
    running_sums = 4
    capabilities = Capabilities(devices=DEVICES, heads=HEADS)

    def __init__(self) -> None:
        super().__init__(value_and_gradient, "numpy")

    def steps(self, problem: Problem) -> dict[str, Array]:
        """The steps of (37) by the reference: dC/da = -1/a_y at the target, and the Jacobian of softmax."""
        own = self.compute(problem, problem.quantities, device="cpu", variant="eager")
        arrays = {name: copy.view for name, copy in OwnCopies(problem.arrays()).items()}
        rows = arrays["logits"] if problem.head == "logits" else last_layer(arrays)[0]
        found = softmaxes(rows)
        y = np.arange(problem.classes) == arrays["target"][:, None]
        with np.errstate(all="ignore"):
            found["dC/da"] = np.where(y, -1 / found["a"], 0)
            found["da/dz"] = reference.softmax_jacobian(rows)
            found["dC/dz"] = self._differentiate(problem, arrays, rows)[1]
        return {**found, **own.values}

    def poisoned(self) -> AbstractContextManager[None]:
        """`np.empty` and `np.empty_like` give nan."""
        return poisoned_memory()

    def _evaluate(self, problem: Problem, arrays: dict[str, Array], wanted: Sequence[str]) -> dict[str, Array]:
        found = self._compute(problem, {name: widened(array) for name, array in arrays.items()}, wanted)
        return {q: np.asarray(value, problem.dtype) for q, value in found.items()}

    def _compute(self, problem: Problem, arrays: dict[str, Array], wanted: Sequence[str]) -> dict[str, Array]:
        if problem.head != "logits":
            return self._backpropagate(problem, arrays)
        found = super()._evaluate(problem, arrays, wanted)
        if "a" in wanted or "log_a" in wanted:
            found |= softmaxes(arrays["logits"])
        options = {name: arrays.get(name, value) for name, value in keywords(problem).items()}
        z, y = arrays["logits"], arrays["target"]
        if "jvp" in wanted:
            found["jvp"] = reference.cross_entropy_jvp(z, y, arrays["v"], **options)
        if "hvp" in wanted:
            found["hvp"] = reference.cross_entropy_hvp(z, y, arrays["v"], **options, upstream=arrays["upstream"])
        return found

    def _backpropagate(self, problem: Problem, arrays: dict[str, Array]) -> dict[str, Array]:
        """The loss's gradient is (BP1); (BP2) carries it back, (BP3) and (BP4) give b and w, summed over the rows."""
        w, a_prev = arrays["w"], arrays["a_prev"]
        logits, hidden = last_layer(arrays)
        value, delta = self._differentiate(problem, arrays, logits)
        found = {"loss" if problem.reduction == "none" else "cost": value}
        found |= {"dC/db": delta.sum(0), "dC/dw": delta.T @ hidden, "dC/da_prev": delta @ w}
        if problem.head == "network":
            delta = found["dC/da_prev"] * (hidden * (1 - hidden))
            found["dC/db"] = np.concatenate([delta.sum(0), found["dC/db"]])
            found["dC/dw"] = np.concatenate([(delta.T @ a_prev).ravel(), found["dC/dw"].ravel()])
            found["dC/da_prev"] = delta @ arrays["hidden_w"]
        return found


def value_and_gradient(logits: Array, target: Array, *, upstream: Any = 1.0, **options: Any) -> tuple[Array, Array]:
    """The reference's cross-entropy and its gradient."""
    value = reference.cross_entropy(logits, target, **options)
    return value, reference.cross_entropy_grad(logits, target, **options, upstream=upstream)


def softmaxes(logits: Array) -> dict[str, Array]:
    """`a` and `log_a` over the class axis: the reference's, which takes rows."""
    axis = 0 if logits.ndim == 1 else 1
    last = np.moveaxis(logits, axis, -1)
    rows = last.reshape(-1, last.shape[-1])
    found = {"a": reference.softmax(rows), "log_a": reference.log_softmax(rows)}
    return {q: np.moveaxis(a.reshape(last.shape), -1, axis) for q, a in found.items()}


def last_layer(arrays: dict[str, Array]) -> tuple[Array, Array]:
    """The logits, and the activations that the last layer makes them of."""
    a_prev = arrays["a_prev"]
    if "hidden_w" in arrays:
        a_prev = reference.sigmoid(a_prev @ arrays["hidden_w"].T + arrays["hidden_b"])
    return a_prev @ arrays["w"].T + arrays["b"], a_prev
