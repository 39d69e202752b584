"""Laws: right implementations keep all of them, and each is broken by a planted fault that breaks no other."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import cache
from typing import Any

import numpy as np
import pytest

import xentcheck
from xentcheck import adapters
from xentcheck.adapters.base import Adapter
from xentcheck.records.findings import LawResult
from xentcheck.reference import cross_entropy, cross_entropy_grad
from xentcheck.running.subjects import subjects_of
from xentcheck.studies.laws import LAWS, law_result, laws
from xentcheck.vocabulary import DTYPES, OPTIONS

Loss = Callable[..., tuple[Any, Any]]

OF_LAYERS = {"no-bias", "leading-axes"}
OF_GRAPHS = {"computed-inputs", "interleaved", "backward", "create-graph", "forward-mode"}
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


def found(adapter: Adapter, dtype: str) -> dict[str, LawResult]:
    if missing := adapter.unavailable():
        pytest.skip(missing)
    return {result.law: result for result in laws(subjects_of(adapter, ["cpu"])[0], dtype)}


def broken(adapter: Adapter, dtype: str = "float32") -> set[str]:
    return {name for name, result in found(adapter, dtype).items() if not result.kept}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", adapters.built_in())
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


def test_a_value_that_needs_a_gradient_breaks_its_law() -> None:
    """PyTorch: zeros unless the logits require a gradient."""
    torch = pytest.importorskip("torch")

    def loss(z: Any, y: Any, **options: Any) -> Any:
        value = torch.nn.functional.cross_entropy(z, y, **options)
        return value if z.requires_grad else torch.zeros_like(value)

    assert broken(adapters.from_torch(loss)) == {"value-alone"}


def smoothing_without_a_graph(torch: Any, z: Any, y: Any, **options: Any) -> Any:
    """A fast path that forgets the smoothing."""
    if not torch.is_grad_enabled():
        options.pop("label_smoothing", None)
    return torch.nn.functional.cross_entropy(z, y, **options)


def ignored_rows_of_a_large_batch(torch: Any, z: Any, y: Any, **options: Any) -> Any:
    """A path for more than 16 rows without a graph, which divides by all of them."""
    value = torch.nn.functional.cross_entropy(z, y, **options)
    if torch.is_grad_enabled() or len(z) <= 16 or options.get("reduction", "mean") != "mean" or y.is_floating_point():
        return value
    return value * (y != options.get("ignore_index", -100)).sum() / len(y)


def wrong_where_a_weight_is_learned(torch: Any, z: Any, y: Any, **options: Any) -> Any:
    """The weight counts twice."""
    weight = options.pop("weight", None)
    if weight is not None:
        options["weight"] = weight.detach()
        z = z + 0.0625 * weight.requires_grad * (torch.arange(z.shape[1]) == 0)
    return torch.nn.functional.cross_entropy(z, y, **options)


def wrong_by_two_threads(torch: Any, z: Any, y: Any, **options: Any) -> Any:
    """The last row is done by no thread."""
    value = torch.nn.functional.cross_entropy(z, y, **options)
    kept = torch.arange(len(z)) < len(z) - 1
    return torch.where(kept, value, 0 * value) if value.ndim and torch.get_num_threads() > 1 else value


def doubled_if(condition: Callable[..., Any]) -> Callable[..., Any]:
    """A loss that is twice as large where something holds of (torch, z, y, options)."""

    def fault(torch: Any, z: Any, y: Any, **options: Any) -> Any:
        return torch.nn.functional.cross_entropy(z, y, **options) * (2 if condition(torch, z, y, options) else 1)

    return fault


def doubled_gradient(torch: Any, x: Any) -> Any:
    """x, whose gradient is doubled on its way back."""
    return 2 * x - x.detach()


def wrong_gradient_of_the_target(torch: Any, z: Any, y: Any, **options: Any) -> Any:
    y = doubled_gradient(torch, y) if y.is_floating_point() else y
    return torch.nn.functional.cross_entropy(z, y, **options)


def wrong_gradient_of_the_weight(torch: Any, z: Any, y: Any, **options: Any) -> Any:
    if "weight" in options:
        options["weight"] = doubled_gradient(torch, options["weight"])
    return torch.nn.functional.cross_entropy(z, y, **options)


def backward_of(change: Callable[..., Any]) -> Callable[..., Any]:
    """A loss with a backward pass of its own; change: of (torch, z, the loss as a function, upstream) the gradient."""

    def fault(torch: Any, z: Any, y: Any, **options: Any) -> Any:
        def loss(z: Any) -> Any:
            return torch.nn.functional.cross_entropy(z, y, **options)

        class Own(torch.autograd.Function):  # type: ignore[misc, name-defined]  # torch is handed over
            @staticmethod
            def forward(z: Any) -> Any:
                return loss(z)

            @staticmethod
            def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
                ctx.z = inputs[0]
                SAVED["z"] = inputs[0]

            @staticmethod
            def backward(ctx: Any, up: Any) -> Any:
                return change(torch, ctx.z, loss, up)

            @staticmethod
            def jvp(ctx: Any, v: Any) -> Any:
                rows = (gradient_of(torch, ctx.z, lambda z: loss(z).sum(), torch.ones(())) * v).sum(1)
                return 1.5 * rows

        return Own.apply(z)

    return fault


SAVED: dict[str, Any] = {}


def gradient_of(torch: Any, z: Any, loss: Any, up: Any) -> Any:
    """As it should be, without a graph of its own."""
    with torch.enable_grad():
        leaf = z.detach().requires_grad_()
        return torch.autograd.grad(loss(leaf), leaf, up.detach())[0]


def of_the_last_call(torch: Any, z: Any, loss: Any, up: Any) -> Any:
    """The logits lie in one place for all calls."""
    return gradient_of(torch, SAVED["z"], loss, up)


def added_here_too(torch: Any, z: Any, loss: Any, up: Any) -> Any:
    """It is added to what the leaf has, and returned as well."""
    found = gradient_of(torch, z, loss, up)
    z.grad = found.clone()
    return found


def halved_with_a_graph(torch: Any, z: Any, loss: Any, up: Any) -> Any:
    return gradient_of(torch, z, loss, up) * (0.5 if torch.is_grad_enabled() else 1)


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


def of_pixels(strides: tuple[int, ...]) -> Callable[..., Any]:
    return lambda torch, z, y, options: z.stride() == strides


CALLS: dict[str, tuple[str, Any, set[str]]] = {
    "inference": ("value-alone", doubled_if(lambda torch, z, y, o: torch.is_inference_mode_enabled()), set()),
    "kept": ("value-alone", doubled_if(lambda torch, z, y, o: z.requires_grad > torch.is_grad_enabled()), set()),
    "detached": ("value-alone", doubled_if(lambda t, z, y, o: t.is_grad_enabled() and not needs(t, z)), set()),
    "images": ("strides", doubled_if(of_pixels((84, 1, 28, 7))), set()),
    "sequences": ("strides", doubled_if(of_pixels((35, 1, 7))), set()),
    "weight": ("strides", doubled_if(lambda t, z, y, o: "weight" in o and not o["weight"].is_contiguous()), set()),
    "bytes": ("label-dtypes", doubled_if(lambda torch, z, y, o: y.dtype == torch.uint8), set()),
    "computed": ("computed-inputs", doubled_if(lambda torch, z, y, o: z.grad_fn is not None), {"forward-mode"}),
    "last": ("interleaved", backward_of(of_the_last_call), {"forward-mode"}),
    "added": ("backward", backward_of(added_here_too), {"forward-mode"}),
    "graph": ("create-graph", backward_of(halved_with_a_graph), {"forward-mode"}),
    "batched": ("vmap", doubled_if(lambda torch, z, y, o: batched(torch, z)), set()),
    "forward": ("forward-mode", backward_of(gradient_of), set()),
    "target": ("gradient-of-target", wrong_gradient_of_the_target, set()),
    "learned": ("gradient-of-weight", wrong_gradient_of_the_weight, set()),
}
"""Law, a fault that breaks it, and others that it breaks, as a backward pass of one's own has a wrong forward mode."""


