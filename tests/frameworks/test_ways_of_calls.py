"""Laws about how a call is made: each is broken by a loss that looks at it, and by nothing else."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from faults_of_calls import (
    CALLS,
    doubled_gradient,
    ignored_rows_of_a_large_batch,
    smoothing_without_a_graph,
    wrong_by_two_threads,
    wrong_where_a_weight_is_learned,
)
from lawful import broken, of_one_subject

from xentcheck import adapters
from xentcheck.adapters.base import Adapter
from xentcheck.adapters.numpy.adapter import value_and_gradient
from xentcheck.adapters.wrap.implementation import adapter_of
from xentcheck.adapters.wrap.trying.refusals import tried
from xentcheck.studies.law_study import LAWS, law_result
from xentcheck.vocabulary import OPTIONS


def test_a_value_that_needs_a_gradient_breaks_its_law() -> None:
    """PyTorch: zeros unless the logits require a gradient."""
    torch = pytest.importorskip("torch")

    def loss(z: Any, y: Any, **options: Any) -> Any:
        value = torch.nn.functional.cross_entropy(z, y, **options)
        return value if z.requires_grad else torch.zeros_like(value)

    assert broken(adapters.from_torch(loss)) == {"value-alone"}


@pytest.mark.parametrize(
    ("law", "fault"),
    [
        ("value-alone", smoothing_without_a_graph),
        ("value-alone", ignored_rows_of_a_large_batch),
        ("learned-weight", wrong_where_a_weight_is_learned),
        ("threads", wrong_by_two_threads),
    ],
    ids=lambda given: getattr(given, "__name__", ""),
)
def test_a_state_of_pytorch_breaks_its_law_and_no_other(law: str, fault: Any) -> None:
    """No graph, a weight that is learned, more than one thread: alone this has losses that look at each."""
    torch = pytest.importorskip("torch")

    def loss(z: Any, y: Any, **options: Any) -> Any:
        return fault(torch, z, y, **options)

    threads = torch.get_num_threads()
    assert broken(adapters.from_torch(loss)) == {law}
    assert torch.get_num_threads() == threads


OF_CALLS = list(LAWS)[list(LAWS).index("value-alone") :]


@pytest.mark.parametrize("name", CALLS)
def test_another_way_of_a_call_breaks_its_law_and_no_other(name: str) -> None:
    """Of those about calls, all for each fifth fault, few for the others: alone this has losses that look at how they
    are called.
    """
    torch = pytest.importorskip("torch")
    law, fault, beside = CALLS[name]

    def loss(z: Any, y: Any, **options: Any) -> Any:
        return fault(torch, z, y, **options)

    options = [o for o in OPTIONS if o != "second_order"]
    at = OF_CALLS.index(law)
    asked = {*OF_CALLS[at : at + 3], *beside} if list(CALLS).index(name) % 5 else set(OF_CALLS)
    assert broken_calls(adapters.from_torch(loss, options=options), asked) == {law, *beside}


def broken_calls(adapter: Adapter, asked: Iterable[str] = OF_CALLS) -> set[str]:
    """The laws about calls that are broken, of those that are asked."""
    results = [law_result(of_one_subject(adapter), "float32", law) for law in asked]
    return {result.law for result in results if result and not result.kept}


@pytest.mark.parametrize(
    ("law", "condition"),
    [
        ("no-bias", lambda x, w, b: b is None),
        ("no-bias", lambda x, w, b: b is None and len(x) > 64),
        ("no-bias", lambda x, w, b: b is None and len(w) > 512),
        ("no-bias", lambda x, w, b: b is None and x.abs().max() > 88),
        ("leading-axes", lambda x, w, b: x.ndim == 3),
        ("strides", lambda x, w, b: not w.is_contiguous()),
        ("computed-inputs", lambda x, w, b: x.grad_fn is not None),
        ("threads", lambda x, w, b: sys.modules["torch"].get_num_threads() > 1),
    ],
)
def test_a_call_of_a_fused_linear_loss_breaks_its_law_and_no_other(law: str, condition: Any) -> None:
    """The weight's gradient alone is doubled: without a bias, in two axes of rows, for a weight that is transposed."""
    torch = pytest.importorskip("torch")

    def loss(x: Any, w: Any, b: Any, target: Any, **options: Any) -> Any:
        own = doubled_gradient(torch, w) if condition(x, w, b) else w
        rows = x.reshape(-1, x.shape[-1]), target if target.is_floating_point() else target.reshape(-1)
        z = torch.nn.functional.linear(rows[0], own, b)
        return torch.nn.functional.cross_entropy(z, rows[1], **options)

    beside = {"leading-axes"} if law == "computed-inputs" else set()  # it reshapes them
    assert broken_calls(adapters.from_torch(loss, head="layer")) == {law, *beside}


