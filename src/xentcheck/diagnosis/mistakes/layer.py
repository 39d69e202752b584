"""Causes behind a last layer: mistakes in the bias, the weights and the inputs, and in sums over the rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from xentcheck.diagnosis.counterfactual import Counterfactual, Mistake
from xentcheck.reference.formats import Array

from .normalisers import CHUNKS

DECAYS = (0.1, 0.01, 5e-4, 1e-3, 1e-4)
"""Factors of a weight decay in use."""


def layer_causes(c: Counterfactual) -> Iterator[Mistake]:
    """Every mistake of a layer that could make a difference to this problem; none where there is no layer."""
    if not c.layer:
        return
    yield from _logits(c)
    yield from _gradients(c)


def _logits(c: Counterfactual) -> Iterator[Mistake]:
    a_prev, w, b = c.layer
    yield "G91", "the bias is left out of the logits", replace(c, z=a_prev @ w.T)
    yield "G91", "the bias is added twice to the logits", replace(c, z=c.z + b)
    yield "G91", "the bias enters twice outside the sum of the exponentials", replace(c, log_a=c.softmax[1] + b)
    if w.shape[0] == w.shape[1]:
        yield "G90", "the weights are used transposed", replace(c, z=a_prev @ w + b)


def _gradients(c: Counterfactual) -> Iterator[Mistake]:
    a_prev, w, _ = c.layer
    delta = c.result("dC/dz")
    right = _summed(delta, a_prev)
    rows, classes = delta.shape
    with np.errstate(all="ignore"):
        for quantity, values in right.items():
            yield "G90", "the mean over the rows instead of the sum", _given(c, quantity, values / rows)
        if rows > 1:
            for sentence, some in (("the first row only", slice(1)), ("all rows but the last", slice(-1))):
                for quantity, values in _summed(delta[some], a_prev[some]).items():
                    yield "G94", f"sums {sentence}", _given(c, quantity, values)
        for sentence, some in _parts(rows):
            for quantity, values in _summed(delta[some], a_prev[some]).items():
                yield "G94", sentence, _given(c, quantity, values)
        for decay in DECAYS:
            for quantity, own in (("dC/dw", w), ("dC/db", c.layer[2])):
                sentence = f"{decay:g} times the parameters are added, a weight decay"
                yield "G94", sentence, _given(c, quantity, right[quantity] + decay * own)
        if c.targets.probabilities is None:
            labels = np.isin(np.arange(classes), c.targets.label[c.targets.kept])
            for quantity, values in _summed(np.where(labels, delta, 0.0), a_prev).items():
                yield "E54", "no gradient for classes that are no label", _given(c, quantity, values)
        if w.shape[0] == w.shape[1]:
            yield "G90", "a_prev^T delta instead of delta^T a_prev", _given(c, "dC/dw", right["dC/dw"].T)
            yield "G90", "delta w^T instead of delta w", _given(c, "dC/da_prev", delta @ w.T)
        for half in (slice(classes // 2), slice(classes // 2, None)):
            if 0 < len(w[half]) < classes:
                sentence = f"sums classes {range(classes)[half][0]} to {range(classes)[half][-1]} only"
                yield "G94", sentence, _given(c, "dC/da_prev", delta[:, half] @ w[half])
        if c.problem.reduction == "none" and rows > 1:
            without = replace(c, upstream=np.ones_like(c.upstream)).result("dC/dz")
            sentence = "the first row's upstream gradient after the sum over the rows"
            for quantity, values in _summed(c.upstream[0] * without, a_prev).items():
                yield "E55", sentence, _given(c, quantity, values)


def _parts(rows: int) -> Iterator[tuple[str, slice]]:
    """One chunk of several: the last overwrites the sum of the others, or the others are not reached."""
    sizes = dict.fromkeys((*(-(-rows // parts) for parts in range(2, 9)), *CHUNKS))
    for size in sizes:
        if 1 < size < rows:
            last = (rows - 1) // size * size
            yield "sums the last chunk of rows only, which overwrites the others", slice(last, None)
            yield "sums the first chunk of rows only", slice(size)
    if rows > 1:
        yield "sums the last chunk of rows only, which overwrites the others", slice(rows - 1, None)


def _summed(delta: Array, a_prev: Array) -> dict[str, Array]:
    """The gradients that sum over the rows."""
    return {"dC/db": delta.sum(0), "dC/dw": delta.T @ a_prev}


def _given(c: Counterfactual, quantity: str, values: Array) -> Counterfactual:
    return replace(c, given={quantity: values})
