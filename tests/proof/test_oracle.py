"""The oracle certified by ball arithmetic (`balls`), whose formulas share nothing with it; and its public functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from balls import shares

from xentcheck import reference as ref
from xentcheck.cases.build import build
from xentcheck.cases.case import Case
from xentcheck.cases.families import FAMILIES
from xentcheck.cases.fields import SOFT
from xentcheck.cases.layer_families import LAYER_FAMILIES
from xentcheck.cases.profiles.arrays.varied import varied_cases
from xentcheck.cases.profiles.named import cases as cases_of
from xentcheck.cases.profiles.sets import OPTION_SETS
from xentcheck.cases.randomness import Stream
from xentcheck.errors import DtypeError, ProblemError, ShapeError, TargetError
from xentcheck.judging.conventions import convention_of
from xentcheck.reference.numbers.backends import Double
from xentcheck.reference.numbers.double_double import DoubleDouble
from xentcheck.reference.oracle import Exact
from xentcheck.reference.oracle.block import BLOCK
from xentcheck.reference.problem import Problem
from xentcheck.vocabulary import DIRECTIONAL, DTYPES, REDUCTIONS

VARIED = varied_cases(0)
PIXELS = [c for c in VARIED if len(c.shape) != 2 and c.upstream != "nil"]  # what is exactly 0 has no relative error
RANKS = [
    c for c in cases_of("quick") if not c.inputs and len(c.shape) != 2 and 0 not in c.shape and c.layout == ("contig",)
]
RANKS = [c for c in RANKS if c not in set(VARIED)] + PIXELS[::11]
WIDTHS = [(5, 1), (4, 2), (5, 3), (2, 1000)]


SPREAD = pytest.mark.parametrize("all_of_them", [False, pytest.param(True, marks=pytest.mark.nightly)], ids=["", "all"])
"""Whether a narrower dtype has all option sets with all reductions, or a third of them."""


def options_and_reductions(dtype: str, all_of_them: bool) -> Iterator[dict[str, Any]]:
    """Every option set with every reduction, in float64; a third of them in each narrower dtype, together all."""
    for i, (target, options) in enumerate(OPTION_SETS):
        for j, reduction in enumerate(REDUCTIONS):
            if not all_of_them and dtype != "float64" and (i + j + DTYPES.index(dtype)) % 3:
                continue
            upstream = "rand" if reduction == "none" else "neg"
            yield {"dtype": dtype, "target": target, "options": options, "reduction": reduction, "upstream": upstream}


def certify(p: Problem, every: int = 1) -> None:
    """All quantities of a problem that mean the same to everybody are as exact as the oracle promises."""
    conventions = {q: convention_of(p, q) for q in p.quantities if q not in DIRECTIONAL}
    asked = [q for q, c in conventions.items() if c is None or c.id == "zero-times-inf"]
    found = shares(p, Exact(p).evaluate(asked), every)
    assert found.keys() == set(asked)
    assert {q: share for q, share in found.items() if not share <= 1.0} == {}


@SPREAD
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("family", FAMILIES)
def test_logits_of_every_family_are_certified(family: str, dtype: str, all_of_them: bool) -> None:
    """Every family with every option set and reduction is within the promised error, wide and narrow."""
    for common in options_and_reductions(dtype, all_of_them):
        certify(build(Case(family=family, shape=(4, 7), **common)))


@SPREAD
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("hidden", [0, 3], ids=["layer", "network"])
@pytest.mark.parametrize("family", LAYER_FAMILIES)
def test_layers_of_every_family_are_certified(family: str, hidden: int, dtype: str, all_of_them: bool) -> None:
    """The gradients behind a last layer, and behind a sigmoid layer before it, are within the promised error."""
    for common in options_and_reductions(dtype, all_of_them):
        certify(build(Case(family=family, shape=(4, 7), inputs=5, hidden=hidden, **common)))


@pytest.mark.parametrize("case", RANKS, ids=str)
def test_ranks_are_certified(case: Case) -> None:
    """Unbatched logits and logits with further axes are within the promised error, element by element."""
    certify(build(case))


@SPREAD
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", WIDTHS, ids=lambda s: f"C{s[1]}")
def test_widths_are_certified(shape: tuple[int, int], dtype: str, all_of_them: bool) -> None:
    """One class, two classes and a thousand are within the promised error."""
    for family in ("gaussian", "confident", "deep"):
        for common in options_and_reductions(dtype, all_of_them):
            if common["reduction"] == "mean":
                certify(build(Case(family=family, shape=shape, **common)), every=7 if shape[1] > 99 else 1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("family", ["gaussian", "few-active"])
def test_a_large_vocabulary_is_certified(family: str, dtype: str) -> None:
    """Each 997th class of a row of 128256, its loss and its cost are within the promised error."""
    certify(build(Case(family=family, shape=(1, 128256), dtype=dtype)), every=997)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("options", [("wn",), ("wz", "ls"), ("ign1",), ("wn", "ls", "ign1")], ids="+".join)
def test_further_options_are_certified(options: tuple[str, ...], dtype: str) -> None:
    """Weights of both signs and of 0, and a sentinel that is a class, are within the promised error."""
    for reduction, upstream in (("mean", "neg"), ("sum", "neg"), ("none", "rand")):
        for family in ("gaussian", "confident", "deep"):
            common = {"options": options, "reduction": reduction, "upstream": upstream, "dtype": dtype}
            certify(build(Case(family=family, shape=(7, 10), **common)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("target", SOFT)
def test_smoothed_rows_are_certified(target: str, dtype: str) -> None:
    """Label smoothing of probabilities, and of rows with entries below 0 and above 1, at logits and behind a layer."""
    for options in ((), ("ls",), ("w", "lsh"), ("wn", "ls")):
        for reduction, upstream in (("mean", "neg"), ("none", "rand")):
            for family, inputs in (("gaussian", 0), ("deep", 0), ("dyadic", 5)):
                common = {"options": options, "reduction": reduction, "upstream": upstream, "dtype": dtype}
                certify(build(Case(family=family, shape=(4, 7), inputs=inputs, target=target, **common)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("margin", [15.0, 36.8, 90.0, 340.0, 680.0, 745.0, 20000.0])
def test_margins_up_to_underflow_are_certified(margin: float, dtype: str) -> None:
    """With a label far ahead, a_y - 1 and the loss keep their relative accuracy down to the last subnormal number."""
    for c, at in ((2, 1), (3, 0), (1000, 999)):
        z = np.zeros((1, c), dtype)
        z[0, at] = margin
        certify(Problem(logits=z, target=np.array([at])), every=37 if c > 3 else 1)
        certify(Problem(logits=z, target=np.array([(at + 1) % c])), every=37 if c > 3 else 1)


@pytest.mark.parametrize("dtype", DTYPES)
def test_sums_near_overflow_are_certified(dtype: str) -> None:
    """A mean stays finite where the sum of its losses overflows, and a weighted loss beyond the range is infinite."""
    top = {"float64": float(np.finfo(np.float64).max), "float16": float(np.finfo(np.float16).max)}.get(dtype, 2.0**127)
    z = np.array([[0.0, -0.9 * top], [-0.9 * top, 0.0], [0.9 * top, 0.0], [0.45 * top, -0.45 * top]], dtype)
    y = np.array([1, 0, 1, 1])
    for reduction in ("mean", "sum"):
        certify(Problem(logits=z, target=y, reduction=reduction))
    weight = np.array([2.0, 1.0], dtype)
    certify(Problem(logits=z, target=y, weight=weight, reduction="none", upstream=np.ones(4, dtype)))
    assert np.isfinite(ref.oracle.cross_entropy(z, y)[0])


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("margin", [360.0, 680.0, 712.0, 742.0, 780.0])
def test_factors_do_not_multiply_the_error_of_subnormal_numbers(margin: float, reduction: str) -> None:
    """Weights and upstream gradients above 1 act before a probability or a loss is rounded to a subnormal number."""
    p = subnormal(margin, reduction)
    certify(p)
    certify(replace(p, target=np.eye(5)[p.target]))
    certify(replace(p, weight=np.array([0.0, 3.0, 0.0, 900.0, 1e6]), label_smoothing=0.25))


def subnormal(margin: float, reduction: str = "sum") -> Problem:
    """Labels far ahead and not, weights of a thousand and of both signs."""
    z = Stream("subnormal").uniform(0.0, 3.0, (6, 5))
    z[np.arange(6), [0, 1, 2, 3, 4, 0]] += margin
    upstream = np.array([3.0, -700.0, 1e5, 2.0**40, 0.7, 5.0]) if reduction == "none" else np.array(-300.0)
    weight = np.array([1000.0, -3.0, 7.5, 900.0, 1.25])
    return Problem(logits=z, target=np.arange(6) % 5, weight=weight, reduction=reduction, upstream=upstream)


def test_a_sum_of_subnormal_losses_is_rounded_once() -> None:
    """Forty equal losses of a subnormal number each, summed, err by one subnormal ULP in all."""
    z = np.tile([-739.9, 0.0, -744.4], (40, 1))
    certify(Problem(logits=z, target=np.ones(40, int), reduction="sum"))


@pytest.mark.parametrize("family", ["gaussian", "confident", "few-active"])
def test_the_largest_vocabulary_is_certified(family: str) -> None:
    """Each 1499th class of a row of 262144, its loss and its cost are within the promised error."""
    certify(build(Case(family=family, shape=(1, 262144), dtype="float64")), every=1499)


def test_the_low_part_of_the_shift_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Distances to the maximum in float64 fail the certification."""
    monkeypatch.setattr(Double, "difference", lambda self, a, b: DoubleDouble(a - b))
    p = Problem(logits=Stream("thirds").uniform(-3.0, 3.0, (3, 5)) / 3.0, target=np.arange(3))
    assert min(shares(p, Exact(p).evaluate(("a", "log_a", "dC/dz"))).values()) > 2.0**20


