"""PyTorch: `nn.Linear` and `nn.CrossEntropyLoss` under eager autograd, and any function of the same signature."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from xentcheck.adapters.base import Adapter, Capabilities, Result, keywords
from xentcheck.adapters.layout import OwnCopies
from xentcheck.errors import AdapterError, Refused, UnavailableError, told
from xentcheck.reference.formats import Array
from xentcheck.reference.problem import Problem
from xentcheck.vocabulary import DIRECTIONAL, GRADIENTS, HEADS, ONE_BACKWARD, REFUSED, VALUES

if TYPE_CHECKING:
    import torch
    from torch import Tensor

DEVICES = ("cpu", "cuda")

Leaves = dict[str, list["Tensor"]]
"""Tensors by the gradient that is taken with respect to them."""


class TorchFunction(Adapter):
    """A function with the signature of `torch.nn.functional.cross_entropy`, differentiated by autograd.

    It gets (input, target) by position and only those keywords that differ from PyTorch's defaults, in tensors with the
    strides of the problem's arrays, and returns the loss tensor.
    """

    package = "torch"
    calling = "function"
    capabilities = Capabilities(devices=DEVICES, quantities=(*VALUES, "dC/dz", *DIRECTIONAL))
    accuracies = (("cpu", "float64", 1.5, 1.0), ("cpu", "*", 1.0, 1.0))
    exp_ulps = 8.0
    log_ulps = 8.0

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        self.name = name
        self.function = function

    def devices(self) -> tuple[str, ...]:
        """`cpu`, and `cuda` where PyTorch sees one."""
        try:
            torch = self.load()
        except UnavailableError:
            return ()
        with warnings.catch_warnings(action="ignore"):  # an old driver is one more way of having no cuda
            seen = DEVICES if torch.cuda.is_available() else DEVICES[:1]
        return tuple(d for d in self.capabilities.devices if d in seen)

    def settings(self) -> dict[str, str]:
        """The settings during `compute`; they are restored after it."""
        torch = self.load()
        with numerics(torch):
            return {
                "threads": str(torch.get_num_threads()),
                "float32_matmul_precision": torch.get_float32_matmul_precision(),
                "tf32_matmul": str(torch.backends.cuda.matmul.allow_tf32),
                "deterministic": str(torch.are_deterministic_algorithms_enabled()),
            }

    def compute(self, problem: Problem, quantities: Sequence[str], *, device: str, variant: str) -> Result:
        """Value by the function, gradients by `torch.autograd.grad` with the problem's upstream gradient.

        A value without a gradient is asked for under `torch.no_grad`.
        """
        torch = self.load()
        wanted = self.provided(problem, quantities)
        differentiated = not {*GRADIENTS, *DIRECTIONAL}.isdisjoint(wanted)
        with numerics(torch), torch.set_grad_enabled(differentiated):
            inputs = Tensors(problem, device)
            arguments, leaves = self.head(problem, inputs)
            found = self._evaluate(problem, inputs, arguments, leaves, wanted)
            values = {q: to_numpy(found[q]) for q in wanted}
            return Result(values, inputs.changed())

    def poisoned(self) -> AbstractContextManager[None]:
        """PyTorch fills fresh memory with nan while deterministic algorithms are asked for."""
        return poisoned_memory(self.load())

    def head(self, problem: Problem, inputs: Tensors) -> tuple[tuple[Tensor, ...], Leaves]:
        """What the function gets before the target, and for each gradient the leaves that it is taken of."""
        logits, leaves = head(problem, inputs)
        return (logits,), leaves

    def _evaluate(
        self,
        problem: Problem,
        inputs: Tensors,
        arguments: tuple[Tensor, ...],
        leaves: Leaves,
        wanted: Sequence[str],
    ) -> dict[str, Tensor]:
        import torch

        found: dict[str, Tensor] = {}
        if "a" in wanted or "log_a" in wanted:
            rows = arguments[0].detach()
            axis = 0 if rows.ndim == 1 else 1
            found |= {"a": torch.softmax(rows, axis), "log_a": torch.log_softmax(rows, axis)}
        if not {*VALUES, *GRADIENTS}.isdisjoint(wanted):
            output = self._loss(problem, inputs, *arguments)
            found["loss" if problem.reduction == "none" else "cost"] = output
            if not set(GRADIENTS).isdisjoint(wanted):
                self.require_shape(output.shape, problem.upstream.shape)
                found |= gradients(problem, output, leaves, inputs["upstream"])
        if not set(DIRECTIONAL).isdisjoint(wanted):
            found |= self._directional(problem, inputs, *arguments)
        return found

    def _directional(self, problem: Problem, inputs: Tensors, logits: Tensor) -> dict[str, Tensor]:
        """jvp by the double-vjp trick (the pullback is linear in its cotangent), hvp by double backward."""
        import torch

        v = inputs["v"]
        output = self._loss(problem, inputs, logits)
        cotangent = torch.ones_like(output, requires_grad=True)
        pulled = torch.autograd.grad(output, logits, grad_outputs=cotangent, create_graph=True)[0]
        jvp = torch.autograd.grad(pulled, cotangent, grad_outputs=v, retain_graph=True)[0]
        upstream = inputs["upstream"].to(output.dtype)
        gradient = torch.autograd.grad(output, logits, grad_outputs=upstream, create_graph=True)[0]
        hvp = torch.autograd.grad(gradient, logits, grad_outputs=v)[0]
        return {"jvp": jvp, "hvp": hvp}

    def _loss(self, problem: Problem, inputs: Tensors, *arguments: Tensor) -> Tensor:
        import torch

        options = keywords(problem)
        if "weight" in options:
            options["weight"] = inputs["weight"]
        output = self.function(*arguments, inputs["target"], **options)
        if not isinstance(output, torch.Tensor):
            raise AdapterError(f"{self.name} returned {type(output).__name__}; allowed: a torch.Tensor, the loss")
        return output


class TorchAdapter(TorchFunction):
    """PyTorch itself: `nn.CrossEntropyLoss`, on logits, behind one `nn.Linear`, or behind a sigmoid layer as well.

    >>> from xentcheck.adapters.torch.adapter import TorchAdapter
    >>> TorchAdapter().capabilities.heads
    ('logits', 'layer', 'network')
    """

    contracts = (
        *(("cpu", dtype, "*", "stash-sum") for dtype in ("bfloat16", "float16")),
        ("*", "*", "*", "stash"),
    )
    running_sums = 4
    capabilities = Capabilities(devices=DEVICES, heads=HEADS)

    def __init__(self) -> None:
        super().__init__(criterion, "torch")

    def unsupported(self, problem: Problem) -> str:
        """Besides what is declared: uint8 targets of (N, C, d1..dk), or with weights, smoothing and mean at once."""
        weighted = problem.weight is not None and problem.label_smoothing and problem.reduction == "mean"
        if str(problem.target.dtype) == "uint8" and (len(problem.logits_shape) > 2 or weighted):
            return "option uint8_targets"
        return super().unsupported(problem)

    def steps(self, problem: Problem) -> dict[str, Array]:
        """The steps of (37) by `torch.autograd.functional.jacobian` and autograd, on the CPU."""
        torch = self.load()
        own = self.compute(problem, problem.quantities, device="cpu", variant="eager")
        with numerics(torch):
            inputs = Tensors(problem, "cpu")
            logits, _ = head(problem, inputs)
            rows = logits.detach()
            output = self._loss(problem, inputs, logits)
            a = torch.softmax(rows, 1).requires_grad_()
            cost = -torch.log(a.gather(1, inputs["target"][:, None])).sum()
            jacobian = torch.autograd.functional.jacobian(lambda z: torch.softmax(z, 1).sum(0), rows)
            found = {
                "a": a,
                "log_a": torch.log_softmax(rows, 1),
                "dC/da": torch.autograd.grad(cost, a)[0],
                "da/dz": jacobian.transpose(0, 1),
                "dC/dz": torch.autograd.grad(output, logits, grad_outputs=inputs["upstream"].to(output.dtype))[0],
            }
        return {**{step: to_numpy(tensor) for step, tensor in found.items()}, **own.values}


def criterion(logits: Tensor, target: Tensor, **options: Any) -> Tensor:
    """`nn.CrossEntropyLoss` as a function."""
    import torch

    loss: Tensor = torch.nn.CrossEntropyLoss(**options)(logits, target)
    return loss


@contextmanager
def numerics(torch: Any) -> Iterator[None]:
    """One thread and true float32 products (no TF32) inside; the settings found, again after it."""
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    torch.set_num_threads(1)
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(precision)


@contextmanager
def poisoned_memory(torch: Any) -> Iterator[None]:
    """`torch.utils.deterministic.fill_uninitialized_memory` inside; the settings found, again after it."""
    asked, warn = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    fill = torch.utils.deterministic.fill_uninitialized_memory
    torch.utils.deterministic.fill_uninitialized_memory = True
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with warnings.catch_warnings(action="ignore"):  # of operations that have no deterministic form
            yield
    finally:
        torch.use_deterministic_algorithms(asked, warn_only=warn)
        torch.utils.deterministic.fill_uninitialized_memory = fill


def from_numpy(array: Array) -> Tensor:
    """An array as a tensor over the same memory; PyTorch does not know the bfloat16 of `ml_dtypes`."""
    import torch

    if str(array.dtype) == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def to_numpy(tensor: Tensor) -> Array:
    """The inverse of `from_numpy`, from any device."""
    import torch

    plain = tensor.detach().cpu()
    if plain.dtype == torch.bfloat16:
        return np.asarray(plain.contiguous().view(torch.int16).numpy().view("bfloat16"))
    return np.asarray(plain.numpy(force=True))


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
        return self._copies.changed({name: to_numpy(buffer) for name, buffer in self._buffers.items()})


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


def gradients(problem: Problem, output: Tensor, leaves: Leaves, upstream: Tensor) -> dict[str, Tensor]:
    """Gradient per quantity, that of several leaves as one vector; of several backwards, the last."""
    import torch

    upstream = upstream.to(output.dtype)
    flat = [leaf for group in leaves.values() for leaf in group]
    for _ in range(problem.backwards - 1):
        torch.autograd.grad(output, flat, grad_outputs=-2 * upstream, retain_graph=True)
    try:
        found = iter(torch.autograd.grad(output, flat, grad_outputs=upstream))
    except RuntimeError as error:
        if problem.backwards == 1:
            raise
        raise Refused(f"{ONE_BACKWARD}, {REFUSED} {told(error)}") from error
    groups = {quantity: [next(found) for _ in group] for quantity, group in leaves.items()}
    return {q: g[0] if len(g) == 1 else torch.cat([x.flatten() for x in g]) for q, g in groups.items()}
