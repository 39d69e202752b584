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

LEAF_NAMES = {"logits": "z", "a_prev": "x", "hidden_w": "hw", "hidden_b": "hb", "w": "w", "b": "b"}
"""Arrays that are differentiated, as the script calls them."""

INPUT_NAMES = {**LEAF_NAMES, "target": "y", "weight": "c", "upstream": "u", "v": "v"}
"""All arrays; class weights and the upstream gradient are variables only where the fault is in what becomes of them."""


@dataclass(frozen=True)
class Call:
    """The expression that calls `loss`, by the way in which it takes its options (`Adapter.calling`)."""

    words: frozenset[str]
    names: Mapping[str, str]

    @classmethod
    def of(cls, calling: str) -> Call:
        """Of an adapter's `calling`: words, and pairs of our names and the function's."""
        words = calling.split()
        return cls(frozenset(w for w in words if "=" not in w), dict(w.split("=") for w in words if "=" in w))

    def __call__(self, p: Problem, arrays: Sequence[str], options: list[str]) -> str:
        """Arrays and options as text."""
        always = [name for name in self.names.get("always", "").split("+") if name]
        usual = {"reduction": repr(p.reduction), "ignore_index": p.ignore_index, "label_smoothing": p.label_smoothing}
        options += [f"{name}={usual[name]}" for name in always if not any(o.startswith(f"{name}=") for o in options)]
        if self.words & {"fixed", "axis"}:
            options = [o for o in options if not o.startswith("reduction=")]
            options += [f"axis={axis_of(p)}"] if "axis" in self.words else []
        if "class" in self.words:
            return f"loss({', '.join(options)})({', '.join(arrays)})"
        if "module" in self.words:
            return f"loss({', '.join(arrays)})"
        if "linear" in self.words and self.names:
            first, *others = arrays
            arrays = [first, *(f"{self.names[name]}={name}" for name in others if name in self.names)]
            split = (o.partition("=") for o in options)
            options = [f"{self.names.get(name, name)}={value}" for name, _, value in split]
        return f"loss({', '.join([*arrays, *options])})"


@dataclass(frozen=True)
class Writer:
    """How one framework is written. wide: the expression that makes an array of it one of float64 in NumPy."""

    imports: Callable[[Problem], list[str]]
    body: Callable[[Failure, str, str, Call], list[str]]
    wide: str


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
    return [LEAF_NAMES[name] for name in kinds.get(quantity, ()) if getattr(p, name) is not None]


def _inputs(failure: Failure, make: Callable[[Any], str], leaf: Callable[[Any], str]) -> tuple[list[str], list[str]]:
    """The lines that make the arrays, a layer's two in one, and the options of the call."""
    p = failure.problem
    given = {name: leaf(x) for key, name in LEAF_NAMES.items() if (x := getattr(p, key)) is not None}
    groups = [[name for name in names if name in given] for names in (("z",), ("x",), ("hw", "hb"), ("w", "b"))]
    lines = [f"{', '.join(names)} = {', '.join(given[name] for name in names)}" for names in groups if names]
    lines.append(f"y = {make(p.target)}")
    lines += [f"c = {make(p.weight)}"] if failure.changed == "weight" else []
    lines += [f"u = {make(np.asarray(p.upstream, p.dtype))}"] if failure.changed == "upstream" else []
    options = {name: make(x) if isinstance(x, np.ndarray) else repr(x) for name, x in keywords(p).items()}
    options |= {"weight": "c"} if failure.changed == "weight" else {}
    return lines, [f"{name}={text}" for name, text in options.items()]


def _upstream(failure: Failure, make: Callable[[Any], str]) -> str:
    p = failure.problem
    return "u" if failure.changed == "upstream" else make(np.asarray(p.upstream, p.dtype))


def _arguments(p: Problem, call: Call, linear: str, sigmoid: str) -> list[str]:
    """What a call begins with: the logits, or all that they are made of; and the target."""
    if p.logits is not None:
        return ["z", "y"]
    if "linear" in call.words:
        return ["x", "w", "b", "y"]
    x = sigmoid.format(linear.format("x", "hw", "hb")) if p.hidden_w is not None else "x"
    return [linear.format(x, "w", "b"), "y"]


def _torch_imports(p: Problem) -> list[str]:
    return ["import numpy as np", "import torch"]


