"""Cross-entropy as one writes it over `jax.nn.log_softmax`: what the JAX adapter differentiates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xentcheck.reference.problem import NO_IGNORE

if TYPE_CHECKING:
    from jax import Array as JaxArray


def cross_entropy(
    logits: JaxArray,
    target: JaxArray,
    *,
    weight: JaxArray | None = None,
    ignore_index: int | JaxArray = NO_IGNORE,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> JaxArray:
    """Cross-entropy as one writes it in JAX, with the conventions of `torch.nn.functional.cross_entropy`.

    logits: (C,), (N, C) or (N, C, d1..dk); target: class indices, or probabilities of the logits' shape. The mean
    divides by the sum of the kept targets' class weights; with probabilities by the number of rows.
    """
    import jax
    import jax.numpy as jnp

    axis = 0 if logits.ndim == 1 else 1
    classes = logits.shape[axis]
    log_a = jax.nn.log_softmax(logits, axis)
    column = None if weight is None else weight.reshape((classes,) + (1,) * (logits.ndim - axis - 1))
    if jnp.issubdtype(target.dtype, jnp.floating):
        q = target if label_smoothing == 0 else target * (1 - label_smoothing) + label_smoothing / classes
        loss = -((q if column is None else q * column) * log_a).sum(axis)
        return reduced(loss, jnp.asarray(loss.size, jnp.promote_types(loss.dtype, jnp.float32)), reduction)
    scaled = log_a if column is None else log_a * column
    target = target.astype(int) if target.dtype == jnp.uint8 else target  # a uint8 would hold -100 as 156
    kept = target != ignore_index
    y = jnp.where(kept, target, 0)
    loss = -jnp.take_along_axis(scaled, jnp.expand_dims(y, axis), axis).squeeze(axis)
    if label_smoothing:
        loss = (1 - label_smoothing) * loss - label_smoothing / classes * scaled.sum(axis)
    share = kept.astype(loss.dtype) if weight is None else jnp.where(kept, weight[y], 0)
    wide = jnp.promote_types(loss.dtype, jnp.float32)  # float16 counts to 65504
    return reduced(jnp.where(kept, loss, 0), share.astype(wide).sum(), reduction)


def reduced(loss: JaxArray, denominator: JaxArray, reduction: str) -> JaxArray:
    """The loss itself, its sum, or its sum over the denominator."""
    if reduction == "none":
        return loss
    total = loss.sum()
    return total if reduction == "sum" else (total / denominator).astype(loss.dtype)
