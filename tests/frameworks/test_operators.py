"""Losses as PyTorch has them: `apply` of an autograd function, scripted functions, modules with options."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest

import xentcheck
from xentcheck.adapters.scripting import Call
from xentcheck.adapters.wrap.implementation import adapter_of
from xentcheck.cases.build import build
from xentcheck.cases.profiles.named import cases
from xentcheck.errors import AdapterError
from xentcheck.running.comparison import run_case
from xentcheck.running.subjects import Subject

torch = pytest.importorskip("torch")
cross_entropy = torch.nn.functional.cross_entropy


class Kernel(torch.autograd.Function):  # type: ignore[misc, name-defined]  # torch is imported by the test
    """Takes options by position only, as `apply` does; some have no default."""

    @staticmethod
    def forward(
        ctx: Any, x: Any, target: Any, weight: Any, ignore_index: int, z_loss: float = 0.0, reduction: str = "mean"
    ) -> Any:
        with torch.enable_grad():
            ctx.x = x.detach().requires_grad_()
            ctx.value = cross_entropy(ctx.x, target, weight, ignore_index=ignore_index, reduction=reduction)
        return ctx.value.detach().clone()

    @staticmethod
    def backward(ctx: Any, upstream: Any) -> tuple[Any, ...]:
        (gradient,) = torch.autograd.grad(ctx.value, ctx.x, upstream, retain_graph=True)
        return (gradient, *[None] * 5)


class WrongKernel(Kernel):
    """Its gradient is a thousandth too large."""

    @staticmethod
    def backward(ctx: Any, upstream: Any) -> tuple[Any, ...]:
        gradient, *others = Kernel.backward(ctx, upstream)
        return (1.001 * gradient, *others)


class Apart(torch.autograd.Function):  # type: ignore[misc, name-defined]  # torch is imported by the test
    """Its context is set up elsewhere: forward begins with the logits."""

    @staticmethod
    def forward(x: Any, target: Any, reduction: str = "mean") -> Any:
        return cross_entropy(x, target, reduction=reduction)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(*inputs[:2])
        ctx.more = inputs[2:]

    @staticmethod
    def backward(ctx: Any, upstream: Any) -> tuple[Any, ...]:
        x, target = ctx.saved_tensors
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            value = cross_entropy(x, target, reduction=(*ctx.more, "mean")[0])
        return (torch.autograd.grad(value, x, upstream)[0], *[None] * (1 + len(ctx.more)))


def scripted() -> Callable[..., Any]:
    """What `torch.jit.script` makes of a function with one option."""
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        return torch.jit.script(_mean)  # type: ignore[no-any-return]  # a function of PyTorch


def _mean(x: torch.Tensor, y: torch.Tensor, ignore_index: int = -100) -> torch.Tensor:
    return torch.nn.functional.cross_entropy(x, y, ignore_index=ignore_index)


_mean.__annotations__ = {"x": torch.Tensor, "y": torch.Tensor, "ignore_index": int, "return": torch.Tensor}


@pytest.mark.usefixtures("ordinary")
def test_apply_of_an_autograd_function_is_asked_for_what_its_forward_takes() -> None:
    """By position; with the context, or without it; a wrong one is caught under its own name."""
    adapter = adapter_of(Kernel.apply)
    assert adapter.name == "Kernel"
    assert adapter.never_set == ("z_loss",)
    assert {"weight", "ignore_index"} <= adapter.capabilities.options
    assert "label_smoothing" not in adapter.capabilities.options
    for function in (Kernel.apply, Apart.apply):
        run = xentcheck.check(function, "torch", dtypes=["float32"])
        assert run.ok
        agreed = [r.case for r in run.records if r.outcome == "agree"]
        assert all(any(f".{reduction}." in case for case in agreed) for reduction in ("mean", "none"))
    wrong = xentcheck.check(WrongKernel.apply, "torch", dtypes=["float32"])
    assert {r.quantity for r in wrong.records if r.outcome == "disagree"} == {"dC/dz"}


def test_the_class_itself_is_refused_with_what_to_name() -> None:
    """It is never made."""
    with pytest.raises(AdapterError, match=r"^Kernel is a torch.autograd.Function, .*; allowed: Kernel.apply$"):
        adapter_of(Kernel, "torch")


@pytest.mark.usefixtures("ordinary")
def test_a_scripted_function_is_asked_for_what_its_schema_has() -> None:
    """`inspect` knows nothing of it."""
    function = scripted()
    adapter = adapter_of(function, "torch")
    assert "ignore_index" in adapter.capabilities.options
    assert "weight" not in adapter.capabilities.options
    assert xentcheck.check(function, "torch", dtypes=["float32"]).ok


class ByForward(torch.nn.Module):  # type: ignore[misc, name-defined]  # torch is imported by the test
    """Takes options where it is called."""

    def forward(self, x: Any, target: Any, weight: Any = None, reduction: str = "mean") -> Any:
        return cross_entropy(x, target, weight, reduction=reduction)


class FusedLinear(torch.nn.Module):  # type: ignore[misc, name-defined]  # torch is imported by the test
    """As of kernels that take the weight first: an option where it is made, arrays where it is called."""

    factor = 1.0

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = reduction

    def forward(self, lin_weight: Any, _input: Any, target: Any, bias: Any = None) -> Any:
        logits = torch.nn.functional.linear(_input, lin_weight, bias)
        return self.factor * cross_entropy(logits, target, reduction=self.reduction)


class WrongFusedLinear(FusedLinear):
    """A thousandth too large."""

    factor = 1.001


@pytest.mark.usefixtures("ordinary")
def test_a_module_is_asked_for_what_its_forward_takes() -> None:
    """As a class, and as an instance."""
    for implementation, calling in ((ByForward(), "function"), (ByForward, "class later=weight+reduction")):
        adapter = adapter_of(implementation, "torch")
        assert adapter.calling == calling
        assert "weight" in adapter.capabilities.options
    assert xentcheck.check(ByForward(), dtypes=["float32"]).ok


def test_a_fused_linear_module_takes_its_arrays_by_name() -> None:
    """Whichever comes first; the wrong one is caught, and a script calls it as the harness does."""
    adapter = adapter_of(FusedLinear, "torch")
    assert adapter.capabilities.heads == ("layer",)
    call = Call.of(adapter.calling)
    problem = next(build(c) for c in cases("quick") if c.inputs and not c.hidden and c.reduction == "sum")
    text = "loss(reduction='sum')(_input=x, lin_weight=w, bias=b, target=y)"
    assert call(problem, ["x", "w", "b", "y"], ["reduction='sum'"]) == text
    chosen = [c for c in cases("quick") if c.inputs and not c.hidden and c.dtype == "float32" and c.shape == (5, 10)][
        :20
    ]
    outcomes = {}
    for kind in (FusedLinear, WrongFusedLinear):
        subject = Subject(adapter_of(kind, "torch"), "eager", "cpu", "")
        records = [r for c in chosen for r in run_case(c, [subject])]
        outcomes[kind] = {r.outcome for r in records} - {"unsupported", "trivial", "vacuous", "convention"}
    assert outcomes == {FusedLinear: {"agree"}, WrongFusedLinear: {"disagree"}}
