"""The middle of a failure's script, per framework: the problem's arrays as text, and the lines that make `result`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xentcheck.adapters.base import keywords
from xentcheck.adapters.layout import own_copy
from xentcheck.reference.problem import Problem

from .shrink import Failure

NAMES = {"logits": "z", "a_prev": "x", "hidden_w": "hw", "hidden_b": "hb", "w": "w", "b": "b"}
"""Arrays that are differentiated, as the script calls them."""


@dataclass(frozen=True)
class Call:
    """The expression that calls `loss`, by the way in which it takes its options (`Adapter.calling`)."""

    how: str
    names: Mapping[str, str]

    @classmethod
    def of(cls, calling: str) -> Call:
        """Of an adapter's `calling`: a word, and for `linear` pairs of our names and the function's."""
        how, *renamed = calling.split()
        return cls(how, dict(pair.split("=") for pair in renamed))

    def __call__(self, arrays: Sequence[str], options: list[str]) -> str:
        """Arrays and options as text."""
        if self.how == "class":
            return f"loss({', '.join(options)})({', '.join(arrays)})"
        if self.how == "module":
            return f"loss({', '.join(arrays)})"
        if self.how in ("axis", "fixed"):
            options = [o for o in options if not o.startswith("reduction=")]
            options += ["axis=1"] if self.how == "axis" else []
        if self.names:
            first, *others = arrays
            arrays = [first, *(f"{self.names[name]}={name}" for name in others if name in self.names)]
            options = [
                f"{self.names.get(name, name)}={value}" for name, _, value in (o.partition("=") for o in options)
            ]
        return f"loss({', '.join([*arrays, *options])})"


@dataclass(frozen=True)
class Writer:
    """How one framework is written. wide: the expression that makes an array of it one of float64."""

    imports: Callable[[Problem], list[str]]
    body: Callable[[Failure, str, Call], list[str]]
    wide: str
    names: dict[str, str]


def text_of(x: Any) -> str:
    """An array as nested lists, exactly."""
    array = np.asarray(x)
    numbers = array.tolist() if array.dtype.kind in "iu" else array.astype(np.float64).tolist()
    return repr(numbers).replace("nan", "np.nan").replace("inf", "np.inf")


def axis_of(p: Problem) -> int:
    """The class axis."""
    return 0 if len(p.logits_shape) == 1 else 1


def leaves_of(p: Problem, quantity: str) -> list[str]:
    """The names of the arrays that a quantity is the gradient of."""
    kinds = {"dC/dz": ("logits",), "dC/da_prev": ("a_prev",), "dC/dw": ("hidden_w", "w"), "dC/db": ("hidden_b", "b")}
    return [NAMES[name] for name in kinds.get(quantity, ()) if getattr(p, name) is not None]


def options_of(p: Problem, array: str) -> list[str]:
    """Keywords as text; arrays in the framework's words."""
    found = keywords(p)
    return [f"{k}={array.format(text_of(v)) if isinstance(v, np.ndarray) else repr(v)}" for k, v in found.items()]


def _arrays(p: Problem, leaf: Callable[[Any], str]) -> list[str]:
    """The lines that make the leaves, a layer's two in one."""
    given = {name: leaf(x) for key, name in NAMES.items() if (x := getattr(p, key)) is not None}
    pairs = [[name for name in names if name in given] for names in (("z",), ("x",), ("hw", "hb"), ("w", "b"))]
    return [f"{', '.join(names)} = {', '.join(given[name] for name in names)}" for names in pairs if names]


def _arguments(p: Problem, call: Call, linear: str, sigmoid: str) -> list[str]:
    """What a call begins with: the logits, or all that they are made of; and the target."""
    if p.logits is not None:
        return ["z", "y"]
    if call.how == "linear":
        return ["x", "w", "b", "y"]
    x = sigmoid.format(linear.format("x", "hw", "hb")) if p.hidden_w is not None else "x"
    return [linear.format(x, "w", "b"), "y"]


def _torch_imports(p: Problem) -> list[str]:
    return ["import numpy as np", "import torch"]


