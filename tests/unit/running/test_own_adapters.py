"""Adapters of one's own: what they write into is their own, and is told."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from xentcheck import adapters
from xentcheck.adapters.base import Adapter, Capabilities, Result
from xentcheck.cases import Case
from xentcheck.cases.build import build
from xentcheck.reference import cross_entropy, cross_entropy_grad
from xentcheck.reference.problem import Problem
from xentcheck.running.comparison import run_case
from xentcheck.running.subjects import subjects_of

CASES = ("gaussian.5x10.f32.index.plain.mean.up-one.contig.s0", "gaussian.5x10.f32.index.plain.mean.up-one.trans.s0")


def shared(array: Any) -> Any:
    """The same memory, that may be written into."""
    reach = sum((n - 1) * stride for n, stride in zip(array.shape, array.strides, strict=True)) + array.itemsize
    memory = (ctypes.c_char * reach).from_address(array.ctypes.data)
    return np.ndarray(array.shape, array.dtype, memory, strides=array.strides)


class Writing(Adapter):
    """The reference, after something was written into an input, as `torch.from_numpy` lets one, which shares it."""

    package = "numpy"
    capabilities = Capabilities()

    def __init__(self, name: str, factor: float) -> None:
        self.name, self.factor = name, factor

    def devices(self) -> tuple[str, ...]:
        return ("cpu",)

    def settings(self) -> dict[str, str]:
        return {}

    def compute(self, problem: Problem, quantities: Sequence[str], *, device: str, variant: str) -> Result:
        array = shared(problem.arrays()[self.name])
        array *= array.dtype.type(self.factor)
        given = problem.logits, problem.target
        found = {"cost": cross_entropy(*given), "dC/dz": cross_entropy_grad(*given)}
        return Result({q: found[q] for q in quantities if q in found})


@pytest.mark.parametrize("text", CASES)
@pytest.mark.parametrize(
    ("name", "factor", "outcome"),
    [("logits", 0.5, "disagree"), ("target", 0, "disagree"), ("logits", 1, "agree"), ("target", 1, "agree")],
)
def test_what_an_adapter_writes_into_is_no_other_implementations(
    name: str, factor: float, outcome: str, text: str
) -> None:
    """Its results are judged by the inputs that it was given, and so are those of who comes after it."""
    case = Case.parse(text)
    problem = build(case)
    before = {each: array.copy() for each, array in problem.arrays().items()}
    subjects = [*subjects_of(Writing(name, factor)), *subjects_of(adapters.get("numpy"))]
    records = [r for r in run_case(case, subjects, problem) if r.quantity in ("cost", "dC/dz")]
    assert [r.outcome for r in records if r.adapter == name] == [outcome] * 2
    assert [r.outcome for r in records if r.adapter == "numpy"] == ["agree"] * 2
    assert all(np.array_equal(array, before[each]) for each, array in problem.arrays().items())
    changed = {each for r in records for each in r.changed}
    assert changed == ({"target"} if (name, factor) == ("target", 0) else set())
