"""The frameworks' loss: value, gradient and Hessian product by ball arithmetic, and each of PyTorch's conventions."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import exact
import numpy as np
import pytest
from balls import Balls, balls, enclose, factors, rows_of, shaped
from flint import ctx

from xentcheck import reference as ref
from xentcheck.errors import DtypeError, ProblemError, ShapeError, TargetError
from xentcheck.reference.bounds import bound
from xentcheck.reference.inputs import WIDE as DTYPES
from xentcheck.reference.loss import problem_of
from xentcheck.reference.numbers.backends import DOUBLE_DOUBLE
from xentcheck.reference.oracle import Exact
from xentcheck.reference.problem import Problem
from xentcheck.reference.rows import from_rows, to_rows
from xentcheck.reference.targets import Targets, exact_sum
from xentcheck.vocabulary import REDUCTIONS

SHAPES = {"C": (5,), "NC": (4, 5), "NCd": (2, 3, 2), "NCdd": (2, 3, 2, 4), "one-class": (3, 1)}
OPTIONS: dict[str, tuple[str, ...]] = {
    "plain": (),
    "weight": ("weight",),
    "signed-weight": ("signed",),
    "ignore": ("ignore",),
    "smoothing": ("smoothing",),
    "all": ("weight", "ignore", "smoothing"),
    "probabilities": ("probabilities",),
    "probabilities-weight": ("probabilities", "weight"),
    "probabilities-smoothing": ("probabilities", "smoothing"),
    "signed-targets": ("targets", "signed", "smoothing"),
}
SPREADS = {"gaussian": 2.0, "confident": 60.0}


@pytest.fixture(autouse=True)
def precision() -> Iterator[None]:
    """Ball arithmetic with enough bits for every input here."""
    with ctx.workprec(exact.PRECISION):
        yield


def arguments(
    shape: str, options: str, reduction: str, spread: str, dtype: str
) -> tuple[Any, Any, dict[str, Any], Any]:
    """Logits, target, keywords and an upstream gradient: negative, or signed and unequal for `none`."""
    draw, size = np.random.default_rng(11), SHAPES[shape]
    classes = size[0] if len(size) == 1 else size[1]
    examples = () if len(size) == 1 else (size[0], *size[2:])
    z = (SPREADS[spread] * draw.normal(size=size)).astype(dtype)
    target = np.asarray(draw.integers(0, classes, examples))
    chosen = OPTIONS[options]
    keywords: dict[str, Any] = {"reduction": reduction}
    if "probabilities" in chosen:
        target = draw.random(size).astype(dtype)
    if "targets" in chosen:
        target = draw.normal(size=size).astype(dtype)
    if "weight" in chosen or "signed" in chosen:
        weight = draw.random(classes) + 0.5
        keywords["weight"] = (weight * np.where(("signed" in chosen) & (np.arange(classes) == 1), -1, 1)).astype(dtype)
    if "ignore" in chosen and examples:
        target[0] = keywords["ignore_index"] = 77
    if "smoothing" in chosen:
        keywords["label_smoothing"] = 0.25
    return z, target, keywords, (draw.normal(size=examples) if reduction == "none" else np.array(-1.5)).astype(dtype)


def roundings(p: Problem) -> tuple[Any, Any]:
    """Roundings of what multiplies log a or a: (counts, condition of the denominator).

    The smoothing mass 4, weight and upstream 3, sums over C classes and N rows, the denominator N and a quotient; with
    signed weights the denominator's N are relative to sum |w| instead of |sum w|.
    """
    rows = int(np.prod(p.loss_shape))
    if p.reduction != "mean" or p.probabilities or p.weight is None:
        return p.classes + 2 * rows + 10, 1.0
    w = p.weight.astype(np.float64)[p.target[p.kept]]
    return p.classes + 2 * rows + 10, np.abs(w).sum() / abs(w.sum())


def bounds(p: Problem, right: dict[str, tuple[Balls, Balls]]) -> dict[str, Any]:
    """Counted bounds of loss (m,), cost and dC/dz (m, C), from the errors of log a, of a, and `roundings`.

    C products with weights or probabilities may be below the normal range, where their error is absolute.
    """
    assert p.logits is not None
    z = rows_of(p.logits).astype(np.float64)
    count, condition = roundings(p)
    log_error = exact.log_softmax_bound(z, p.dtype)
    size, share = exact.floats(factors(p)[1]), np.abs(exact.floats(factors(p)[2]))
    loss = (size * log_error).sum(1) + exact.gamma(count, p.dtype) * exact.floats(right["loss"][1]).reshape(-1)
    loss = loss + exact.tiny(p.dtype, p.classes)
    upstream = np.abs(p.upstream.astype(np.float64)).reshape(-1)
    cost = (loss * share / upstream).sum() + exact.gamma(condition * count, p.dtype) * exact.floats(right["cost"][1])
    n = exact.softmax_roundings(z)
    if not p.probabilities and not p.label_smoothing:
        n = n.max(1, keepdims=True, initial=0)
    scale = exact.floats(rows_of(right["dC/dz"][1]))
    tails = exact.tiny(p.dtype, 4 * p.classes) * (1 + (share * size.sum(1))[:, None])
    return {"loss": loss, "cost": cost, "dC/dz": exact.gamma(n + condition * count, p.dtype) * scale + tails}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_value_and_gradient(shape: str, options: str, spread: str, reduction: str, dtype: str) -> None:
    """Each option set, reduction, rank and dtype, against the naive formulas of ball arithmetic."""
    z, target, keywords, upstream = arguments(shape, options, reduction, spread, dtype)
    p = problem_of(z, target, upstream=upstream, **keywords)
    right = enclose(p, ("loss", "cost", "dC/dz") if reduction != "none" else ("loss", "dC/dz"))
    right.setdefault("cost", right["loss"])
    bound = bounds(p, right)
    got = ref.cross_entropy(z, target, **keywords)
    quantity = "loss" if reduction == "none" else "cost"
    assert got.dtype == dtype
    assert exact.worst(got, right[quantity][0], np.reshape(bound[quantity], got.shape)) <= 1
    gradient = ref.cross_entropy_grad(z, target, upstream=upstream, **keywords)
    assert gradient.dtype == dtype
    assert gradient.shape == z.shape
    assert exact.worst(rows_of(gradient), rows_of(right["dC/dz"][0]), bound["dC/dz"]) <= 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("options", [o for o in OPTIONS if o != "signed-weight"])
@pytest.mark.parametrize("shape", SHAPES)
def test_hessian_product(shape: str, options: str, spread: str, reduction: str, dtype: str) -> None:
    """(d2C/dz2) v is the first coefficient of the naive gradient at z + t v; all terms a (|v_j| + a.|v|) bound it."""
    z, target, keywords, upstream = arguments(shape, options, reduction, spread, dtype)
    v = np.random.default_rng(12).normal(size=z.shape).astype(dtype)
    p = problem_of(z, target, upstream=upstream, **keywords)
    q, size, factor = factors(p)
    moved = exact.along(balls(rows_of(z)), balls(rows_of(v)))
    gradient = factor[:, None] * (exact.softmax(moved) * q.sum(1, keepdims=True) - q)
    right = exact.coefficients(gradient, 1)
    a = ref.softmax(rows_of(z).astype(np.float64))
    shift = np.abs(rows_of(v) - np.take_along_axis(rows_of(v), rows_of(z).argmax(1)[:, None], 1)).astype(np.float64)
    mass = np.abs(exact.floats(factor)) * exact.floats(size).sum(1)
    n = 2 * exact.softmax_roundings(rows_of(z)).max(1, keepdims=True) + 2 * p.classes + roundings(p)[0]
    bound = exact.gamma(n, dtype) * a * (shift + (a * shift).sum(1, keepdims=True)) * mass[:, None]
    bound = bound + exact.tiny(dtype, 4 * p.classes) * (1 + mass[:, None]) * (1 + shift.max(1, keepdims=True))
    got = ref.cross_entropy_hvp(z, target, v, upstream=upstream, **keywords)
    assert got.dtype == dtype
    assert got.shape == z.shape
    assert exact.worst(rows_of(got), right, bound) <= 1


FAULTS: dict[str, dict[str, Any]] = {
    "weights-left-out": {"weight": None},
    "ignored-row-kept": {"ignore_index": -100, "kept": True},
    "smoothing-left-out": {"label_smoothing": 0.0},
    "sum-for-mean": {"reduction": "sum"},
    "smoothing-mass": {"label_smoothing": 0.25 * 5 / 4},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_options_left_out_are_rejected(fault: str) -> None:
    """The check with all options rejects value and gradient of a loss that leaves one out."""
    z, target, keywords, _ = arguments("NC", "all", "mean", "gaussian", "float64")
    p = problem_of(z, target, **keywords)
    right = enclose(p, ("loss", "cost", "dC/dz"))
    bound = bounds(p, right)
    changes = dict(FAULTS[fault])
    if changes.pop("kept", False):
        target = np.where(target == 77, 0, target)
    assert exact.worst(ref.cross_entropy(z, target, **keywords | changes), right["cost"][0], bound["cost"]) > 1
    assert exact.worst(ref.cross_entropy_grad(z, target, **keywords | changes), right["dC/dz"][0], bound["dC/dz"]) > 1


def test_cancelling_gradient_is_rejected() -> None:
    """a_y - 1 on a confident row is outside the bound that the complement form keeps."""
    z, target = np.array([[50.0, 0.0, 1.0]]), np.array([0])
    p = problem_of(z, target)
    right = enclose(p, ("loss", "cost", "dC/dz"))
    bound = bounds(p, right)["dC/dz"]
    assert exact.worst(ref.cross_entropy_grad(z, target), right["dC/dz"][0], bound) <= 1
    assert exact.worst(ref.softmax(z) - [[1, 0, 0]], right["dC/dz"][0], bound) > 1


def test_gradient_is_the_derivative_of_the_value() -> None:
    """Central differences of `cross_entropy` itself, all options at once.

    Error: h^2/6 max |C'''| + e/h, e the counted error of C, + max |C''| u |z| as z + h and z - h round. Along one logit
    C'' is f Q a (1 - a) <= f Q/4 and |C'''| = |f Q a (1 - a)(1 - 2 a)| <= f Q/(6 sqrt 3), Q the sum of the factors q.
    """
    z, target, keywords, _ = arguments("NC", "all", "mean", "gaussian", "float64")
    p = problem_of(z, target, **keywords)
    right = enclose(p, ("loss", "cost", "dC/dz"))
    h = 2.0**-17
    mass = (np.abs(exact.floats(factors(p)[2])) * exact.floats(factors(p)[1]).sum(1))[:, None]
    # e at z + h and z - h differs from e at z by far less than the factor 2 granted here.
    bound = h * h / 6 * mass / (6 * np.sqrt(3.0)) + 2 * bounds(p, right)["cost"] / h
    bound = bound + mass / 4 * exact.gamma(1, z.dtype) * (np.abs(z) + h)
    slopes = ref.central(lambda x: ref.cross_entropy(x, target, **keywords), z, h)
    gradient = ref.cross_entropy_grad(z, target, **keywords)
    assert np.all(np.abs(slopes - gradient) <= bound + bounds(p, right)["dC/dz"])
    assert not np.all(np.abs(slopes - 1.001 * gradient) <= bound + bounds(p, right)["dC/dz"])


def test_all_ignored() -> None:
    """The mean over no kept row is nan with a gradient of 0; the sum is 0."""
    z, y = np.array([[1.0, 2.0], [0.0, 5.0]]), np.array([-100, -100])
    assert np.isnan(ref.cross_entropy(z, y))
    assert ref.cross_entropy(z, y, reduction="sum") == 0
    assert ref.cross_entropy(z, y, reduction="none").tolist() == [0.0, 0.0]
    assert ref.cross_entropy_grad(z, y).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert ref.cross_entropy_hvp(z, y, np.ones((2, 2))).tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_weights_that_sum_to_zero() -> None:
    """A mean over weights that sum to 0 is nan, and so is its gradient."""
    z, y, weight = np.array([[1.0, 2.0]]), np.array([1]), np.array([1.0, 0.0])
    assert np.isnan(ref.cross_entropy(z, y, weight=weight))
    assert np.isnan(ref.cross_entropy_grad(z, y, weight=weight)).all()


@pytest.mark.parametrize("target", [np.zeros(0, np.int64), np.zeros((0, 3))], ids=["labels", "probabilities"])
def test_empty_batch(target: Any) -> None:
    """No rows: mean nan, sum 0, none and the gradient empty."""
    z = np.zeros((0, 3))
    assert np.isnan(ref.cross_entropy(z, target))
    assert ref.cross_entropy(z, target, reduction="sum") == 0
    assert ref.cross_entropy(z, target, reduction="none").shape == (0,)
    assert ref.cross_entropy_grad(z, target).shape == (0, 3)


def test_denominators_of_the_weighted_mean() -> None:
    """Labels divide by the sum of their weights, probabilities by the number of rows, also when one-hot."""
    z, y, weight = np.zeros((2, 2)), np.array([0, 1]), np.array([1.0, 3.0])
    two = np.log(2.0)
    assert ref.cross_entropy(z, y, weight=weight) == two * 4 / 4
    assert ref.cross_entropy(z, np.eye(2)[y], weight=weight) == two * 4 / 2


def test_smoothing_mass_is_eps_over_classes_with_the_weights_inside() -> None:
    """(1 - eps) w_y (-log a_y) + (eps/C) sum_j w_j (-log a_j), over sum w_y, at equal logits with C = 4."""
    z, y, weight = np.zeros((1, 4)), np.array([0]), np.array([2.0, 4.0, 8.0, 2.0])
    value = (0.5 * 2 + 0.125 * 16) * np.log(4.0) / 2
    assert ref.cross_entropy(z, y, weight=weight, label_smoothing=0.5) == value


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf], ids=["nan", "inf", "masked"])
def test_ignored_rows_do_not_matter(bad: float) -> None:
    """An ignored row of non-finite logits leaves value and gradient of the others alone, and receives exactly 0."""
    z, y = np.array([[0.5, 1.0, 0.0], [bad, bad, bad]]), np.array([2, -100])
    for options in ({}, {"label_smoothing": 0.25}, {"weight": np.array([1.0, 2.0, 3.0])}):
        assert ref.cross_entropy(z, y, **options) == ref.cross_entropy(z[:1], y[:1], **options)
        gradient = ref.cross_entropy_grad(z, y, **options)
        assert gradient[0].tolist() == ref.cross_entropy_grad(z[:1], y[:1], **options)[0].tolist()
        assert gradient[1].tolist() == [0.0, 0.0, 0.0]
        assert ref.cross_entropy_hvp(z, y, np.ones((2, 3)), **options)[1].tolist() == [0.0, 0.0, 0.0]


def test_ignore_index_inside_the_classes() -> None:
    """ignore_index = 1 drops the rows of class 1; the class stays in the softmax."""
    z, y = np.array([[0.0, 3.0], [0.0, 1.0]]), np.array([0, 1])
    assert ref.cross_entropy(z, y, ignore_index=1) == ref.cross_entropy(z[:1], y[:1])
    assert ref.cross_entropy_grad(z, y, ignore_index=1)[1].tolist() == [0.0, 0.0]


def test_masked_classes() -> None:
    """-inf beside the target changes nothing; at the target it costs inf, with finite gradient; smoothing makes inf."""
    z = np.array([[1.0, 2.0, -np.inf]])
    two = ref.cross_entropy(z[:, :2], [0])
    assert ref.cross_entropy(z, [0]) == two
    assert ref.cross_entropy_grad(z, [0])[0].tolist() == [*ref.cross_entropy_grad(z[:, :2], [0])[0].tolist(), 0.0]
    assert ref.cross_entropy(z, [2]) == np.inf
    assert ref.cross_entropy_grad(z, [2])[0].tolist() == [*ref.softmax(z[0, :2]).tolist(), -1.0]
    assert ref.cross_entropy(z, [0], label_smoothing=0.5) == np.inf


def test_zero_times_infinity_is_zero() -> None:
    """The deviation from PyTorch (nan there): a probability or weight of 0 on a masked class contributes 0."""
    z = np.array([[0.0, -np.inf]])
    assert ref.cross_entropy(z, np.array([[1.0, 0.0]])) == 0
    assert ref.cross_entropy(z, [1], weight=np.array([1.0, 0.0]), reduction="sum") == 0
    assert ref.cross_entropy(z, [0], weight=np.array([1.0, 0.0]), label_smoothing=0.5) == 0


@pytest.mark.parametrize("row", [[-np.inf, -np.inf], [np.inf, 0.0], [np.nan, 0.0]], ids=["all-masked", "inf", "nan"])
def test_undefined_rows(row: list[float]) -> None:
    """A kept row without a finite maximum is nan in value and gradient; the other rows' gradients stay."""
    z = np.array([row, [0.0, 0.0]])
    assert np.isnan(ref.cross_entropy(z, [0, 1]))
    gradient = ref.cross_entropy_grad(z, [0, 1], reduction="sum")
    assert np.isnan(gradient[0]).all()
    assert gradient[1].tolist() == [0.5, -0.5]


