"""Laws: right implementations keep all of them, and each is broken by a planted fault that breaks no other."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest
from lawful import broken, found, of_one_subject

import xentcheck
from xentcheck import adapters
from xentcheck.adapters.base import Adapter
from xentcheck.reference import cross_entropy, cross_entropy_grad
from xentcheck.studies.asker import Asker, Failed
from xentcheck.studies.law_study import LAWS, law_result
from xentcheck.vocabulary import DTYPES

Loss = Callable[..., tuple[Any, Any]]

OF_TENSORS = ("reused-buffers", "evaluated-before")
OF_LAYERS = {"no-bias", "leading-axes"}
OF_GRAPHS = {"computed-inputs", "interleaved", "backward", "create-graph", "forward-mode", *OF_TENSORS}
NOT_ASKED = {
    "torch": OF_LAYERS,
    "jax": {"fresh-memory", "learned-weight", "threads", "strides", *OF_GRAPHS, *OF_LAYERS},
    "numpy": {
        *("learned-weight", "threads", "vmap", "gradient-of-target", "gradient-of-weight"),
        *OF_GRAPHS,
        *OF_LAYERS,
    },
}
"""XLA allocates for itself, and there is no way to poison what it gets, nor strides; what a tensor requires, and when
its gradient is taken, is PyTorch's; NumPy has one kind of call.
"""


def right(logits: Any, target: Any, **options: Any) -> tuple[Any, Any]:
    """The reference itself."""
    upstream = options.pop("upstream", 1.0)
    return cross_entropy(logits, target, **options), cross_entropy_grad(logits, target, upstream=upstream, **options)


BY_NIGHT = {("jax", "float64"), ("jax", "float16")}
"""JAX compiles each problem of each law; in float32 and bfloat16 it is asked the most."""


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        pytest.param(*of, marks=[pytest.mark.nightly] if of in BY_NIGHT else [])
        for of in product(adapters.built_in(), DTYPES)
    ],
)
def test_right_implementations_keep_every_law(name: str, dtype: str) -> None:
    """All laws are asked, and all hold: alone this asks each framework in each dtype."""
    results = found(adapters.get(name), dtype)
    assert {law for law in LAWS if law not in results} == NOT_ASKED[name]
    assert [str(r) for r in results.values() if not r.kept] == []


def labels_of(target: Any) -> Any:
    return target.argmax(1) if target.dtype.kind == "f" else target


def one_hot_too_large(logits: Any, target: Any, **options: Any) -> tuple[Any, Any]:
    """a - 1.01 y."""
    loss, g = right(logits, target, **options)
    upstream = np.reshape(options.get("upstream", 1.0), (-1, 1))
    hot = np.arange(logits.shape[1]) == labels_of(target)[:, None]
    return loss, (g - 0.01 * upstream * hot).astype(g.dtype)


def depends_on_the_offset(logits: Any, target: Any, **options: Any) -> tuple[Any, Any]:
    loss, g = right(logits, target, **options)
    offset = logits.astype(float).mean(1)
    moved = loss + 1e-3 * (offset if loss.ndim else offset.sum())
    return moved.astype(loss.dtype), g


def class_0_is_special(logits: Any, target: Any, **options: Any) -> tuple[Any, Any]:
    loss, g = right(logits, target, **options)
    extra = 0.01 * (labels_of(target) == 0)
    return (loss + (extra if loss.ndim else extra.sum())).astype(loss.dtype), g


def probabilities_weigh_more(logits: Any, target: Any, **options: Any) -> tuple[Any, Any]:
    loss, g = right(logits, target, **options)
    return (loss * (1.01 if target.dtype.kind == "f" else 1.0)).astype(loss.dtype), g


def a_row_alone_differs(logits: Any, target: Any, **options: Any) -> tuple[Any, Any]:
    loss, g = right(logits, target, **options)
    return (loss * (1.01 if len(logits) == 1 else 1.0)).astype(loss.dtype), g


def sum_is_larger(logits: Any, target: Any, **options: Any) -> tuple[Any, Any]:
    loss, g = right(logits, target, **options)
    return (loss * (1.01 if options.get("reduction") == "sum" else 1.0)).astype(loss.dtype), g


def upstream_is_absolute(logits: Any, target: Any, **options: Any) -> tuple[Any, Any]:
    return right(logits, target, **{**options, "upstream": np.abs(options.get("upstream", 1.0))})


def upstream_as_a_power_of_two(logits: Any, target: Any, **options: Any) -> tuple[Any, Any]:
    """The upstream gradient is kept as sign and exponent: exact for powers of two, linear in factors of two only."""
    up = np.asarray(options.get("upstream", 1.0))
    rounded = np.copysign(np.exp2(np.floor(np.log2(np.abs(up.astype(float))))), up.astype(float))
    return right(logits, target, **{**options, "upstream": rounded.astype(logits.dtype)})


def last_rows_of_a_large_batch(logits: Any, target: Any, **options: Any) -> tuple[Any, Any]:
    """Rows beyond the thousandth get no gradient."""
    loss, g = right(logits, target, **options)
    g[1000:] = 0
    return loss, g


def forgets_ignored_rows(logits: Any, target: Any, **options: Any) -> tuple[Any, Any]:
    """The gradient of ignored rows is never written."""
    loss, g = right(logits, target, **options)
    if target.ndim == 1:
        fresh = np.empty_like(g)
        kept = target != options.get("ignore_index", -100)
        fresh[kept] = g[kept]
        if not np.isnan(fresh).any():
            fresh[~kept] = 0  # what memory of a new process usually holds
        return loss, fresh
    return loss, g


def one_buffer_for_all() -> Loss:
    """Every call returns the same memory."""
    buffers: dict[Any, Any] = {}

    def loss(logits: Any, target: Any, **options: Any) -> tuple[Any, Any]:
        value, g = right(logits, target, **options)
        buffer = buffers.setdefault(g.shape, np.empty_like(g))
        buffer[...] = g
        return value, buffer

    return loss


PLANTED: dict[str, Loss] = {
    "rows-sum-to-0": one_hot_too_large,
    "shift": depends_on_the_offset,
    "permutation": class_0_is_special,
    "one-hot": probabilities_weigh_more,
    "batch": a_row_alone_differs,
    "sum-of-rows": sum_is_larger,
    "upstream": upstream_is_absolute,
    "additive": upstream_as_a_power_of_two,
    "chunks": last_rows_of_a_large_batch,
    "fresh-memory": forgets_ignored_rows,
    "independent": one_buffer_for_all(),
}


@pytest.mark.parametrize("law", PLANTED)
def test_each_law_is_broken_by_a_fault_that_breaks_no_other(law: str) -> None:
    """A law that could not fail would be no check: alone this breaks each."""
    assert broken(adapters.from_numpy(PLANTED[law])) == {law}
    assert broken_by_the_reference() == set()


def test_noise_breaks_the_law_of_repeated_calls() -> None:
    """As a dropout that is left on; a run of it has that cause for its failures, and no low precision."""
    draw = np.random.default_rng(0)

    def noisy(logits: Any, target: Any, **options: Any) -> tuple[Any, Any]:
        disturbed = logits + (0.01 * draw.normal(size=logits.shape)).astype(logits.dtype)
        return right(disturbed, target, **options)

    assert "repeated" in broken(adapters.from_numpy(noisy))

    def always_nan(logits: Any, target: Any, **options: Any) -> tuple[Any, Any]:
        loss, gradient = right(logits, target, **options)
        return loss * np.nan, gradient * np.nan

    assert {"shift", "independent"} <= broken(adapters.from_numpy(always_nan))
    assert "repeated" not in broken(adapters.from_numpy(always_nan))


@cache
def broken_by_the_reference() -> set[str]:
    """Asked once, for all faults that are planted in it."""
    return broken(adapters.from_numpy(right))


@cache
def broken_by_the_right_hessian() -> set[str]:
    return broken(second_order(right_hessian))


def second_order(hessian: Callable[[Any, Any, Any], Any], slope: float = 1.0) -> Adapter:
    """PyTorch's loss whose backward pass is right, and whose double backward is hessian(a, v, s a o (v - a.v)).

    slope: a factor of the gradient's derivative in the upstream gradient, from which the adapter has the jvp.
    """
    torch = pytest.importorskip("torch")

    class Gradient(torch.autograd.Function):  # type: ignore[misc, name-defined]  # torch is imported by the caller
        @staticmethod
        def forward(ctx: Any, z: Any, y: Any, up: Any) -> Any:
            a = z.softmax(1)
            ctx.save_for_backward(a, y, up)
            return up[:, None] * (a - torch.nn.functional.one_hot(y, z.shape[1]))

        @staticmethod
        def backward(ctx: Any, v: Any) -> Any:
            a, y, up = ctx.saved_tensors
            right = up[:, None] * a * (v - (a * v).sum(1, keepdim=True))
            along_up = ((a - torch.nn.functional.one_hot(y, a.shape[1])) * v).sum(1)
            return hessian(a, v, right), None, slope * along_up

    class Loss(torch.autograd.Function):  # type: ignore[misc, name-defined]  # torch is imported by the caller
        @staticmethod
        def forward(ctx: Any, z: Any, y: Any) -> Any:
            ctx.save_for_backward(z, y)
            return torch.nn.functional.cross_entropy(z, y, reduction="none")

        @staticmethod
        def backward(ctx: Any, up: Any) -> Any:
            return Gradient.apply(*ctx.saved_tensors, up), None

    def loss(z: Any, y: Any, *, reduction: str = "mean", **options: Any) -> Any:
        if reduction != "none" or y.is_floating_point() or options or (y < 0).any():
            return torch.nn.functional.cross_entropy(z, y, reduction=reduction, **options)
        return Loss.apply(z, y)

    return adapters.from_torch(loss)


def not_symmetric(a: Any, v: Any, right: Any) -> Any:
    """Takes ones to 0 and sums to 0, but is not symmetric: the vector is rotated by one class first."""
    moved = v.roll(1, 1)
    return a * (moved - (a * moved).sum(1, keepdim=True))


def not_null(a: Any, v: Any, right: Any) -> Any:
    """The diagonal alone, as of a majoriser: symmetric, but ones are taken to a."""
    return right + 0.5 * a * v


def right_hessian(a: Any, v: Any, right: Any) -> Any:
    """As it is."""
    return right


@pytest.mark.parametrize(
    ("law", "hessian", "slope"),
    [
        ("hessian-symmetric", not_symmetric, 1.0),
        ("hessian-null", not_null, 1.0),
        ("forward-reverse", right_hessian, 1.01),
    ],
)
def test_a_wrong_second_order_breaks_its_law_and_no_other(law: str, hessian: Any, slope: float) -> None:
    """PyTorch: everything of first order is right."""
    assert broken(second_order(hessian, slope)) == {law}
    assert broken_by_the_right_hessian() == set()


def test_poison_is_taken_away_again() -> None:
    """Fresh memory holds nan inside, and the settings are those found, after an exception too."""
    empty = np.empty
    with suppress(ZeroDivisionError), adapters.get("numpy").poisoned() or nullcontext():
        assert np.isnan(np.empty(3)).all()
        assert np.isnan(np.empty_like(np.zeros(3, "float32"))).all()
        assert np.empty(3, int).shape == (3,)
        raise ZeroDivisionError
    assert np.empty is empty
    torch = pytest.importorskip("torch")
    with suppress(ZeroDivisionError), adapters.get("torch").poisoned() or nullcontext():
        assert torch.empty(3).isnan().all()
        raise ZeroDivisionError
    assert not torch.are_deterministic_algorithms_enabled()
    assert not torch.is_deterministic_algorithms_warn_only_enabled()


@pytest.mark.usefixtures("ordinary")
def test_a_broken_law_fails_the_run() -> None:
    """With its name among the reasons: alone this runs an implementation that breaks a law and nothing else."""
    run = xentcheck.check(adapters.from_numpy(one_buffer_for_all(), name="static"), dtypes=["float32"])
    assert not run.ok
    assert [r for r in run.verdict.reasons if "static/eager/cpu/float32 breaks the law independent" in r]
    assert xentcheck.check(adapters.from_numpy(right), dtypes=["float32"]).ok


def test_what_is_not_supported_is_not_asked() -> None:
    """Without probabilities there is no one-hot law, and without the reduction none there are none of single rows."""
    assert "one-hot" not in found(adapters.from_numpy(right, options={"upstream"}), "float32")
    assert not {"batch", "chunks", "sum-of-rows"} & set(
        found(adapters.from_numpy(right, reductions=["mean"]), "float32")
    )


def test_an_exception_keeps_no_law() -> None:
    """On a problem that is supported; `sys.exit()` is one, too."""
    for raising in (print, lambda *arrays, **options: sys.exit(0)):
        results = found(adapters.from_numpy(raising, name="raising", options={"upstream"}), "float32")
        assert results["shift"].detail.startswith("adding 64 to all logits changes nothing; error: ")
        assert not any(result.kept for result in results.values())


def test_nan_keeps_no_law() -> None:
    """`not (share <= 1)`."""

    def nan(logits: Any, target: Any, **options: Any) -> tuple[Any, Any]:
        loss, g = right(logits, target, **options)
        return loss, g * np.nan

    assert broken(adapters.from_numpy(nan)) >= {"rows-sum-to-0", "upstream"}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda x: x[:-1], r"dC/dz is \(5, 7\) float32; allowed: \(6, 7\) float32"),
        (lambda x: x.astype(complex), r"dC/dz is \(6, 7\) complex128; allowed: \(6, 7\) float32"),
    ],
)
@pytest.mark.usefixtures("ordinary")
def test_an_answer_of_another_shape_keeps_no_law(change: Callable[[Any], Any], text: str) -> None:
    """It says so, and does not end the run: alone this runs one whose shape is wrong in the laws only."""

    def misshapen(logits: Any, target: Any, **options: Any) -> tuple[Any, Any]:
        loss, g = right(logits, target, **options)
        return loss, change(g) if logits.shape == (6, 7) else g

    results = found(adapters.from_numpy(misshapen), "float32")
    assert not results["rows-sum-to-0"].kept
    assert re.search(text, results["rows-sum-to-0"].detail)
    run = xentcheck.check(misshapen, "numpy", dtypes=["float32"])
    assert any("breaks the law rows-sum-to-0" in reason for reason in run.verdict.reasons)


REFUSED_BY_PYTORCH = {
    ("learned-weight", "The function 'nll_loss_forward' is not differentiable"),
    ("gradient-of-weight", "The function 'nll_loss_forward' is not differentiable"),
    ("label-dtypes", "expected target dtype to be Long or Byte"),
    ("vmap", "vmap: Attempted to vmap over `mask` in torch.masked_select"),
}
"""Law, and how the exception begins: labels with a weight that requires a gradient, other integers, and smoothing
beside ignored rows in a batched call.
"""


def test_what_pytorch_refuses_is_refused_by_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal is no result of a law: alone this sees one that is not PyTorch's, but made by how it is called."""
    refused: set[tuple[str, str]] = set()
    answer = Asker.__call__

    def recorded(self: Asker, *given: Any, **how: Any) -> Any:
        try:
            return answer(self, *given, **how)
        except Failed as error:
            refused.add((law, str(error).removeprefix("error: RuntimeError: ")))
            raise

    monkeypatch.setattr(Asker, "__call__", recorded)
    subject = of_one_subject(adapters.get("torch"))
    for law in LAWS:
        law_result(subject, "float32", law)
    told = {
        (law, text) for law, text in REFUSED_BY_PYTORCH for of, why in refused if of == law and why.startswith(text)
    }
    assert told == REFUSED_BY_PYTORCH
    assert [
        (law, why) for law, why in refused if not any(law == of and why.startswith(text) for of, text in told)
    ] == []
