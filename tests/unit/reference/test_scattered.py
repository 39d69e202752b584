"""Sums of many exponentials: what their addends leave over decides how far they drift, and how far they may err."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from xentcheck.adapters.jax.adapter import JaxAdapter
from xentcheck.adapters.numpy.adapter import NumpyAdapter
from xentcheck.adapters.torch.adapter import TorchAdapter
from xentcheck.cases import Case
from xentcheck.cases.build import build
from xentcheck.reference.bounds import bound
from xentcheck.reference.bounds.contracts import CATALOGUE, DEFAULT, Contract
from xentcheck.reference.bounds.sums.addends import LEAST, LEVELS, drifts
from xentcheck.reference.bounds.sums.scattered import scattered_height
from xentcheck.reference.formats import FORMATS, Array
from xentcheck.reference.oracle import Exact
from xentcheck.reference.problem import Problem
from xentcheck.running.subjects import Subject, contracts_of

SIZE = 128256
"""Classes of a large vocabulary."""

U = FORMATS["float32"].unit_roundoff

FUSED = CATALOGUE["fused"].with_accuracy(4.0, 4.0)


@cache
def problem(family: str, classes: int = SIZE) -> Problem:
    """Three rows of a family in float32, or rows that a running sum rounds to one side."""
    if family in MADE:
        z = MADE[family](classes).astype(np.float32)
        return Problem(logits=z, target=np.zeros(len(z), int))
    return build(Case(family=family, shape=(3, classes), dtype="float32"))


MADE: dict[str, Callable[[int], Array]] = {
    "equal": lambda n: np.where(np.arange(n) == 0, 0.0, -np.array([[0.673], [1.31], [4.163]])),
    "equal, largest last": lambda n: np.where(np.arange(n) == n - 1, 0.0, -np.array([[0.673], [1.31], [4.163]])),
    "ascending": lambda n: np.arange(n)[None] * 2.0**-12,
    "one far ahead": lambda n: np.where(np.arange(n) == 0, 0.0, -16.65 - np.arange(n) % 7 / 24.0)[None],
    "descending": lambda n: -np.arange(n)[None] * 2.0**-12,
}


@cache
def exact(family: str, classes: int = SIZE) -> Array:
    """The exact softmax."""
    return Exact(problem(family, classes)).evaluate(["a"])["a"][0]


@cache
def limit(family: str, contract: Contract, classes: int = SIZE) -> Array:
    """The bound of the softmax."""
    return bound("a", problem(family, classes), contract)


def exponentials(p: Problem) -> Array:
    """exp(z - m), correctly rounded."""
    z = np.asarray(p.logits, np.float64)
    return np.exp(z - z.max(1, keepdims=True)).astype(np.float32)


def in_lanes(lanes: int) -> Callable[[Array], Array]:
    """A sum in so many running sums and a tree of them."""

    def total(e: Array) -> Array:
        padded = np.pad(e, ((0, 0), (0, -e.shape[1] % lanes)))
        sums = padded.reshape(len(e), -1, lanes).cumsum(1, dtype=e.dtype)[:, -1]
        while sums.shape[1] > 1:
            half = sums.shape[1] // 2
            sums = sums[:, :half] + sums[:, half:]
        return sums

    return total


def share(family: str, contract: Contract, total: Callable[[Array], Array], classes: int = SIZE) -> float:
    """The largest error of e/S as share of its bound, with S from a sum of one's own."""
    e = exponentials(problem(family, classes))
    a = (e / total(e)).astype(np.float64)
    b = limit(family, contract, classes)
    error = np.abs(a - exact(family, classes))
    return float(np.max(error[b > 0] / b[b > 0]))


WRONG: dict[str, Callable[[Array], Array]] = {
    "stored in bfloat16": lambda e: e.sum(1, keepdims=True).astype("bfloat16").astype(np.float32),
    "without the last 64 classes": lambda e: e[:, :-64].sum(1, keepdims=True),
}

RIGHT: dict[str, Callable[[Array], Array]] = {
    "one after another": in_lanes(1),
    "backwards": lambda e: in_lanes(1)(e[:, ::-1]),
    "in 8 lanes": in_lanes(8),
    "pairwise": lambda e: e.sum(1, keepdims=True),
}


@pytest.mark.parametrize("fault", WRONG)
def test_a_coarse_or_short_sum_is_rejected_at_128256_classes(fault: str) -> None:
    """By whoever declares nothing too: a sum of exponentials in bfloat16, and 64 classes left out of it."""
    for contract in (CATALOGUE[DEFAULT], FUSED):
        assert share("gaussian", contract, WRONG[fault]) > 2.0


@pytest.mark.parametrize("order", RIGHT)
@pytest.mark.parametrize("family", ["gaussian", "ties", "confident", "masked", *MADE])
def test_sums_in_every_order_are_within_the_default_bound(family: str, order: str) -> None:
    """Adding one after another, forwards or backwards, in lanes or in pairs is right, whatever the addends are."""
    assert share(family, CATALOGUE[DEFAULT], RIGHT[order]) <= 1.0


