"""Sums of more than 4096 terms of every kind: right orders are within their bound, and what is left out is not.

Each is a running sum in float32 of terms that are rounded once: over rows (cost, weights, dC/db, dC/dw), over classes
(values of soft targets, their sum in the gradient, dC/da_prev, a gradient's row sum, jvp and hvp) and over both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from xentcheck.cases import Case
from xentcheck.cases.build import build
from xentcheck.reference.bounds import bound
from xentcheck.reference.bounds.arithmetic import Arithmetic
from xentcheck.reference.bounds.contracts import CATALOGUE, DEFAULT
from xentcheck.reference.bounds.sums.addends import (
    BLOCK,
    LEAST,
    LEVELS,
    SAFETY,
    Addends,
    drift_of_one,
    drift_of_sorted,
    drifts,
    least_allowed,
)
from xentcheck.reference.bounds.sums.scattered import growth_of, lowest_bit, never_rounds
from xentcheck.reference.formats import FORMATS, Array
from xentcheck.reference.numbers.backends import FLOAT64
from xentcheck.reference.numbers.fast import kernels
from xentcheck.reference.oracle import Exact
from xentcheck.reference.problem import Problem
from xentcheck.reference.targets import Targets

ROWS, CLASSES = 20011, 20011
"""More terms than may be added up in any order, whatever they are."""

Sum = Callable[[Array], Array]


def running(x: Array) -> Array:
    """One term after another along the last axis, in float32."""
    return np.cumsum(x.astype(np.float32), axis=-1, dtype=np.float32)[..., -1]


ORDERS: dict[str, Sum] = {
    "one after another": running,
    "backwards": lambda x: running(x[..., ::-1]),
    "ascending": lambda x: running(np.sort(x, axis=-1)),
    "descending": lambda x: running(np.sort(x, axis=-1)[..., ::-1]),
    "pairwise": lambda x: x.astype(np.float32).sum(-1, dtype=np.float32),
}


@cache
def problem(family: str, **changes: object) -> Problem:
    """A case's problem in float32."""
    return build(Case(**{"family": family, "shape": (3, CLASSES), "dtype": "float32", **changes}))  # type: ignore[arg-type]


@cache
def right(p_family: str, quantity: str, contract: str, **changes: object) -> tuple[Array, Array]:
    """The exact quantity of a case, and its bound."""
    p = problem(p_family, **changes)
    return Exact(p).evaluate([quantity])[quantity][0], bound(quantity, p, contract)


def parts(p: Problem) -> tuple[Array, Array, Array]:
    """log a, a, and the factors q of -log a, in float32."""
    z = np.asarray(p.logits, np.float64)
    shifted = z - z.max(1, keepdims=True)
    log_a = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    q = np.asarray(Targets.of(p).terms(FLOAT64))
    return log_a.astype(np.float32), np.exp(log_a).astype(np.float32), q.astype(np.float32)


def cost(p: Problem, total: Sum) -> Array:
    """(80) The weighted mean over rows."""
    log_a, _, q = parts(p)
    weights = np.ones(len(log_a)) if p.weight is None else np.asarray(p.weight)[p.target]
    return -total((q * log_a).sum(1)) / total(weights)


def at_once(p: Problem, total: Sum) -> Array:
    """(80) The mean of soft targets, over rows and classes at once."""
    log_a, _, q = parts(p)
    return -total((q * log_a).ravel()) / np.float32(len(q))


def loss(p: Problem, total: Sum) -> Array:
    """(80) sum of -q_i log a_i."""
    log_a, _, q = parts(p)
    return -total(q * log_a)


def separate(p: Problem, total: Sum) -> Array:
    """(80) Q lse - sum of q_i z_i, with Q added up."""
    log_a, _, q = parts(p)
    z = np.asarray(p.logits)
    lse = (z.astype(np.float64) - log_a)[:, 0].astype(np.float32)
    return total(q) * lse - total(q * z)


def gradient(p: Problem, total: Sum) -> Array:
    """a Q - q, with Q added up."""
    _, a, q = parts(p)
    return a * total(q)[:, None] - q


def through_the_maximum(p: Problem, total: Sum) -> Array:
    """(81) less the row's sum at the largest logit, where differentiation through z - z.max() puts it."""
    _, a, q = parts(p)
    g = a - q
    g[np.arange(len(g)), np.asarray(p.logits).argmax(1)] -= total(g)
    return g


def along(p: Problem, total: Sum) -> Array:
    """The derivative of the loss along v: Q (a.v) - q.v."""
    _, a, q = parts(p)
    v = np.asarray(p.v)
    return q.sum(1) * total(a * v) - total(q * v)