@pytest.mark.parametrize("name", CALLS)
def test_another_way_of_a_call_breaks_its_law_and_no_other(name: str) -> None:
    """Of those about calls: alone this has losses that look at how they are called."""
    torch = pytest.importorskip("torch")
    law, fault, beside = CALLS[name]

    def loss(z: Any, y: Any, **options: Any) -> Any:
        return fault(torch, z, y, **options)

    options = [o for o in OPTIONS if o != "second_order"]
    assert broken_calls(adapters.from_torch(loss, options=options)) == {law, *beside}


def needs(torch: Any, z: Any) -> bool:
    """Whether logits require a gradient, or are those of a batched call, which says nothing of it."""
    return bool(z.requires_grad or batched(torch, z))


def batched(torch: Any, z: Any) -> bool:
    return bool(torch._C._functorch.is_batchedtensor(z))


OF_CALLS = list(LAWS)[list(LAWS).index("value-alone") :]


def broken_calls(adapter: Adapter) -> set[str]:
    """The laws about calls that are broken."""
    if missing := adapter.unavailable():
        pytest.skip(missing)
    results = [law_result(subjects_of(adapter, ["cpu"])[0], "float32", law) for law in OF_CALLS]
    return {result.law for result in results if result and not result.kept}


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


@pytest.mark.parametrize(
    ("law", "condition"),
    [
        ("no-bias", lambda x, w, b: b is None),
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
