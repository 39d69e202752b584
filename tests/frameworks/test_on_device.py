"""Results that stay on a device are judged there, by the text that judges arrays: on PyTorch's CPU tensors, here.

No element of a block comes home on the way, and each verdict is that of the same numbers in this machine's memory.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

import xentcheck
from xentcheck import adapters
from xentcheck.adapters.torch import device_arrays as arrays
from xentcheck.adapters.torch import functions
from xentcheck.adapters.torch.tensors import from_numpy
from xentcheck.judging.comparisons import Submission, Verdict
from xentcheck.judging.verdict import Judgement
from xentcheck.records.record import Record
from xentcheck.reference.bounds.contracts import get
from xentcheck.reference.formats import Array
from xentcheck.reference.numbers import arrays as places
from xentcheck.reference.numbers.double_double import DoubleDouble
from xentcheck.reference.numbers.elementary import dd_exp
from xentcheck.reference.oracle import Exact
from xentcheck.reference.problem import Problem
from xentcheck.running.attempts import attempt
from xentcheck.running.subjects import Subject
from xentcheck.studies import law_study

ROWS, CLASSES = 6, 4099
"""Sums of more than 4096 terms are looked at more closely."""

DTYPES = ("float32", "bfloat16", "float16")

CONTRACTS = ("fused", "accurate", "storage", "decisive", "stable")

NEAR = {"rel": 1e-9, "abs": 1e-8}
"""What another exp may change: a few 2^-53 of a number are up to 1e-8 units in the last place of float32."""


@contextmanager
def staying(*devices: str) -> Iterator[list[int]]:
    """Results of any size stay on some devices; how many numbers come from there, each time that some do."""
    moved: list[int] = []

    def of_tensor(tensor: torch.Tensor) -> Array:
        moved.append(tensor.numel())
        return original(tensor)

    original = arrays.of_tensor
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "STAYING", devices)
        patch.setattr(arrays, "LARGE", ROWS + 1)
        patch.setattr(arrays, "of_tensor", of_tensor)
        yield moved


def tensors(values: dict[str, Array]) -> dict[str, Any]:
    """The same numbers as an adapter of PyTorch hands them over."""
    return {q: arrays.result_of(from_numpy(np.array(x))) for q, x in values.items()}


def problem(dtype: str, scale: float = 3.0, **given: Any) -> Problem:
    """Gaussian logits; `ignored` and `weighted` rows, or rows of `probabilities`, by name."""
    rng = np.random.default_rng(3)
    logits = (rng.standard_normal((ROWS, CLASSES)) * scale).astype(dtype)
    target = rng.integers(CLASSES, size=ROWS)
    target[1] = 7
    if given.get("reduction") == "none":
        given["upstream"] = np.arange(1.0, 1.0 + ROWS).astype(dtype)
    if given.pop("probabilities", False):
        target = rng.dirichlet(np.ones(CLASSES), ROWS).astype(dtype)
    if given.pop("weighted", False):
        given["weight"] = rng.uniform(0.5, 2.0, CLASSES).astype(dtype)
    if given.pop("masked", False):
        logits[:, 11:2000:3] = -np.inf
        target[target < 2000] = 2001
    return Problem(logits=logits, target=target, **given)


def right(p: Problem) -> dict[str, Array]:
    """The exact results, rounded once."""
    return {q: np.asarray(hi).astype(p.dtype) for q, (hi, _) in Exact(p).evaluate(p.quantities).items()}


def judged(p: Problem, *results: dict[str, Any]) -> list[dict[str, Verdict]]:
    """The verdicts on several results, with the shares of other contracts."""
    others = tuple(get(name) for name in CONTRACTS[1:])
    submissions = [Submission(values, get(CONTRACTS[0]), others) for values in results]
    return Judgement(p, tuple(results[0]), submissions).run()


def assert_same(found: dict[str, Verdict], expected: dict[str, Verdict]) -> None:
    """Every count, place and outcome; shares and units but for what another exp changes."""
    assert list(found) == list(expected)
    for q, one in expected.items():
        other = found[q]
        for name in ("elements", "failing", "nonfinite"):
            assert getattr(other.tally, name) == getattr(one.tally, name), (q, name)
        assert other.tally.worst.position == one.tally.worst.position, q
        assert other.tally.worst.got == one.tally.worst.got or np.isnan(one.tally.worst.got)
        assert other.tally.share == pytest.approx(one.tally.share, **NEAR)
        assert other.tally.ulp == pytest.approx(one.tally.ulp, **NEAR)
        assert other.shares == pytest.approx(one.shares, **NEAR)
        for name in ("ulp_counts", "share_counts"):
            assert np.abs(getattr(other.tally, name) - getattr(one.tally, name)).sum() <= 2, (q, name)
        for name in ("applicable", "rejected"):
            assert getattr(other.power, name) == getattr(one.power, name), (q, name)
        assert (other.power.nonzero, other.power.blind) == (one.power.nonzero, one.power.blind)
        assert np.array(other.margins) == pytest.approx(np.array(one.margins), rel=1e-6)


def put(index: tuple[int, int], value: float) -> Callable[[Array], None]:
    """A change of one element."""

    def change(gradient: Array) -> None:
        gradient[index] = value

    return change


def double_the_largest(gradient: Array) -> None:
    """Of one row."""
    at = 2, np.abs(gradient[2].astype(np.float64)).argmax()
    gradient[at] = gradient[at] * 2


FAULTS: dict[str, Callable[[Array], Any]] = {
    "one element doubled": double_the_largest,
    "zeros": lambda gradient: gradient.fill(0),
    "the row of another example": lambda gradient: gradient.__setitem__(3, gradient[4]),
    "nan": put((1, 1), np.nan),
    "inf": put((4, CLASSES - 1), np.inf),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "ignored": {"ignore_index": 7, "reduction": "none"},
    "weighted": {"weighted": True, "ignore_index": 7},
    "masked": {"masked": True},
    "deep": {"scale": 60.0},
    "smoothing": {"label_smoothing": 0.1},
    "probabilities": {"probabilities": True, "weighted": True},
}


SPECIAL = np.array([[-0.0, 0.5, -1.5, np.nan, np.inf], [2.5, 1e300, -np.inf, 5e-324, 0.0]])
OTHER = np.array([[1.0], [-2.0]])
WHOLE = np.array([[3, -1, 0, 7, 8], [2, 5, 1, -9, 4]])

OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "operators": lambda x: ((x * OTHER - 1.0) / x + OTHER[0]) * -x,
    "scalars": lambda x: np.float64(2.0) * x + np.float32(0.1) - True,
    "comparisons": lambda x: (x > OTHER) | (x <= 0) & ~(x == x) | (x != OTHER) | (x >= 1) | (x < -1),
    "signs": lambda x: (np.sign(x), np.abs(np.rint(x))),
    "kinds": lambda x: np.isnan(x) | np.isinf(x) | ~np.isfinite(x) | np.logical_not(x),
    "extremes": lambda x: np.fmax(x, 0.3) + np.maximum(x, OTHER) + np.minimum(1.0, x),
    "choice": lambda x: np.where(x > 0, x, OTHER),
    "choice of rows": lambda x: np.where(OTHER > 0, np.nan, x),
    "bits": lambda x: (x.view(np.int64) >> 48).astype(np.int16),
    "whole numbers": lambda x: x.astype(np.float32).view(np.int32) / np.int64(3),
    "single precision": lambda x: x.astype(np.float32) * np.float32(0.1) + 1.0,
    "made double": lambda x: x.astype(np.float32) * OTHER,
    "left to NumPy": lambda x: np.hypot(x, OTHER),
    "sums": lambda x: (x.sum(1), x.sum(), x.sum(0), np.count_nonzero(x, axis=1), x.mean(1)),
    "largest": lambda x: (x.max(1, initial=0.0), x.min(), x.max(0, keepdims=True), x.argmax(1), x.argmax()),
    "of numbers": lambda x: np.nanargmax(x),
    "all or any": lambda x: (np.isnan(x).any(1), np.isnan(x).all(), np.all(x == x), np.any(x > 9)),
    "no rows": lambda x: x[:0].max(1, initial=-np.inf),
    "elements": lambda x: (x[[0, 1][1]], x[:, -1], x[np.arange(2), WHOLE[:, 2]], x[..., 1:3], x[x > 0], x[None, 1]),
    "rows": lambda x: (x[np.array([True, False])], x[np.array([1, 1])]),
    "axes": lambda x: (np.moveaxis(x, 0, 1), x.reshape(-1), np.roll(x, 1, 1), np.concatenate([x, x]), x.ravel()),
    "repeated": lambda x: np.broadcast_to(x[:, :1], (2, 5)) + np.broadcast_to(OTHER, (2, 5)),
    "zeros": lambda x: np.zeros_like(x, np.float32, shape=(2, 3)),
    "products": lambda x: np.einsum("nc,nc->n", x[:, 1:3], x[:, 1:3]),
}


def test_another_dtype_is_a_copy_unless_none_is_asked_for() -> None:
    """As in NumPy, also where the dtype is the same: whoever writes into it changes no result."""
    tensor = torch.arange(3.0)
    own = arrays.DeviceArray(tensor)
    assert own.astype(np.float32).tensor.data_ptr() != tensor.data_ptr()
    assert own.astype(np.float32, copy=False).tensor.data_ptr() == tensor.data_ptr()


def changed(x: Any) -> Any:
    """Whatever writes into an array."""
    x = x.copy()
    x[np.arange(2), np.array([3, 4])] = np.array([1.0, 2.0])
    x[x > 1e200] = 9.0
    x[0] += 1.0
    x *= OTHER
    np.multiply(x, 3, out=x)
    np.copyto(x, OTHER, where=x == 9.0)
    half = x.astype(np.float32)
    np.multiply(x, 1 / 3, out=half, casting="unsafe")
    half.sort(axis=1)
    return x, half


OPERATIONS["written"] = changed


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_are_those_of_numpy(name: str) -> None:
    """The same dtypes and bits, of zeros, subnormal and infinite numbers and of nan."""
    with staying("cpu") as moved, np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        placed: Any = arrays.DeviceArray(torch.tensor(SPECIAL))
        found, expected = OPERATIONS[name](placed), OPERATIONS[name](SPECIAL)
        assert (moved == [10]) == (name == "left to NumPy")
        for one, other in zip(*(x if isinstance(x, tuple) else (x,) for x in (found, expected)), strict=True):
            assert (one.dtype, one.shape) == (other.dtype, other.shape)
            assert np.array_equal(np.asarray(one), other, equal_nan=True)


def test_what_lies_elsewhere_is_known() -> None:
    """A result stays only if it is large, once it is there; more of it is looked at together."""
    with staying("cpu") as moved:
        small, large = (arrays.result_of(torch.zeros(n)) for n in (ROWS, ROWS + 1))
    assert moved == [ROWS, 1]
    assert places.here(small)
    assert not places.here(large)
    assert (places.at_once(small, 7), places.at_once(large, 7)) == (7, places.ON_DEVICE)
    assert arrays.STAYING == ("cuda",)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_verdicts_are_those_of_arrays(dtype: str, options: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all quantities, in blocks of two rows, for right and for wrong gradients."""
    monkeypatch.setattr(places, "ON_DEVICE", 2 * CLASSES)
    p = problem(dtype, **OPTIONS[options])
    values = right(p)
    results = [{**values, "dC/dz": values["dC/dz"].copy()}, *({"dC/dz": values["dC/dz"].copy()} for _ in FAULTS)]
    for wrong, changed in zip(results[1:], FAULTS.values(), strict=True):
        changed(wrong["dC/dz"])
    with staying("cpu"):
        placed = judged(p, *map(tensors, results))
    for found, expected in zip(placed, judged(p, *results), strict=True):
        assert_same(found, expected)
    assert [found["dC/dz"].agrees for found in placed] == [True, *(False for _ in FAULTS)]


