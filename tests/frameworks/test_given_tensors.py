"""Problems and results are given as they are in PyTorch: tensors of any dtype, with a graph behind them or not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import xentcheck
from xentcheck.errors import ShapeError
from xentcheck.reference.problem import Problem
from xentcheck.vocabulary import DTYPES

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("dtype", DTYPES)
def test_tensors_are_judged_as_they_are(dtype: str) -> None:
    """With the numbers that arrays of them have; a wrong gradient is found."""
    numbers = np.random.default_rng(0).standard_normal((4, 5))
    logits = torch.tensor(numbers, dtype=getattr(torch, dtype), requires_grad=True)
    target = torch.tensor([0, 1, 2, 3])
    cost = torch.nn.functional.cross_entropy(logits, target)
    cost.backward()
    problem = Problem(logits=logits, target=target)
    assert problem.dtype == dtype
    assert (np.asarray(problem.logits, float) == logits.detach().double().numpy()).all()
    xentcheck.assert_values_agree(problem, {"cost": cost, "dC/dz": logits.grad})
    with pytest.raises(xentcheck.Disagreement):
        xentcheck.assert_values_agree(problem, {"cost": cost, "dC/dz": 2 * logits.grad})


class Broken:
    """It looks like an array, and is none."""

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("no memory\non the device")


@pytest.mark.parametrize("given", [Broken(), torch.zeros(2, 3, device="meta")])
def test_what_cannot_be_read_is_refused_in_one_line(given: Any) -> None:
    """Whatever it raises."""
    with pytest.raises(ShapeError, match=r"^logits are no array: \w+: [^\n]*; allowed: an array, or equal rows$"):
        Problem(logits=given, target=[0, 1])