def test_a_float64_sum_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums over classes in float64 fail the certification."""
    monkeypatch.setattr(Double, "sum", lambda self, x, axis=-1: DoubleDouble(x.hi.sum(axis)))
    p = build(Case(family="gaussian", shape=(3, 50), dtype="float64"))
    assert min(shares(p, Exact(p).evaluate(("a", "log_a", "dC/dz"))).values()) > 2.0**20


def test_a_factor_on_a_rounded_subnormal_number_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the scaling into the normal range the certification fails."""
    monkeypatch.setattr(Double, "lifts", False)
    p = subnormal(742.0)
    assert shares(p, Exact(p).evaluate(["dC/dz"]))["dC/dz"] > 100.0


def naive(p: Problem) -> Mapping[str, tuple[Any, Any]]:
    """Textbook formulas in float64: log-sum-exp minus the label's logit, and a_y - 1."""
    z = np.asarray(p.logits, np.float64)
    e = np.exp(z)
    rows = np.arange(len(z))
    g = e / e.sum(1, keepdims=True)
    g[rows, p.target] -= 1.0
    loss = np.log(e.sum(1)) - z[rows, p.target]
    return {"cost": (loss.mean(), 0.0), "dC/dz": (g / len(z), np.zeros_like(g))}


NAIVE = [("float64", 2.0), ("float64", 20.0), ("float32", 20.0), ("float32", 30.0)]


