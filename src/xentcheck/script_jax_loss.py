"""The built-in JAX loss in a failure's script, so that the script needs JAX and NumPy only."""

from __future__ import annotations

from xentcheck.reference.problem import Problem

from .script_bodies import axis_of


def jax_loss(p: Problem) -> list[str]:
    """`adapters.jax_loss.cross_entropy`, less the lines that this problem does not reach."""
    axis, wide = axis_of(p), "float64" if p.dtype == "float64" else "float32"
    lines = [
        'def loss(z, y, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):',
        f"    log_a = jax.nn.log_softmax(z, {axis})",
    ]
    if p.probabilities and p.label_smoothing:
        lines.append(f"    y = y * (1 - label_smoothing) + label_smoothing / {p.classes}")
    if p.weight is not None:
        column = f"weight.reshape({(p.classes, *(1,) * (len(p.logits_shape) - axis - 1))})"
        lines.append(f"    y = y * {column}" if p.probabilities else f"    log_a = log_a * {column}")
    if p.probabilities:
        lines.append(f"    rows = -(y * log_a).sum({axis})")
        count = "rows.size"
    else:
        ignored = not p.kept.all()
        lines += ["    kept, y = y != ignore_index, jnp.where(y == ignore_index, 0, y)"] if ignored else []
        lines.append(f"    rows = -jnp.take_along_axis(log_a, jnp.expand_dims(y, {axis}), {axis}).squeeze({axis})")
        if p.label_smoothing:
            even = f"label_smoothing / {p.classes} * log_a.sum({axis})"
            lines.append(f"    rows = (1 - label_smoothing) * rows - {even}")
        lines += ["    rows = jnp.where(kept, rows, 0)"] if ignored else []
        each = "jnp.ones(rows.shape)" if p.weight is None else "weight[y]"
        count = f"({f'jnp.where(kept, {each}, 0)' if ignored else each}).astype(jnp.{wide}).sum()"
    found = {"none": "rows", "sum": "rows.sum()", "mean": f"(rows.sum() / {count}).astype(z.dtype)"}
    return [*lines, f"    return {found[p.reduction]}"]
