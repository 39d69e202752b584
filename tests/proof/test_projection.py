"""Projections: right implementations pass at a constant number of calls, wrong elements are missed no more often than
stated, and neither side hides behind the other.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from xentcheck import adapters, check_projection
from xentcheck.adapters.base import Adapter
from xentcheck.adapters.numpy.adapter import value_and_gradient
from xentcheck.cases.randomness import Stream
from xentcheck.errors import AdapterError, DtypeError, ProblemError
from xentcheck.reference import cross_entropy, cross_entropy_grad
from xentcheck.reference.bounds.contracts import get
from xentcheck.studies.projection.check import Projection
from xentcheck.studies.projection.rows import CURVATURE, judged, moved, problem_of, step_of

SEEDS = 100


class Wrong:
    """The reference with an error added to its gradient, in units of the upstream gradient, and to its value."""

    def __init__(self, error: Any = 0.0, value: float = 1.0) -> None:
        self.error = error
        self.value = value
        self.calls = 0

    def __call__(self, logits: Any, target: Any, *, upstream: Any = 1.0, **options: Any) -> tuple[Any, Any]:
        self.calls += 1
        loss = self.value * cross_entropy(logits, target, **options)
        g = cross_entropy_grad(logits, target, upstream=upstream, **options)
        return loss, g + np.reshape(upstream, (-1, 1)) * self.error

    def adapter(self) -> Adapter:
        return adapters.from_numpy(self, name="wrong")


def found(wrong: Wrong, shape: tuple[int, int] = (2, 16), *, probes: int = 1, seed: int = 0) -> Projection:
    return check_projection(wrong.adapter(), shape, probes=probes, seed=seed)


def columns(classes: int, **errors: float) -> Any:
    """An error in some columns, as c3=1e-3."""
    row = np.zeros(classes)
    for name, error in errors.items():
        row[int(name[1:])] = error
    return row


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", adapters.built_in())
def test_right_implementations_pass(name: str, dtype: str) -> None:
    """Value and gradient within their tolerances, with room: the bounds allow any order of summation."""
    adapter = adapters.get(name)
    if missing := adapter.unavailable():
        pytest.skip(missing)
    result = check_projection(adapter, (32, 1003), dtype=dtype, probes=4)
    assert result.ok, str(result)
    assert result.gradient_share > 0
    assert result.value_share > 0


@pytest.mark.parametrize("classes", [10, 100, 1000])
def test_the_number_of_calls_does_not_grow(classes: int) -> None:
    """2 K + 1 calls of the implementation, whatever the size."""
    wrong = Wrong()
    result = found(wrong, (8, classes), probes=3)
    assert result.ok
    assert wrong.calls == result.calls == 7


def test_blocks_of_rows_change_nothing_but_the_calls() -> None:
    """A row's problem does not depend on the block it is in: the same verdict and shares, with more calls."""
    whole, blocks = (check_projection(Wrong().adapter(), (6, 50), probes=2, rows=rows) for rows in (None, 4))
    assert (whole.calls, blocks.calls) == (5, 10)
    assert whole.gradient_share == blocks.gradient_share
    error = np.zeros((2, 50))
    error[1, 7] = 1e-3

    class SecondBlock(Wrong):
        def __call__(self, logits: Any, target: Any, **options: Any) -> tuple[Any, Any]:
            self.error = error if len(logits) == 2 else 0.0
            return super().__call__(logits, target, **options)

    late = check_projection(SecondBlock().adapter(), (6, 50), probes=2, rows=4)
    assert (late.ok, late.gradient_row) == (False, 5)


def test_one_wrong_column_is_never_missed() -> None:
    """A single column that errs by a little more than the resolution is seen by one probe, whatever the seed."""
    error = 1.01 * found(Wrong()).resolution
    assert not any(found(Wrong(columns(16, c3=error)), seed=seed).ok for seed in range(SEEDS))


def test_one_wrong_element_is_never_missed() -> None:
    """The same in one row of one column."""
    error = np.zeros((2, 16))
    error[1, 5] = 1.01 * found(Wrong()).resolution
    assert not any(found(Wrong(error), seed=seed).ok for seed in range(SEEDS))


def test_what_is_below_the_tolerance_is_not_seen() -> None:
    """The stated resolution is not stated too high by more than twice the noise: a tenth of it passes."""
    error = 0.1 * found(Wrong()).resolution
    assert all(found(Wrong(columns(16, c3=error)), seed=seed).ok for seed in range(10))


def test_two_columns_that_may_cancel_are_missed_half_of_the_time() -> None:
    """The worst case of the theorem is attained: a probe misses if the two signs differ, K probes if all do.

    The number of misses of 100 fixed seeds lies within five standard deviations of its mean.
    """
    wrong = Wrong(columns(16, c3=1e-3, c4=1e-3))
    misses = {k: sum(found(wrong, probes=k, seed=seed).ok for seed in range(SEEDS)) for k in (1, 2, 4)}
    for k, n in misses.items():
        p = 2.0**-k
        assert abs(n - SEEDS * p) <= 5 * np.sqrt(SEEDS * p * (1 - p))
    assert misses[1] > misses[2] > misses[4]
    assert found(wrong, probes=30).ok is False


def test_an_error_along_the_null_space_is_seen() -> None:
    """The same error in all classes, which directions of mean zero would miss: here C is odd, and no sum of signs 0."""
    assert not any(found(Wrong(1e-3), (2, 17), seed=seed).ok for seed in range(SEEDS))


