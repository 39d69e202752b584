"""Other ways in which JAX's users call a loss: none of them changes its value or its gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from xentcheck.adapters.ways import PULLED, elsewhere

if TYPE_CHECKING:
    from jax import Array as JaxArray

Loss = Callable[..., "JaxArray"]

GRADIENT_OF = ("gradient-of-target", "gradient-of-weight")


def batched(function: Loss) -> Loss:
    """The function, called on two batches by `jax.vmap`: what it gives for the second."""
    import jax
    import jax.numpy as jnp

    def call(x: JaxArray, *others: JaxArray, **options: Any) -> JaxArray:
        *fixed, target = others
        another = jnp.broadcast_to(target[-1:], target.shape) if target.ndim else target  # as other batches have
        two = jnp.stack([-x, x]), jnp.stack([another, target])
        mapped = jax.vmap(lambda x, y: function(x, *fixed, y, **options))(*two)
        found: JaxArray = mapped[1]
        return found

    return call


def product(
    way: str, function: Loss, leaves: tuple[JaxArray, ...], target: JaxArray, options: Mapping[str, Any]
) -> tuple[JaxArray, JaxArray]:
    """The product of the target, or of the weight, with the gradient at another one: the loss itself, which is linear
    in it. The gradient is pulled back from `PULLED`, and divided by it.

    And whether there is one: a function that has no such gradient says so by zeros.
    """
    import jax
    import jax.numpy as jnp

    def loss(x: JaxArray) -> JaxArray:
        if way == "gradient-of-target":
            return function(*leaves, x, **options)
        return function(*leaves, target, **{**options, "weight": x})

    of = target if way == "gradient-of-target" else options["weight"]
    value, pull = jax.vjp(loss, elsewhere(of, jnp.roll(of, 1, min(1, of.ndim - 1))))
    (gradient,) = pull(jnp.full_like(value, PULLED))
    return (of * gradient / PULLED).sum(1 if value.ndim else None), gradient.any()
