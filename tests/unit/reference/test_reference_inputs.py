"""What the equations accept: dtypes, shapes, targets; and the activations in each dtype, by power series."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import exact
import numpy as np
import pytest
from balls import balls
from flint import ctx

from xentcheck import reference as ref
from xentcheck.errors import DtypeError, ProblemError, ShapeError
from xentcheck.reference.inputs import WIDE as DTYPES
from xentcheck.reference.inputs import examples, floating, matrix, widened
from xentcheck.reference.problem import Problem

ROWS = {
    "gaussian": np.random.default_rng(0).normal(size=(4, 7)),
    "ties": np.array([[2.0, 2.0, -1.0], [0.0, 0.0, 0.0]]),
    "confident": np.array([[0.0, 60.0, 1.0], [30.0, -2.0, 0.5]]),
    "underflow": np.array([[0.0, 100.0, 9.5], [-800.0, 0.0, 5.0]]),
    "one-class": np.array([[3.0], [-1000.0]]),
    "one-row": np.array([[0.25, -0.5]]),
    "empty": np.zeros((0, 3)),
}
EQUATIONS: dict[str, Callable[..., Any]] = {
    "sigmoid": ref.sigmoid,
    "sigmoid_prime": ref.sigmoid_prime,
    "softmax": ref.softmax,
    "log_softmax": ref.log_softmax,
    "softmax_jacobian": ref.softmax_jacobian,
}


@pytest.fixture(autouse=True)
def precision() -> Iterator[None]:
    """Ball arithmetic with enough bits for every input here."""
    with ctx.workprec(exact.PRECISION):
        yield


@pytest.mark.parametrize("dtype", DTYPES)
def test_sigmoid_and_its_derivative_keep_both_tails(dtype: str) -> None:
    """(3) as it stands and the power series of it, from -700 to 700, or to where float32 ends."""
    z = np.concatenate([np.linspace(-700, 700, 57), -np.logspace(-8, 1.9, 40), [0.0]]).astype(dtype)
    right = exact.sigmoid(balls(z))
    bound = exact.gamma(exact.SIGMOID, dtype) * exact.floats(right) + exact.tiny(dtype)
    assert exact.worst(ref.sigmoid(z), right, bound) <= 1
    slope = exact.per_row(lambda x: exact.sigmoid(x)[0], balls(z[:, None]))[:, 0]
    bound = exact.gamma(exact.SIGMOID_PRIME, dtype) * exact.floats(slope) + exact.tiny(dtype, 2)
    assert exact.worst(ref.sigmoid_prime(z), slope, bound) <= 1
    a = ref.sigmoid(z)
    assert exact.worst(a * (1 - a), slope, bound) > 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("c", [1.0, 0.25, 3.0])
@pytest.mark.parametrize("name", ROWS)
def test_softmax_is_equation_83_in_each_dtype(name: str, c: float, dtype: str) -> None:
    """softmax(z, c) agrees with exp(c z_j)/sum exp(c z_k), evaluated as it stands."""
    z = ROWS[name].astype(dtype)
    right = exact.softmax(balls(z) * balls(c))
    bound = exact.gamma(exact.softmax_roundings(z, c), dtype) * exact.floats(right) + exact.tiny(dtype)
    assert exact.worst(ref.softmax(z, c), right, bound) <= 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ROWS)
def test_log_softmax_in_each_dtype(name: str, dtype: str) -> None:
    """log_softmax(z) agrees with ln(exp(z_j)/sum exp(z_k)), evaluated as it stands, also where a underflows."""
    z = ROWS[name].astype(dtype)
    got = ref.log_softmax(z)
    assert np.isfinite(got).all()
    assert exact.worst(got, np.log(exact.softmax(balls(z))), exact.log_softmax_bound(z, dtype)) <= 1


def test_log_softmax_without_log1p_is_rejected() -> None:
    """ln(1 + e^-40) is e^-40, which ln(sum) rounds to 0: the check tells."""
    z = np.array([[40.0, 0.0]])
    right = np.log(exact.softmax(balls(z)))
    bound = exact.log_softmax_bound(z, z.dtype)
    t = z - z.max()
    assert exact.worst(ref.log_softmax(z), right, bound) <= 1
    assert exact.worst(t - np.log(np.exp(t).sum()), right, bound) > 1


def jacobian_and_bound(row: Any) -> tuple[Any, Any]:
    """The power series of (78) at a row, and the bound: a_j, a_k (on the diagonal the others' sum), two products."""
    right = exact.derivatives(exact.softmax, balls(row))
    a = exact.floats(exact.softmax(balls(row)))
    n = exact.softmax_roundings(row[None])[0]
    pairs = n[:, None] + n[None, :] + 2
    np.fill_diagonal(pairs, n + n.max() + len(row) + 2)
    tails = exact.tiny(row.dtype, len(row)) * (a[:, None] + a[None, :] + 1)
    return right, exact.gamma(pairs, row.dtype) * np.abs(exact.floats(right)) + tails


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ROWS)
def test_jacobian_is_the_power_series_of_softmax(name: str, dtype: str) -> None:
    """Every da_j/dz_k, with full relative accuracy also on the diagonal of a confident row."""
    z = ROWS[name].astype(dtype)
    got = ref.softmax_jacobian(z)
    assert got.shape == (*z.shape, z.shape[1])
    for row, jacobian in zip(z, got, strict=True):
        right, bound = jacobian_and_bound(row)
        assert exact.worst(jacobian, right, bound) <= 1