@pytest.mark.parametrize(("dtype", "margin"), NAIVE)
def test_naive_formulas_fail_the_same_certification(dtype: str, margin: float) -> None:
    """log(sum(exp z)) - z_y and a_y - 1 in float64 are caught for both dtypes, so the certification can fail."""
    p = Problem(logits=np.array([[margin, 0.0, 0.25]], dtype), target=np.array([0]))
    assert min(shares(p, naive(p)).values()) > 1.0


@pytest.mark.parametrize("quantity", ["a", "log_a", "loss", "dC/dz"])
def test_one_ulp_in_one_element_fails_the_certification(quantity: str) -> None:
    """A single element that is off by one ULP is found, whatever the quantity."""
    p = build(Case(family="gaussian", shape=(3, 5), dtype="float64", reduction="none", upstream="rand"))
    hi, lo = Exact(p).evaluate([quantity])[quantity]
    assert shares(p, {quantity: (hi, lo)})[quantity] <= 1.0
    hi.flat[-1] = np.nextafter(hi.flat[-1], np.inf)
    assert shares(p, {quantity: (hi, lo)})[quantity] > 2.0**36


def test_results_do_not_depend_on_the_row_blocks() -> None:
    """Rows are evaluated a block at a time: any row alone has the bits that it has among many."""
    p = build(Case(family="gaussian", shape=(300, 1003), dtype="float64", reduction="none", upstream="rand"))
    assert p.logits is not None
    assert p.logits.size > 2 * BLOCK
    whole = Exact(p).evaluate(("a", "loss", "dC/dz"))
    for row in (0, 130, 131, 299):
        part = slice(row, row + 1)
        arrays = {"logits": p.logits[part], "target": p.target[part], "upstream": p.upstream[part]}
        alone = Problem(**{name: x.copy() for name, x in arrays.items()}, reduction="none")
        for q, pair in Exact(alone).evaluate(("a", "loss", "dC/dz")).items():
            assert all(np.array_equal(x, whole[q][i][part]) for i, x in enumerate(pair))


