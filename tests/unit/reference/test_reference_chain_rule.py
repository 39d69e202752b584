"""The steps of the chain rule (37) and the gradients (81)-(84) against power series of (80), and their exercises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import exact
import numpy as np
import pytest
from balls import Balls, balls
from flint import ctx

from xentcheck import reference as ref
from xentcheck.errors import DtypeError, ShapeError, TargetError

DTYPES = [np.float64, np.float32]
RANDOM = np.random.default_rng(4)
Z = {
    "gaussian": RANDOM.normal(size=(5, 4)),
    "confident": np.array([[60.0, 0.0, 1.0, -3.0], [0.5, 30.0, 0.0, -2.0], [0.0, -1.0, 2.0, 80.0]]),
    "mistaken": np.array([[0.0, 60.0, 1.0], [30.0, -2.0, 0.5]]),
    "ties": np.array([[2.0, 2.0, 2.0]]),
    "one-class": np.array([[3.0], [-2.0]]),
    "empty": np.zeros((0, 3)),
}
KINDS = ["labels", "probabilities"]


@pytest.fixture(autouse=True)
def precision() -> Iterator[None]:
    """Ball arithmetic with enough bits for every input here."""
    with ctx.workprec(exact.PRECISION):
        yield


def case(name: str, kind: str, dtype: Any) -> tuple[Any, Any, Balls]:
    """z, y, and y as exact rows; labels are the first, second, ... class, the probabilities do not sum to 1."""
    z = Z[name].astype(dtype)
    if kind == "probabilities":
        y = np.random.default_rng(5).random(z.shape).astype(dtype)
        return z, y, balls(y)
    label = {"confident": [0, 1, 3], "mistaken": [0, 1]}.get(name, np.arange(len(z)) % z.shape[1])
    return z, np.array(label, np.int64), balls(exact.one_hot(label, z.shape[1]))


def exact_delta(z: Any, q: Balls) -> Balls:
    """dC/dz as the power series of (80) of (78)."""
    return exact.per_row(exact.log_likelihood, balls(z), q)


def delta_bound(z: Any, y: Any, right: Balls) -> Any:
    """Roundings of `delta`.

    Labels: those of a, and at the label those of the worst term of its sum, K additions and 1 - a_y; relative to delta.
    Probabilities: those of a, K of the sum of y, two more, relative to the terms a sum(y) + y.
    """
    n = exact.softmax_roundings(z) + z.shape[1] + 2
    if y.ndim == 1:
        return exact.gamma(n.max(1, keepdims=True), z.dtype) * np.abs(exact.floats(right)) + exact.tiny(
            z.dtype, z.shape[1]
        )
    y = y.astype(np.float64)
    scale = ref.softmax(z.astype(np.float64)) * y.sum(1, keepdims=True) + y
    return exact.gamma(n, z.dtype) * scale + exact.tiny(z.dtype, z.shape[1])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", Z)
def test_delta_is_the_derivative_of_80(name: str, kind: str, dtype: Any) -> None:
    """(84) and (81), T14: power series of the cost in each logit; at a label with full relative accuracy."""
    z, y, q = case(name, kind, dtype)
    right = exact_delta(z, q)
    for got in (ref.delta(z, y), ref.grad_b(z, y)):
        assert got.dtype == dtype
        assert exact.worst(got, right, delta_bound(z, y, right)) <= 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["gaussian", "confident"])
def test_layer_gradients_are_the_derivatives_of_the_layer(name: str, kind: str, dtype: Any) -> None:
    """(82) and dC/da_prev, T12: power series of the cost of w a_prev + b in each weight and each input."""
    z, y, q = case(name, kind, dtype)
    classes = z.shape[1]
    a_prev = np.random.default_rng(6).normal(size=(len(z), 3)).astype(dtype)
    w = np.random.default_rng(7).normal(size=(classes, 3)).astype(dtype)
    inputs, weights = balls(a_prev), balls(w)
    bias = balls(z) - inputs @ weights.T
    got_w, got_a = ref.grad_w(z, y, a_prev), ref.grad_a_prev(z, y, w)
    bound = delta_bound(z, y, exact_delta(z, q))
    size = np.abs(exact.floats(exact_delta(z, q))) + bound
    for i in range(len(z)):
        by_w = exact.derivatives(partial(lambda i, v: exact.log_likelihood(v @ inputs[i] + bias[i], q[i]), i), weights)
        limit = (bound[i] + exact.gamma(1, dtype) * size[i])[:, None] * np.abs(a_prev[i])
        assert exact.worst(got_w[i], by_w, limit) <= 1
        by_a = exact.derivatives(partial(lambda i, v: exact.log_likelihood(weights @ v + bias[i], q[i]), i), inputs[i])
        limit = (bound[i] + exact.gamma(classes, dtype) * size[i]) @ np.abs(w)
        assert exact.worst(got_a[i], by_a, limit) <= 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["gaussian", "ties", "one-class", "empty"])
def test_steps_of_the_chain_rule(name: str, kind: str, dtype: Any) -> None:
    """dC/da is the power series of (80) in a, (37) sums it with the Jacobian to delta, and on to dC/db and dC/dw."""
    z, y, q = case(name, kind, dtype)
    outside = ref.grad_a(z, y)
    right = exact.per_row(lambda a, t: -(t * np.log(a)).sum(), exact.softmax(balls(z)), q)
    assert outside.dtype == dtype
    bound = exact.gamma(exact.softmax_roundings(z) + 1, dtype) * np.abs(exact.floats(right))
    assert exact.worst(outside, right, bound) <= 1
    jacobian = ref.softmax_jacobian(z)
    delta = ref.chain(outside, jacobian)
    terms = np.einsum("mk,mkj->mj", np.abs(outside), np.abs(jacobian))
    n = 3 * exact.softmax_roundings(z).max(initial=0) + 2 * z.shape[1] + 4
    assert exact.worst(delta, exact_delta(z, q), exact.gamma(n, dtype) * terms) <= 1
    a_prev = np.random.default_rng(6).normal(size=(len(z), 3)).astype(dtype)
    delta = ref.delta(z, y)
    np.testing.assert_array_equal(ref.chain(delta, ref.dz_db(z)), ref.grad_b(z, y))
    np.testing.assert_array_equal(ref.chain(delta, ref.dz_dw(z, a_prev)), ref.grad_w(z, y, a_prev))


def test_the_chain_sums_over_outputs_not_inputs() -> None:
    """(37): sum_k dC/da_k da_k/dz_j on a Jacobian that is not symmetric, where the transposed sum differs."""
    outside, inside = np.array([[2.0, 3.0]]), np.array([[[1.0, 10.0], [100.0, 1000.0]]])
    assert ref.chain(outside, inside).tolist() == [[302.0, 3020.0]]
    assert ref.chain(outside, inside.swapaxes(1, 2)).tolist() != [[302.0, 3020.0]]


def test_the_layers_derivatives_are_those_of_equation_25() -> None:
    """dz/db and dz/dw are the power series of w a_prev + b."""
    z, a_prev = np.zeros((1, 2)), np.array([[0.5, -3.0, 2.0]])
    w, b = balls(np.arange(6.0).reshape(2, 3)), balls(np.array([1.0, 2.0]))
    x = balls(a_prev[0])
    assert exact.worst(ref.dz_db(z)[0], exact.derivatives(lambda v: w @ x + v, b), 0) == 0
    assert exact.worst(ref.dz_dw(z, a_prev)[0], exact.derivatives(lambda v: v @ x + b, w), 0) == 0


def test_every_output_gets_a_gradient() -> None:
    """The cost looks at a_y alone, dC/da is 0 elsewhere, yet (37) reaches every logit; (38) with k = j would not."""
    z, y, q = case("gaussian", "labels", np.float64)
    outside, jacobian = ref.grad_a(z, y), ref.softmax_jacobian(z)
    assert np.count_nonzero(outside, axis=1).tolist() == [1] * len(z)
    assert np.all(ref.chain(outside, jacobian) != 0)
    element_wise = outside * np.einsum("mkk->mk", jacobian)
    right = exact_delta(z, q)
    assert exact.worst(element_wise, right, delta_bound(z, y, right)) > 1


WRONG: dict[str, Callable[[Any, Any], Any]] = {
    "a_y-minus-1": lambda z, y: ref.softmax(z) - exact.one_hot(y, z.shape[1]),
    "y-minus-a": lambda z, y: exact.one_hot(y, z.shape[1]) - ref.softmax(z),
    "a-without-y": lambda z, y: ref.softmax(z),
    "mean-over-rows": lambda z, y: ref.delta(z, y) / len(z),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_deltas_are_rejected(name: str) -> None:
    """On confident rows the check rejects a_y - 1, which cancels, and the other forms."""
    z, y, q = case("confident", "labels", np.float64)
    right = exact_delta(z, q)
    bound = delta_bound(z, y, right)
    assert exact.worst(ref.delta(z, y), right, bound) <= 1
    assert exact.worst(WRONG[name](z, y), right, bound) > 1


def test_delta_without_the_sum_of_probabilities_is_rejected() -> None:
    """a - y is not the gradient where the probabilities do not sum to 1."""
    z, y, q = case("gaussian", "probabilities", np.float64)
    right = exact_delta(z, q)
    assert exact.worst(ref.softmax(z) - y, right, delta_bound(z, y, right)) > 1


def test_swapped_axes_of_the_weight_gradient_are_rejected() -> None:
    """a_prev_j delta_k instead of a_prev_k delta_j, on a square layer, differs."""
    z, y, _ = case("gaussian", "labels", np.float64)
    a_prev = np.random.default_rng(8).normal(size=z.shape)
    got = ref.grad_w(z, y, a_prev)
    assert not np.array_equal(got, got.swapaxes(1, 2))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["gaussian", "confident", "mistaken"])
def test_signs_and_sums_of_delta(name: str, dtype: Any) -> None:
    """T14: the target's entry is negative, the others positive, and each row sums to 0 within its roundings."""
    z, y, _ = case(name, "labels", dtype)
    delta = ref.delta(z, y)
    assert (np.sign(delta) == 1 - 2 * exact.one_hot(y, z.shape[1])).all()
    n = exact.softmax_roundings(z).max(1) + 2 * z.shape[1] + 2
    assert np.all(np.abs(delta.sum(1)) <= exact.gamma(n, dtype) * np.abs(delta).sum(1))


