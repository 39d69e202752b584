"""A new quantity is one row of the table and its wrong answers: shown by the entropy of a, which nothing else knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import mpmath
import numpy as np
import pytest

from xentcheck.cases import Case
from xentcheck.cases.build import build
from xentcheck.judging.comparisons import Submission, Verdict
from xentcheck.judging.power.table import WRONG, Wrong
from xentcheck.judging.verdict import Judgement
from xentcheck.reference.book.activations import log_softmax, softmax
from xentcheck.reference.bounds import Bounds
from xentcheck.reference.bounds.arithmetic import finished
from xentcheck.reference.bounds.contracts import CATALOGUE
from xentcheck.reference.bounds.rows import leading
from xentcheck.reference.bounds.whole import BlockBounds
from xentcheck.reference.formats import Array
from xentcheck.reference.numbers.backends import Number
from xentcheck.reference.oracle import Block, Exact
from xentcheck.reference.oracle.quantities import BY_ROW, QUANTITIES, Quantity
from xentcheck.reference.oracle.rows import RowSoftmax
from xentcheck.reference.problem import Problem
from xentcheck.reference.rows import to_rows


def exact_entropy(block: Block) -> Number:
    """(n,): H = -sum a_i log a_i."""
    return -block.softmax.backend.sum(block.a() * block.log_a())


def entropy_bound(bounds: BlockBounds) -> Array:
    """(n,) [derived]: with the errors D of a and L of log a, sum (D |log a| + (a + D) L), and the roundings of C
    products and of their sum, growth(C) sum (a + D)(|log a| + L) + C nu; then that of the result.
    """
    rows, block = bounds.rows, bounds.rows.block
    a, size = (np.abs(leading(block, x)) for x in (block.a(), block.log_a()))
    of_a, of_log = rows.softmax(), rows.log_softmax()
    classes = a.shape[1]
    terms = (a + of_a) * (size + of_log)
    error = (of_a * size + (a + of_a) * of_log).sum(1)
    error += rows.arithmetic.growth(classes, "forward_sum") * terms.sum(1) + classes * rows.tiny
    return finished(rows.stored(error, (a * size).sum(1)), rows.arithmetic)


def wrong_entropies(block: Block) -> Callable[[Array], Iterator[tuple[str, Array]]]:
    """The wrong answers: nothing at all, of the wrong sign, in bits, and the sum of squares."""
    a = leading(block, block.a())

    def deltas(right: Array) -> Iterator[tuple[str, Array]]:
        yield from (("zero", -right), ("negated", -2.0 * right), ("bits", right / np.log(2.0) - right))
        yield "squares", (a * a).sum(1) - right

    return deltas


ENTROPY = Quantity("entropy", BY_ROW, exact_entropy, entropy_bound)
ANSWERS = ("bits", "negated", "squares", "zero")


@pytest.fixture(autouse=True)
def _entropy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The row and its wrong answers, in the tables of the product."""
    monkeypatch.setitem(QUANTITIES, "entropy", ENTROPY)
    monkeypatch.setitem(WRONG, "entropy", Wrong(lambda exact, block: wrong_entropies(block)))


def entropy(p: Problem) -> Array:
    """A right implementation, in the problem's dtype."""
    z = to_rows(np.asarray(p.logits))
    return np.asarray(-(softmax(z) * log_softmax(z)).sum(1, dtype=p.dtype)).reshape(p.loss_shape)


def in_bits(p: Problem) -> Array:
    return np.asarray(entropy(p) / np.log(2.0), p.dtype)


def of_squares(p: Problem) -> Array:
    return np.asarray((softmax(to_rows(np.asarray(p.logits))) ** 2).sum(1), p.dtype).reshape(p.loss_shape)


def last_class_dropped(p: Problem) -> Array:
    z = to_rows(np.asarray(p.logits))
    return np.asarray(-(softmax(z) * log_softmax(z))[:, :-1].sum(1), p.dtype).reshape(p.loss_shape)


def problem(dtype: str, shape: tuple[int, ...] = (5, 10), family: str = "gaussian", seed: int = 0) -> Problem:
    return build(Case(family=family, shape=shape, dtype=dtype, seed=seed))