def test_a_gradient_is_that_of_the_cost_itself() -> None:
    """Unless another upstream gradient is given: a - y over two rows."""
    exact = ref.oracle.cross_entropy_grad([[0.0, 0.0], [0.0, 0.0]], [0, 1])
    assert exact[0].tolist() == [[-0.25, 0.25], [0.25, -0.25]]


def test_degenerate_means() -> None:
    """Nothing kept: value nan and gradient 0; weights that sum to 0: nan twice; an empty batch: mean nan, sum 0."""
    z = np.array([[1.0, 2.0], [3.0, 5.0]])
    ignored = np.array([-100, -100])
    assert np.isnan(ref.oracle.cross_entropy(z, ignored)[0])
    assert ref.oracle.cross_entropy_grad(z, ignored)[0].tolist() == [[0.0, 0.0], [0.0, 0.0]]
    opposite = np.array([1.0, -1.0])
    assert not np.isfinite(ref.oracle.cross_entropy(z, np.array([0, 1]), weight=opposite)[0])
    empty = np.zeros((0, 2))
    assert np.isnan(ref.oracle.cross_entropy(empty, np.zeros(0, int))[0])
    assert ref.oracle.cross_entropy(empty, np.zeros(0, int), reduction="sum")[0] == 0.0


@pytest.mark.parametrize("bad", [[np.inf, 0.0], [np.nan, 0.0], [-np.inf, -np.inf]], ids=["inf", "nan", "all-masked"])
def test_rows_without_a_finite_maximum_are_nan(bad: list[float]) -> None:
    """A row with +inf, nan or no class at all has no softmax; the other rows keep theirs."""
    z = np.array([bad, [0.0, 0.0]])
    for pair in (ref.oracle.softmax(z), ref.oracle.cross_entropy_grad(z, [0, 0], reduction="sum")):
        assert np.isnan(pair[0][0]).all()
        assert np.isfinite(pair[0][1]).all()