def test_delta_of_two_classes_is_that_of_the_sigmoid() -> None:
    """T15: with K = 2, delta_1 of (84) is a - y of (66) on z_1 - z_2, so (82) is (67)."""
    z = np.array([[0.5, -1.25], [30.0, 0.75]])
    got, y = ref.delta(z, [0, 1]), np.array([[1.0], [0.0]])
    binary = ref.sigmoid_cross_entropy_delta(z[:, :1] - z[:, 1:], y)[:, 0]
    n = exact.softmax_roundings(z).max(1) + exact.SIGMOID_ERROR + 4
    assert np.all(np.abs(got[:, 0] - binary) <= exact.gamma(n, z.dtype) * np.abs(binary))


def test_an_input_of_zero_gets_no_gradient() -> None:
    """T6: x_k = 0 makes dC/dw_jk exactly 0, for every cost."""
    a_prev = np.array([[0.0, 2.0]])
    z = np.array([[0.3, -0.7]])
    assert ref.grad_w(z, [0], a_prev)[0, :, 0].tolist() == [0.0, 0.0]
    for f in (ref.quadratic_grad_w, ref.sigmoid_cross_entropy_grad_w):
        assert f(z, [[1, 0]], a_prev)[0, :, 0].tolist() == [0.0, 0.0]
        assert np.all(f(z, [[1, 0]], a_prev)[0, :, 1] != 0)