def test_who_takes_rows_of_sum_1_alone_keeps_the_law_of_their_gradient() -> None:
    """Across such rows a gradient is nobody's: lse - q.z has another one than -q.log a, and is the same loss."""
    torch = pytest.importorskip("torch")

    def loss(z: Any, y: Any, reduction: str = "mean") -> Any:
        if not torch.allclose(y.sum(-1), torch.ones((), dtype=y.dtype), atol=1e-2):
            raise ValueError("rows must sum to 1")
        rows = z.logsumexp(-1) - torch.where(y != 0, y * z, 0).sum(-1)
        return {"mean": rows.mean, "sum": rows.sum, "none": rows.clone}[reduction]()

    adapter = tried(adapter_of(loss, "torch"))
    assert broken_calls(adapter) == set()
    kept = law_result(of_one_subject(adapter), "float32", "value-alone")
    assert kept
    assert kept.kept
    assert law_result(of_one_subject(adapter), "float32", "gradient-of-target") is None


def test_what_fails_with_a_gradient_too_breaks_no_law_of_the_value_alone() -> None:
    """The cases report that images are refused; a loss of rows is what it is without a gradient."""
    torch = pytest.importorskip("torch")

    def loss(z: Any, y: Any, **options: Any) -> Any:
        if z.ndim > 2:
            raise ValueError("two axes")
        return torch.nn.functional.cross_entropy(z, y, **options)

    assert broken_calls(adapters.from_torch(loss), ["value-alone"]) == set()


@pytest.mark.parametrize("where", ["classes", "low", ""])
def test_who_takes_labels_alone_is_asked_the_value_of_many_classes_and_of_low_logits(where: str) -> None:
    """Without an option: more than 404 classes, and logits below -60, where no gradient is taken."""
    torch = pytest.importorskip("torch")

    def loss(input: Any, target: Any, *, reduction: str = "mean") -> Any:
        if target.is_floating_point():
            raise NotImplementedError("labels only")
        value = torch.nn.functional.cross_entropy(input, target, reduction=reduction)
        sizes = {"classes": input.shape[-1] > 404, "low": bool((input < -60).all()), "": False}
        return value if torch.is_grad_enabled() or not sizes[where] else 1.5 * value

    subject = of_one_subject(tried(adapter_of(loss, "torch")))
    found = law_result(subject, "float32", "value-alone")
    assert found is not None
    assert found.kept == (where == "")


@pytest.mark.parametrize("where", ["many", "low"])
def test_the_primal_of_a_custom_vjp_is_asked_of_many_rows_and_of_low_logits(where: str) -> None:
    """Evaluation runs other code there than training: alone this has JAX losses that are wrong on larger problems."""
    jax = pytest.importorskip("jax")
    from xentcheck.adapters.jax.loss import cross_entropy as of_logits

    def loss(z: Any, y: Any, **options: Any) -> Any:
        wrong = {"many": len(z) > 64 and z.shape[-1] > 404, "low": (z < -60).all()}[where]
        own = jax.custom_vjp(lambda z: jax.numpy.where(wrong, 1.5, 1.0).astype(z.dtype) * of_logits(z, y, **options))
        own.defvjp(lambda z: jax.vjp(lambda z: of_logits(z, y, **options), z), lambda pull, up: pull(up))
        return own(z)

    adapter = adapters.from_jax(loss, options={"upstream"}, reductions=["none"])
    found = law_result(of_one_subject(adapter), "float32", "value-alone")
    assert found is not None
    assert not found.kept


def test_a_call_of_jax_breaks_its_law_and_no_other() -> None:
    """A value that only a call without a gradient doubles, and one that only a batched call does."""
    jax = pytest.importorskip("jax")
    from xentcheck.adapters.jax.loss import cross_entropy as of_logits

    def primal_doubled(z: Any, y: Any, **options: Any) -> Any:
        own = jax.custom_vjp(lambda z: 2 * of_logits(z, y, **options))
        own.defvjp(lambda z: jax.vjp(lambda z: of_logits(z, y, **options), z), lambda pull, up: pull(up))
        return own(z)

    def batched_doubled(z: Any, y: Any, **options: Any) -> Any:
        own = jax.custom_batching.custom_vmap(lambda z: z)
        own.def_vmap(lambda size, batched, z: (2 * z, True))
        same = jax.custom_jvp(own)
        same.defjvp(lambda z, v: (own(*z), *v))
        return of_logits(same(z), y, **options)

    for fault, law in ((primal_doubled, "value-alone"), (batched_doubled, "vmap")):
        assert broken_calls(adapters.from_jax(fault, options={"upstream"}, reductions=["none"])) == {law}


def test_an_array_that_is_read_backwards_breaks_the_law_of_strides() -> None:
    """NumPy: a kernel that takes the size of a stride for the stride; alone this has strides below 0."""

    def loss(z: Any, y: Any, **options: Any) -> Any:
        value, gradient = value_and_gradient(z, y, **options)
        return value, np.where(any(s < 0 for s in z.strides), np.flip(gradient), gradient)

    assert broken(adapters.from_numpy(loss, options=OPTIONS)) == {"strides"}
