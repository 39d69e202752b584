"""Common forms of the loss: which contract covers each, with a right implementation close to its bound."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from xentcheck.cases import Case
from xentcheck.cases.build import build
from xentcheck.judging.metric import Tally
from xentcheck.reference.bounds import bound
from xentcheck.reference.bounds.contracts import CATALOGUE, Contract
from xentcheck.reference.formats import FORMATS, Array
from xentcheck.reference.oracle import Exact
from xentcheck.reference.problem import Problem
from xentcheck.studies.kill_table.faults import by_name

F = np.float32
UNIT = 2.0**-24


def row(z: Array, label: int = 0, **options: Any) -> Problem:
    """One row of logits, without a reduction."""
    rows = np.asarray(z)[None]
    return Problem(logits=rows, target=np.array([label]), reduction="none", upstream=np.ones(1, rows.dtype), **options)


def problem(text: str) -> Problem:
    """The problem of a case's id."""
    return build(Case.parse(text))


def share(p: Problem, quantity: str, got: Any, contract: str | Contract) -> float:
    """Largest error over the bound."""
    tally = Tally(FORMATS[p.dtype])
    tally.add(np.asarray(got, p.dtype), *Exact(p).evaluate([quantity])[quantity], bound(quantity, p, contract))
    assert (tally.failing > 0) == (tally.share > 1)
    return tally.share


def biased_exp(x: Array, ulps: float) -> Array:
    """exp in float32, too small by so many ULPs wherever it is not exactly 1."""
    e = np.exp(np.asarray(x, np.float64))
    return np.where(e == 1, e, e * (1.0 - 2.0 * ulps * UNIT)).astype(F)


UNSHIFTED = np.array([0.0003944122581742704, -40, -35, -50], F)


def test_no_maximum_subtracted_is_covered_by_stable_alone() -> None:
    """log(sum(exp z)) - z_y: the largest exponential errs like all others, up to 8 ULPs under `stable`."""
    p = row(UNSHIFTED)
    loss = np.log(np.sum(biased_exp(UNSHIFTED, 8.0))) - UNSHIFTED[0]
    assert 0.7 < share(p, "loss", [loss], replace(CATALOGUE["stable"], log_of_softmax=False)) <= 1
    assert share(p, "loss", [loss], "stable") <= 1
    assert share(p, "loss", [loss], "decisive") > 1
    assert share(p, "loss", [F(3 * loss)], "stable") > 1


def test_no_maximum_subtracted_in_numpy() -> None:
    """The ordinary exp and log of NumPy do it within `stable`; a sum that leaves out a class does not."""
    z = np.array([[0.3, -1.0, 2.0], [1.5, 0.0, 1.0]], F)
    p = Problem(logits=z, target=np.array([1, 0]), reduction="none", upstream=np.ones(2, F))
    at_label = z[np.arange(2), p.target]
    assert share(p, "loss", np.log(np.exp(z).sum(1)) - at_label, "stable") <= 1
    assert share(p, "loss", np.log(np.exp(z[:, :2]).sum(1)) - at_label, "stable") > 1


def online_total(z: Array, ulps: float) -> Array:
    """The sum of exp(z - max z) in one pass, rescaled at every step; each product rounds down."""
    total = F(1)
    for before, here in pairwise(z):
        total = F(float(total) * float(biased_exp(before - here, ulps)) * (1 - UNIT)) + F(1)
    return np.asarray(total)


def test_a_softmax_in_one_pass_is_covered_by_online_alone() -> None:
    """1000 ascending logits rescale the running sum 999 times, by an exp that is 2 ULPs low each time."""
    z = (np.arange(1000) * 2.0**-12).astype(F)
    p = row(z, 999)
    a = biased_exp(z - z[-1], -2.0) / online_total(z, 2.0)
    assert share(p, "a", [a], "fused") > 1
    assert 0.5 < share(p, "a", [a], "online") <= 1
    assert share(p, "a", [a * F(1 + 4e-4)], "online") > 1


def log_sum_exp(z: Array) -> Array:
    """m + log sum exp(z - m) in float32."""
    wide = z.astype(F)
    top = wide.max(1)
    return np.asarray(top + np.log(np.exp(wide - top[:, None]).sum(1)))


def at_labels(z: Array, p: Problem) -> Array:
    """The label's logit of each row."""
    return np.asarray(z[np.arange(len(z)), p.target])


