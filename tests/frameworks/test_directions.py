"""jvp and hvp: exact against ball arithmetic by polarisation, within bounds for right ones, and faults are caught."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import exact as balls_exact
import numpy as np
import pytest
from balls import balls
from flint import arb, ctx

from xentcheck import adapters
from xentcheck import reference as ref
from xentcheck.adapters.base import Result
from xentcheck.adapters.numpy.adapter import NumpyAdapter
from xentcheck.cases import Case
from xentcheck.cases.build import build
from xentcheck.cases.profiles.named import cases
from xentcheck.reference.bounds import bound
from xentcheck.reference.oracle import Exact
from xentcheck.reference.problem import Problem
from xentcheck.running.comparison import run_case
from xentcheck.running.subjects import subjects_of
from xentcheck.vocabulary import DIRECTIONAL, FAILING

DIRECTED = [case for case in cases("quick") if "dir" in case.options]
SETS = [
    ("index", ("dir",), "mean"),
    ("index", ("w", "ls", "ign", "dir"), "none"),
    ("prob", ("w", "dir"), "mean"),
    ("index", ("dir",), "sum"),
    ("prob", ("w", "ls", "dir"), "none"),
    ("signed", ("wn", "lsh", "dir"), "mean"),
]


def factors(p: Problem) -> Any:
    """q (N, C) of -log a in balls, ignored rows 0."""
    weight = balls(np.ones(p.classes) if p.weight is None else p.weight)
    eps = arb(p.label_smoothing)
    if p.probabilities:
        return (balls(p.target) * (1 - eps) + eps / p.classes) * weight
    hot = balls((np.arange(p.classes) == np.where(p.kept, p.target, 0)[:, None]) & p.kept[:, None])
    return hot * weight * (1 - eps) + balls(p.kept[:, None]) * weight * eps / p.classes


def denominator(p: Problem) -> Any:
    """What the mean divides by."""
    if p.reduction != "mean":
        return arb(1)
    if p.probabilities:
        return arb(len(p.target))
    weight = np.ones(p.classes) if p.weight is None else p.weight
    return sum((arb(float(weight[y])) for y in p.target[p.kept]), arb(0))


def enclosed(p: Problem) -> tuple[list[Any], list[list[Any]]]:
    """jvp per row over the denominator, and hvp, from the naive loss on power series along v, v + e_i and v - e_i.

    e_i.H v = (D2(v + e_i) - D2(v - e_i))/4, with D2(w) the second derivative along w.
    """
    z, v, q = balls(p.logits), balls(p.v), factors(p)
    unit = balls(np.eye(p.classes))
    upstream = np.broadcast_to(p.upstream.astype(np.float64).reshape(-1), (len(z),))

    def derivative(row: int, w: Any, order: int) -> Any:
        series = balls_exact.log_likelihood(balls_exact.along(z[row], w), q[row])
        return balls_exact.coefficients(np.array(series, object), order)[()]

    jvp = [derivative(n, v[n], 1) / denominator(p) for n in range(len(z))]
    hvp = []
    for n in range(len(z)):
        factor = arb(float(upstream[n])) / denominator(p) / 4
        pairs = [(derivative(n, v[n] + e, 2), derivative(n, v[n] - e, 2)) for e in unit]
        hvp.append([factor * (plus - minus) for plus, minus in pairs])
    return jvp, hvp


@pytest.mark.parametrize(("target", "options", "reduction"), SETS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("family", ["gaussian", "deep", "confident", "ties"])
def test_oracle_is_certified(family: str, dtype: str, target: str, options: tuple[str, ...], reduction: str) -> None:
    """Within 2^-90 (float64) or 2^-40 (the others) of the size of the terms: Q |v| and f Q a |v|."""
    upstream = "rand" if reduction == "none" else "neg"
    p = build(
        Case(
            family=family,
            shape=(3, 4),
            dtype=dtype,
            target=target,
            options=options,
            reduction=reduction,
            upstream=upstream,
        )
    )
    found = Exact(p).evaluate(DIRECTIONAL)
    allowed = 2.0 ** (-90 if dtype == "float64" else -40)
    z = p.logits.astype(np.float64)  # type: ignore[union-attr]  # these cases have logits and a direction
    a = np.exp(z - z.max(1, keepdims=True))
    a /= a.sum(1, keepdims=True)
    reach = 2 * np.abs(p.v.astype(np.float64)).max()  # type: ignore[union-attr]  # these cases have logits and a direction
    with ctx.workprec(2048):
        jvp, hvp = enclosed(p)
        mass = [sum((abs(x) for x in row), arb(0)) for row in factors(p)]
        reduced = jvp if reduction == "none" else [sum(jvp, arb(0))]
        size = sum((float(m) for m in mass), 0.0) * reach / abs(float(denominator(p)))
        for x, hi, lo in zip(reduced, np.ravel(found["jvp"][0]), np.ravel(found["jvp"][1]), strict=True):
            assert float(abs(arb(float(hi)) + arb(float(lo)) - x)) <= allowed * max(size, 1e-300)
        up = np.broadcast_to(np.abs(p.upstream.astype(np.float64)).reshape(-1), (len(z),))
        for n in range(len(z)):
            for i in range(p.classes):
                hi, lo = (float(part[n, i]) for part in found["hvp"])
                scale = up[n] / abs(float(denominator(p))) * float(mass[n]) * a[n, i] * reach * 2
                assert float(abs(arb(hi) + arb(lo) - hvp[n][i])) <= allowed * scale + 2.0**-1074


def below_the_normal_range(tail: str) -> Problem:
    """40 terms of a sum, each below 2^-126: a_i v_i of s, where a tail of classes underflows, or q_i v_i of q.v."""
    a = np.full(40, -87.5 if tail == "logits" else 0.0, np.float32)
    v = np.full(40, 64.0, np.float32)
    q = np.full(40, 0.0 if tail == "logits" else 1e-38, np.float32)
    a[0], v[0], q[0] = 0.0, 0.0, 1.0 if tail == "logits" else 0.0
    if tail == "targets":
        a[0] = 100.0
    shared = {"reduction": "none", "upstream": np.ones(1, np.float32)}
    return Problem(logits=a[None], v=v[None], target=q[None], **shared)


@pytest.mark.parametrize("contract", ["fused", "stash", "decisive"])
@pytest.mark.parametrize("tail", ["logits", "targets"])
def test_what_the_terms_of_a_sum_lose_adds_up(tail: str, contract: str) -> None:
    """A jvp whose 40 terms are all flushed uses up 0.2 to 1 of its bound, and 5 times that is wrong.

    The first factor of each term loses all of itself, 0.85 of 2^-126, times v; the bound has a loss for each of
    up to two steps before the product, and one for the product.
    """
    p = below_the_normal_range(tail)
    (exact,) = np.abs(Exact(p).evaluate(["jvp"])["jvp"][0])
    (limit,) = bound("jvp", p, contract)
    assert 0.2 * limit < exact <= limit < 5.0 * exact


def failing(adapter: Any, chosen: Sequence[Case]) -> set[str]:
    """Quantities with an alarm."""
    subject = subjects_of(adapter)[:1]
    return {r.quantity for case in chosen for r in run_case(case, subject) if r.outcome in FAILING}


class Faulty(NumpyAdapter):
    """The reference with one of its derivatives along v changed."""

    def __init__(self, fault: Callable[[Problem, dict[str, Any]], None]) -> None:
        super().__init__()
        self.fault = fault

    def compute(self, problem: Problem, quantities: Sequence[str], *, device: str, variant: str) -> Result:
        result = super().compute(problem, quantities, device=device, variant=variant)
        values = {q: np.array(x) for q, x in result.values.items()}
        if problem.v is not None:
            self.fault(problem, values)
        return Result({q: np.asarray(x, problem.dtype) for q, x in values.items()}, result.changed_inputs)


def hvp_of(p: Problem, **changes: Any) -> Any:
    """The reference's Hessian product of a problem with changed options."""
    options = {
        "weight": p.weight,
        "ignore_index": p.ignore_index,
        "reduction": p.reduction,
        "label_smoothing": p.label_smoothing,
        "upstream": p.upstream,
    }
    return ref.cross_entropy_hvp(p.logits, p.target, p.v, **options | changes)