def test_one_hot_rows_are_labels() -> None:
    """Labels, one-hot integers and one-hot probabilities give one gradient where a_y <= 1/2."""
    z = np.array([[0.0, 0.5, 1.0]])
    for y in ([[1, 0, 0]], [[1.0, 0.0, 0.0]]):
        assert ref.delta(z, y).tolist() == ref.delta(z, [0]).tolist()


def test_the_steps_break_down_where_delta_does_not() -> None:
    """T16 for softmax: with a_y = 0, dC/da is -inf and its product with the Jacobian nan; delta is (1, -1)."""
    z = np.array([[800.0, 0.0]])
    assert ref.grad_a(z, [1]).tolist() == [[0.0, -np.inf]]
    assert np.isnan(ref.chain(ref.grad_a(z, [1]), ref.softmax_jacobian(z))).all()
    assert ref.delta(z, [1]).tolist() == [[1.0, -1.0]]


def test_masked_and_undefined_rows_of_delta() -> None:
    """-inf gets 0, or -1 at the label; a row without a finite maximum is nan; one class gets 0."""
    z = np.array([[0.0, -np.inf], [0.0, -np.inf], [-np.inf, -np.inf], [np.inf, 0.0]])
    np.testing.assert_array_equal(ref.delta(z, [0, 1, 0, 0]), [[0, 0], [1, -1], [np.nan] * 2, [np.nan] * 2])
    assert np.isnan(ref.grad_a(z, [0, 0, 0, 0])[2:]).all()
    assert ref.delta([[5.0]], [0]).tolist() == [[0.0]]


ERRORS = [
    (TargetError, lambda: ref.delta([[0.0, 1.0]], [-100]), r"y\[0\] is -100; allowed: labels from 0 to 1"),
    (ShapeError, lambda: ref.dz_db([0.0]), r"z has shape \(1,\); allowed: \(m, n\), one row per example"),
    (
        ShapeError,
        lambda: ref.grad_a_prev([[0.0, 1.0]], [0], [[1.0]]),
        r"w has shape \(1, 1\); allowed: \(2, n\), one row per output",
    ),
    (
        ShapeError,
        lambda: ref.chain(np.zeros((1, 2)), np.zeros((1, 3, 3))),
        r"inside has shape \(1, 3, 3\); allowed: \(1, 2\) first, the shape of outside",
    ),
    (
        DtypeError,
        lambda: ref.grad_w([[0.0]], [0], np.zeros((1, 1), np.float32)),
        "a_prev has dtype float32; allowed: float64, the dtype of z",
    ),
]


@pytest.mark.parametrize(
    ("error", "call", "message"), ERRORS, ids=[f"{e[0].__name__}-{i}" for i, e in enumerate(ERRORS)]
)
def test_bad_input_raises_one_line(error: Any, call: Any, message: str) -> None:
    """Each kind of bad input raises its error with what, where and what is allowed."""
    with pytest.raises(error, match=f"^{message}$"):
        call()
