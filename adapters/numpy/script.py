"""How a failure's script is written in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from xentcheck.adapters.layout import own_copy
from xentcheck.adapters.scripting import Call, Failure, Writer, inputs_of, text_of, upstream_of
from xentcheck.reference.problem import Problem


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

    lines, options = inputs_of(failure, make, make)
    up = upstream_of(failure, make)
    given = [*options, f"upstream={up}"] if up == "u" or bool((np.asarray(p.upstream) != 1).any()) else options
    arguments = ["z", "y"] if p.logits is not None else ["x", "w", "b", "y"]
    gradients = "result" if p.logits is not None else "gradients"
    lines += [call(p, arguments, [*options, f"upstream=-2 * {up}"])] * (p.backwards - 1)
    lines.append(f"value, {gradients} = {call(p, arguments, given)}")
    if q in ("cost", "loss"):
        return [*lines, "result = np.asarray(value)"]
    place = {"dC/da_prev": 0, "dC/dw": 1, "dC/db": 2}.get(q)
    return lines if place is None else [*lines, f"result = gradients[{place}]"]


WRITER = Writer(
    _numpy_imports,
    _numpy,
    "np.asarray({}, float)",
    lambda p: ["from xentcheck.adapters.numpy.adapter import value_and_gradient as loss"],
)