@pytest.mark.parametrize("options", OPTIONS)
def test_no_block_comes_home(options: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers per row, and counts, do; of the blocks nothing. Of labels the logits alone go there: for
    the exact values, and for wrong answers to a and log a.
    """
    sent: list[int] = []

    def send(like: arrays.DeviceArray, x: Array) -> torch.Tensor:
        sent.append(x.size)
        return move(like, x)

    move = arrays.DeviceArray._moved
    monkeypatch.setattr(arrays.DeviceArray, "_moved", send)
    p = problem("bfloat16", **OPTIONS[options])
    values = right(p)
    with staying("cpu") as moved:
        placed = tensors(values)
        moved.clear()
        assert judged(p, placed)[0]["dC/dz"].agrees
    assert len(moved) > 100
    assert max(moved) <= ROWS * CLASSES / 60  # the sums of blocks of 64 addends
    if options in ("plain", "ignored", "deep"):
        assert [n for n in sent if n > CLASSES] == 3 * [ROWS * CLASSES]


def test_a_block_that_comes_home_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the count above, where a function is left to NumPy; the verdict is the same."""
    p = problem("float32")
    values = right(p)
    monkeypatch.delitem(functions.UFUNCS, "absolute")
    with staying("cpu") as moved:
        assert_same(judged(p, tensors(values))[0], judged(p, values)[0])
    assert max(moved) == ROWS * CLASSES


def test_what_numpy_finds_goes_into_an_array_of_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it, where a function is left to NumPy; and one index of an axis, beside others, stays on the device."""
    monkeypatch.delitem(functions.UFUNCS, "absolute")
    with staying("cpu"):
        x = arrays.result_of(torch.arange(-12.0, 0.0).reshape(3, 4))
        out = arrays.result_of(torch.zeros(3, 4))
        np.abs(x, out=out)
        assert out.tensor.flatten().tolist() == list(range(12, 0, -1))
        rows = np.array([2, 0])
        assert isinstance(x[rows], arrays.DeviceArray)
        assert isinstance(x[rows, rows], np.ndarray)


def test_other_problems_are_judged_at_home() -> None:
    """Those that need double-double, or have a direction."""
    direction = np.random.default_rng(0).standard_normal((ROWS, CLASSES))
    for p in (problem("float64"), problem("float32", reduction="sum")):
        p = p if p.dtype == "float64" else Problem(**p.arrays(), reduction="sum", v=direction.astype("float32"))
        values = right(p)
        with staying("cpu") as moved:
            assert_same(judged(p, tensors(values))[0], judged(p, values)[0])
        assert max(moved) == ROWS * CLASSES


@pytest.mark.parametrize("shape", [(2, 700, 3), (1500,)], ids=["pixels", "unbatched"])
def test_other_shapes(shape: tuple[int, ...]) -> None:
    """The class axis is another one of the tensor, or the only one."""
    rng = np.random.default_rng(0)
    classes, of_loss = (shape[0], ()) if len(shape) == 1 else (shape[1], (shape[0], *shape[2:]))
    logits, target = rng.standard_normal(shape).astype("bfloat16"), rng.integers(classes, size=of_loss)
    p = Problem(logits=logits, target=target)
    values = right(p)
    values["dC/dz"][(-1,) * len(shape)] *= 3
    with staying("cpu"):
        (placed,) = judged(p, tensors(values))
    assert_same(placed, judged(p, values)[0])
    assert placed["dC/dz"].tally.failing == 1


def test_who_does_not_say_anywhere_gets_arrays() -> None:
    """Of each large result that stays, all but the comparison of a run gets a copy."""
    subject = Subject(adapters.get("torch"), "eager", "cpu", "")
    p = problem("float32")
    with staying("cpu"):
        plain, placed = (attempt(subject, p, ("cost", "dC/dz"), anywhere=anywhere) for anywhere in (False, True))
    for a in (plain, placed, placed.copied()):
        assert a.result is not None
        assert isinstance(a.result.values["cost"], np.ndarray)
        assert isinstance(a.result.values["dC/dz"], np.ndarray) == (a is plain)
        assert np.array_equal(np.asarray(a.result.values["dC/dz"]), plain.result.values["dC/dz"])


def doubled(*where: int) -> Callable[..., torch.Tensor]:
    """PyTorch's loss, with one element of dC/dz doubled, or none."""

    def loss(z: torch.Tensor, y: torch.Tensor, **options: Any) -> torch.Tensor:
        if where and z.requires_grad:
            z = z * 1.0
            z.register_hook(lambda g: g.index_put((torch.tensor(where[0]), torch.tensor(where[1])), 2 * g[where]))
        return cross_entropy(z, y, **options)

    return loss


SAME = ("quantity", "outcome", "index", "got", "elements", "failing", "applicable", "rejected", "notes", "suspects")


def assert_same_records(found: list[Record], expected: list[Record]) -> None:
    """Whatever a record says of a verdict."""
    assert len(found) == len(expected) > 0
    for one, other in zip(found, expected, strict=True):
        assert [getattr(one, name) for name in SAME] == [getattr(other, name) for name in SAME]
        assert one.share == pytest.approx(other.share, **NEAR)
        assert one.ulp == (None if other.ulp is None else pytest.approx(other.ulp, **NEAR))


@pytest.mark.parametrize("where", [(), (5, 1234)], ids=["right", "doubled"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_large_case_on_a_device(dtype: str, where: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """`check_large` of a function names the same element; laws are about small problems, which are judged at home."""
    monkeypatch.setattr(law_study, "LAWS", {})
    asked = {"case": "9x3001", "dtypes": [dtype]}
    at_home = xentcheck.check_large(doubled(*where), "torch", **asked)
    with staying("cpu") as moved:
        placed = xentcheck.check_large(doubled(*where), "torch", **asked)
    assert_same_records(list(placed.records), list(at_home.records))
    assert placed.ok == (not where)
    assert (max(moved) < 9 * 3001) == (not where)  # whoever explains a failure looks at the whole
    if where:
        (wrong,) = [r for r in placed.records if r.outcome == "disagree"]
        assert (wrong.index, wrong.failing) == (where, 1)


def test_a_device_that_fails_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """The verdict is that of copies at home, and its record says so."""

    def full(*given: Any) -> None:
        raise torch.OutOfMemoryError("no room")

    asked = {"case": "9x3001", "dtypes": ["float32"]}
    at_home = xentcheck.check_large(doubled(5, 1234), "torch", **asked)
    monkeypatch.setattr(arrays.DeviceArray, "__array_ufunc__", full)
    with staying("cpu"):
        placed = xentcheck.check_large(doubled(5, 1234), "torch", **asked)
    note = "judged in this machine's memory, as the device raised OutOfMemoryError: no room"
    assert all(note in r.notes for r in placed.records)
    bare = [replace(r, notes=tuple(n for n in r.notes if n != note)) for r in placed.records]
    assert_same_records(bare, list(at_home.records))


def test_blocks_of_tensors_on_a_device() -> None:
    """Blocks and whole arrays, handed over: rows that a convention takes out, no row kept, and a fault beside them."""
    rng = np.random.default_rng(0)
    z, y = rng.standard_normal((ROWS, 300)).astype("float32"), rng.integers(300, size=ROWS)
    z[1, 5], z[2, 7], z[3] = np.nan, np.inf, -np.inf
    for target in (y, np.full(ROWS, -100)):
        p = Problem(logits=z.copy(), target=target, reduction="sum")
        values = {"dC/dz": np.array(right(p)["dC/dz"])}
        values["dC/dz"][4, 9] += 1
        plain = [(z, target, values)]
        placed = [(torch.tensor(z), torch.tensor(target), {"dC/dz": torch.tensor(values["dC/dz"])})]
        at_home = xentcheck.check_large(blocks=plain, reduction="sum")
        with staying("cpu"):
            found = xentcheck.check_large(blocks=placed, reduction="sum")
            whole = xentcheck.check_large(
                logits=z, target=target, results={"dC/dz": torch.tensor(values["dC/dz"])}, reduction="sum"
            )
        assert_same_records(list(found.records), list(at_home.records))
        assert found.records[0].index == whole.records[0].index == (4, 9)


def test_exponentials_are_accurate_enough() -> None:
    """[numerics.md, 4] asks for 1e-3 ULP of float32, 2^-34: PyTorch's float64 exp errs by less than 2^-51."""
    x = -np.concatenate([np.geomspace(1e-300, 700.0, 50_000), np.random.default_rng(0).uniform(0, 700, 100_000)])
    exact = dd_exp(DoubleDouble(x))
    found = torch.exp(torch.tensor(x)).numpy()
    assert np.abs(((found - exact.hi) - exact.lo) / exact.hi).max() < 2.0**-51
    assert torch.exp(torch.tensor([-745.0, -np.inf, 0.0], dtype=torch.float64)).tolist()[1:] == [0.0, 1.0]