NARROW = ("bf16", "f16")


@pytest.mark.parametrize("dtype", NARROW)
def test_a_stored_log_sum_exp_is_covered_by_stash_lse(dtype: str) -> None:
    """logsumexp(z) in storage, then minus z_y: two roundings, of which `fused-lse` allows the last only."""
    p = problem(f"common-offset.64x10.{dtype}.index.plain.none.up-rand.contig.s0")
    z = np.asarray(p.logits).astype(F)
    stored = log_sum_exp(z).astype(p.dtype)
    unit = np.spacing(stored).astype(F)
    loss = stored.astype(F) - at_labels(z, p)
    assert share(p, "loss", loss, "fused-lse") > 1
    assert 0.45 < share(p, "loss", loss, "stash-lse") <= 1
    assert share(p, "loss", loss + 2 * unit, "stash-lse") > 1


@pytest.mark.parametrize("dtype", NARROW)
def test_pytorch_stores_every_step_of_logsumexp(dtype: str) -> None:
    """torch.logsumexp(z) - z_y is `storage`: its value is hundreds of times the bound without a stored lse."""
    torch = pytest.importorskip("torch")
    worst = {"fused-lse": 0.0, "storage": 0.0}
    for family in ("gaussian", "common-offset", "deep", "confident", "certain", "ties"):
        p = problem(f"{family}.64x10.{dtype}.index.plain.none.up-one.contig.s0")
        z = torch.from_numpy(np.asarray(p.logits).astype(F)).to(getattr(torch, p.dtype)).requires_grad_()
        value = torch.logsumexp(z, 1) - z.gather(1, torch.from_numpy(np.array(p.target))[:, None])[:, 0]
        value.sum().backward()
        for contract in worst:
            for q, found in (("loss", value.detach()), ("dC/dz", z.grad)):
                got = share(p, q, found.float().numpy(), contract)
                worst[contract] = max(worst[contract], got)
                assert contract == "fused-lse" or got <= 1, (family, q)
    assert worst["fused-lse"] > 100


@pytest.mark.parametrize("dtype", NARROW)
def test_log_sum_exps_of_blocks_are_within_the_default_where_they_are_wide(dtype: str) -> None:
    """PyTorch's logsumexp stores every step, here of blocks and of their results: `storage-accumulate` allows that."""
    torch = pytest.importorskip("torch")
    p = problem(f"gaussian.256x10.{dtype}.index.plain.none.up-rand.contig.s0")
    z, narrow = torch.from_numpy(np.asarray(p.logits).astype(F)), getattr(torch, p.dtype)
    wide, stored = (
        torch.logsumexp(torch.stack([torch.logsumexp(block, 1) for block in z.to(kind).split(7, 1)], 1), 1)
        for kind in (torch.float32, narrow)
    )
    losses = [np.asarray(lse.to(narrow).float()) - at_labels(np.asarray(z), p) for lse in (wide, stored)]
    assert 0.2 < share(p, "loss", losses[0], "decisive") <= 1
    assert share(p, "loss", losses[1], "decisive") > 1
    assert 0.2 < share(p, "loss", losses[1], "storage-accumulate") <= 1


def kahan(x: Array) -> Array:
    """Compensated sums of rows (n, C) -> (n, 1)."""
    total, lost = np.zeros((len(x), 1), F), np.zeros((len(x), 1), F)
    for column in x.T[:, :, None]:
        term = column - lost
        moved = total + term
        lost = (moved - total) - term
        total = moved
    return total


def test_compensated_sums_are_covered_by_decisive() -> None:
    """Where a large term follows small ones the compensation itself rounds: beyond `fused`, by the promise of 2u."""
    worst = {"fused": 0.0, "decisive": 0.0, "not compensated": 0.0}
    noticed = 0
    plain = replace(CATALOGUE["decisive"], compensated=False)
    for seed in range(8):
        p = problem(f"certain.5x1003.f32.index.plain.none.up-rand.contig.s{seed}")
        z = np.asarray(p.logits)
        t = z - z.max(1, keepdims=True)
        p = replace(p, logits=t)  # a maximum of 0, next to which no rounding of the logits hides that of the sum
        log_a = t - np.log(kahan(np.exp(t)))
        loss = -log_a[np.arange(5), p.target]
        for name, contract in (("fused", "fused"), ("decisive", "decisive"), ("not compensated", plain)):
            worst[name] = max(worst[name], share(p, "loss", loss, contract))
        noticed += share(p, "loss", loss + 4 * F(UNIT), "decisive") > 1
    assert worst["fused"] > 1
    assert worst["not compensated"] > 1
    assert 0.4 < worst["decisive"] <= 1
    assert noticed