WRONG: dict[str, Callable[[Any], Any]] = {
    "diagonal-only": lambda a: np.diag(a * (1 - a)),
    "sign-of-outer-product": lambda a: np.diag(a) + np.outer(a, a),
    "without-outer-product": np.diag,
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_jacobians_are_rejected(name: str) -> None:
    """The check of the Jacobian rejects the element-wise one of (BP1) and others."""
    row = ROWS["gaussian"][0]
    right, bound = jacobian_and_bound(row)
    assert exact.worst(WRONG[name](ref.softmax(row)), right, bound) > 1


def test_huge_and_masked_logits() -> None:
    """1e30 neither overflows nor makes nan; -inf has probability 0, no derivative, and leaves the rest alone."""
    assert ref.softmax([[1e30, 1e30, -1e30], [-1e30, -1e30, -1e30]]).tolist() == [[0.5, 0.5, 0.0], [1 / 3] * 3]
    z = np.array([[1.0, -np.inf, 2.0]])
    rest = ref.softmax(z[:, [0, 2]])[0].tolist()
    assert ref.softmax(z)[0].tolist() == [rest[0], 0.0, rest[1]]
    jacobian = ref.softmax_jacobian(z)[0]
    assert np.isfinite(jacobian).all()
    assert jacobian[1].tolist() == jacobian[:, 1].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("z", [[-np.inf, -np.inf], [np.inf, 0.0], [np.nan, 0.0]], ids=["all-masked", "inf", "nan"])
def test_undefined_rows_are_nan_and_leave_their_neighbour_alone(z: list[float]) -> None:
    """A row of -inf, or with inf or nan, is nan throughout, in the Jacobian too."""
    for name in ("softmax", "log_softmax", "softmax_jacobian"):
        got = EQUATIONS[name](np.array([z, [0.0, 0.0]]))
        assert np.isnan(got[0]).all()
        assert np.isfinite(got[1]).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", EQUATIONS)
def test_dtypes_are_kept(name: str, dtype: str) -> None:
    """The result has the dtype of z."""
    assert EQUATIONS[name](np.zeros((1, 2), dtype)).dtype == dtype


@pytest.mark.parametrize("name", EQUATIONS)
def test_integers_become_float64(name: str) -> None:
    """Integer logits give the results of their float64 values, not results rounded back to integers."""
    got = EQUATIONS[name]([[0, 3]])
    assert got.dtype == np.float64
    assert got.tolist() == EQUATIONS[name]([[0.0, 3.0]]).tolist()
    assert ref.softmax([[0, 3]], 0.5).tolist() == ref.softmax([[0.0, 1.5]]).tolist()


@pytest.mark.parametrize("dtype", ["longdouble", "complex128", "bool"])
@pytest.mark.parametrize("name", EQUATIONS)
def test_other_dtypes_raise(name: str, dtype: str) -> None:
    """Extended precision, complex numbers and booleans are refused with what is allowed."""
    message = rf"^z has dtype {np.dtype(dtype)}; allowed: float64, float32, or integers \(as float64\)$"
    with pytest.raises(DtypeError, match=message):
        EQUATIONS[name](np.zeros((1, 2), dtype))


@pytest.mark.parametrize("c", [0.0, -1.0, math.inf, math.nan])
def test_constants_of_the_softmax_must_be_positive(c: float) -> None:
    """(83) asks for c > 0."""
    with pytest.raises(ProblemError, match=f"^c is {c}; allowed: a finite number > 0$"):
        ref.softmax([[0.0]], c)


ERRORS: dict[str, tuple[Callable[[], Any], str]] = {
    "no-class": (lambda: ref.softmax(np.zeros((2, 0))), r"z has shape \(2, 0\); allowed: \(\.\.\., K\) with K >= 1"),
    "no-axis": (lambda: ref.log_softmax(1.0), r"z has shape \(\); allowed: \(\.\.\., K\) with K >= 1"),
    "vector": (
        lambda: ref.softmax_jacobian(np.zeros(2)),
        r"z has shape \(2,\); allowed: \(m, n\), one row per example",
    ),
    "rows": (
        lambda: matrix(np.zeros((3, 2)), "a_prev", np.zeros((1, 2))),
        r"a_prev has shape \(3, 2\); allowed: \(1, n\), one row per example",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_shapes_that_do_not_fit_raise(name: str) -> None:
    """What has the wrong shape is named, with what is allowed."""
    call, message = ERRORS[name]
    with pytest.raises(ShapeError, match=f"^{message}$"):
        call()


def test_inputs_are_taken_without_a_copy() -> None:
    """A floating array is used as it is, and never written to."""
    z = np.array([[0.0, 1.0]])
    assert floating(z) is z
    for f in EQUATIONS.values():
        f(z)
    assert z.tolist() == [[0.0, 1.0]]


def test_labels_of_any_integer_dtype() -> None:
    """Labels become int64; rows of integers become probabilities of the logits' dtype; no labels for no rows."""
    z = np.zeros((2, 3), np.float32)
    assert examples(z, np.array([0, 2], np.uint8))[1].dtype == np.int64
    assert examples(z, [[1, 0, 0], [0, 0, 1]])[1].dtype == np.float32
    assert examples(np.zeros((0, 3)), [])[1].shape == (0,)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", EQUATIONS)
def test_narrow_dtypes_go_through_float32_and_are_rounded_once(name: str, dtype: str) -> None:
    """The result is that of the same numbers in float32, rounded to the dtype."""
    z = np.array([[0.3, -1.7, 2.25]]).astype(dtype)
    got = EQUATIONS[name](z)
    assert str(got.dtype) == dtype
    assert got.tobytes() == EQUATIONS[name](z.astype(np.float32)).astype(dtype).tobytes()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_narrow_losses_go_through_float32(dtype: str) -> None:
    """Loss, gradient and Hessian product, with weights in the dtype, too; all arguments are widened."""
    z, w = np.array([[0.3, -1.7, 2.25], [4.0, 0.5, -1.0]]).astype(dtype), np.array([0.3, 1.7, 0.9]).astype(dtype)
    wide = {"weight": w.astype(np.float32)}
    for function in (ref.cross_entropy, ref.cross_entropy_grad):
        got = function(z, [0, 2], weight=w)
        assert got.tobytes() == function(z.astype(np.float32), [0, 2], **wide).astype(dtype).tobytes()
    product = ref.cross_entropy_hvp(z, [0, 2], z, weight=w)
    expected = ref.cross_entropy_hvp(z.astype(np.float32), [0, 2], z.astype(np.float32), **wide)
    assert product.tobytes() == expected.astype(dtype).tobytes()


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ({"ignore_index": 1.5}, "ignore_index is 1.5; allowed: a whole number"),
        ({"ignore_index": None}, "ignore_index is None; allowed: a whole number"),
        ({"ignore_index": True}, "ignore_index is True; allowed: a whole number"),
        ({"backwards": 0}, "backwards is 0; allowed: a whole number from 1"),
        ({"label_smoothing": "0.1"}, "label_smoothing is 0.1; allowed: 0 to 1"),
        ({"target": None}, "target is None; allowed: an array"),
        ({"upstream": None}, "upstream is None; allowed: an array"),
        ({"upstream": "1"}, "upstream has dtype <U1; allowed: numbers, as of float64"),
        ({"needs": "w"}, "needs is 'w'; allowed: a tuple of names"),
        (
            {"logits": [[0.0, 1.0], [0.0]]},
            "logits are no array: their rows differ in length; allowed: an array, or equal",
        ),
    ],
    ids=str,
)
def test_a_field_of_a_problem_is_what_it_should_be(field: dict[str, Any], text: str) -> None:
    """Anything else is refused, by name: no error of Python's, and no other problem in its place."""
    given: dict[str, Any] = {"logits": np.zeros((2, 3)), "target": np.array([0, 1])}
    with pytest.raises(ProblemError) as caught:
        Problem(**given | field)
    assert str(caught.value).startswith(text)


def test_lists_and_numbers_of_numpy_make_a_problem() -> None:
    """Whatever is an array, or a number of that kind."""
    p = Problem(logits=[[0.0, 1.0]], target=[1], ignore_index=np.int64(0), backwards=np.int32(2), upstream=2.0)  # type: ignore[arg-type]  # as users do
    assert (p.dtype, p.ignore_index, p.backwards, p.upstream.shape) == ("float64", 0, 2, ())


def test_many_numbers_of_float16_are_widened_as_few() -> None:
    """Every number of float16, subnormal ones, infinities and nan among them."""
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    few = np.concatenate([widened(piece) for piece in np.split(every, 64)])
    assert widened(every).dtype == few.dtype == np.float32
    assert np.array_equal(widened(every), few, equal_nan=True)
    assert 0 < few[1] < np.finfo(np.float16).smallest_normal
