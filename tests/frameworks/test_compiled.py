"""Compiled loops find the same numbers as NumPy's: bits of the oracle, verdicts, and what long sums leave over."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from subprocess import run
from typing import Any

import numpy as np
import pytest

import xentcheck.reference.numbers.loops as loops_package
from xentcheck.judging.comparisons import Submission, Verdict
from xentcheck.judging.metric import Tally
from xentcheck.judging.verdict import Judgement
from xentcheck.reference.bounds import Bounds
from xentcheck.reference.bounds.contracts import get
from xentcheck.reference.bounds.sums.addends import drift_of_one
from xentcheck.reference.formats import FORMATS, Array
from xentcheck.reference.numbers import fast
from xentcheck.reference.numbers.double_double import DoubleDouble, dd_sum, exact_difference
from xentcheck.reference.numbers.elementary import dd_exp
from xentcheck.reference.oracle import Exact
from xentcheck.reference.problem import Problem

pytest.importorskip("numba", reason="numba is not installed, which the extra `fast` brings")

from xentcheck.reference.numbers.loops import compiled

ROWS, CLASSES = 5, 4099

CONTRACTS = ("fused", "accurate", "storage", "decisive", "stable")
"""With a complement, stored steps, and the error of a row's sum at its pivots or everywhere."""


@contextmanager
def loops(compiled: bool) -> Iterator[None]:
    """All arrays are large, or none is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast, "ENOUGH", 0 if compiled else sys.maxsize)
        yield


def both(compute: Any) -> tuple[Any, Any]:
    """What is computed by compiled loops, and by NumPy's."""
    with loops(True):
        compiled = compute()
    with loops(False):
        return compiled, compute()


def same(a: DoubleDouble, b: DoubleDouble) -> bool:
    """Whether two numbers have the same bits, but for the sign of a zero."""
    return np.array_equal(a.hi, b.hi) and np.array_equal(a.lo, b.lo)


def numbers(seed: int, shape: tuple[int, ...] = (ROWS, CLASSES)) -> DoubleDouble:
    """Normalised pairs of either sign, of exponents -100 to 100."""
    rng = np.random.default_rng(seed)
    hi = rng.standard_normal(shape) * 2.0 ** rng.integers(-100, 100, shape)
    return DoubleDouble(hi, hi * 2.0**-54 * rng.uniform(-1, 1, shape))


@pytest.mark.parametrize("shape", [(ROWS, CLASSES), (ROWS, 1), (1, CLASSES), (1, 1), (CLASSES,), ()], ids=str)
def test_sums_and_products_have_the_same_bits(shape: tuple[int, ...]) -> None:
    """Of two arrays, and of an array and a column, a row or a number."""
    a, b = numbers(0), numbers(1, shape)
    for operation in (lambda: a + b, lambda: a * b, lambda: b + a, lambda: b * a, lambda: a - b):
        assert same(*both(operation))
    assert same(*both(lambda: dd_sum(a)))
    assert not same(a + b, a * b)


def test_differences_have_the_same_bits() -> None:
    """Of numbers and their row's, of an infinity, and of what overflows."""
    a = numbers(2).hi
    a[0, 1], a[1, :2], a[2, 1:3] = -np.inf, (1.7e308, -1.7e308), np.nan
    with np.errstate(all="ignore"):
        compiled, plain = both(lambda: exact_difference(a, a[:, :1]))
    assert np.array_equal(compiled.hi, plain.hi, equal_nan=True)
    assert np.array_equal(compiled.lo, plain.lo, equal_nan=True)
    assert plain.lo.any()
    assert np.isinf(plain.hi[:2, 1]).all()


@pytest.mark.parametrize("exponent", [0, 512])
def test_exponentials_have_the_same_bits(exponent: int) -> None:
    """Normal, subnormal and 0; of -inf and of what lies so far below that no table has it."""
    x = -np.concatenate([np.geomspace(1e-300, 744.0, 4000), np.linspace(700.0, 1500.0, 400), [0.0, 1e6, np.inf]])
    low = np.where(np.isfinite(x), x * 2.0**-54, 0.0)
    compiled, plain = both(lambda: dd_exp(DoubleDouble(x, low), exponent))
    assert same(compiled, plain)
    assert 0.0 < plain.hi[plain.hi > 0].min() < FORMATS["float64"].smallest_normal * 2.0**exponent


def test_what_addends_leave_over_is_the_same() -> None:
    """In float32 and float64, for exponentials, equal addends and those of either sign."""
    z = np.random.default_rng(0).standard_normal((3, 20011))
    for fmt in (FORMATS["float32"], FORMATS["float64"]):
        for e in (np.exp(z), np.full_like(z, 0.1), z):
            compiled, plain = both(lambda e=e, fmt=fmt: drift_of_one(e, np.abs(e).sum(1), fmt, 9))
            assert np.array_equal(compiled, plain)
            assert plain.any()


