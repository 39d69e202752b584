"""How a failure's script is written in JAX."""

from __future__ import annotations

from typing import Any

from xentcheck.adapters.scripting import (
    LEAF_NAMES,
    Call,
    Failure,
    Writer,
    arguments_of,
    axis_of,
    inputs_of,
    leaves_of,
    text_of,
    upstream_of,
)
from xentcheck.reference.problem import Problem


def _jax_imports(p: Problem) -> list[str]:
    return ["import jax", "import jax.numpy as jnp", "import numpy as np"]


def _jax(failure: Failure, variant: str, device: str, call: Call) -> list[str]:
    p, q = failure.problem, failure.quantity
    wide = p.dtype == "float64"

    def make(x: Any) -> str:
        dtype = "jnp.int32" if str(x.dtype) == "int64" and not wide else f"jnp.{x.dtype}"
        return f"jnp.array({text_of(x)}, {dtype})" if x.size else f"jnp.zeros({x.shape}, {dtype})"

    lines, options = inputs_of(failure, make, make)
    lines = [*(['jax.config.update("jax_enable_x64", True)'] if wide else []), *lines]
    if device == "gpu":
        lines.insert(0, 'jax.config.update("jax_default_device", jax.devices("gpu")[0])')
    if q in ("a", "log_a"):
        return [*lines, f"result = jax.nn.{'softmax' if q == 'a' else 'log_softmax'}(z, axis={axis_of(p)})"]
    arguments = arguments_of(p, call, "({} @ {}.T + {})", "jax.nn.sigmoid({})")
    leaves = leaves_of(p, q) or [LEAF_NAMES["logits"] if p.logits is not None else LEAF_NAMES["a_prev"]]
    function = f"lambda {', '.join(leaves)}: {call(p, arguments, options)}"
    function = f"jax.jit({function})" if variant == "jit" else function
    given, up = ", ".join(leaves), upstream_of(failure, make)
    if q in ("cost", "loss"):
        return [*lines, f"result = ({function})({given})"]
    if leaves_of(p, q):
        lines.append(f"pull = jax.vjp({function}, {given})[1]")
        earlier = f"pull(-2 * {up}), " * (p.backwards - 1)
        pulled = f"[{earlier}pull({up})][-1]" if earlier else f"pull({up})"
        joined = f"jnp.concatenate([g.ravel() for g in {pulled}])"
        return [*lines, f"(result,) = {pulled}" if len(leaves) == 1 else f"result = {joined}"]
    lines.append(f"f, v = {function}, {make(p.v)}")
    if q == "jvp":
        return [*lines, "result = jax.jvp(f, [z], [v])[1]"]
    return [*lines, f"result = jax.jvp(lambda z: jax.vjp(f, z)[1]({up})[0], [z], [v])[1]"]


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


WRITER = Writer(_jax_imports, _jax, "np.asarray({}, float)", lambda p: ["", *jax_loss(p)])
