"""Fused linear losses: found by their signature, judged by dC/dx, dC/dw and dC/db, and sharp enough to be trusted."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import xentcheck
from xentcheck import adapters
from xentcheck.adapters.base import Result
from xentcheck.adapters.numpy.linear import NumpyLinear
from xentcheck.adapters.wrap.fused import as_layer, names_of
from xentcheck.adapters.wrap.implementation import adapter_of
from xentcheck.adapters.wrap.trying.refusals import tried
from xentcheck.cases.build import build
from xentcheck.cases.profiles.linear import (
    LINEAR_SHAPES,
    LINEAR_TINY,
    TINY,
    linear_cases,
)
from xentcheck.cases.profiles.named import cases
from xentcheck.cases.selection import selected
from xentcheck.errors import AdapterError
from xentcheck.reference import cross_entropy, cross_entropy_grad
from xentcheck.reference.problem import Problem
from xentcheck.reports.analysis.power import power_of
from xentcheck.running.comparison import run_case
from xentcheck.running.subjects import subject_on, subjects_of
from xentcheck.studies.law_study import law_result
from xentcheck.vocabulary import FAILING

Gradients = tuple[Any, Any, Any]


def fused(
    x: Any, weight: Any, bias: Any, target: Any, *, class_weight: Any = None, upstream: Any = 1.0, **o: Any
) -> Any:
    """Everything in float32 at least, rounded once: (loss, (dx, dweight, dbias))."""
    wide = np.float64 if x.dtype == np.float64 else np.float32
    x_, w, b, u = (np.asarray(a, wide) for a in (x, weight, bias, upstream))
    y = target if target.dtype.kind in "iu" else target.astype(wide)
    options = {**o, "weight": None if class_weight is None else class_weight.astype(wide)}
    z = x_ @ w.T + b
    g = cross_entropy_grad(z, y, upstream=u, **options)
    gradients = (a.astype(x.dtype) for a in (g @ w, g.T @ x_, g.sum(0)))
    return cross_entropy(z, y, **options).astype(x.dtype), tuple(gradients)


def explicit(
    x: Any,
    weight: Any,
    bias: Any,
    target: Any,
    *,
    class_weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    upstream: Any = 1.0,
) -> Any:
    """`fused` with its options spelled out."""
    o = {"ignore_index": ignore_index, "reduction": reduction, "label_smoothing": label_smoothing}
    return fused(x, weight, bias, target, class_weight=class_weight, upstream=upstream, **o)


WRONG: dict[str, tuple[Callable[[Gradients], Gradients], str]] = {
    "dx of half the size": (lambda g: (g[0] / 2, g[1], g[2]), "dC/da_prev"),
    "dw transposed": (lambda g: (g[0], g[1].T.copy() if g[1].shape[0] == g[1].shape[1] else g[1], g[2]), "dC/dw"),
    "db of the last class left out": (lambda g: (g[0], g[1], g[2] * (np.arange(len(g[2])) < len(g[2]) - 1)), "dC/db"),
}


@pytest.mark.parametrize(
    "dtype", ["float32", *(pytest.param(d, marks=pytest.mark.nightly) for d in ("bfloat16", "float64", "float16"))]
)
def test_a_right_one_agrees_and_no_group_is_blind(dtype: str) -> None:
    """Without a promise, in every dtype; the logits that it does not have are unsupported, and laws and probes hold."""
    run = xentcheck.check(explicit, "numpy", dtypes=[dtype])
    assert run.ok, run.verdict.explanation()
    executed = {r.quantity for r in run.records if r.share is not None}
    assert executed == {"loss", "cost", "dC/db", "dC/dw", "dC/da_prev"}
    assert {r.reason for r in run.records if r.outcome == "unsupported"} <= {"head logits", "head network"}
    if dtype == "float32":
        assert {"rows-sum-to-0", "shift", "batch", "fresh-memory"} <= {law.law for law in run.file.laws}
        assert {"all-ignored", "label-c"} <= {p.probe for p in run.file.probes}
    groups = {tuple(group.name.split("/")[-2:]) for group in run.verdict.groups}
    kinds = ("index", "smoothed", "probabilities") if dtype in ("bfloat16", "float16") else ("index", "smoothed")
    assert {(kind, reduction) for kind in kinds for reduction in ("mean", "sum", "none")} <= groups


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.usefixtures("ordinary")
def test_each_gradient_is_judged(name: str) -> None:
    """A mistake in one of them fails that one."""
    wrong, quantity = WRONG[name]

    def loss(x: Any, weight: Any, bias: Any, target: Any, **options: Any) -> Any:
        value, gradients = fused(x, weight, bias, target, **options)
        return value, wrong(gradients)

    adapter = adapters.from_numpy(loss, head="layer", options=["ignore_index", "upstream"])
    run = xentcheck.check(adapter, dtypes=["float32"])
    assert quantity in {r.quantity for r in run.records if r.outcome == "disagree"}


def optional(
    x: Any, weight: Any, target: Any, bias: Any = None, *, reduction: str = "mean", upstream: Any = 1.0
) -> Any:
    """`fused` of a bias that may be missing."""
    b = np.zeros(len(weight), x.dtype) if bias is None else bias
    return fused(x, weight, b, target, class_weight=None, reduction=reduction, upstream=upstream)


def optional_doubled(
    x: Any, weight: Any, target: Any, bias: Any = None, *, reduction: str = "mean", upstream: Any = 1.0
) -> Any:
    """The same with a loss that is twice as large without a bias."""
    value, gradients = optional(x, weight, target, bias, reduction=reduction, upstream=upstream)
    return (1 + (bias is None)) * value, gradients


def test_a_bias_is_left_out_where_it_may_be() -> None:
    """NumPy makes nan of a missing array: only a function with None as its bias is asked for that."""
    found = {}
    for loss in (explicit, optional, optional_doubled):
        subject = subject_on(adapter_of(loss, "numpy"), "cpu")
        result = law_result(subject, "float32", "no-bias")
        found[loss.__name__] = None if result is None else result.kept
    assert found == {"explicit": None, "optional": True, "optional_doubled": False}


PATHS: dict[str, Callable[[Problem], bool]] = {
    "more than 512 rows": lambda p: p.logits_shape[0] > 512,
    "more than 2000 classes": lambda p: p.classes > 2000,
    "more inputs than classes": lambda p: p.a_prev.shape[1] > max(64, p.classes),  # type: ignore[union-attr]
    "one input": lambda p: p.a_prev.shape[1] == 1,  # type: ignore[union-attr]
    "one row": lambda p: p.logits_shape[0] == 1,
    "two classes": lambda p: p.classes == 2,
    "smoothed probabilities in many rows": lambda p: p.probabilities and p.label_smoothing > 0 and len(p.target) > 64,
    "the first row ignored": lambda p: not p.kept[:1].all(),
    "a chunk of ignored rows": lambda p: not p.kept[128:].any() and len(p.target) > 128,
    "the sentinel -1": lambda p: p.ignore_index == -1,
    "the sentinel of the last class": lambda p: p.ignore_index == p.classes - 1,
    "weights of both signs": lambda p: p.weight is not None and bool((p.weight < 0).any() and (p.weight > 0).any()),
    "a weight of 0": lambda p: p.weight is not None and bool((p.weight == 0).any()),
    "a smoothing of 1": lambda p: p.label_smoothing == 1,
    "negative probabilities": lambda p: p.probabilities and bool((p.target < 0).any()),
    "the weight alone, beside ignored rows": lambda p: p.needs == ("w",) and not p.kept.all(),
}
"""What a path of its own may be for."""


@pytest.mark.parametrize("name", PATHS)
def test_a_path_of_its_own_is_met(name: str) -> None:
    """A gradient of the weight that is twice as large there."""

    class Doubled(NumpyLinear):
        def compute(self, problem: Problem, quantities: Any, *, device: str, variant: str) -> Result:
            result = super().compute(problem, quantities, device=device, variant=variant)
            factor = 1 + PATHS[name](problem)
            return Result({q: x * factor if q == "dC/dw" else x for q, x in result.values.items()})

    def renamed(*arrays: Any, weight: Any = None, **options: Any) -> Any:
        return fused(*arrays, class_weight=weight, **options)

    subjects = subjects_of(Doubled(renamed, "doubled"))
    chosen = [c for c in linear_cases(0) if c.dtype == "float32"]
    met = (c for c in chosen if PATHS[name](build(c)))
    assert any(r.outcome in FAILING for c in met for r in run_case(c, subjects) if r.quantity == "dC/dw")


@pytest.mark.parametrize("framework", ["torch", "jax"])
@pytest.mark.usefixtures("ordinary")
def test_autograd_of_a_composition_agrees(framework: str) -> None:
    """linear and cross-entropy in one function; a detached weight fails by its gradient."""
    pytest.importorskip(framework)
    if framework == "torch":
        import torch.nn.functional as F

        def loss(input: Any, lin_weight: Any, target: Any, bias: Any = None, reduction: str = "mean") -> Any:
            return F.cross_entropy(F.linear(input, lin_weight, bias), target, reduction=reduction)

        def detached(input: Any, lin_weight: Any, target: Any, bias: Any = None, reduction: str = "mean") -> Any:
            return loss(input, lin_weight.detach() + 0 * lin_weight, target, bias, reduction)
    else:
        import jax

        from xentcheck.adapters.jax.loss import cross_entropy as of_logits

        def loss(input: Any, lin_weight: Any, target: Any, bias: Any = None, reduction: str = "mean") -> Any:
            return of_logits(input @ lin_weight.T + bias, target, reduction=reduction)

        def detached(input: Any, lin_weight: Any, target: Any, bias: Any = None, reduction: str = "mean") -> Any:
            return loss(input, jax.lax.stop_gradient(lin_weight), target, bias, reduction)

    if framework == "torch":  # JAX compiles each case, and each problem of a law
        xentcheck.assert_agrees(loss, framework, dtypes=["float32"])
    few = [c for c in selected("quick", ["float32"], 0, ()) if c.inputs and not c.hidden and not c.options]
    right = subject_on(tried(adapter_of(loss, framework)), "cpu")
    assert {r.outcome for c in few[:4] for r in run_case(c, [right])} == {"agree"}
    subject = subject_on(tried(adapter_of(detached, framework)), "cpu")
    records = [r for c in few[:2] for r in run_case(c, [subject])]
    assert {r.quantity for r in records if r.outcome == "disagree"} == {"dC/dw"}


def test_the_signature_says_what_is_what() -> None:
    """The names of PyTorch, of Liger and of Nielsen; a function without a bias is a loss of logits."""
    liger = ["input", "weight", "target", "bias", "ce_weight", "ignore_index"]
    assert names_of(liger, "f") == {"b": "bias", "w": "weight", "y": "target", "weight": "ce_weight"}
    assert names_of(["a_prev", "w", "b", "y"], "f") == {"b": "b", "w": "w", "y": "y"}
    assert names_of(["input", "target", "weight"], "f") is None
    assert adapter_of(fused, "numpy").capabilities.heads == ("layer",)
    with pytest.raises(AdapterError, match=r"^f takes a bias, as a fused linear loss does, .*; allowed: target"):
        names_of(["x", "bias", "weight"], "f")
    with pytest.raises(AdapterError, match=r"^f takes weight first, and no x; allowed: _input, input"):
        names_of(["weight", "bias", "target"], "f")
    assert "weight" not in adapter_of(lambda x, w, bias, y, reduction: None, "numpy").capabilities.options
    with pytest.raises(AdapterError, match="head is 'network'; allowed: logits, layer"):
        adapters.from_numpy(fused, head="network")


def test_only_those_without_logits_take_the_linear_cases() -> None:
    """Ids of the built-in adapters' cases do not overlap with them, so that nobody's matrix grows."""
    cases = linear_cases(0)
    assert {case.shape for case in cases} <= LINEAR_SHAPES
    assert set(cases) <= set(selected("quick", None, 0))
    assert not any(s.takes(case) for s in subjects_of(adapters.get("numpy")) for case in cases)
    (linear,) = subjects_of(adapter_of(explicit, "numpy"))
    assert all(linear.takes(case) for case in cases)
    assert {case.options for case in cases if case.shape == TINY} == {options for _, options in LINEAR_TINY}


def test_logits_behind_the_identity_are_the_logits() -> None:
    """Exactly; what no layer makes is None."""
    z = np.array([[0.5, -2.0, 3.0], [1.0, 0.0, 4.0]], np.float32)
    p = as_layer(Problem(logits=z, target=np.array([0, 2])))
    assert p is not None
    assert np.array_equal(p.a_prev @ p.w.T + p.b, z)  # type: ignore[operator, union-attr]  # arrays of a layer
    assert as_layer(Problem(logits=z[0], target=np.array(1))) is None
    assert as_layer(Problem(logits=np.array([[0.0, -np.inf]]), target=np.array([0]))) is None


def test_pytorchs_chunked_loss_is_judged_as_it_is() -> None:
    """torch 2.13 and 2.14 return nan for an ignored row whose class 0 is masked; found if, and only if, it is there."""
    F = pytest.importorskip("torch").nn.functional
    torch = pytest.importorskip("torch")
    if "options" not in inspect.signature(getattr(F, "linear_cross_entropy", lambda: None)).parameters:
        pytest.skip("this torch has no chunked linear_cross_entropy")

    def chunked(input: Any, linear_weight: Any, target: Any, *, linear_bias: Any, ignore_index: Any = None) -> Any:
        options = torch.nn.LinearCrossEntropyOptions(batch_chunk_size=2)
        given = {"linear_bias": linear_bias, "ignore_index": ignore_index, "options": options}
        return F.linear_cross_entropy(input, linear_weight, target, reduction="sum", **given)

    x, b, y = torch.zeros(1, 1), torch.tensor([-torch.inf, 0.0]), torch.tensor([-100])
    wrong = bool(chunked(x, torch.zeros(2, 1), y, linear_bias=b).isnan())
    run = xentcheck.check(chunked, "torch", dtypes=["float64"])
    found = {r.case.split(".")[0] for r in run.records if r.outcome == "disagree"}
    assert found == ({"masked"} if wrong else set())


@pytest.mark.parametrize(
    "options",
    [(), ("ignore_index",), ("label_smoothing", "probabilities")],
    ids=["none", "ignore_index", "smoothing+probabilities"],
)
def test_fewer_parameters_make_no_right_function_fail(options: tuple[str, ...]) -> None:
    """In bfloat16, where least is left to reject, a fused linear loss of few options is blind to nothing; alone this
    proves that what its cases must reject is rejected among those that it takes.
    """
    torch = pytest.importorskip("torch")

    def loss(x: Any, weight: Any, bias: Any, target: Any, **given: Any) -> Any:
        return torch.nn.functional.cross_entropy(torch.nn.functional.linear(x, weight, bias), target, **given)

    (subject,) = subjects_of(adapters.from_torch(loss, head="layer", options=options), ["cpu"])
    chosen = [c for c in cases("quick") if c.dtype == "bfloat16" and c.inputs and not c.hidden and subject.takes(c)]
    records = [r for case in chosen for r in run_case(case, [subject])]
    assert [r.replay for r in records if r.outcome in FAILING] == []
    assert [(g.name, g.blind) for g in power_of(records).groups() if g.blind] == []
    assert power_of(records).undecided() == ()
