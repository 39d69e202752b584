"""A cross-entropy with one mistake: log-softmax over the last axis; (N, C, d) logits have their classes on axis 1."""

import jax
import jax.numpy as jnp


def loss(input, target, reduction="mean"):
    log_a = jax.nn.log_softmax(input, axis=-1)
    axis = 0 if input.ndim == 1 else 1
    rows = -jnp.take_along_axis(log_a, jnp.expand_dims(target, axis), axis).squeeze(axis)
    return {"none": rows, "sum": rows.sum(), "mean": rows.mean()}[reduction]