def test_upstream_gradients() -> None:
    """A scalar scales every row; for `none` each row has its own, and a scalar stands for all."""
    z, y = np.array([[0.0, 0.0], [0.0, 0.0]]), [0, 1]
    assert ref.cross_entropy_grad(z, y, upstream=-4.0).tolist() == [[1.0, -1.0], [-1.0, 1.0]]
    each = ref.cross_entropy_grad(z, y, reduction="none", upstream=np.array([2.0, -4.0]))
    assert each.tolist() == [[-1.0, 1.0], [-2.0, 2.0]]
    assert ref.cross_entropy_grad(z, y, reduction="none", upstream=2.0).tolist() == [[-1.0, 1.0], [1.0, -1.0]]


def test_inputs_are_left_alone() -> None:
    """Arguments keep their bytes and stay writeable."""
    z, y = np.array([[0.0, 1.0]]), np.array([1])
    for f in (ref.cross_entropy, ref.cross_entropy_grad):
        f(z, y)
    ref.cross_entropy_hvp(z, y, z)
    assert z.tolist() == [[0.0, 1.0]]
    assert y.tolist() == [1]
    assert z.flags.writeable
    assert y.flags.writeable


ERRORS = [
    (
        TargetError,
        lambda: ref.cross_entropy(np.zeros((2, 3)), [0, 7]),
        r"target\[1\] is 7; allowed: 0 to 2, or ignore_index -100",
    ),
    (
        TargetError,
        lambda: ref.cross_entropy_grad(np.zeros((1, 2)), np.array([[0.5, np.nan]])),
        r"target\[0, 1\] is nan; allowed: finite numbers",
    ),
    (
        ShapeError,
        lambda: ref.cross_entropy_hvp(np.zeros((1, 2)), [0], np.zeros(2)),
        r"v has shape \(2,\); allowed: \(1, 2\), the shape of the logits",
    ),
    (
        ShapeError,
        lambda: ref.cross_entropy_grad(np.zeros((1, 2)), [0], upstream=np.ones(1)),
        r"upstream has shape \(1,\); allowed: \(\), the shape of the output",
    ),
    (
        DtypeError,
        lambda: ref.cross_entropy(np.zeros((1, 2), np.int64), [0]),
        "logits have dtype int64; allowed: float64, float32, bfloat16, float16",
    ),
    (
        ProblemError,
        lambda: ref.cross_entropy(np.zeros((1, 2)), [0], reduction="batchmean"),
        "reduction is 'batchmean'; allowed: mean, sum, none",
    ),
]