def test_a_factor_of_0_on_a_masked_class_contributes_0() -> None:
    """0 * inf is 0 for probabilities and for weights under smoothing; any other factor makes the loss infinite."""
    z = np.array([[0.0, -np.inf]])
    assert ref.oracle.cross_entropy(z, np.array([[1.0, 0.0]]))[0] == 0.0
    assert ref.oracle.cross_entropy(z, [0], weight=np.array([1.0, 0.0]), label_smoothing=0.5)[0] == 0.0
    assert ref.oracle.cross_entropy(z, [0], label_smoothing=0.5)[0] == np.inf
    assert ref.oracle.cross_entropy(z, [1])[0] == np.inf


SHAPES = {"C": ((3,), ()), "NC": ((2, 3), (2,)), "NCd": ((2, 3, 4), (2, 4)), "NCd1d2": ((2, 3, 4, 5), (2, 4, 5))}


@pytest.mark.parametrize("name", SHAPES)
def test_public_functions_keep_shapes(name: str) -> None:
    """Losses have the logits' shape without the class axis, gradients the logits' shape, for every rank."""
    shape, loss_shape = SHAPES[name]
    z = np.zeros(shape)
    y = np.zeros(loss_shape, int)
    for part in (0, 1):
        assert ref.oracle.cross_entropy(z, y)[part].shape == ()
        assert ref.oracle.cross_entropy(z, y, reduction="none")[part].shape == loss_shape
        assert ref.oracle.cross_entropy_grad(z, y)[part].shape == shape
        assert ref.oracle.cross_entropy_grad(z, np.full(shape, 0.25), reduction="none")[part].shape == shape
        assert ref.oracle.softmax(np.zeros((2, 3)))[part].shape == (2, 3)
        assert ref.oracle.log_softmax(np.zeros((2, 3)))[part].shape == (2, 3)


def test_upstream_gradients_multiply_the_gradient() -> None:
    """An upstream of the output's shape acts row by row, a scalar on all."""
    z, y = np.array([[0.0, 0.0], [0.0, 0.0]]), np.array([1, 0])
    each, _ = ref.oracle.cross_entropy_grad(z, y, reduction="none", upstream=np.array([2.0, -4.0]))
    assert each.tolist() == [[1.0, -1.0], [2.0, -2.0]]
    both, _ = ref.oracle.cross_entropy_grad(z, y, upstream=-2.0)
    assert both.tolist() == [[-0.5, 0.5], [0.5, -0.5]]


BAD: dict[str, tuple[type[Exception], dict[str, Any], str]] = {
    "label": (TargetError, {"target": [0, 3]}, r"^target\[1\] is 3; allowed: 0 to 1, or ignore_index -100$"),
    "target-shape": (ShapeError, {"target": [0]}, r"^target has shape \(1,\); allowed: \(2,\).*$"),
    "not finite": (
        TargetError,
        {"target": [[0.5, np.inf], [0.0, 1.0]]},
        r"^target\[0, 1\] is inf; allowed: finite numbers$",
    ),
    "integer-logits": (DtypeError, {"logits": [[1, 2], [3, 4]]}, r"^logits have dtype int64; allowed: float64.*$"),
    "weight-shape": (ShapeError, {"weight": np.ones(3)}, r"^weight has shape \(3,\); allowed: \(2,\).*$"),
    "reduction": (ProblemError, {"reduction": "max"}, r"^reduction is 'max'; allowed: mean, sum, none$"),
    "smoothing": (ProblemError, {"label_smoothing": 2.0}, r"^label_smoothing is 2.0; allowed: 0 to 1$"),
}


@pytest.mark.parametrize("name", BAD)
def test_public_functions_raise_typed_errors_of_one_line(name: str) -> None:
    """Bad input is refused by name, with what is allowed."""
    error, change, message = BAD[name]
    keywords = dict(change)
    logits, target = keywords.pop("logits", [[1.0, 2.0], [3.0, 4.0]]), keywords.pop("target", [0, 1])
    for function in (ref.oracle.cross_entropy, ref.oracle.cross_entropy_grad):
        with pytest.raises(error, match=message):
            function(logits, target, **keywords)
