"""All bounds of a problem, by the second derivation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xentcheck.reference.bounds.contracts import Contract
from xentcheck.reference.problem import Problem
from xentcheck.reference.rows import from_rows, to_rows

from .along import Along
from .layers import Layers, Uncertain
from .losses import Losses
from .units import EMAX, PRECISION, Units, judged

Bounds = dict[str, NDArray[np.float64]]


def derived(p: Problem, contract: Contract) -> Bounds:
    """Quantity -> bound, of the shapes of the problem's quantities."""
    units = Units(contract, p.dtype)
    found = at_logits(p, units) if p.logits is not None else behind_layers(p, units)
    largest = (2.0 - 2.0 ** (1 - PRECISION[p.dtype])) * 2.0 ** EMAX[p.dtype]
    return {q: np.reshape([judged(x, largest) for x in np.ravel(found[q]).tolist()], p.shapes[q]) for q in p.quantities}


def at_logits(p: Problem, units: Units) -> Bounds:
    """Of a problem that hands its logits over."""
    assert p.logits is not None
    losses = Losses(p, units, to_rows(p.logits).astype(float).tolist())
    rows = range(len(losses.rows))
    classes = range(p.classes)

    def by_element(values: list[list[float]]) -> NDArray[np.float64]:
        return from_rows(np.array(values), p.logits_shape)

    found = {
        "a": by_element([[losses.rows[n].softmax(i) for i in classes] for n in rows]),
        "log_a": by_element([[losses.rows[n].output_log(i) for i in classes] for n in rows]),
        "dC/dz": by_element([[losses.stored_gradient(n, i) for i in classes] for n in rows]),
        "loss": np.array(losses.losses()),
        "cost": np.array(losses.cost()),
    }
    if p.v is not None:
        along = Along(losses)
        found |= {"jvp": np.array(along.jvp()), "hvp": by_element([along.hvp(n) for n in rows])}
    return found


def behind_layers(p: Problem, units: Units) -> Bounds:
    """Of a problem that computes its logits."""
    layers = Layers(p, units)
    z, zeta = layers.logits()
    losses = Losses(p, units, z, zeta)
    rows, classes = range(len(z)), range(p.classes)
    g = [[losses.gradient(n, i)[0] for i in classes] for n in rows]
    error = [[losses.stored_gradient(n, i) for i in classes] for n in rows]
    found = {q: np.array(bound) for q, bound in layers.gradients(Uncertain(g, error)).items()}
    return found | {"loss": np.array(losses.losses()), "cost": np.array(losses.cost())}
