"""Slips of newcomers: a maximum, a mask, an axis, a step of a difference; each is named off value and gradient."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from samples import record

from xentcheck.cases import Case
from xentcheck.cases.build import build
from xentcheck.diagnosis.counterfactual import Counterfactual
from xentcheck.diagnosis.suspects import suspects
from xentcheck.reference.bounds import Bounds
from xentcheck.reference.bounds.contracts import CATALOGUE
from xentcheck.reference.oracle import Exact
from xentcheck.reports.analysis.causes.suspicion import suspicion

PLAIN = "gaussian.5x10.f64.index.{}.none.up-rand.contig.s0"


def told(case: str, quantity: str, wrong: Any) -> tuple[str, ...]:
    """What is suspected of wrong(counterfactual) in the shape of the quantity."""
    p = build(Case.parse(case))
    exact = Exact(p)
    shape = exact.evaluate([quantity])[quantity][0].shape
    with np.errstate(all="ignore"):
        got = np.asarray(wrong(Counterfactual.of(p)))
    got = np.moveaxis(got.reshape(shape[0], *shape[2:], shape[1]), -1, 1) if len(shape) > 2 else got.reshape(shape)
    return suspects(p, quantity, got, Bounds(exact, CATALOGUE["fused"]).evaluate([quantity])[quantity])


def lost_maximum(c: Counterfactual) -> Any:
    z, y = c.z, c.targets.label
    return np.log(np.exp(z - z.max(1, keepdims=True)).sum(1)) - z[np.arange(len(z)), y]


def lost_maximum_that_flows(c: Counterfactual) -> Any:
    at = c.z == c.z.max(1, keepdims=True)
    return c.upstream[:, None] * (c.softmax[0] - c.q - at)


def zeroed_logits(c: Counterfactual) -> Any:
    return np.where(c.targets.kept, c.losses(), np.log(c.targets.classes))


def of_probabilities(c: Counterfactual) -> Any:
    return -np.log(c.z[np.arange(len(c.z)), c.targets.label])


def quotient(c: Counterfactual) -> Any:
    """By calls of the loss, one for each logit and side."""
    h, found = 1e-3, np.zeros_like(c.z)
    for j in range(c.z.shape[1]):
        step = h * (np.arange(c.z.shape[1]) == j)
        found[:, j] = (replace(c, z=c.z + step).losses() - replace(c, z=c.z - step).losses()) / (2.0 * h)
    return c.upstream[:, None] * found


def perplexity(c: Counterfactual) -> Any:
    return np.exp(c.losses())[:, None] * c.result("dC/dz")


def half_smoothed(c: Counterfactual) -> Any:
    half = c.targets.classes // 2
    log_a, y, eps = c.softmax[1], c.targets.label, c.targets.smoothing
    return -(1.0 - eps) * log_a[np.arange(len(y)), y] - eps * log_a[:, :half].mean(1)


def batch_axis(c: Counterfactual) -> Any:
    z = c.z.reshape(3, -1, c.z.shape[1])
    log_a = z - z.max(0) - np.log(np.exp(z - z.max(0)).sum(0))
    return -log_a.reshape(c.z.shape)[np.arange(len(c.z)), c.targets.label]


SLIPS = [
    (PLAIN.format("plain"), "loss", lost_maximum, "A14", "not added back"),
    (PLAIN.format("plain"), "dC/dz", lost_maximum_that_flows, "A14", "not added back"),
    (PLAIN.format("ign"), "loss", zeroed_logits, "C34", "each adds log C"),
    (PLAIN.format("plain"), "loss", of_probabilities, "A12", "taken for probabilities"),
    (PLAIN.format("plain"), "dC/dz", quotient, "E61", "(C(z + h) - C(z - h))/2h"),
    (PLAIN.format("plain"), "dC/dz", perplexity, "A12", "exp of the loss"),
    (PLAIN.format("ls").replace("5x10", "4x11"), "loss", half_smoothed, "D40", "first half of the classes"),
    ("gaussian.3x7x2.f64.index.plain.none.up-rand.contig.s0", "loss", batch_axis, "F73", "softmax over axis 0"),
]


@pytest.mark.parametrize(("case", "quantity", "wrong", "code", "words"), SLIPS)
def test_a_slip_is_named(case: str, quantity: str, wrong: Any, code: str, words: str) -> None:
    """By its code and words; beside one element that is another it is not."""
    found = told(case, quantity, wrong)
    assert any(text.startswith(f"{code}: ") and words in text for text in found), found

    def with_another(c: Counterfactual) -> Any:
        made = np.array(wrong(c))
        made.flat[np.argmax(np.isfinite(made))] += 0.25  # the first that is finite
        return made

    assert not any(words in text for text in told(case, quantity, with_another))


def test_the_step_of_a_difference_is_told() -> None:
    """Read off the gradient, whose error grows with its square."""
    assert any(text.endswith("h = 0.001") for text in told(PLAIN.format("plain"), "dC/dz", quotient))


def test_nan_in_ignored_rows_alone_is_a_sentinel_that_was_looked_up() -> None:
    """Filled in by a gather; nan in a row more is something else."""

    def filled(c: Counterfactual) -> Any:
        return np.where(c.targets.kept, c.losses(), np.nan)

    found = told(PLAIN.format("ign"), "loss", filled)
    assert [text.partition(":")[0] for text in found] == ["C32"]
    assert not any(text.startswith("C32") for text in told(PLAIN.format("ign"), "loss", lambda c: filled(c) * np.nan))


def test_one_failure_of_several_is_no_sign_of_its_cause() -> None:
    """Three failures with a cause each were told as if the first one were known."""
    each = [("F74: a class is lost",), ("A10: few bits",), ("F79: just some rows are wrong",)]
    assert suspicion([record(outcome="disagree", suspects=s) for s in each]).startswith("cause unknown")
    assert suspicion([record(outcome="disagree", suspects=s) for s in each[:1]]).startswith("suspected: a class is")