def test_what_very_many_addends_leave_over_is_the_same() -> None:
    """Parts of a row of more than 2^15 addends: alone this sees that their sums are exact in pieces."""
    e = np.exp(np.random.default_rng(1).standard_normal((1, 2**19 + 40001)))
    compiled, plain = both(lambda: drift_of_one(e, e.sum(1), FORMATS["float32"]))
    assert np.array_equal(compiled, plain)
    assert plain.any()


@pytest.mark.parametrize(("dtype", "right", "got"), [("float16", -131008.0, -65504.0), ("float64", 1.7e308, 1.6e308)])
def test_units_grow_no_more_beyond_a_format(dtype: str, right: float, got: float) -> None:
    """An exact value that no number of the format is near has the unit of the largest ones."""

    def tally() -> Tally:
        found, numbers = Tally(FORMATS[dtype]), np.ones(CLASSES)
        found.add(got * numbers, right * numbers, 0.0 * numbers, 2.0**1023 * numbers)
        return found

    compiled, plain = both(tally)
    assert compiled.ulp == plain.ulp == abs(right - got) / FORMATS[dtype].ulp(np.array(right))


def test_what_fails_in_an_earlier_part_fails_in_the_end() -> None:
    """Of two parts, each large enough for a compiled loop, the first of which has one wrong element."""
    found, numbers = Tally(FORMATS["float64"]), np.ones(fast.ENOUGH)
    for got in (np.where(np.arange(len(numbers)) == 7, 2.0, 1.0), numbers):
        found.add(got, numbers, 0.0 * numbers, 0.25 * numbers)
    assert (found.failing, found.elements) == (1, 2 * len(numbers))


def judged(dtype: str, changed: Any, **given: Any) -> dict[str, Verdict]:
    """The verdict on the rounded exact results after a change to dC/dz."""
    rng = np.random.default_rng(3)
    logits = (rng.standard_normal((ROWS, CLASSES)) * 3.0).astype(dtype)
    if given.get("reduction") == "none":
        given["upstream"] = np.arange(1.0, 1.0 + ROWS).astype(dtype)
    target = rng.integers(CLASSES, size=ROWS)
    target[1] = 7  # a row that is ignored has bounds of 0
    if given.pop("masked", False):
        logits[:, ::3] = -np.inf
        target = target // 3 * 3 + 1
    if given.pop("probabilities", False):
        target = rng.dirichlet(np.ones(CLASSES), ROWS).astype(dtype)
    if given.pop("weighted", False):
        given["weight"] = rng.uniform(0.5, 2.0, CLASSES).astype(dtype)
    p = Problem(logits=logits, target=target, **given)
    exact = Exact(p).evaluate(("loss" if p.reduction == "none" else "cost", "dC/dz"))
    values = {q: np.asarray(hi).astype(dtype) for q, (hi, _) in exact.items()}
    changed(values["dC/dz"])
    others = tuple(get(name) for name in CONTRACTS[1:])
    return Judgement(p, tuple(values), [Submission(values, get(CONTRACTS[0]), others)]).run()[0]


def put(index: tuple[int, int], value: float) -> Any:
    """A change of one element."""

    def change(gradient: Array) -> None:
        gradient[index] = value

    return change


CHANGES = {
    "right": lambda gradient: None,
    "one element": lambda gradient: gradient.__setitem__((2, 7), gradient[2, 7] * 1.5),
    "doubled": lambda gradient: np.multiply(gradient, 2, out=gradient),
    "zeros": lambda gradient: gradient.fill(0),
    "nan": put((1, 1), np.nan),
    "inf": put((4, CLASSES - 1), np.inf),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "smoothing": {"label_smoothing": 0.1},
    "ignored": {"ignore_index": 7, "reduction": "none"},
    "masked": {"masked": True},
    "weighted": {"weighted": True},
    "probabilities": {"probabilities": True},
}


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("dtype", FORMATS)
def test_verdicts_are_the_same(dtype: str, options: str) -> None:
    """Each field of each tally, the shares under all contracts, and the power: for right and wrong gradients."""
    for changed in CHANGES.values():
        compiled, plain = both(lambda changed=changed: judged(dtype, changed, **OPTIONS[options]))
        for q, verdict in plain.items():
            for name in (field.name for field in fields(Tally)):
                assert repr(getattr(compiled[q].tally, name)) == repr(getattr(verdict.tally, name))
            assert compiled[q].shares == verdict.shares
            assert compiled[q].power == verdict.power
    assert plain["dC/dz"].tally.nonfinite == 1