@pytest.mark.parametrize(
    ("error", "call", "message"), ERRORS, ids=[f"{e[0].__name__}-{i}" for i, e in enumerate(ERRORS)]
)
def test_bad_input_raises_one_line(error: Any, call: Any, message: str) -> None:
    """Each kind of bad input raises its error with what, where and what is allowed."""
    with pytest.raises(error, match=f"^{message}$"):
        call()


def test_rows_and_shape_are_inverse() -> None:
    """The class axis goes last and comes back, with the test's own row view as the other side."""
    x = np.arange(120.0).reshape(2, 3, 4, 5)
    rows = rows_of(x)
    np.testing.assert_array_equal(to_rows(x), rows)
    np.testing.assert_array_equal(from_rows(rows, x.shape), shaped(rows, x.shape))


def test_exact_sums_count_what_occurs_twice_and_keep_what_float64_loses() -> None:
    """Three times a third, and weights that cancel up to 2^-120: a mean divides by both parts."""
    third = 1.0 / 3.0
    assert exact_sum(np.array([third, third, third, -1.0])) == (3 * Fraction(third) - 1, 0.0)
    weight = np.array([1.0, 2.0**-120, -(1.0 - 2.0**-53)])
    p = Problem(logits=np.zeros((3, 3)), target=np.arange(3), weight=weight)
    total = Targets.of(p).denominator(DOUBLE_DOUBLE)
    assert (float(total.hi), float(total.lo)) == (2.0**-53, 2.0**-120)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_numbers_lie_in_memory_as_they_like(dtype: type) -> None:
    """Rows that are one row, every second column, and columns backwards have the bits of a copy, many rows those of a
    few; nothing that is given is made read-only.
    """
    few = np.random.default_rng(0).standard_normal((7, 2002)).astype(dtype)
    y, many = np.arange(7), np.tile(few, (20, 1))
    layouts = np.broadcast_to(few[0], few.shape), np.repeat(few, 2, 1)[:, ::2], few[:, ::-1], np.asfortranarray(few)
    for loss, more in ((ref.cross_entropy, {"reduction": "none"}), (ref.cross_entropy_grad, {"reduction": "sum"})):
        for z in layouts:
            assert np.array_equal(loss(z, y, **more), loss(np.array(z), y, **more))
        assert np.array_equal(loss(many, np.tile(y, 20), **more), np.concatenate([loss(few, y, **more)] * 20))
    assert few.flags.writeable
    assert many.flags.writeable


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_derivatives_along_a_direction_are_within_the_bounds(reduction: str) -> None:
    """With weights that do not add up to 1, smoothing and an ignored row, whose derivative is 0."""
    draw = np.random.default_rng(5)
    z, y, v = draw.normal(size=(4, 5)), np.array([0, 3, -100, 4]), draw.normal(size=(4, 5))
    given: dict[str, Any] = {"weight": draw.uniform(0.5, 3.0, 5), "label_smoothing": 0.25, "reduction": reduction}
    upstream = np.ones(4 if reduction == "none" else ())
    p = Problem(logits=z, target=y, v=v, upstream=upstream, **given)
    exact = Exact(p).evaluate(("jvp", "hvp"))
    found = {"jvp": ref.cross_entropy_jvp(z, y, v, **given), "hvp": ref.cross_entropy_hvp(z, y, v, **given)}
    for q, value in found.items():
        assert not (np.abs(value - exact[q][0]) > bound(q, p, "accurate")).any()
    assert reduction != "none" or found["jvp"][2] == 0.0
