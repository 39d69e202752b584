"""Numbers of axes, targets and reductions together: a divisor that takes one axis for another is found, alone, here."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from changed import changed, seen, soft

from xentcheck import adapters
from xentcheck.cases.profiles.arrays.lattice import covering_cases
from xentcheck.cases.profiles.arrays.shaped import SETS, SHAPES, beside_each_option, shaped_cases
from xentcheck.cases.profiles.linear import linear_cases
from xentcheck.cases.profiles.named import cases
from xentcheck.running.comparison import run_case
from xentcheck.running.subjects import subjects_of
from xentcheck.vocabulary import DTYPES, FAILING, OPTIONS, REDUCTIONS

Given = dict[str, Any]


def kept(p: Given) -> Any:
    """Which rows are kept."""
    return np.ones(1, bool) if soft(p) else p["y"] != p["ignore_index"]


def of(axes: int, reduction: str, *dtypes: str) -> Any:
    """Whether logits have so many axes, in one of some dtypes, and one reduction."""
    return lambda p: (
        p["z"].ndim == axes and p["reduction"] == reduction and str(p["z"].dtype) in (dtypes or ("float32",))
    )


def both(where: Any, also: Any) -> Any:
    """Whether two things hold."""
    return lambda p: where(p) and also(p)


UNSMOOTHED, UNWEIGHTED, ALL_COUNT = {"label_smoothing": 0.0}, {"weight": None}, {"ignore_index": -(10**9)}
SUMMED, ONES = {"reduction": "sum"}, {"upstream": np.float32(1)}

FOR_ALL: dict[str, tuple[Any, Given, Given | None]] = {
    "a row's sum is not weighted": (both(of(1, "sum"), lambda p: not soft(p)), UNWEIGHTED, None),
    "volumes count what is ignored": (both(of(5, "mean"), lambda p: not kept(p).all()), ALL_COUNT, None),
    "a mean of volumes is a sum": (both(of(5, "mean"), lambda p: not soft(p)), SUMMED, None),
    "sums of images have no upstream gradient": (both(of(4, "sum"), lambda p: not soft(p)), {}, ONES),
    "rows of pixels of probabilities are not weighted": (both(of(4, "none"), soft), UNWEIGHTED, None),
}
"""What is wrong in float32: where, and what is wrong of the value and the gradient, or of the gradient alone."""

BESIDE: dict[str, tuple[Any, Given, Given | None]] = {
    "ignored pixels count in bfloat16": (
        both(of(4, "mean", "bfloat16"), lambda p: not kept(p).all()),
        ALL_COUNT,
        None,
    ),
    "ignored pixels have a gradient in float64": (
        both(of(4, "mean", "float64"), lambda p: not kept(p).all()),
        {},
        ALL_COUNT,
    ),
    "sequences of halves are not weighted": (of(3, "sum", "float16"), UNWEIGHTED, None),
    "volumes are not smoothed in bfloat16": (both(of(5, "sum", "bfloat16"), soft), UNSMOOTHED, None),
}
"""The same in the other dtypes."""


@pytest.mark.parametrize("name", FOR_ALL)
def test_an_axis_that_is_taken_for_another_is_found_by_cases_for_all(name: str) -> None:
    assert seen(FOR_ALL[name], shaped_cases(0))


@pytest.mark.parametrize("name", BESIDE)
def test_an_axis_that_is_taken_for_another_is_found_in_each_dtype(name: str) -> None:
    assert seen(BESIDE[name], beside_each_option(0))


def test_a_row_that_is_taken_for_a_batch_is_found() -> None:
    """Probabilities without a batch, whose mean is divided by their number: nothing else has them without an option."""

    def loss(logits: Any, target: Any, **options: Any) -> Any:
        right = changed(lambda p: False)(logits, target, **options)
        alone = logits.ndim == 1 and target.dtype == logits.dtype and options.get("reduction", "mean") == "mean"
        return tuple((x / len(logits) if alone else x).astype(logits.dtype) for x in right)

    (subject,) = subjects_of(adapters.from_numpy(loss, options=sorted(OPTIONS[:11])))
    records = [r for case in shaped_cases(0) for r in run_case(case, [subject.outcomes_only()])]
    assert {r.case.split(".")[1:5:2] == ["13", "prob"] for r in records if r.outcome in FAILING} == {True}


@pytest.mark.nightly
@pytest.mark.parametrize("name", [*FOR_ALL, *BESIDE])
def test_of_what_a_jit_takes_no_other_case_finds_it(name: str) -> None:
    """No other float32 case that a JIT takes finds these faults; it takes a minute."""
    own = {*shaped_cases(0), *beside_each_option(0)}
    (jit,) = (s for s in subjects_of(adapters.get("jax")) if s.is_main)
    own |= {replace(case, target="index") for case in covering_cases(2, 0) if case.target == "u8"}
    others = [case for case in cases("quick") if case not in own and jit.takes(case) and case.target != "u8"]
    assert not seen({**FOR_ALL, **BESIDE}[name], others)


def test_the_loss_that_they_are_planted_in_agrees() -> None:
    assert not seen((lambda p: False, {}, None), (*shaped_cases(0)[::3], *beside_each_option(0)[::7]))


def test_each_number_of_axes_has_each_target_and_reduction() -> None:
    """Of all in float32, with each option in bfloat16, and with every second set of options in the others."""
    wanted = set(product(SHAPES, SETS, REDUCTIONS))
    assert {(c.shape, c.target, c.reduction) for c in shaped_cases(0)} == wanted
    for dtype in DTYPES:
        own = [c for c in (*shaped_cases(0), *beside_each_option(0)) if c.dtype == dtype]
        assert {(c.shape, c.target, c.reduction) for c in own} == wanted
    half = [c for c in beside_each_option(0) if c.dtype in ("float64", "float16")]
    assert len(half) == len(wanted) * 4
    whole = {(c.shape, c.target, c.options, c.reduction) for c in beside_each_option(0) if c.dtype == "bfloat16"}
    assert whole == {(s, t, o, r) for s, t, r in wanted for o in SETS[t]}


def test_rows_of_one_byte_are_there_with_eight() -> None:
    """The same in all else."""
    found = {str(case) for case in covering_cases(2, 0)}
    assert any(".u8." in case for case in found)
    assert {case.replace(".u8.", ".index.") for case in found if ".u8." in case} <= found


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("chunk", [32, 64])
def test_what_a_chunk_of_rows_adds_to_a_weight_is_seen_in_narrow_dtypes(dtype: str, chunk: int) -> None:
    """A fused linear loss that overwrites dW with that of the last chunk: nothing else has so many narrow rows."""
    torch = pytest.importorskip("torch")

    def loss(x: Any, w: Any, b: Any, y: Any, reduction: str = "mean") -> Any:
        of = torch.nn.functional.cross_entropy
        first = len(x) - len(x) % chunk if len(x) > chunk else 0
        parts = [x[:first] @ w.detach().T + b, x[first:] @ w.T + b]
        return of(torch.cat(parts), y, reduction=reduction)

    made = adapters.from_torch(loss, options=["upstream", "strided"], head="layer")
    (subject,) = subjects_of(made, ["cpu"])
    chosen = [c for c in linear_cases(0) if c.dtype == dtype and c.target == "index" and not c.options]
    records = [r for c in chosen for r in run_case(c, [subject.outcomes_only()])]
    assert ("dC/dw", "97x257k257") in {(r.quantity, r.case.split(".")[1]) for r in records if r.outcome in FAILING}
    assert {r.quantity for r in records if r.outcome in FAILING} == {"dC/dw"}