def layer_gradient(p: Problem) -> Array:
    """The exact dC/dz, rounded once."""
    return Exact(p).evaluate(["dC/dz"])["dC/dz"][0].astype(np.float32)


def biases(p: Problem, total: Sum) -> Array:
    """(81) summed over rows."""
    return total(layer_gradient(p).T)


def weights(p: Problem, total: Sum) -> Array:
    """(82) summed over rows."""
    return total((layer_gradient(p)[:, :, None] * np.asarray(p.a_prev)[:, None]).transpose(1, 2, 0))


def inputs(p: Problem, total: Sum) -> Array:
    """dC/dz w, summed over classes."""
    return total((layer_gradient(p)[:, :, None] * np.asarray(p.w)[None]).transpose(0, 2, 1))


TALL = {"shape": (ROWS, 3)}
NONE = {"reduction": "none"}
SOFT = {"target": "prob", **NONE}
KINDS: dict[str, tuple[str, Callable[[Problem, Sum], Array], dict[str, object]]] = {
    "mean": ("cost", cost, TALL),
    "weighted mean": ("cost", cost, {**TALL, "options": ("w",)}),
    "mean of soft targets": ("cost", at_once, {"target": "prob", "shape": (10, 5003)}),
    "smoothed": ("loss", loss, {"options": ("ls",), **NONE}),
    "probabilities": ("loss", loss, SOFT),
    "separate products": ("loss", separate, SOFT),
    "sum of targets": ("dC/dz", gradient, SOFT),
    "row sum": ("dC/dz", through_the_maximum, NONE),
    "direction": ("jvp", along, {"options": ("dir",), **NONE}),
    "biases": ("dC/db", biases, {**TALL, "inputs": 2}),
    "weights": ("dC/dw", weights, {**TALL, "inputs": 2}),
    "inputs": ("dC/da_prev", inputs, {"inputs": 2}),
}
FAMILIES = ("gaussian", "confident")
"""Of logits and of layers."""


def share(family: str, kind: str, got: Array, contract: str = DEFAULT) -> float:
    """The largest error as share of its bound."""
    quantity, _, changes = KINDS[kind]
    exact, limit = right(family, quantity, contract, **changes)
    return float(np.max(np.abs(got.astype(np.float64) - exact) / limit))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_order_is_within_the_default_bound(family: str, kind: str, order: str) -> None:
    """Sorted terms, too, of which those of one size meet one last place."""
    _, computed, changes = KINDS[kind]
    assert share(family, kind, computed(problem(family, **changes), ORDERS[order])) <= 1.0


@pytest.mark.parametrize("kind", ["mean", "biases", "weights"])
def test_rows_that_are_left_out_are_noticed(kind: str) -> None:
    """One in two hundred: any order of 20011 additions would allow one in nine hundred to be wrong in each term."""
    _, computed, changes = KINDS[kind]
    p = problem("gaussian", **changes)

    def short(x: Array) -> Array:
        return running(x[..., :-100]) if x.shape[-1] == ROWS and not np.all(x == 1) else running(x)

    assert share("gaussian", kind, computed(p, short)) > 2.0


@pytest.mark.parametrize("kind", ["mean", "smoothed"])
def test_a_thousandth_too_much_is_noticed(kind: str) -> None:
    """Any order of 20011 additions would allow 1.001 times the right value."""
    _, computed, changes = KINDS[kind]
    right_one = computed(problem("gaussian", **changes), ORDERS["pairwise"])
    assert share("gaussian", kind, right_one * np.float32(1.001)) > 2.0
    quantity = KINDS[kind][0]
    exact, limit = right("gaussian", quantity, "stable", **changes)
    assert np.all(np.abs(exact) * 1e-3 < limit)


def test_few_probabilities_are_added_up_within_few_roundings() -> None:
    """Terms of 0 are none, so that four of 20011 classes allow less than a thousandth of a loss or of a gradient."""
    sparse = {"target": "sparse", "reduction": "none"}
    p = problem("gaussian", **sparse)
    log_a, a, q = parts(p)
    for quantity, got in (("loss", -(q * log_a).sum(1)), ("dC/dz", a * q.sum(1, keepdims=True) - q)):
        exact, limit = right("gaussian", quantity, DEFAULT, **sparse)
        assert np.all(np.abs(got.astype(np.float64) - exact) <= limit)
        assert np.any(np.abs(exact) * 1e-3 > limit)


