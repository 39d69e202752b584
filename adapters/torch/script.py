"""How a failure's script is written in PyTorch."""

from __future__ import annotations

from typing import Any

from xentcheck.adapters.layout import own_copy
from xentcheck.adapters.scripting import (
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

    lines, options = inputs_of(failure, make, lambda x: f"{make(x)}.requires_grad_()")
    up = upstream_of(failure, make)
    if q in ("a", "log_a"):
        return [*lines, f"result = torch.{'softmax' if q == 'a' else 'log_softmax'}(z.detach(), {axis_of(p)})"]
    arguments = arguments_of(p, call, "torch.nn.functional.linear({}, {}, {})", "torch.sigmoid({})")
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


WRITER = Writer(
    _torch_imports,
    _torch,
    "{}.detach().double().cpu().numpy()",
    lambda p: ["from torch.nn.functional import cross_entropy as loss"],
)
