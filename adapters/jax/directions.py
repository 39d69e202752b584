"""Derivatives of a loss along a direction of its logits: jvp of the loss, hvp of its gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .heads import Pytree

if TYPE_CHECKING:
    from jax import Array as JaxArray

Loss = Callable[["JaxArray"], "JaxArray"]


def forward(loss: Loss, logits: JaxArray, upstream: JaxArray, v: JaxArray) -> Pytree:
    """jvp by `jax.jvp`, hvp as the jvp of the gradient: forward over reverse."""
    import jax

    jvp, hvp = (jax.jvp(f, (logits,), (v,))[1] for f in (loss, _gradient(loss, upstream)))
    return {"jvp": jvp, "hvp": hvp}


def pulled_back(loss: Loss, logits: JaxArray, upstream: JaxArray, v: JaxArray) -> Pytree:
    """Both by reverse mode alone: the pullback is linear, so that its own pullback is the jvp."""
    import jax

    value, pull = jax.vjp(loss, logits)
    jvp = jax.vjp(lambda u: pull(u)[0], jax.numpy.ones_like(value))[1](v)[0]
    return {"jvp": jvp, "hvp": jax.vjp(_gradient(loss, upstream), logits)[1](v)[0]}


def _gradient(loss: Loss, upstream: JaxArray) -> Loss:
    import jax

    def gradient(z: JaxArray) -> JaxArray:
        value, pull = jax.vjp(loss, z)
        found: JaxArray = pull(upstream.astype(value.dtype))[0]
        return found

    return gradient
