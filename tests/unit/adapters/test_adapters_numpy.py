"""The NumPy adapter: the reference as an implementation under test, and functions that return (loss, dlogits)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from xentcheck import adapters, reference
from xentcheck.adapters.base import Result
from xentcheck.adapters.numpy.adapter import poisoned_memory
from xentcheck.reference.formats import Array
from xentcheck.reference.problem import Problem

DTYPES = ("float32", "float64")


def draw(shape: tuple[int, ...], dtype: str = "float64", seed: int = 7) -> Array:
    """Numbers between -4 and 4, always the same."""
    return np.random.default_rng(seed).uniform(-4, 4, shape).astype(dtype)


def rows(dtype: str = "float64", **changes: Any) -> Problem:
    """Five rows of six logits with class indices, changed as told."""
    return Problem(**{"logits": draw((5, 6), dtype), "target": np.array([0, 5, 2, 2, 3]), **changes})


def evaluate(adapter: Any, problem: Problem) -> Result:
    """All that the adapter has."""
    result: Result = adapter.compute(problem, problem.quantities, device="cpu", variant="eager")
    return result


def same_bits(got: Array, expected: Any) -> bool:
    """Same dtype, shape and bytes."""
    want = np.asarray(expected)
    return (got.dtype, got.shape, got.tobytes()) == (want.dtype, want.shape, want.tobytes())


class Spy:
    """A stand-in that remembers its calls and returns numbers that are easily recognised."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def __call__(self, *args: Any, **keywords: Any) -> tuple[Any, Any]:
        self.logits, self.target = args
        self.calls.append(keywords)
        loss = np.float32(len(self.calls)) if keywords.get("reduction") != "none" else np.ones(5, np.float32)
        return loss, -np.ones((5, 6), np.float32)


def test_results_come_as_they_are() -> None:
    """Whatever dtype and shape the function returns is what the judge sees, scalars as arrays of no dimension."""
    values = evaluate(adapters.from_numpy(Spy()), rows()).values
    assert set(values) == {"cost", "dC/dz"}
    assert same_bits(values["cost"], np.float32(1))
    assert same_bits(values["dC/dz"], -np.ones((5, 6), np.float32))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"ignore_index": 2},
        {"reduction": "sum"},
        {"label_smoothing": 0.125},
        {"weight": np.ones(6)},
        {"upstream": np.array(-2.0)},
        {"reduction": "none", "upstream": np.array([1.0, -2.0, 4.0, -0.5, 0.0])},
    ],
    ids=["plain", "ignore", "sum", "smoothing", "weight", "upstream", "none"],
)
def test_only_keywords_that_differ_are_passed(changes: dict[str, Any]) -> None:
    """A plain problem calls f(logits, target); each option adds its own keyword, an upstream of ones adds none."""
    spy = Spy()
    evaluate(adapters.from_numpy(spy), rows(**changes))
    assert set(spy.calls[0]) == set(changes)
    assert all(np.array_equal(spy.calls[0][name], value) for name, value in changes.items())


def test_layouts_arrive() -> None:
    """The function gets arrays of the problem's strides that it may write, and an upstream in the problem's dtype."""
    spy = Spy()
    logits, target = draw((12, 5), "float32")[::2].T, np.array([0, 9, 5, 9, 2, 9, 2, 9, 3, 9])[::2]
    upstream = np.broadcast_to(np.float32(-2.0), (5,))
    p = rows(logits=logits, target=target, reduction="none", upstream=upstream)
    evaluate(adapters.from_numpy(spy), p)
    for got, given in ((spy.logits, logits), (spy.target, target), (spy.calls[0]["upstream"], upstream)):
        assert got.strides == given.strides
        assert np.array_equal(got, given)
        assert got.flags.writeable
        assert not np.shares_memory(got, given)
    evaluate(adapters.from_numpy(spy), rows("float32", upstream=np.array(-2.0)))
    assert spy.calls[1]["upstream"].dtype == np.float32


def test_overwritten_inputs_are_named() -> None:
    """Planted faults: gradients written over the logits, a class weight changed; the problem itself stays as it was."""

    def overwriting(z: Array, y: Array, weight: Array) -> tuple[Any, Any]:
        z -= 1
        weight[0] = 7
        return 0.0, z

    p = rows(weight=np.ones(6))
    before = {name: array.tobytes() for name, array in p.arrays().items()}
    assert evaluate(adapters.from_numpy(overwriting), p).changed_inputs == ("logits", "weight")
    assert {name: array.tobytes() for name, array in p.arrays().items()} == before
    assert evaluate(adapters.get("numpy"), p).changed_inputs == ()


