"""From what a user has to an adapter: functions, loss classes, modules, losses of optax; and what is refused."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import xentcheck
from xentcheck.adapters.base import Result
from xentcheck.adapters.numpy.adapter import value_and_gradient
from xentcheck.adapters.spec import Spec
from xentcheck.adapters.wrap.implementation import adapter_of
from xentcheck.adapters.wrap.signatures import parameters_of, supported
from xentcheck.adapters.wrap.trying.refusals import tried
from xentcheck.errors import AdapterError
from xentcheck.reference import cross_entropy, cross_entropy_grad
from xentcheck.reference.problem import Problem
from xentcheck.running.subjects import subjects_named


def mean_loss(logits: Any, target: Any, upstream: Any = 1.0) -> tuple[Any, Any]:
    """Neither options nor a choice of reduction."""
    return cross_entropy(logits, target), cross_entropy_grad(logits, target, upstream=upstream)


def sum_loss(logits: Any, target: Any) -> tuple[Any, Any]:
    return cross_entropy(logits, target, reduction="sum"), cross_entropy_grad(logits, target, reduction="sum")


def row_losses(logits: Any, target: Any, ignore_index: int = -100) -> tuple[Any, Any]:
    options: dict[str, Any] = {"reduction": "none", "ignore_index": ignore_index}
    return cross_entropy(logits, target, **options), cross_entropy_grad(logits, target, upstream=1.0, **options)


@pytest.mark.parametrize(("function", "reduction"), [(mean_loss, "mean"), (sum_loss, "sum"), (row_losses, "none")])
def test_a_function_without_reduction_is_tested_with_its_own(function: Any, reduction: str) -> None:
    """By what it returns on a small problem."""
    assert tried(adapter_of(function, "numpy")).capabilities.reductions == (reduction,)


def test_wrapping_calls_nothing() -> None:
    """A function that never answers is limited in time only where it is called as an adapter."""

    def never(logits: Any, target: Any) -> Any:
        raise AssertionError("called")

    assert adapter_of(never, "numpy").capabilities.reductions == ("mean", "sum", "none")


def test_what_the_signature_has_no_parameter_for_is_unsupported() -> None:
    """Options by the signature, unless they are declared."""
    assert {"weight", "ignore_index", "label_smoothing", "upstream"}.isdisjoint(
        adapter_of(sum_loss, "numpy").capabilities.options
    )
    assert "ignore_index" in adapter_of(row_losses, "numpy").capabilities.options
    assert "upstream" in adapter_of(mean_loss, "numpy").capabilities.options
    assert adapter_of(mean_loss, "numpy", options=["k_dims"]).capabilities.options == {"k_dims"}


def summed_and_smoothed(
    logits: Any, target: Any, reduction: str = "sum", label_smoothing: float = 0.1, upstream: Any = 1.0
) -> tuple[Any, Any]:
    options: dict[str, Any] = {"reduction": reduction, "label_smoothing": label_smoothing}
    return cross_entropy(logits, target, **options), cross_entropy_grad(logits, target, **options, upstream=upstream)


@pytest.mark.usefixtures("ordinary")
def test_defaults_of_ones_own_are_not_mistakes() -> None:
    """What differs from PyTorch's is always passed; what the function then does is judged."""
    adapter = adapter_of(summed_and_smoothed, "numpy")
    assert adapter.calling == "function always=reduction+label_smoothing"
    assert adapter.capabilities.reductions == ("mean", "sum", "none")
    xentcheck.assert_agrees(summed_and_smoothed, "numpy", dtypes=["float32"])


def test_a_module_with_options_of_its_own_is_refused() -> None:
    """It computes something else than is asked for; its class does not."""
    torch = pytest.importorskip("torch")
    with pytest.raises(AdapterError, match=r"^CrossEntropyLoss is an instance with label_smoothing=0.1; allowed: "):
        adapter_of(torch.nn.CrossEntropyLoss(label_smoothing=0.1))
    with pytest.raises(AdapterError, match=r"is an instance with weight=\.\.\.; allowed"):
        adapter_of(torch.nn.CrossEntropyLoss(weight=torch.ones(3)))
    with pytest.raises(AdapterError, match=r"^CrossEntropyLoss is an instance with ignore_index=1; allowed: "):
        adapter_of(torch.nn.CrossEntropyLoss(ignore_index=1), "torch")
    own = torch.nn.CrossEntropyLoss()
    own.smoothing = 0.1
    with pytest.raises(AdapterError, match=r"^CrossEntropyLoss is an instance with smoothing=0.1; allowed: "):
        adapter_of(own)
    assert tried(adapter_of(torch.nn.CrossEntropyLoss(reduction="sum"))).capabilities.reductions == ("sum",)
    built_in = adapter_of("numpy")
    with pytest.raises(AdapterError, match="options of adapter numpy are its own"):
        adapter_of(built_in, options=["weight"])