def test_a_wrong_value_with_its_own_gradient_is_seen_by_the_value() -> None:
    """1 % more loss, and its derivative: the differences agree, the losses do not."""

    def scaled(logits: Any, target: Any, *, upstream: Any = 1.0, **options: Any) -> tuple[Any, Any]:
        return 1.01 * cross_entropy(logits, target, **options), 1.01 * cross_entropy_grad(
            logits, target, upstream=upstream, **options
        )

    result = check_projection(adapters.from_numpy(scaled), (4, 100), probes=2)
    assert result.gradient_share <= 1 < result.value_share
    assert not result.ok


def test_a_value_that_is_right_at_one_point_only_is_seen() -> None:
    """Losses that are right where they are first asked for and wrong around: rows are sampled at every probe."""
    p = problem_of(range(4), 100, "float64", 0)

    def slanted(logits: Any, target: Any, *, upstream: Any = 1.0, **options: Any) -> tuple[Any, Any]:
        slope = 1e-3 * (np.arange(100) == 7)
        loss = cross_entropy(logits, target, **options) + (logits - p.logits) @ slope
        return loss, cross_entropy_grad(logits, target, upstream=upstream, **options) + np.outer(upstream, slope)

    result = check_projection(adapters.from_numpy(slanted), (4, 100), probes=2)
    assert result.gradient_share <= 1 < result.value_share


def test_nan_is_no_agreement() -> None:
    """`not (share <= 1)`, in the gradient and in the value."""
    assert np.isnan(found(Wrong(columns(16, c3=np.nan))).gradient_share)
    assert not found(Wrong(columns(16, c3=np.nan))).ok
    assert not found(Wrong(value=np.nan)).ok


@pytest.mark.parametrize("part", ["value", "gradient"])
@pytest.mark.parametrize("call", [0, 1, 2])
def test_nan_in_one_block_is_remembered(part: str, call: int) -> None:
    """Later blocks and probes, which are right, do not make up for it."""
    calls = iter(range(100))

    def once(logits: Any, target: Any, *, upstream: Any = 1.0, **options: Any) -> Any:
        value, gradient = value_and_gradient(logits, target, upstream=upstream, **options)
        wrong = np.nan if next(calls) == call else 1.0
        return (value * wrong, gradient) if part == "value" else (value, gradient * wrong)

    result = check_projection(adapters.from_numpy(once), (4, 101), probes=2, rows=2)
    if part == "value" or call == 0:
        assert not result.ok
        assert np.isnan(result.value_share if part == "value" else result.gradient_share)


def test_the_truncation_is_the_largest_there_is() -> None:
    """The third central moment of -1 and 1 is 8 p (1 - p)(1 - 2 p), at most 4/(3 sqrt 3)."""
    p = np.linspace(0, 1, 100001)
    moment = p * (1 - (2 * p - 1)) ** 3 + (1 - p) * (-1 - (2 * p - 1)) ** 3
    assert (np.abs(moment) <= CURVATURE * (1 + 1e-15)).all()
    assert np.abs(moment).max() >= CURVATURE * (1 - 1e-9)


@pytest.mark.parametrize("classes", [10, 1000])
def test_bounds_at_the_point_stand_for_those_around_it(classes: int) -> None:
    """The bounds of the losses at z and at z +- h s differ by less than 1 %."""
    contract = get("fused")
    p = problem_of(range(32), classes, "float64", 0)
    here = judged(p, contract)[1]
    direction = step_of(float(np.median(here))) * Stream("around").signs((classes,))
    for side in (direction, -direction):
        assert (np.abs(judged(moved(p, side), contract)[1] / here - 1) <= 0.01).all()


def test_logits_move_exactly() -> None:
    """The step is a multiple of the grid's unit, and the moved logits have no rounding error."""
    for dtype in ("float64", "float32"):
        z = np.asarray(problem_of(range(3), 50, dtype, 1).logits)
        for step in (2.0**-20, 2.0**-12, 2.0**-2):
            moved = z + np.asarray(step, dtype)
            assert (moved.astype(np.float64) - z.astype(np.float64) == step).all()


def shapeless(logits: Any, target: Any, *, upstream: Any = 1.0, **options: Any) -> tuple[Any, Any]:
    """The sum over rows, whatever the reduction."""
    loss, g = Wrong()(logits, target, upstream=upstream, **options)
    return loss.sum(), g


def test_bad_input_is_one_line() -> None:
    """What cannot be projected is said, with what is allowed."""
    right = Wrong().adapter()
    with pytest.raises(DtypeError, match=r"'float16' is too narrow for differences; allowed: float64, float32"):
        check_projection(right, (2, 3), dtype="float16")
    with pytest.raises(
        ProblemError, match=r"0x3 logits, 20 probes; allowed: at least one of each, and one row at a time"
    ):
        check_projection(right, (0, 3))
    with pytest.raises(AdapterError, match=r"right cannot be projected: reduction none"):
        check_projection(adapters.from_numpy(value_and_gradient, name="right", reductions=["mean"]), (2, 3))


def leaving(logits: Any, target: Any, *, upstream: Any = 1.0, **options: Any) -> Any:
    """Ends the process, as it believes, without an error."""
    sys.exit(0)


def overwriting(logits: Any, target: Any, *, upstream: Any = 1.0, **options: Any) -> tuple[Any, Any]:
    """Right, and writes zeros into the labels."""
    found = value_and_gradient(logits, target.copy(), upstream=upstream, **options)
    target[...] = 0
    return found


@pytest.mark.parametrize(
    ("function", "failure"),
    [
        (shapeless, "loss is shape (), expected (2,)"),
        (leaving, "SystemExit: 0"),
        (overwriting, "the call changed its input target"),
    ],
)
def test_what_fails_in_a_run_fails_here(function: Any, failure: str) -> None:
    """Another shape, an exception and an overwritten input are a wrong implementation, not bad input."""
    result = check_projection(adapters.from_numpy(function), (2, 300))
    assert not result.ok
    assert failure in str(result)