def _torch(failure: Failure, variant: str, call: Call) -> list[str]:
    p, q = failure.problem, failure.quantity
    array = f"torch.tensor({{}}, dtype=torch.{p.dtype})"

    def leaf(x: Any) -> str:
        if x.flags.c_contiguous:
            return f"{array.format(text_of(x))}.requires_grad_()"
        copy = own_copy(x)
        strided = f"as_strided({copy.shape}, {copy.strides}, {copy.offset})"
        return f"{array.format(text_of(copy.buffer))}.{strided}.detach().requires_grad_()"

    lines = _arrays(p, leaf)
    target = array if p.probabilities else f"torch.tensor({{}}, dtype=torch.{p.target.dtype})"
    lines.append(f"y = {target.format(text_of(p.target))}")
    arguments = _arguments(p, call, "torch.nn.functional.linear({}, {}, {})", "torch.sigmoid({})")
    up = array.format(text_of(p.upstream))
    if q in ("a", "log_a"):
        name = "softmax" if q == "a" else "log_softmax"
        return [*lines, f"result = torch.{name}(z.detach(), {axis_of(p)})"]
    lines.append(f"value = {call(arguments, options_of(p, array))}")
    if q in ("cost", "loss"):
        return [*lines, "result = value.detach()"]
    if leaves := leaves_of(p, q):
        wanted = f"[{', '.join(leaves)}]"
        if p.backward_twice:
            lines.append(f"torch.autograd.grad(value, {wanted}, -2 * {up}, retain_graph=True)")
        grad = f"torch.autograd.grad(value, {wanted}, {up})"
        joined = f"torch.cat([g.flatten() for g in {grad}])"
        return [*lines, f"(result,) = {grad}" if len(leaves) == 1 else f"result = {joined}"]
    lines.append(f"v = {array.format(text_of(p.v))}")
    lines.append("u = torch.ones_like(value, requires_grad=True)" if q == "jvp" else f"u = {up}")
    lines.append("(g,) = torch.autograd.grad(value, [z], u, create_graph=True)")
    return [*lines, f"(result,) = torch.autograd.grad(g, [{'u' if q == 'jvp' else 'z'}], v)"]


def _jax_imports(p: Problem) -> list[str]:
    return ["import jax", "import jax.numpy as jnp", "import numpy as np"]


def _jax(failure: Failure, variant: str, call: Call) -> list[str]:
    p, q = failure.problem, failure.quantity
    array = f"jnp.array({{}}, jnp.{p.dtype})"
    integers = "int32" if str(p.target.dtype) == "int64" and p.dtype != "float64" else p.target.dtype
    target = array if p.probabilities else f"jnp.array({{}}, jnp.{integers})"
    lines = ['jax.config.update("jax_enable_x64", True)'] if p.dtype == "float64" else []
    lines += [*_arrays(p, lambda x: array.format(text_of(x))), f"y = {target.format(text_of(p.target))}"]
    if q in ("a", "log_a"):
        name = "softmax" if q == "a" else "log_softmax"
        return [*lines, f"result = jax.nn.{name}(z, axis={axis_of(p)})"]
    arguments = _arguments(p, call, "({} @ {}.T + {})", "jax.nn.sigmoid({})")
    leaves = leaves_of(p, q) or [NAMES["logits"] if p.logits is not None else NAMES["a_prev"]]
    function = f"lambda {', '.join(leaves)}: {call(arguments, options_of(p, array))}"
    function = f"jax.jit({function})" if variant == "jit" else function
    given, up = ", ".join(leaves), array.format(text_of(p.upstream))
    if q in ("cost", "loss"):
        return [*lines, f"result = ({function})({given})"]
    if leaves_of(p, q):
        lines.append(f"pull = jax.vjp({function}, {given})[1]")
        pulled = f"[pull(-2 * {up}), pull({up})][1]" if p.backward_twice else f"pull({up})"
        joined = f"jnp.concatenate([g.ravel() for g in {pulled}])"
        return [*lines, f"(result,) = {pulled}" if len(leaves) == 1 else f"result = {joined}"]
    lines.append(f"f, v = {function}, {array.format(text_of(p.v))}")
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


def _numpy_imports(p: Problem) -> list[str]:
    return [*(["import ml_dtypes"] if p.dtype == "bfloat16" else []), "import numpy as np"]


def _numpy(failure: Failure, variant: str, call: Call) -> list[str]:
    p, q = failure.problem, failure.quantity
    dtype = "ml_dtypes.bfloat16" if p.dtype == "bfloat16" else f"np.{p.dtype}"
    array = f"np.array({{}}, {dtype})"

    def leaf(x: Any) -> str:
        if x.flags.c_contiguous:
            return array.format(text_of(x))
        copy = own_copy(x)
        buffer = f"{array.format(text_of(copy.buffer))}[{copy.offset}:]"
        strides = tuple(s * copy.buffer.itemsize for s in copy.strides)
        return f"np.lib.stride_tricks.as_strided({buffer}, {copy.shape}, {strides})"

    target = array if p.probabilities else f"np.array({{}}, np.{p.target.dtype})"
    options = options_of(p, array)
    if bool((np.asarray(p.upstream) != 1).any()):
        options.append(f"upstream={array.format(text_of(p.upstream))}")
    arguments = ["z", "y"] if p.logits is not None else ["x", "w", "b", "y"]
    gradients = "result" if p.logits is not None else "gradients"
    lines = [*_arrays(p, leaf), f"y = {target.format(text_of(p.target))}"]
    lines.append(f"value, {gradients} = {call(arguments, options)}")
    if q in ("cost", "loss"):
        return [*lines, "result = np.asarray(value)"]
    place = {"dC/da_prev": 0, "dC/dw": 1, "dC/db": 2}.get(q)
    return lines if place is None else [*lines, f"result = gradients[{place}]"]


TORCH = Writer(_torch_imports, _torch, "{}.detach().double().numpy()", {**NAMES, "target": "y"})
JAX = Writer(_jax_imports, _jax, "np.asarray({}, float)", {**NAMES, "target": "y"})
NUMPY = Writer(_numpy_imports, _numpy, "np.asarray({}, float)", {**NAMES, "target": "y"})
