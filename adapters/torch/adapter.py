"""PyTorch: `nn.Linear` and `nn.CrossEntropyLoss` under eager autograd, and any function of the same signature."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

from xentcheck.adapters.base import Adapter, Capabilities, Result
from xentcheck.adapters.needs import Lack, keywords
from xentcheck.adapters.ways import OF_LAYERS, OF_NUMPY, WAYS, calling, loss_of
from xentcheck.errors import AdapterError, UnavailableError
from xentcheck.reference.formats import Array
from xentcheck.reference.given import of_tensor
from xentcheck.reference.problem import Problem
from xentcheck.vocabulary import DIRECTIONAL, GRADIENTS, HEADS, VALUES

from . import ways
from .device_arrays import result_of
from .tensors import Leaves, Tensors, head, refused_writes

if TYPE_CHECKING:
    from torch import Tensor

DEVICES = ("cpu", "cuda")


class TorchFunction(Adapter):
    """A function with the signature of `torch.nn.functional.cross_entropy`, differentiated by autograd.

    It gets (input, target) by position and only those keywords that differ from PyTorch's defaults, in tensors with the
    strides of the problem's arrays, and returns the loss tensor.
    """

    package = "torch"
    copies = True
    calling = "function"
    capabilities = Capabilities(devices=DEVICES, quantities=(*VALUES, "dC/dz", *DIRECTIONAL))
    accuracies = (("cpu", "float64", 1.5, 1.0), ("cpu", "*", 1.0, 1.0))
    exp_ulps = 8.0
    log_ulps = 8.0
    ways = tuple(way for way in WAYS if way not in (*OF_LAYERS, *OF_NUMPY))
    way = ""
    """Of WAYS, the one in which calls are made."""

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
        asked = differentiated or self.way in ways.GRADIENT_OF
        with numerics(torch, 1 + (self.way == "threads")), torch.set_grad_enabled(asked):
            inputs = Tensors(problem, device)
            arguments, leaves = self.head(problem, inputs)
            alone = nullcontext() if asked else ways.without_a_gradient(self.way, arguments)
            with alone, refused_writes(problem):
                found = self._evaluate(problem, inputs, arguments, leaves, wanted)
            values = {q: result_of(found[q]) for q in wanted}
            return Result(values, inputs.changed())

    def poisoned(self) -> AbstractContextManager[None]:
        """PyTorch fills fresh memory with nan while deterministic algorithms are asked for."""
        return poisoned_memory(self.load())

    def otherwise(self, way: str) -> AbstractContextManager[None] | None:
        """What `ways` has, two threads, and a weight that requires a gradient, as one that is learned does."""
        return calling(self, way) if way in self.ways else None

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
            loss = partial(self._loss, problem, inputs)
            if self.way in ways.GRADIENT_OF:
                output = ways.product(self.way, problem, loss, arguments, inputs)
            else:
                weight = None if problem.weight is None else inputs["weight"]
                output = ways.called(self.way, loss, arguments, inputs["target"], weight)
            found["loss" if problem.reduction == "none" else "cost"] = output
            if not set(GRADIENTS).isdisjoint(wanted):
                self.require_shape(output.shape, problem.upstream.shape)
                found |= ways.taken(self.way, problem, output, leaves, inputs["upstream"])
        if not set(DIRECTIONAL).isdisjoint(wanted):
            found |= self._directional(problem, inputs, *arguments)
        return found

    def _directional(self, problem: Problem, inputs: Tensors, logits: Tensor) -> dict[str, Tensor]:
        """jvp by the double-vjp trick (the pullback is linear in its cotangent), hvp by double backward."""
        import torch

        v = inputs["v"]
        if self.way == "forward-mode":
            return {"jvp": ways.along(partial(self._loss, problem, inputs), logits, v)}
        output = self._loss(problem, inputs, logits)
        cotangent = torch.ones_like(output, requires_grad=True)
        pulled = torch.autograd.grad(output, logits, grad_outputs=cotangent, create_graph=True)[0]
        jvp = torch.autograd.grad(pulled, cotangent, grad_outputs=v, retain_graph=True)[0]
        upstream = inputs["upstream"].to(output.dtype)
        gradient = torch.autograd.grad(output, logits, grad_outputs=upstream, create_graph=True)[0]
        hvp = torch.autograd.grad(gradient, logits, grad_outputs=v)[0]
        return {"jvp": jvp, "hvp": hvp}

    def _loss(self, problem: Problem, inputs: Tensors, *arguments: Tensor, target: Tensor | None = None) -> Tensor:
        import torch

        options = keywords(problem)
        if "weight" in options:
            learned = self.way in ("learned-weight", "gradient-of-weight") and torch.is_grad_enabled()
            options["weight"] = inputs["weight"].requires_grad_() if learned else inputs["weight"]
        y = inputs["target"] if target is None else target
        if self.way == "gradient-of-target":
            y.requires_grad_(problem.probabilities)
        output = loss_of(self.name, self.function(*arguments, y, **options))
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
            return Lack("option", "uint8_targets")
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
        return {**{step: of_tensor(tensor) for step, tensor in found.items()}, **own.values}


def criterion(logits: Tensor, target: Tensor, **options: Any) -> Tensor:
    """`nn.CrossEntropyLoss` as a function."""
    import torch

    loss: Tensor = torch.nn.CrossEntropyLoss(**options)(logits, target)
    return loss


@contextmanager
def numerics(torch: Any, threads: int = 1) -> Iterator[None]:
    """So many threads and true float32 products (no TF32) inside; the settings found, again after it."""
    found, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_num_threads(found)
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
