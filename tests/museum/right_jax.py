"""Right implementations in JAX: forms of the loss under `jax.vjp`, as people and optax write them."""

from __future__ import annotations

from typing import Any

from .base import Array, Fault
from .right import right
from .right_torch import PLAIN, reduced

FAULTS: list[Fault] = []


def jnp() -> Any:
    """jax.numpy, imported by the first call."""
    import jax

    return jax.numpy


def nn() -> Any:
    """jax.nn."""
    import jax

    return jax.nn


def picked(x: Array, target: Array) -> Array:
    """x[i, y_i]."""
    return jnp().take_along_axis(x, target[:, None], 1)[:, 0]


@right(FAULTS, "optax-integer-labels", options=PLAIN, needs="optax")
def optax_integer_labels(input: Array, target: Array, reduction: str = "mean") -> Array:
    """optax.softmax_cross_entropy_with_integer_labels."""
    import optax

    return reduced(optax.softmax_cross_entropy_with_integer_labels(input, target), reduction)


@right(FAULTS, "optax-smooth-labels", options=(*PLAIN, "label_smoothing"), needs="optax")
def optax_smooth_labels(input: Array, target: Array, reduction: str = "mean", label_smoothing: float = 0.0) -> Array:
    """optax.softmax_cross_entropy of one-hot rows, smoothed by optax.smooth_labels, without 0 times -inf."""
    import optax

    q = nn().one_hot(target, input.shape[1], dtype=input.dtype)
    q = optax.smooth_labels(q, label_smoothing) if label_smoothing else q
    return reduced(optax.softmax_cross_entropy(input, q, where=(q != 0) | jnp().isfinite(input)), reduction)


@right(FAULTS, "log-softmax-gathered", options=PLAIN)
def log_softmax_gathered(input: Array, target: Array, reduction: str = "mean") -> Array:
    """jax.nn.log_softmax, gathered at the label."""
    return reduced(-picked(nn().log_softmax(input, 1), target), reduction)


@right(FAULTS, "logsumexp-minus-label", options=PLAIN)
def logsumexp_minus_label(input: Array, target: Array, reduction: str = "mean") -> Array:
    """jax.nn.logsumexp(z) - z_y."""
    return reduced(nn().logsumexp(input, 1) - picked(input, target), reduction)


@right(FAULTS, "autograd-through-max", options=PLAIN)
def autograd_through_max(input: Array, target: Array, reduction: str = "mean") -> Array:
    """t - log(sum(exp t)) for t = z - max(z), differentiated as written."""
    t = input - input.max(1, keepdims=True)
    return reduced(-picked(t - jnp().log(jnp().exp(t).sum(1, keepdims=True)), target), reduction)


@right(FAULTS, "upcast", options=PLAIN)
def upcast(input: Array, target: Array, reduction: str = "mean") -> Array:
    """log_softmax in float32 for narrow logits, the loss rounded to their dtype."""
    wide = input.astype("float32") if input.dtype.itemsize < 4 else input
    return log_softmax_gathered(wide, target, reduction).astype(input.dtype)


@right(FAULTS, "margins", options=PLAIN)
def margins(input: Array, target: Array, reduction: str = "mean") -> Array:
    """jax.nn.logsumexp(z - z_y)."""
    return reduced(nn().logsumexp(input - picked(input, target)[:, None], 1), reduction)


@right(FAULTS, "label-apart", options=PLAIN)
def label_apart(input: Array, target: Array, reduction: str = "mean") -> Array:
    """log1p(exp(d)), or d + log1p(exp(-d)) for d > 0, of d = logsumexp of the other logits - z_y."""
    hot = nn().one_hot(target, input.shape[1], dtype=bool)
    others = jnp().where(hot, jnp().finfo(input.dtype).min, input)
    d = nn().logsumexp(others, 1) - picked(input, target)
    above, below = jnp().where(d > 0, d, 0.0), jnp().where(d > 0, 0.0, d)
    losses = jnp().where(d > 0, d + jnp().log1p(jnp().exp(-above)), jnp().log1p(jnp().exp(below)))
    return reduced(losses, reduction)