def judged(p: Problem, got: Array, contract: str = "fused", **more: Any) -> Verdict:
    """The verdict on a result."""
    judgement = Judgement(p, ("entropy",), [Submission({"entropy": got}, CATALOGUE[contract])], **more)
    return judgement.run()[0]["entropy"]


@pytest.mark.parametrize("family", ["gaussian", "confident", "ties"])
def test_the_oracle_evaluates_it(family: str) -> None:
    """To 2^-90 of what is summed, by numbers of 40 digits, in the shape of the losses."""
    p = problem("float64", (2, 4, 3), family)
    hi, lo = Exact(p).evaluate(["entropy"])["entropy"]
    assert hi.shape == lo.shape == p.loss_shape == (2, 3)
    with mpmath.workdps(40):
        for i, row in enumerate(to_rows(np.asarray(p.logits)).tolist()):
            e = [mpmath.exp(mpmath.mpf(x)) for x in row]
            right = -sum(x / sum(e) * mpmath.log(x / sum(e)) for x in e)
            assert abs(mpmath.mpf(float(hi.flat[i])) + mpmath.mpf(float(lo.flat[i])) - right) <= 2.0**-90 * right


@pytest.mark.parametrize("contract", ["accurate", "fused", "stash-lse", "decisive", "stable"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_right_results_are_within_their_bounds(dtype: str, contract: str) -> None:
    """Of any shape and family, and no bound is beyond reach: those of zeros are seen in wide dtypes."""
    for family, shape in (("gaussian", (5, 10)), ("confident", (5, 10)), ("ties", (10,)), ("gaussian", (2, 3, 4))):
        p = problem(dtype, shape, family)
        found = judged(p, entropy(p), contract)
        assert found.agrees, (family, found.tally)
        assert found.tally.elements == np.prod(p.loss_shape, dtype=int)
        assert Bounds(Exact(p), CATALOGUE[contract]).evaluate(["entropy"])["entropy"].shape == p.loss_shape


@pytest.mark.parametrize("wrong", [in_bits, of_squares, last_class_dropped])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_wrong_results_are_caught(dtype: str, wrong: Callable[[Problem], Array]) -> None:
    """And one wrong row among right ones is found where it is."""
    p = problem(dtype)
    assert not judged(p, wrong(p)).agrees
    got = entropy(p)
    got[3] = wrong(p)[3]
    found = judged(p, got)
    assert found.tally.failing == 1
    assert ENTROPY.index(p, found.tally.worst.position) == (3,)


def test_the_power_of_the_comparison_is_known() -> None:
    """Its own wrong answers apply and are rejected, in more blocks than one here alone."""
    for p in (problem("float32"), problem("float64", (70, 2001))):
        power = judged(p, entropy(p)).power
        assert power.applicable == power.rejected == ANSWERS
        assert power.nonzero == len(p.target)
        assert power.blind == 0


def test_without_a_bound_nothing_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound is that of the row, which the verdict and its power go by."""
    monkeypatch.setitem(QUANTITIES, "entropy", replace(ENTROPY, bound=lambda bounds: 1e12 * entropy_bound(bounds)))
    p = problem("float32")
    found = judged(p, in_bits(p))
    assert found.agrees
    assert found.power.applicable == ANSWERS
    assert found.power.rejected == ()


def test_rows_that_are_left_out_are_not_compared() -> None:
    """As where a convention takes them out."""
    p = problem("float64")
    got = entropy(p)
    got[2] = np.nan
    assert not judged(p, got).agrees
    found = judged(p, got, rows=np.arange(5) != 2)
    assert found.agrees
    assert found.tally.elements == 4


def test_only_what_is_wanted_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a loss nor a gradient, for the oracle, the bounds and the verdict."""

    def never(*_: Any) -> None:
        raise AssertionError("nobody asked for it")

    monkeypatch.setattr(RowSoftmax, "loss", never)
    monkeypatch.setattr(RowSoftmax, "gradient", never)
    p = problem("float64")
    assert Exact(p).evaluate(["entropy", "a"])["entropy"][0].shape == (5,)
    assert judged(p, entropy(p)).agrees
    with pytest.raises(AssertionError, match="nobody"):
        Exact(p).evaluate(["cost"])