def _torch(failure: Failure, variant: str, device: str, call: Call) -> list[str]:
    p, q = failure.problem, failure.quantity
    place = "" if device == "cpu" else f', device="{device}"'

    def make(x: Any) -> str:
        dtype = f"dtype=torch.{x.dtype}{place}"
        if not x.size:
            return f"torch.zeros({x.shape}, {dtype})"
        if x.flags.c_contiguous:
            return f"torch.tensor({text_of(x)}, {dtype})"
        copy = own_copy(x)
        layout = f"{copy.shape}, {copy.strides}, {copy.offset}"
        return f"torch.tensor({text_of(copy.buffer)}, {dtype}).as_strided({layout}).detach()"

    lines, options = _inputs(failure, make, lambda x: f"{make(x)}.requires_grad_()")
    up = _upstream(failure, make)
    if q in ("a", "log_a"):
        return [*lines, f"result = torch.{'softmax' if q == 'a' else 'log_softmax'}(z.detach(), {axis_of(p)})"]
    arguments = _arguments(p, call, "torch.nn.functional.linear({}, {}, {})", "torch.sigmoid({})")
    lines.append(f"value = {call(p, arguments, options)}")
    if q in ("cost", "loss"):
        return [*lines, "result = value.detach()"]
    if leaves := leaves_of(p, q):
        wanted = f"[{', '.join(leaves)}]"
        lines += [f"torch.autograd.grad(value, {wanted}, -2 * {up}, retain_graph=True)"] * (p.backwards - 1)
        grad = f"torch.autograd.grad(value, {wanted}, {up})"
        joined = f"torch.cat([g.flatten() for g in {grad}])"
        return [*lines, f"(result,) = {grad}" if len(leaves) == 1 else f"result = {joined}"]
    lines.append(f"v = {make(p.v)}")
    lines.append("u = torch.ones_like(value, requires_grad=True)" if q == "jvp" else f"u = {up}")
    lines.append("(g,) = torch.autograd.grad(value, [z], u, create_graph=True)")
    return [*lines, f"(result,) = torch.autograd.grad(g, [{'u' if q == 'jvp' else 'z'}], v)"]


def _jax_imports(p: Problem) -> list[str]:
    return ["import jax", "import jax.numpy as jnp", "import numpy as np"]


def _jax(failure: Failure, variant: str, device: str, call: Call) -> list[str]:
    p, q = failure.problem, failure.quantity
    wide = p.dtype == "float64"

    def make(x: Any) -> str:
        dtype = "jnp.int32" if str(x.dtype) == "int64" and not wide else f"jnp.{x.dtype}"
        return f"jnp.array({text_of(x)}, {dtype})" if x.size else f"jnp.zeros({x.shape}, {dtype})"

    lines, options = _inputs(failure, make, make)
    lines = [*(['jax.config.update("jax_enable_x64", True)'] if wide else []), *lines]
    if device == "gpu":
        lines.insert(0, 'jax.config.update("jax_default_device", jax.devices("gpu")[0])')
    if q in ("a", "log_a"):
        return [*lines, f"result = jax.nn.{'softmax' if q == 'a' else 'log_softmax'}(z, axis={axis_of(p)})"]
    arguments = _arguments(p, call, "({} @ {}.T + {})", "jax.nn.sigmoid({})")
    leaves = leaves_of(p, q) or [LEAF_NAMES["logits"] if p.logits is not None else LEAF_NAMES["a_prev"]]
    function = f"lambda {', '.join(leaves)}: {call(p, arguments, options)}"
    function = f"jax.jit({function})" if variant == "jit" else function
    given, up = ", ".join(leaves), _upstream(failure, make)
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


def _numpy_imports(p: Problem) -> list[str]:
    return [*(["import ml_dtypes"] if p.dtype == "bfloat16" else []), "import numpy as np"]


def _numpy(failure: Failure, variant: str, device: str, call: Call) -> list[str]:
    p, q = failure.problem, failure.quantity

    def make(x: Any) -> str:
        dtype = "ml_dtypes.bfloat16" if str(x.dtype) == "bfloat16" else f"np.{x.dtype}"
        if not x.size:
            return f"np.zeros({x.shape}, {dtype})"
        if x.flags.c_contiguous:
            return f"np.array({text_of(x)}, {dtype})"
        copy = own_copy(x)
        strides = tuple(s * copy.buffer.itemsize for s in copy.strides)
        buffer = f"np.array({text_of(copy.buffer)}, {dtype})[{copy.offset}:]"
        return f"np.lib.stride_tricks.as_strided({buffer}, {copy.shape}, {strides})"

    lines, options = _inputs(failure, make, make)
    up = _upstream(failure, make)
    given = [*options, f"upstream={up}"] if up == "u" or bool((np.asarray(p.upstream) != 1).any()) else options
    arguments = ["z", "y"] if p.logits is not None else ["x", "w", "b", "y"]
    gradients = "result" if p.logits is not None else "gradients"
    lines += [call(p, arguments, [*options, f"upstream=-2 * {up}"])] * (p.backwards - 1)
    lines.append(f"value, {gradients} = {call(p, arguments, given)}")
    if q in ("cost", "loss"):
        return [*lines, "result = np.asarray(value)"]
    place = {"dC/da_prev": 0, "dC/dw": 1, "dC/db": 2}.get(q)
    return lines if place is None else [*lines, f"result = gradients[{place}]"]


TORCH = Writer(_torch_imports, _torch, "{}.detach().double().cpu().numpy()")
JAX = Writer(_jax_imports, _jax, "np.asarray({}, float)")
NUMPY = Writer(_numpy_imports, _numpy, "np.asarray({}, float)")