def test_the_second_backward_is_the_judged_one() -> None:
    """Two calls, the first with -2 times the upstream; the value returned is that of the second."""
    spy = Spy()
    p = rows(backwards=2, upstream=np.array(3.0))
    assert evaluate(adapters.from_numpy(spy), p).values["cost"] == 2
    assert [float(call["upstream"]) for call in spy.calls] == [-6.0, 3.0]


def test_floating_point_warnings_are_off_inside_only() -> None:
    """An overflow is judged by its value, not by a warning; the caller's error state is its own again afterwards."""

    def overflowing(z: Array, y: Array) -> tuple[Any, Any]:
        return np.float32(1e38) * np.float32(1e38), z / np.zeros_like(z)

    with np.errstate(all="raise"):
        values = evaluate(adapters.from_numpy(overflowing), rows("float32")).values
        with pytest.raises(FloatingPointError, match="overflow"):
            overflowing(np.ones(1), np.zeros(1))
    assert values["cost"] == np.inf
    assert adapters.get("numpy").settings()["errstate"] == "ignore"


OPTION_SETS: dict[str, Any] = {
    "plain": lambda dtype: {},
    "all": lambda dtype: {
        "weight": draw((6,), dtype),
        "ignore_index": 2,
        "label_smoothing": 0.125,
        "reduction": "none",
        "upstream": draw((5,), dtype, 8),
    },
    "probabilities": lambda dtype: {"target": abs(draw((5, 6), dtype)) / 4, "reduction": "sum"},
    "unbatched": lambda dtype: {"logits": draw((6,), dtype), "target": np.array(3)},
    "rank-4": lambda dtype: {"logits": draw((2, 6, 3, 2), dtype), "target": np.arange(12).reshape(2, 3, 2) % 6},
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("options", OPTION_SETS)
def test_values_and_gradients_are_the_references_own(options: str, dtype: str) -> None:
    """The adapter returns the bits of `reference.cross_entropy` and `reference.cross_entropy_grad`."""
    changes = OPTION_SETS[options](dtype)
    p = rows(dtype, **changes)
    given = {k: v for k, v in changes.items() if k not in ("logits", "target", "upstream")}
    values = evaluate(adapters.get("numpy"), p).values
    value = reference.cross_entropy(p.logits, p.target, **given)
    gradient = reference.cross_entropy_grad(p.logits, p.target, **given, upstream=p.upstream)
    assert same_bits(values["loss" if p.reduction == "none" else "cost"], value)
    assert same_bits(values["dC/dz"], gradient)
    assert {str(v.dtype) for v in values.values()} == {dtype}


@pytest.mark.parametrize(
    "shape", [(6,), (4, 6), (2, 6, 3), (2, 6, 3, 2), (0, 6)], ids=lambda shape: f"rank-{len(shape)}"
)
def test_softmax_is_over_the_class_axis(shape: tuple[int, ...]) -> None:
    """Each position's softmax and log-softmax are the bits of the reference on that row alone."""
    axis = 0 if len(shape) == 1 else 1
    z = draw(shape)
    positions = shape[:axis] + shape[axis + 1 :]
    p = Problem(logits=z, target=np.zeros(positions, int), reduction="sum")
    values = evaluate(adapters.get("numpy"), p).values
    for quantity, function in (("a", reference.softmax), ("log_a", reference.log_softmax)):
        assert values[quantity].shape == shape
        by_row = np.moveaxis(values[quantity], axis, -1)
        for position in np.ndindex(positions):
            row = np.moveaxis(z, axis, -1)[position]
            assert np.array_equal(by_row[position], function(row[None].copy())[0])


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_layer_is_the_logits_and_the_chain_rule(dtype: str) -> None:
    """Four equal logits and small integers make every product exact: dC/db, dC/dw, dC/da_prev to the last bit."""
    a_prev = np.array([[1.0, -2.0, 3.0], [2.0, 0.0, -1.0]], dtype)
    w = np.ones((4, 3), dtype)
    p = Problem(a_prev=a_prev, w=w, b=np.zeros(4, dtype), target=np.array([1, 3]), reduction="sum")
    delta = (0.25 - np.eye(4)[[1, 3]]).astype(dtype)
    values = evaluate(adapters.get("numpy"), p).values
    assert set(values) == {"cost", "dC/db", "dC/dw", "dC/da_prev"}
    assert same_bits(values["dC/db"], delta.sum(0))
    assert same_bits(values["dC/dw"], delta.T @ a_prev)
    assert same_bits(values["dC/da_prev"], delta @ w)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_network_has_a_sigmoid_layer_before(dtype: str) -> None:
    """At a hidden z of 0 the sigmoid is 1/2 and its slope 1/4: both gradients are exact, the hidden layer's first."""
    a_prev = np.array([[1.0, -2.0], [2.0, 4.0]], dtype)
    w = np.full((4, 3), 2.0, dtype)
    upstream = np.array([1.0, -2.0], dtype)
    p = Problem(
        a_prev=a_prev,
        hidden_w=np.zeros((3, 2), dtype),
        hidden_b=np.zeros(3, dtype),
        w=w * np.array([[1], [2], [1], [1]], dtype),
        b=np.array([-3.0, -6.0, -3.0, -3.0], dtype),
        target=np.array([1, 3]),
        reduction="none",
        upstream=upstream,
    )
    delta = (upstream[:, None] * (0.25 - np.eye(4)[[1, 3]])).astype(dtype)
    hidden = delta @ p.w / 4
    values = evaluate(adapters.get("numpy"), p).values
    weights = [hidden.T @ a_prev, delta.T @ np.full((2, 3), 0.5, dtype)]
    assert same_bits(values["dC/db"], np.concatenate([hidden.sum(0), delta.sum(0)]))
    assert same_bits(values["dC/dw"], np.concatenate([x.ravel() for x in weights]))
    assert np.array_equal(values["dC/da_prev"], np.zeros((2, 2)))
    assert np.any(hidden != 0)


def test_the_adapter_is_always_there() -> None:
    """NumPy is a dependency: available, on the cpu, with its measured accuracy declared."""
    adapter = adapters.get("numpy")
    assert (adapter.unavailable(), adapter.devices(), adapter.contract_for("cpu", "float16", "a")) == (
        "",
        ("cpu",),
        "accurate",
    )
    assert [adapter.accuracy_for("cpu", dtype) for dtype in ("float64", "float32")] == [(1.5, 1.5), (4.0, 4.0)]
    wrapped = adapters.from_numpy(Spy())
    assert (wrapped.accuracy_for("cpu", "bfloat16"), wrapped.running_sums, wrapped.contracts) == ((4.0, 4.0), 1, ())
    assert wrapped.steps(rows()) == {}


def test_steps_are_exact_where_softmax_is() -> None:
    """Four equal logits: a = 1/4, so that dC/da = -4 at the target, da/dz = diag(a) - a a^T, and (37) gives a - y."""
    p = Problem(logits=np.zeros((2, 4)), target=np.array([1, 3]), reduction="sum")
    steps = adapters.get("numpy").steps(p)
    y = np.eye(4)[[1, 3]]
    assert set(steps) == {"a", "log_a", "dC/da", "da/dz", "cost", "dC/dz"}
    assert np.array_equal(steps["a"], np.full((2, 4), 0.25))
    assert np.array_equal(steps["dC/da"], -4 * y)
    assert np.array_equal(steps["da/dz"], np.broadcast_to(np.eye(4) / 4 - 1 / 16, (2, 4, 4)))
    assert np.array_equal(steps["dC/dz"], 0.25 - y)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_memory_that_nobody_has_written_to_is_poisoned(dtype: str) -> None:
    """In every dtype, bfloat16 among them, which is no floating-point kind to NumPy; afterwards it is as before."""
    plain = np.empty, np.empty_like
    with poisoned_memory():
        found = np.empty(3, dtype), np.empty_like(np.zeros(3, dtype))
    assert all(np.isnan(x).all() for x in found)
    assert (np.empty, np.empty_like) == plain


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_results_have_the_dtype_of_the_logits(dtype: str) -> None:
    """Whether it was computed in float32 or not: the last rounding is a part of what is judged."""
    adapter = adapters.get("numpy")
    p = Problem(logits=np.array([[0.0, 1.0, 3.0], [2.0, 2.0, 5.0]], np.float32).astype(dtype), target=np.array([0, 1]))
    found = adapter.compute(p, p.quantities, device="cpu", variant="eager").values
    assert {str(np.asarray(x).dtype) for x in found.values()} == {dtype}