@pytest.mark.parametrize("dtype", ["f16", "f32"])
def test_a_product_that_overflows_on_the_way_has_no_bound(dtype: str) -> None:
    """Upstream gradients of half the largest number times a weight of 4, divided later: inf in storage, finite wide."""
    numpy_dtype = {"f16": np.float16, "f32": F}[dtype]
    half = float(np.finfo(numpy_dtype).max) / 2
    z = np.array([[0.0, 20.0], [0.0, 1.0]], numpy_dtype)
    upstream = np.array([half, 1.0], numpy_dtype)
    weight = np.array([4.0, 4.0], numpy_dtype)
    p = Problem(logits=z, target=np.array([1, 1]), weight=weight, reduction="none", upstream=upstream)
    assert np.isfinite(Exact(p).evaluate(["dC/dz"])["dC/dz"][0]).all()
    assert np.isinf(bound("dC/dz", p, "stash")).tolist() == [[True, True], [False, False]]
    assert np.isfinite(bound("dC/dz", p, "fused")).all() == (dtype == "f16")
    smaller = replace(p, upstream=np.array([half / 5, 1.0], numpy_dtype))
    assert np.isfinite(bound("dC/dz", smaller, "stash")).all()


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_a_bound_beyond_the_largest_number_is_infinite(dtype: str) -> None:
    """A bound that an intermediate may leave the format within is no bound; just below the largest number it is one."""
    top = FORMATS[dtype].largest
    z = np.array([0.9 * top, -0.9 * top], np.float64).astype(dtype)
    contract = replace(CATALOGUE["fused"], shift_units=0.4 / FORMATS["float32"].unit_roundoff)
    huge, large = row(z), row((z.astype(np.float64) / 4).astype(dtype))
    assert np.isinf(bound("log_a", huge, contract)).tolist() == [[False, True]]
    assert 0 < bound("log_a", large, contract).max() < top


@pytest.mark.parametrize("dtype", [np.float64, F])
def test_the_logarithm_of_the_softmax_is_covered_by_stable(dtype: Any) -> None:
    """-log(a_y) is as good as a_y: within `stable` until a_y underflows, where it is wrong and nothing is promised."""
    z = np.random.default_rng(0).normal(0, 3, (64, 7)).astype(dtype)
    y = np.arange(64) % 7
    p = Problem(logits=z, target=y, reduction="none", upstream=np.ones(64, dtype))
    e = np.exp(z - z.max(1, keepdims=True))
    a = (e / e.sum(1, keepdims=True))[np.arange(64), y]
    assert share(p, "loss", -np.log(a), "stable") <= 1
    assert share(p, "loss", -np.log(a + dtype(1e-3)), "stable") > 1
    deep = -2.0 * np.log(1 / np.finfo(dtype).tiny)
    assert np.isinf(bound("loss", row(np.array([0.0, deep], dtype), 1), "stable"))
    assert np.isfinite(bound("loss", row(np.array([0.0, deep], dtype), 1), "decisive"))


@pytest.mark.parametrize("family", ["very-negative", "common-offset"])
@pytest.mark.parametrize("dtype", ["f16", "bf16", "f32"])
def test_smoothing_by_separate_products_is_covered_by_decisive(dtype: str, family: str) -> None:
    """lse - (1 - eps) z_y - eps mean(z): products of the size of the logits, each stored."""
    p = problem(f"{family}.64x10.{dtype}.index.ls.none.up-rand.contig.s0")
    z, eps = np.asarray(p.logits).astype(F), F(p.label_smoothing)

    def kept(x: Array) -> Array:
        return np.asarray(x, F).astype(p.dtype).astype(F)

    at_label = at_labels(z, p)
    total = kept(log_sum_exp(z))
    loss = kept(kept(total - kept((1 - eps) * at_label)) - kept(eps * kept(z.mean(1))))
    found = share(p, "loss", loss, "decisive")
    assert found <= 1
    without = kept(total - kept((1 - eps) * at_label))
    assert share(p, "loss", without, "decisive") > 1
    if dtype == "f16":
        assert found > 0.2