def test_terms_of_few_sizes_may_be_sorted() -> None:
    """Those of one size meet one last place: in descending order they err by more than their drift in any other."""
    changes = {"shape": (3, 128256), **SOFT}
    p = problem("few-active", **changes)
    exact, limit = right("few-active", "dC/dz", DEFAULT, **changes)
    assert np.all(np.abs(gradient(p, ORDERS["descending"]).astype(np.float64) - exact) <= limit)
    q = np.asarray(p.target, np.float64)
    total, fmt = q.sum(1), FORMATS["float32"]
    error = np.abs(ORDERS["descending"](q).astype(np.float64) - total) / (total * fmt.unit_roundoff)
    assert np.any(error > SAFETY * drifts(q, total, fmt).max(0))
    assert np.all(error <= SAFETY * drift_of_one(q, total, fmt).max(0))


SORTS = (
    "exponentials",
    "equal",
    "few-sizes",
    "both-signs",
    "grid",
    "every-third",
    "one-large",
    "but-each-16th",
)


def addends_of(kind: str, count: int) -> Array:
    """So many addends (1, count) of a kind, exact in float32."""
    rng = np.random.default_rng(1)
    z = rng.standard_normal(count)
    e, i = np.exp(z - z.max()), np.arange(count)
    place = np.ldexp(1.0, np.frexp(8 * 0.7 * count)[1] - 24)  # of a sum of equal addends and a seven times larger one
    quarter = (np.rint(0.7 / place) + 0.25) * place
    addends = {
        "exponentials": e,
        "equal": np.full_like(z, 0.1),
        "few-sizes": np.exp(z.round(1)),
        "both-signs": z,
        "grid": rng.integers(1, 7, len(z)) / 7.0,
        "every-third": np.where(i % 3, e / e.mean(), 0.7),
        "one-large": np.where(i == 77, 7.0 * quarter * count, quarter),
        "but-each-16th": np.where(i % 16, 1.013, e / e.mean()),
    }[kind]
    return addends.astype(np.float32).astype(np.float64)[None]


def error_of_sorted(addends: Array) -> float:
    """The largest error of a running sum of sorted addends, as they are and times sqrt 2, in u of a sum of size 1."""
    ascending, total = np.sort(addends[0]), np.abs(addends).sum()
    size = np.ldexp(1.0, np.frexp(total)[1] - 1)
    orders = ((scale, scale * order) for scale in (1.0, 2.0**0.5) for order in (ascending, ascending[::-1]))
    rounded = ((scale, terms.astype(np.float32).astype(np.float64)) for scale, terms in orders)
    return max(off(terms) * np.abs(terms).sum() / (scale * size) for scale, terms in rounded)


@pytest.mark.parametrize("kind", SORTS)
def test_what_sorted_addends_leave_over_is_the_error_of_their_running_sum(kind: str) -> None:
    """Off by at most `BLOCK` rounding errors where the sum grows beyond a power of two, so by twice as many in all."""
    addends, fmt = addends_of(kind, 50021), FORMATS["float32"]
    found = Addends.of(addends, np.abs(addends).sum(1), fmt)
    rows = found.parts.reshape(1, -1).copy()
    assert abs(drift_of_sorted(rows, fmt, kernels(rows))[0] - error_of_sorted(addends)) <= 2 * BLOCK


@pytest.mark.parametrize("count", [4999, 8192, 32000, 300007])
@pytest.mark.parametrize("kind", SORTS)
def test_a_sample_sees_which_addends_may_drift_when_they_are_sorted(kind: str, count: int) -> None:
    """Those that drift by more than a sum may err by anyway are all looked at; scattered ones are not."""
    addends, fmt = addends_of(kind, count), FORMATS["float32"]
    found = Addends.of(addends, np.abs(addends).sum(1), fmt)
    error, looked = error_of_sorted(addends), found.sorted_drift(fmt, np.count_nonzero(addends, axis=1))[0]
    exact = abs(looked - error) <= 2 * BLOCK + count * 2.0**-10
    assert exact or (looked == 0.0 and error <= least_allowed(np.count_nonzero(addends) - 1.0) * found.size[0])
    if kind == "exponentials":
        assert looked == 0.0