def diagonal_only(p: Problem, values: dict[str, Any]) -> None:
    """a (1 - a) v instead of a (v - a.v)."""
    a = ref.softmax(p.logits)
    mean = (a * p.v).sum(1, keepdims=True)
    with np.errstate(all="ignore"):
        values["hvp"] = values["hvp"] / (p.v - mean) * p.v * (1 - a)


FAULTS: dict[str, tuple[Callable[[Problem, dict[str, Any]], None], set[str]]] = {
    "zero Hessian": (lambda p, x: x.update(hvp=0 * x["hvp"]), {"hvp"}),
    "diagonal only": (diagonal_only, {"hvp"}),
    "upstream ignored": (lambda p, x: x.update(hvp=hvp_of(p, upstream=np.ones_like(p.upstream))), {"hvp"}),
    "not divided": (
        lambda p, x: x.update(hvp=hvp_of(p, reduction="sum") if p.reduction == "mean" else x["hvp"]),
        {"hvp"},
    ),
    "weights left out": (lambda p, x: x.update(hvp=hvp_of(p, weight=None)), {"hvp"}),
    "smoothing left out": (lambda p, x: x.update(hvp=hvp_of(p, label_smoothing=0.0) * 0.9), {"hvp"}),
    "last column lost": (lambda p, x: x["hvp"].__setitem__((..., -1), 0), {"hvp"}),
    "jvp of the wrong sign": (lambda p, x: x.update(jvp=-x["jvp"]), {"jvp"}),
    "jvp off by a thousandth": (lambda p, x: x.update(jvp=x["jvp"] * 1.001), {"jvp"}),
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_caught_where_it_is(name: str) -> None:
    """The quick cases with a direction raise an alarm in the faulty derivative, and in no other."""
    fault, caught = FAULTS[name]
    rows = [c for c in DIRECTED if c.dtype == "float32" and c.shape in ((5, 10), (64, 3))]
    assert failing(Faulty(fault), rows) == caught


def test_nothing_changed_raises_no_alarm() -> None:
    """What the faults are planted in is right, on two seeds and in all dtypes."""
    chosen = [*DIRECTED, *(c for c in cases("quick", 5) if "dir" in c.options)]
    assert failing(Faulty(lambda p, x: None), chosen) == set()


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_wrapped_functions_have_both_unless_they_decline(framework: str) -> None:
    """A function of a framework is differentiated twice; without `second_order` the cases are unsupported."""
    if missing := adapters.get(framework).unavailable():
        pytest.skip(missing)
    case = Case(family="gaussian", shape=(5, 10), dtype="float32", options=("dir",), upstream="neg")
    if framework == "torch":
        import torch

        function, wrap = torch.nn.functional.cross_entropy, adapters.from_torch
    else:
        from xentcheck.adapters.jax.loss import cross_entropy

        function, wrap = cross_entropy, adapters.from_jax
    records = run_case(case, subjects_of(wrap(function))[:1])
    assert {r.quantity: r.outcome for r in records} == {"jvp": "agree", "hvp": "agree"}
    declined = run_case(case, subjects_of(wrap(function, options={"upstream"}))[:1])
    assert {r.outcome for r in declined} == {"unsupported"}


@pytest.mark.parametrize(("stopped", "outcome"), [(False, "agree"), (True, "disagree")])
def test_a_custom_vjp_is_differentiated_twice_by_reverse_mode(stopped: bool, outcome: str) -> None:
    """JAX has no forward mode for it: a backward pass that hides the logits from a second one is found all the same."""
    jax = pytest.importorskip("jax")
    from xentcheck.adapters.jax.loss import cross_entropy

    def loss(z: Any, y: Any, **options: Any) -> Any:
        def pull(z: Any, up: Any) -> Any:
            found = jax.vjp(lambda z: cross_entropy(z, y, **options), z)[1](up)
            return jax.lax.stop_gradient(found) if stopped else found

        own = jax.custom_vjp(lambda z: cross_entropy(z, y, **options))
        own.defvjp(lambda z: (own(z), z), pull)
        return own(z)

    case = Case(family="gaussian", shape=(5, 10), dtype="float32", options=("dir",), upstream="neg")
    for subject in subjects_of(adapters.from_jax(loss), ["cpu"]):
        assert {r.outcome for r in run_case(case, [replace(subject, always=True)])} == {outcome}