def test_what_one_of_several_devices_refuses_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one does it: the cases tell where it fails."""
    adapter = adapter_of(value_and_gradient, "numpy")
    here = adapter.compute

    def compute(problem: Problem, quantities: Sequence[str], *, device: str, variant: str) -> Result:
        if device == "cuda" and problem.probabilities:
            raise TypeError("no")
        return here(problem, quantities, device="cpu", variant=variant)

    monkeypatch.setattr(adapter, "devices", lambda: ("cpu", "cuda"))
    monkeypatch.setattr(adapter, "compute", compute)
    assert tried(adapter).refused == {}


def test_a_device_that_it_does_not_have_is_an_error() -> None:
    """Not a run without comparisons."""
    with pytest.raises(AdapterError, match="adapter mean_loss has no device among tpu; allowed: cpu"):
        xentcheck.check(mean_loss, "numpy", devices=["tpu"])


@pytest.mark.usefixtures("ordinary")
def test_a_right_function_with_few_parameters_agrees_and_a_wrong_one_does_not() -> None:
    """Nothing has to be declared; what it cannot do is counted as unsupported."""
    run = xentcheck.check(mean_loss, "numpy", dtypes=["float32"])
    assert run.ok
    assert run.verdict.counts["unsupported"] > 0

    def wrong(logits: Any, target: Any, upstream: Any = 1.0) -> tuple[Any, Any]:
        loss, g = mean_loss(logits, target, upstream)
        return loss, g * np.float32(1.001)

    with pytest.raises(xentcheck.Disagreement, match="dC/dz"):
        xentcheck.assert_agrees(wrong, "numpy", dtypes=["float32"])


def test_the_framework_is_asked_for_unless_it_is_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line that names the three wrappers."""
    for name in ("torch", "jax"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(
        AdapterError, match=r"neither torch nor jax is imported; .*from_torch, .*from_jax, .*from_numpy"
    ):
        adapter_of(mean_loss)
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(AdapterError, match="torch and jax are imported"):
        adapter_of(mean_loss)
    with pytest.raises(AdapterError, match="unknown framework 'mxnet'; allowed: torch, jax, numpy"):
        adapter_of(mean_loss, "mxnet")
    with pytest.raises(AdapterError, match="int is no implementation"):
        adapter_of(3, "numpy")


@pytest.mark.usefixtures("ordinary")
def test_a_loss_class_is_made_with_the_options() -> None:
    """`torch.nn.CrossEntropyLoss` itself agrees; what its constructor does not take is unsupported."""
    torch = pytest.importorskip("torch")
    adapter = adapter_of(torch.nn.CrossEntropyLoss)
    assert adapter.name == "CrossEntropyLoss"
    assert {"weight", "ignore_index", "label_smoothing"} <= adapter.capabilities.options
    xentcheck.assert_agrees(torch.nn.CrossEntropyLoss, contract="stash", dtypes=["float32"])


@pytest.mark.usefixtures("ordinary")
def test_a_module_has_its_own_options() -> None:
    """An instance is tested with the reduction that it was made with."""
    torch = pytest.importorskip("torch")
    for reduction in ("mean", "sum", "none"):
        adapter = tried(adapter_of(torch.nn.CrossEntropyLoss(reduction=reduction)))
        assert adapter.capabilities.reductions == (reduction,)
        assert "weight" not in adapter.capabilities.options
    xentcheck.assert_agrees(torch.nn.CrossEntropyLoss(reduction="none"), dtypes=["float32"])

    class Twice(torch.nn.CrossEntropyLoss):  # type: ignore[misc, name-defined]  # torch is imported by the test
        def forward(self, input: Any, target: Any) -> Any:
            return 2 * super().forward(input, target)

    with pytest.raises(xentcheck.Disagreement):
        xentcheck.assert_agrees(Twice(), dtypes=["float32"])


@pytest.mark.usefixtures("ordinary")
def test_losses_of_optax_agree_as_they_are() -> None:
    """Losses per example, and their own axis argument."""
    optax = pytest.importorskip("optax")
    loss = optax.softmax_cross_entropy_with_integer_labels
    adapter = tried(adapter_of(loss, "jax"))
    assert adapter.capabilities.reductions == ("none",)
    options = adapter.capabilities.options - {"probabilities", "second_order", "empty_batch"}
    xentcheck.assert_agrees(loss, "jax", options=options, dtypes=["float32"])


def test_names_that_clash_are_bad_input() -> None:
    """Rows, deviations and baselines go by name."""

    def numpy(logits: Any, target: Any) -> Any: ...

    with pytest.raises(
        AdapterError, match=r"^the implementation is called 'numpy', as a built-in adapter is; allowed: "
    ):
        adapter_of(numpy, "numpy")
    with pytest.raises(AdapterError, match=r"^two implementations are called 'numpy'; allowed: each name once$"):
        subjects_named([Spec("numpy"), Spec("numpy")], [], [], by_name=True)


def test_jax_is_not_asked_for_integers_that_it_has_not() -> None:
    """By default; who declares it is asked."""

    def loss(input: Any, target: Any, ignore_index: int = -100) -> Any: ...

    for framework, wide in {"torch": True, "numpy": True, "jax": False}.items():
        assert ("wide_sentinel" in (supported(parameters_of(loss), framework) or ())) == wide