@pytest.mark.parametrize("classes", [4096, 32003, SIZE])
@pytest.mark.parametrize("family", ["ties", "confident", *MADE])
def test_four_running_sums_are_within_what_they_promise(family: str, classes: int) -> None:
    """On addends that one running sum rounds to one side, too."""
    assert share(family, replace(FUSED, running_sums=4), in_lanes(4), classes) <= 1.0


def test_the_right_sums_come_close_to_the_bound() -> None:
    """One running sum loses much of what its bound allows: the factor of safety of 3 is not far too large."""
    found = [share(family, FUSED, in_lanes(1)) for family in ("one far ahead", "masked", "equal")]
    assert 0.5 < max(found) <= 1.0


@pytest.mark.parametrize("sums", [16, 64])
def test_one_running_sum_exceeds_what_more_of_them_promise(sums: int) -> None:
    """Equal addends tell one running sum from 16 of them."""
    contract = replace(FUSED, running_sums=sums)
    assert share("equal", contract, in_lanes(1)) > 1.0
    assert share("equal", contract, in_lanes(sums)) <= 1.0


@pytest.mark.parametrize("adapter", [TorchAdapter, JaxAdapter, NumpyAdapter])
def test_the_bound_of_built_in_softmaxes_is_some_1100_roundings(adapter: type[Any]) -> None:
    """At 128256 ordinary logits in float32, where any order would have 128255."""
    subject = Subject(adapter(), adapter.variants[0], "cpu", "")
    contract = contracts_of(subject, "float32")[0]["a"]
    a = exact("gaussian")
    assert np.median(limit("gaussian", contract) / (a * U)) <= 1100.0
    assert np.median(limit("gaussian", replace(contract, running_sums=0)) / (a * U)) > 128000.0


def test_up_to_4096_classes_any_order_is_allowed() -> None:
    """What the addends leave over counts from there on only."""
    for classes, same in ((4096, True), (4097, False)):
        p = problem("gaussian", classes)
        free = bound("a", p, replace(FUSED, running_sums=0))
        assert np.array_equal(bound("a", p, FUSED), free) == same
    assert not drifts(np.ones((2, 4096)), np.array([4096.0, 4096.0]), FORMATS["float32"]).any()


def test_a_row_has_its_own_bound_whatever_the_next_row_is() -> None:
    """4000 active classes may be added in any order, also beside a row of 8192."""
    z = np.random.default_rng(0).normal(size=(2, 8192)).astype(np.float32)
    z[1, 4000:] = -np.inf
    both, alone = (Problem(logits=x, target=np.zeros(len(x), int)) for x in (z, z[1:]))
    assert np.array_equal(bound("a", both, FUSED)[1], bound("a", alone, FUSED)[0])


@pytest.mark.parametrize("order", RIGHT)
def test_exponentials_behind_a_layer_are_within_the_bound_in_every_order(order: str) -> None:
    """Logits that a layer computes are known to a few roundings, which leave over little more; 64 classes that are left
    out exceed what they allow.
    """
    p = build(Case(family="confident", shape=(5, 20011), inputs=4, dtype="float32"))
    z = np.asarray(p.a_prev, np.float64) @ np.asarray(p.w, np.float64).T + np.asarray(p.b, np.float64)
    e = np.exp(z - z.max(1, keepdims=True)).astype(np.float32)
    exact, limit = Exact(p).evaluate(["dC/db"])["dC/db"][0], bound("dC/db", p, DEFAULT)
    found = []
    for total in (RIGHT[order](e), WRONG["without the last 64 classes"](e)):
        g = e / total
        g[np.arange(5), p.target] -= 1
        found.append(float(np.max(np.abs((g / 5).sum(0) - exact) / limit)))
    assert found[0] <= 1.0 < found[1]


def test_the_left_over_of_equal_addends_is_all_of_the_rounding() -> None:
    """A third of a last place each: by hand, for addends far below their sum.

    256 + 1/3 is rounded to a multiple of 2^-30 last places; 512 such thirds, then 16 sums of them, are added exactly.
    """
    fmt = FORMATS["float64"]
    total = 2.0**20
    place = total * 2.0 * fmt.unit_roundoff
    e = np.full((1, 8192), (256 + 1 / 3) * place)
    found = drifts(e, np.array([total]), fmt)[0, 0]
    noise = 0.2304 * np.sqrt(16 * 8192)
    allowed = 8192 * 2.0**-31 + 2.0**-40  # the square root and its product
    assert abs(found - (8192 / 3 - noise) * 2.0) <= 2.0 * allowed


def test_heights_are_monotonous() -> None:
    """More running sums, or less drift, never allow more; never less than 1024 additions, never more than there are."""
    drift = np.linspace(0, 4000, LEVELS)[:, None] * np.ones((LEVELS, 2))
    n = np.array([[4095.0], [128255.0]])
    found = [scattered_height(n, sums, drift) for sums in (1, 2, 4, 16, 256)]
    assert all(np.all(more <= less) for less, more in pairwise(found))
    assert np.all(found[0] <= n)
    assert np.all(found[-1] >= LEAST)