@pytest.mark.parametrize("options", [name for name in OPTIONS if name not in ("ignored", "masked")])
def test_bounds_are_formed_on_the_way(options: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under each contract: alone this sees that the test above compares bounds that no array holds."""
    formed = []

    def add_by_form(tally: Tally, *given: Any, **kept: Any) -> bool:
        formed.append(original(tally, *given, **kept))
        return formed[-1]

    original = Tally.add_by_form
    monkeypatch.setattr(Tally, "add_by_form", add_by_form)
    for dtype in FORMATS:
        formed.clear()
        with loops(True):
            judged(dtype, CHANGES["right"], **OPTIONS[options])
        by_array = options not in ("plain", "probabilities")  # by which an option's wrong answers are measured, once
        assert formed == [True] * (len(CONTRACTS) - by_array)


def test_ratios_of_what_no_form_holds_are_left_to_numpy() -> None:
    """A bound beyond the largest number, and an exact gradient that is not finite; else each element is counted."""
    p = Problem(logits=np.random.default_rng(5).standard_normal((ROWS, CLASSES)), target=np.arange(ROWS))
    exact = Exact(p)
    ((_, _, (g, bounds)),) = exact.walk(["dC/dz"], [exact, Bounds(exact, get("fused"))])
    right = np.array(exact.backend.pair(g)[0])
    rows = [np.empty(ROWS) for _ in range(4)]
    assert compiled.ratios(right, bounds.form, *rows) == (right.size, 0)
    assert compiled.ratios(right, bounds.form._replace(largest=0.0), *rows) == (0, -1)
    right[2, 7] = np.inf
    assert compiled.ratios(right, bounds.form, *rows) == (0, -1)


def test_either_way_of_sorting_gives_the_same_rows() -> None:
    """Numbers of either sign and any size."""
    pairs = numbers(4)
    for x in (pairs.hi, np.exp(pairs.hi.clip(-80, 80)), np.repeat(pairs.hi[:, :1], CLASSES, axis=1), 0 * pairs.hi):
        rows = x.astype(np.float32)
        compiled.sort_rows(ordered := rows.copy())
        assert np.array_equal(ordered, np.sort(rows, axis=1))


@pytest.mark.parametrize("name", compiled.__all__)
def test_each_loop_is_one_of_those_compared(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the tests above call comes to it: alone this sees that they do not compare NumPy with itself."""

    def broken(*given: Any) -> None:
        raise ArithmeticError(name)

    def all_of_them() -> None:
        a, e = numbers(0), np.full((1, CLASSES), 0.1)
        dd_sum(a * a)
        exact_difference(a.hi, a.hi[:, :1])
        dd_exp(DoubleDouble(-np.ones(3)))
        drift_of_one(e, e.sum(1), FORMATS["float32"])
        judged("float32", CHANGES["right"])

    monkeypatch.setattr(compiled, name, broken)
    with loops(True), pytest.raises(ArithmeticError, match=name):
        all_of_them()


def test_small_problems_do_not_start_numba() -> None:
    """Neither the import of the package nor a verdict on ten classes needs what takes longer than both."""
    script = (
        "import sys, numpy as np, xentcheck\nfrom xentcheck.reference import Problem\n"
        "p = Problem(logits=np.zeros((2, 10)), target=np.array([0, 1]))\n"
        "xentcheck.assert_values_agree(p, {'cost': np.log(10.0)})\n"
        "print('numba' in sys.modules)\n"
        "p = Problem(logits=np.zeros((2, 10000)), target=np.array([0, 1]))\n"
        "xentcheck.assert_values_agree(p, {'cost': np.log(10000.0)})\n"
        "print('numba' in sys.modules)\n"
    )
    found = run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False", "True"]


def test_a_numba_that_does_not_start_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is too old for the installed NumPy, or finds no folder for what it compiles."""
    monkeypatch.setattr(fast, "_compiled", fast._compiled.__wrapped__)
    assert fast.kernels(np.empty(fast.ENOUGH)) is not None
    monkeypatch.delattr(loops_package, "compiled")
    monkeypatch.setitem(sys.modules, "xentcheck.reference.numbers.loops.compiled", None)  # type: ignore[arg-type]
    assert fast.kernels(np.empty(fast.ENOUGH)) is None


def test_without_numba_numpy_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """No module is looked for where none is installed; a run file says which loops there were."""
    monkeypatch.setattr(fast, "_compiled", fast._compiled.__wrapped__)
    assert fast.kernels(np.empty(fast.ENOUGH)) is not None
    assert fast.kernels(np.empty(fast.ENOUGH - 1)) is None
    assert fast.described().startswith("numba ")
    monkeypatch.setattr(fast, "find_spec", lambda name: None)
    assert fast.kernels(np.empty(fast.ENOUGH)) is None
    assert fast.described() == "NumPy alone"