def test_flushed_float16_results_are_covered_by_stable_alone() -> None:
    """A device that flushes float16's own subnormal results loses up to 2^-14; a loss of twice that is noticed."""
    p = problem("gaussian.5x1003.f16.index.plain.none.up-rand.contig.s0")
    exact = Exact(p).evaluate(["a"])["a"][0]
    stored = exact.astype(np.float16)
    flushed = np.where(np.abs(stored) < 2.0**-14, 0, stored)
    assert share(p, "a", flushed, "decisive") > 1
    assert share(p, "a", flushed, "stable") <= 1
    assert share(p, "a", np.where(stored < 2.0**-11, 0, stored), "stable") > 1


def autograd_through_maximum(p: Problem, error: float) -> Array:
    """dC/dz, with `error` times the sum of |terms| added at the maximum, as its derivative does with rounded sums."""
    exact = Exact(p).evaluate(["dC/dz"])["dC/dz"][0].copy()
    rows = np.arange(len(exact))
    exact[rows, np.asarray(p.logits).argmax(1)] += error * np.abs(exact).sum(1)
    return exact.astype(p.dtype)


@pytest.mark.parametrize("dtype", ["bf16", "f16"])
def test_row_sums_are_covered_at_the_maximum_and_nowhere_else(dtype: str) -> None:
    """The rounding error of a row's sum, 2 u_s of its terms, is within `decisive` at a pivot, not elsewhere."""
    p = problem(f"gaussian.64x129.{dtype}.index.plain.none.up-one.contig.s0")
    u = FORMATS[p.dtype].unit_roundoff
    got = autograd_through_maximum(p, 2 * u)
    assert share(p, "dC/dz", got, "decisive") <= 1
    z = np.asarray(p.logits).astype(np.float64)
    rows, smallest = np.arange(64), z.argmin(1)
    moved = got.astype(np.float64)
    moved[rows, smallest] += 2 * u
    assert share(p, "dC/dz", moved, "decisive") > 1
    assert share(p, "dC/dz", moved, "stable") <= 1


def test_exponents_may_be_taken_from_the_label() -> None:
    """log sum exp(z - z_y), whose exponents are stored: its gradient needs the promise of a margin."""
    ml = problem("gaussian.64x31.bf16.index.plain.none.up-one.contig.s0")
    z = np.asarray(ml.logits).astype(F)

    def kept(x: Array) -> Array:
        return np.asarray(x, F).astype(ml.dtype).astype(F)

    t = kept(z - z[np.arange(64), ml.target][:, None])
    e = kept(np.exp(t))
    a = kept(e / kept(e.sum(1, keepdims=True)))
    g = a - (np.arange(31) == ml.target[:, None])
    strict = replace(CATALOGUE["decisive"], margin=False)
    assert share(ml, "dC/dz", g, "decisive") <= 1
    assert share(ml, "dC/dz", g, strict) > share(ml, "dC/dz", g, "decisive")


PARTS = {
    "none-margins": (
        "deep.5x10.f64.index.dir.mean.up-neg.contig.s0",
        "gaussian.3x3.f16.index.dir.mean.up-neg.contig.s0",
    ),
    "none-label-apart": (
        "confident.5x10.f64.index.dir.mean.up-neg.contig.s0",
        "confident.5x10.f32.index.dir.mean.up-neg.contig.s0",
    ),
    "none-logsumexp-of-blocks": (
        "confident.5x10.f64.index.dir.mean.up-neg.contig.s0",
        "confident.5x10.f32.index.dir.mean.up-neg.contig.s0",
    ),
}
"""Losses made of z - z_y or of parts of a row, and cases whose second derivatives need the promise of a margin."""


