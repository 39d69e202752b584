"""A problem's arrays in JAX: how they are given, the head that makes logits of them, and gradients by quantity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from xentcheck.reference.formats import Array
from xentcheck.reference.problem import Problem

if TYPE_CHECKING:
    from jax import Array as JaxArray

Pytree = dict[str, Any]
"""Arrays by name."""


def packed(problem: Problem) -> dict[str, Array]:
    """A problem's arrays without strides, which JAX does not have."""
    arrays = {**problem.arrays(), "upstream": np.asarray(problem.upstream, problem.dtype)}
    return {name: array.copy(order="C") for name, array in arrays.items()}


FIXED = "fixed arrays"
"""Among what is traced: those of the layer's arrays that need no gradient."""

LEAVES = ("logits", "a_prev", "hidden_w", "w", "hidden_b", "b")


def softmaxes(logits: JaxArray) -> Pytree:
    """`a` and `log_a` over the class axis."""
    import jax

    axis = 0 if logits.ndim == 1 else 1
    return {"a": jax.nn.softmax(logits, axis), "log_a": jax.nn.log_softmax(logits, axis)}


def head(leaves: Mapping[str, JaxArray]) -> JaxArray:
    """The logits: given, of the last layer, or of a sigmoid layer and the last."""
    import jax

    if "logits" in leaves:
        return leaves["logits"]
    a_prev = leaves["a_prev"]
    if "hidden_w" in leaves:
        a_prev = jax.nn.sigmoid(a_prev @ leaves["hidden_w"].T + leaves["hidden_b"])
    return a_prev @ leaves["w"].T + leaves["b"]


def grouped(gradients: Pytree) -> Pytree:
    """Gradient per quantity; those of a network's two layers as one vector, the hidden layer's first."""
    import jax.numpy as jnp

    if "logits" in gradients:
        return {"dC/dz": gradients["logits"]}
    of = {"dC/db": "b", "dC/dw": "w", "dC/da_prev": "a_prev"}
    found = {quantity: gradients[name] for quantity, name in of.items() if name in gradients}
    if "hidden_w" in gradients:
        found["dC/db"] = jnp.concatenate([gradients["hidden_b"], found["dC/db"]])
        found["dC/dw"] = jnp.concatenate([gradients["hidden_w"].ravel(), found["dC/dw"].ravel()])
    return found
