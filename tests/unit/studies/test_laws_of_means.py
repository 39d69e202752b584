"""Laws about losses that know one reduction only, or no upstream gradient: they can be broken there, too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from xentcheck.adapters.wrap.implementation import adapter_of
from xentcheck.adapters.wrap.trying.refusals import tried
from xentcheck.cases.selection import selected
from xentcheck.reference import cross_entropy, cross_entropy_grad
from xentcheck.running.subjects import Subject
from xentcheck.studies.law_study import laws
from xentcheck.vocabulary import DTYPES

ROWS_ONLY = {"batch", "chunks", "sum-of-rows"}
"""Laws about single rows, of which the reductions that mix them have none."""


def loss_of(reduction: str, changed: Any = lambda gradient: gradient) -> Any:
    """A loss without any option, whose gradient is changed."""

    def loss(logits: Any, target: Any) -> Any:
        gradient = cross_entropy_grad(logits, target, reduction=reduction)
        return cross_entropy(logits, target, reduction=reduction), changed(gradient)

    return loss


def shares(loss: Any) -> dict[str, float]:
    subject = Subject(tried(adapter_of(loss, "numpy")), "eager", "cpu", "")
    return {result.law: result.share for result in laws(subject, "float32")}


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_right_loss_keeps_all_laws_but_those_of_single_rows(reduction: str) -> None:
    """They are asked in its own reduction."""
    found = shares(loss_of(reduction))
    assert {"rows-sum-to-0", "shift", "permutation", "independent", "fresh-memory"} <= found.keys()
    assert not ROWS_ONLY & found.keys()
    assert max(found.values()) <= 1


BUFFER = np.zeros(0, np.float32)


def shared(gradient: Any) -> Any:
    """The gradient in a buffer of the module, which the next call of the same size fills again."""
    global BUFFER  # the fault
    if BUFFER.shape != gradient.shape:
        BUFFER = np.zeros_like(gradient)
    BUFFER[...] = gradient
    return BUFFER


def test_shared_memory_breaks_a_law() -> None:
    """Of a mean without options: every comparison of it agrees."""
    found = shares(loss_of("mean", shared))
    assert [law for law, share in found.items() if not share <= 1] == ["independent"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_broken_law_has_a_command(dtype: str) -> None:
    """It names the implementation and one small case of that dtype, which `run` has; laws that are kept need none.

    Alone this asks all laws with a command, and without one.
    """
    adapter = tried(adapter_of(loss_of("mean", shared), "numpy"))
    for command in ("--impl mine:loss", ""):
        (broken,) = (law for law in laws(Subject(adapter, "eager", "cpu", command), dtype) if law.again or not law.kept)
        assert (broken.law, broken.again != "") == ("independent", command != "")
        if command:
            before, _, case = broken.again.rpartition(" ")
            assert before == "xentcheck run --impl mine:loss --device cpu --case"
            assert [str(c) for c in selected("quick", [dtype], 0, [case])] == [case]
            assert str(broken).endswith(f"; again: {broken.again}")


def unwritten(gradient: Any) -> Any:
    """Where the gradient is tiny, it is never written."""
    made = np.empty_like(gradient)
    np.copyto(made, gradient, where=np.abs(gradient) > 0.01)
    return made


def test_memory_that_was_never_written_breaks_a_law() -> None:
    """Without rows that are ignored, too."""
    found = shares(loss_of("mean", unwritten))
    assert not found["fresh-memory"] <= 1
