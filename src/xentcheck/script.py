"""A failure as a script of its own: the framework, NumPy and the implementation, ready to paste into an issue."""

from __future__ import annotations

import shlex
from importlib.metadata import version
from typing import Any

import numpy as np

from xentcheck.adapters import built_in, wire
from xentcheck.adapters.base import Adapter

from .errors import AdapterError
from .script_bodies import JAX, NUMPY, TORCH, Call, Writer, jax_loss, text_of
from .shrink import Failure
from .subjects import Spec
from .vocabulary import DTYPES

WRITERS: dict[str, Writer] = {"torch": TORCH, "jax": JAX, "numpy": NUMPY}


NAMES = {kind: name for kind, name in wire.DTYPES.items() if name in (*DTYPES, "int64", "uint8")}
"""Names of dtypes in messages, of those that a problem has."""


def script_of(failure: Failure, spec: Spec, adapter: Adapter, variant: str, case: str) -> str:
    """At most 25 lines that compute the failing quantity and exit with 1 if it is not what it should be.

    Raises AdapterError for an adapter that is no wrapped function: there is nothing that a script could call.
    """
    how = "is wrong" if failure.outcome == "disagree" else f"ends in {failure.outcome}"
    version_of = " ".join(filter(None, (adapter.package, adapter.version())))
    subject = f"{failure.quantity} of {adapter.name}{f' ({version_of})' * bool(version_of)} {how}"
    lines = [f'"""{subject}. Found by xentcheck {version("xentcheck")}, shrunk from {case}."""']
    if spec.framework == "process":
        return _text([*lines, *_process(failure, spec), *_compared(failure, "got")])
    writer = WRITERS.get(adapter.package)
    if writer is None or not adapter.calling:
        raise AdapterError(f"no script can call adapter {adapter.name}; allowed: functions of {', '.join(WRITERS)}")
    lines += ["import sys", "", *writer.imports(failure.problem), *_implementation(failure, spec, adapter), ""]
    lines += writer.body(failure, variant, Call.of(adapter.calling))
    return _text([*lines, *_judged(failure, writer)])


def _text(lines: list[str]) -> str:
    return "\n".join([*lines, ""])


def _implementation(failure: Failure, spec: Spec, adapter: Adapter) -> list[str]:
    """The lines that make `loss` the implementation."""
    if spec.framework:
        module, _, attribute = spec.name.partition(":")
        if adapter.calling == "adapter":
            return [f"from {module} import {attribute}", "", f"loss = {attribute}.function"]
        return [f"from {module} import {attribute}" + (" as loss" if attribute != "loss" else "")]
    if spec.name not in built_in():
        return ["from xentcheck import adapters", "", f'loss = adapters.get("{spec.name}").function']
    return {
        "torch": ["from torch.nn.functional import cross_entropy as loss"],
        "jax": ["", *jax_loss(failure.problem)],
        "numpy": ["from xentcheck.adapters.numpy import value_and_gradient as loss"],
    }[spec.name]


def _judged(failure: Failure, writer: Writer) -> list[str]:
    """The lines that say what is wrong: with values, with the form of a result, or with an input."""
    p = failure.problem
    if failure.form:
        dtype, shape = p.dtype, p.shapes[failure.quantity]
        return [
            'print("got", result.dtype, tuple(result.shape))',
            f'sys.exit(int(str(result.dtype).split(".")[-1] != "{dtype}" or tuple(result.shape) != {shape}))',
        ]
    if failure.changed:
        before, name = np.asarray(getattr(p, failure.changed)), writer.names[failure.changed]
        zero = np.zeros(before.shape)
        return [f"got = {writer.wide.format(name)}", *_tail(before, zero)]
    return _compared(failure, writer.wide.format("result"))


def _compared(failure: Failure, got: str) -> list[str]:
    lines = [] if got == "got" else [f"got = {got}"]
    return [*lines, *_tail(failure.exact, failure.bound)]


def _tail(exact: Any, bound: Any) -> list[str]:
    finite = np.isfinite(np.asarray(exact, np.float64)).all()
    return [
        f"exact, bound = np.array({text_of(exact)}), np.array({text_of(bound)})",
        *([] if finite else ['np.seterr(invalid="ignore")  # equal infinities have no difference']),
        'print("got", got, "exact", exact, "bound", bound, sep="\\n")',
        "sys.exit(int(got.shape != exact.shape or not np.all((got == exact) | (abs(got - exact) <= bound))))",
    ]


def _process(failure: Failure, spec: Spec) -> list[str]:
    """One message of the protocol, written and read by hand."""
    p, q = failure.problem, failure.quantity
    about = {"message": "compute", "quantities": q, "reduction": p.reduction, "ignore_index": str(p.ignore_index)}
    about |= {"label_smoothing": repr(float(p.label_smoothing)), "device": "cpu", "variant": "eager"}
    arrays: dict[str, Any] = {**p.arrays(), "upstream": np.asarray(p.upstream, p.dtype)}
    given = ", ".join(f'"{name}": np.array({text_of(a)}, "{a.dtype}")' for name, a in arrays.items())
    imports = ["import json", "import subprocess", "import sys", ""]
    imports += ["import ml_dtypes"] if p.dtype == "bfloat16" else []
    return [
        *imports,
        "import numpy as np",
        "",
        f"names = {NAMES}",
        f"arrays = {{{given}}}",
        f'header, data = {{"__metadata__": {about}}}, b""',
        "for key, x in arrays.items():",
        "    kind = next(k for k, name in names.items() if name == str(x.dtype))",
        '    header[key] = {"dtype": kind, "shape": list(x.shape), "data_offsets": [len(data), len(data) + x.nbytes]}',
        "    data += x.tobytes()",
        "line = json.dumps(header).encode()",
        'sent = len(line).to_bytes(8, "little") + line + data',
        f"out = subprocess.run({shlex.split(spec.name)}, input=sent, stdout=subprocess.PIPE).stdout",
        'start = 8 + int.from_bytes(out[:8], "little")',
        f'place = json.loads(out[8:start])["{q}"]',
        'got = np.frombuffer(out[start:][slice(*place["data_offsets"])], names[place["dtype"]]).astype(float)',
        'got = got.reshape(place["shape"])',
    ]