def test_what_few_addends_among_zeros_may_err_by_is_counted_from_them() -> None:
    """2^14 equal ones among 2^20: more than their sum may show, and less than half of what as many as all may."""
    fmt, few, count = FORMATS["float32"], 2**14, 2**20
    place = np.ldexp(1.0, np.frexp(0.7 * few)[1] - 24)
    addends = np.where(np.arange(count) % (count // few) == 5, (np.rint(0.7 / place) + 0.25) * place, 0.0)[None]
    found = Addends.of(addends, np.abs(addends).sum(1), fmt)
    error = error_of_sorted(addends)
    assert least_allowed(few - 1.0) * found.size[0] < error < least_allowed(count - 1.0) * found.size[0] / 2.0
    assert abs(found.sorted_drift(fmt, np.array([few]))[0] - error) <= 2 * BLOCK + count * 2.0**-10


def test_zeros_leave_nothing_over_and_hide_nothing() -> None:
    """The drift of equal addends is the same among as many zeros; what is left over at random counts addends only."""
    fmt = FORMATS["float32"]
    e = np.full((1, 8192), 0.3)
    among = np.stack([e[0], np.zeros(8192)], axis=-1).reshape(1, -1)
    total = e.sum(1)
    assert np.array_equal(drifts(among, total, fmt), drifts(e, total, fmt))
    assert drifts(e, total, fmt).max() > LEAST


def test_rows_whose_sum_is_0_or_infinite_drift_by_nothing_and_by_anything() -> None:
    """Alone, and beside a row of equal addends."""
    e = np.repeat([[0.0], [np.inf], [0.3]], 8192, axis=1)
    found = drift_of_one(e, e.sum(1), FORMATS["float32"]).max(0)
    assert (found[0], found[1]) == (0.0, np.inf)
    assert found[2] > LEAST
    assert not drift_of_one(e[:1], e[:1].sum(1), FORMATS["float32"]).any()
    assert np.isinf(drift_of_one(e[1:2], e[1:2].sum(1), FORMATS["float32"])).all()


def test_sums_that_never_round_are_told_from_those_that_may() -> None:
    """Multiples of an eighth below 2^21 are exact in float32, up to the limit and not beyond."""
    fmt = FORMATS["float32"]
    eighths = np.full((1, 2**16), 31.875)
    assert lowest_bit(eighths) == -3
    assert never_rounds(eighths, fmt)
    limit = 2.0**21 - eighths.sum()
    assert never_rounds(np.append(eighths, limit - 0.125)[None], fmt)
    assert not never_rounds(np.append(eighths, limit)[None], fmt)
    assert not never_rounds(eighths / 7.0, fmt)


def test_in_float64_any_order_is_allowed() -> None:
    """There 20011 additions hide nothing, so that nobody looks at the addends."""
    p = build(Case(family="gaussian", shape=(3, CLASSES), dtype="float64", reduction="none"))
    free = replace(CATALOGUE["fused"], running_sums=0)
    assert np.array_equal(bound("a", p, "fused"), bound("a", p, free))
    single = problem("gaussian", **NONE)
    assert not np.array_equal(bound("a", single, "fused"), bound("a", single, free))


def off(addends: Array) -> float:
    """Error of a running sum in float32, in u of the sum of |addend|; the addends are exact in float32."""
    exact = addends.sum(dtype=np.longdouble)
    return float(abs(running(addends) - exact) / (np.abs(addends).sum() * FORMATS["float32"].unit_roundoff))


def allowed(addends: Array, error: float) -> float:
    """What `growth_of` allows a running sum in float32, in u."""
    arithmetic = Arithmetic.of(CATALOGUE[DEFAULT], "float32")
    return float(growth_of(arithmetic, addends[None], "wide", error)[0] / FORMATS["float32"].unit_roundoff)


def test_addends_that_are_known_to_an_error_leave_that_over_too() -> None:
    """Exact terms leave over as much to both sides; computed ones, off by up to 2^-8, all leave over 0.45 of it."""
    exact = np.random.default_rng(0).uniform(0.5, 1.5, 2**17)
    computed = (np.rint(exact * 2.0**8) + 0.45).astype(np.float32).astype(np.float64) * 2.0**-8
    error = np.abs(computed - exact).sum() / exact.sum()
    assert allowed(exact, 2.0**-24) < off(computed) <= allowed(exact, error) < len(exact)


def test_addends_of_either_sign_may_all_meet_a_low_place() -> None:
    """Terms that cancel keep a running sum at 2^13, an eighth and less of what it would be without signs: each leaves
    over 0.45 of the last place there, and at higher places as much to the other side.
    """
    place = 2.0**-10
    up, down = (2.0**10 - 1.0 + 0.45) * place, -(2.0**10 - 0.45) * place
    addends = np.append(12000.0, np.tile([up, down], 2**16)).astype(np.float32).astype(np.float64)
    height = drift_of_one(addends[None], np.abs(addends).sum(keepdims=True), FORMATS["float32"], LEVELS).max()
    assert SAFETY * height < off(addends) <= allowed(addends, 2.0**-24)