@pytest.mark.parametrize(("form", "case"), [(form, case) for form, cases in PARTS.items() for case in cases])
def test_losses_of_parts_may_be_differentiated_twice(form: str, case: str) -> None:
    """logsumexp(z - z_y), log1p(exp(lse of the others - z_y)), lse of blocks' lse: terms of the size of v_y, and of the
    mean of v over a part of the row, cancel in an hvp; without its rank-one term it is wrong.
    """
    pytest.importorskip("torch")
    p = problem(case)
    (adapter,) = by_name("torch")[form].adapters()
    got = adapter.compute(p, ("jvp", "hvp"), device="cpu", variant="eager").values
    strict = replace(CATALOGUE["decisive"], margin=False)
    assert share(p, "hvp", got["hvp"], strict) > 1
    assert share(p, "jvp", got["jvp"], "decisive") <= 1
    assert share(p, "hvp", got["hvp"], "decisive") <= 1
    a = Exact(p).evaluate(["a"])["a"][0]
    rank_one_dropped = a * np.asarray(p.v).astype(np.float64) * float(p.upstream) / len(a)
    assert share(p, "hvp", rank_one_dropped, "decisive") > 1


LOG2E, LN2 = F(np.log2(np.e)), F(np.log(2))


def test_powers_of_two_are_covered_by_decisive() -> None:
    """exp2(z log2 e - m log2 e), as fused attention has it: the rounded products are an error of the shift, 2 u |m|."""
    p = problem("very-negative.64x31.f32.index.plain.none.up-one.contig.s0")
    z = np.asarray(p.logits)
    m = z.max(1, keepdims=True)
    for factor, right in ((LOG2E, True), (LOG2E * F(1 + 2.0**-10), False)):
        e = np.exp2(z * factor - m * factor)
        total = e.sum(1, keepdims=True)
        loss = m[:, 0] - at_labels(z, p) + np.log2(total[:, 0]) * LN2
        gradient = e / total - (np.arange(31) == p.target[:, None])
        assert share(p, "dC/dz", gradient, "fused") > 100
        found = share(p, "dC/dz", gradient, "decisive")
        assert 0.3 < found <= 1 if right else found > 1
        assert share(p, "loss", loss, "decisive") <= 1


def steps(p: Problem) -> tuple[Array, Array, Array]:
    """z - m, log a and y in float32."""
    z = np.asarray(p.logits).astype(F)
    t = z - z.max(1, keepdims=True)
    return t, t - np.log(np.exp(t).sum(1, keepdims=True)), np.arange(z.shape[1]) == p.target[:, None]


@pytest.mark.parametrize("dtype", NARROW)
def test_float32_inside_and_one_rounding_is_fused(dtype: str) -> None:
    """F.cross_entropy(z.float(), y), rounded at the end, uses all of its bound; a stored log a does not fit."""
    p = problem(f"confident.64x31.{dtype}.index.plain.none.up-one.contig.s0")
    _, log_a, y = steps(p)
    assert 0.9 < share(p, "dC/dz", np.exp(log_a) - y, "fused") <= 1
    assert share(p, "dC/dz", np.exp(log_a.astype(p.dtype).astype(F)) - y, "fused") > 1


@pytest.mark.parametrize("dtype", NARROW)
def test_log_softmax_then_gather_is_stash(dtype: str) -> None:
    """log a is stored, and its exponential is the gradient's softmax; exponents that are stored too do not fit."""
    p = problem(f"confident.64x31.{dtype}.index.plain.none.up-one.contig.s0")
    t, log_a, y = steps(p)
    kept = log_a.astype(p.dtype).astype(F)
    assert 0.6 < share(p, "dC/dz", np.exp(kept) - y, "stash") <= 1
    assert share(p, "loss", -at_labels(kept, p), "stash") <= 1
    stored = t.astype(p.dtype).astype(F)
    twice = (stored - np.log(np.exp(stored).sum(1, keepdims=True))).astype(p.dtype).astype(F)
    assert share(p, "dC/dz", np.exp(twice) - y, "stash") > 1
    assert share(p, "dC/dz", np.exp(twice) - y, "storage") <= 1


@pytest.mark.parametrize("dtype", NARROW)
def test_the_mean_subtracted_is_covered_by_stable_alone(dtype: str) -> None:
    """Automatic differentiation through z - z.mean() puts the row's rounded sum, over C, at every class."""
    p = problem(f"gaussian.64x31.{dtype}.index.plain.none.up-one.contig.s0")
    _, log_a, y = steps(p)
    g = (np.exp(log_a) - y).astype(p.dtype).astype(F)
    mean = (g.sum(1, keepdims=True).astype(p.dtype).astype(F) / 31).astype(p.dtype).astype(F)
    assert share(p, "dC/dz", g - mean, "decisive") > 1
    assert share(p, "dC/dz", g - mean, "stable") <= 1
