"""The contract `accurate`: some 60 ULPs at any margin, earned by the complement form, by no other."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from xentcheck.adapters.numpy.adapter import NumpyAdapter
from xentcheck.reference.bounds import bound
from xentcheck.reference.bounds.contracts import CATALOGUE
from xentcheck.reference.formats import FORMATS, Array
from xentcheck.reference.oracle import Exact
from xentcheck.reference.problem import Problem
from xentcheck.running.subjects import Subject, contracts_of

ACCURATE = CATALOGUE["accurate"].with_accuracy(1.0, 1.0)

MARGINS = (1.0, 10.0, 17.0, 40.0, 70.0)


@cache
def ahead(margin: float) -> Problem:
    """200 rows of 10 classes in float32 whose label leads by a margin."""
    rng = np.random.default_rng(int(margin))
    z = rng.standard_normal((200, 10))
    y = rng.integers(10, size=200)
    z[np.arange(200), y] = -9.0
    z[np.arange(200), y] = z.max(1) + margin
    return Problem(logits=z.astype(np.float32), target=y, reduction="none", upstream=np.ones(200, np.float32))


def at_label(p: Problem, x: Array) -> Array:
    """The column of each row's label."""
    return np.asarray(x[np.arange(len(p.target)), p.target])


@cache
def exact(margin: float) -> tuple[Array, Array]:
    """The losses, and their gradient at the label."""
    p = ahead(margin)
    found = Exact(p).evaluate(["loss", "dC/dz"])
    return found["loss"][0], at_label(p, found["dC/dz"][0])


def computed(p: Problem, *, by_log1p: bool = True, others: bool = True, scale: float = 1.0) -> tuple[Array, Array]:
    """Losses and gradients at the label in float32, from exponentials times `scale`, which right ones are not."""
    z = np.asarray(p.logits)
    rows = np.arange(len(z))
    t = z - z.max(1, keepdims=True)
    e = (np.exp(t.astype(np.float64)) * np.where(t < 0, scale, 1.0)).astype(np.float32)
    total = e.sum(1)
    first = z.argmax(1)
    rest = e.copy()
    rest[rows, first] = 0
    log_total = np.log1p(rest.sum(1)) if by_log1p else np.log(total)
    a = e / total[:, None]
    alone = a[rows, p.target]
    a[rows, p.target] = 0
    return log_total - t[rows, p.target], -(np.where(alone > 0.5, a.sum(1), 1 - alone) if others else 1 - alone)


def shares(margin: float, found: tuple[Array, Array]) -> tuple[float, float]:
    """The largest errors of losses and gradients at the label, as shares of their bounds."""
    p = ahead(margin)
    limits = bound("loss", p, ACCURATE), at_label(p, bound("dC/dz", p, ACCURATE))
    loss, gradient = (
        float(np.max(np.abs(x - right) / limit)) for x, right, limit in zip(found, exact(margin), limits, strict=True)
    )
    return loss, gradient


@pytest.mark.parametrize("margin", MARGINS)
def test_the_bound_is_some_60_ulps_at_any_margin(margin: float) -> None:
    """Of the loss and of its gradient at the label, 100 from 40 on: exp itself loses them, as z - m is rounded.

    `fused` allows all of the value from a margin of 20 on.
    """
    p = ahead(margin)
    ulp = FORMATS["float32"].ulp
    for quantity, right in zip(("loss", "dC/dz"), exact(margin), strict=True):
        accurate, fused = (bound(quantity, p, c) for c in (ACCURATE, CATALOGUE["fused"]))
        if quantity == "dC/dz":
            accurate, fused = at_label(p, accurate), at_label(p, fused)
        assert np.max(accurate / ulp(right)) <= (60.0 if margin <= 40 else 100.0)
        if margin > 20:
            assert np.all(fused >= 0.9 * np.abs(right))


@pytest.mark.parametrize("margin", MARGINS)
def test_the_complement_form_is_within_it(margin: float) -> None:
    """log1p of the sum of the others, and the sum of the other activations."""
    assert max(shares(margin, computed(ahead(margin)))) <= 1.0


def test_the_complement_form_uses_much_of_it() -> None:
    """Deep rows round z - m, which is most of the bound there."""
    assert max(max(shares(m, computed(ahead(m)))) for m in MARGINS) > 0.3


@pytest.mark.parametrize("margin", MARGINS[2:])
def test_other_forms_exceed_it(margin: float) -> None:
    """The logarithm of the whole sum loses the loss, and a_y - 1 the gradient."""
    loss, gradient = shares(margin, computed(ahead(margin), by_log1p=False, others=False))
    assert min(loss, gradient) > 1000.0


@pytest.mark.parametrize("margin", MARGINS)
def test_exponentials_a_little_off_exceed_it(margin: float) -> None:
    """By 1.5 times the bound of what they make."""
    p = ahead(margin)
    off = 1.5 * float(np.median(bound("loss", p, ACCURATE) / np.abs(exact(margin)[0]))) + 2.0**-23
    loss, _ = shares(margin, computed(p, scale=1 + 2 * off))
    assert loss > 1.0


def test_the_reference_declares_it_in_every_dtype() -> None:
    """And is judged by it in the matrix; its exponentials are NumPy's."""
    for dtype in FORMATS:
        if dtype in NumpyAdapter.capabilities.dtypes:
            found = contracts_of(Subject(NumpyAdapter(), "eager", "cpu", ""), dtype)[0]
            assert {c.name for c in found.values()} == {"accurate"}


def test_it_is_more_than_fused_promises_where_the_label_leads() -> None:
    """A smaller bound of the loss everywhere, and of every element of the gradient but near a_y = 1/2."""
    fused = replace(CATALOGUE["fused"], exp_ulps=1.0, log_ulps=1.0)
    for margin in MARGINS[1:]:
        p = ahead(margin)
        for quantity in ("loss", "dC/dz"):
            assert np.all(bound(quantity, p, ACCURATE) <= bound(quantity, p, fused) * (1 + 1e-12))
