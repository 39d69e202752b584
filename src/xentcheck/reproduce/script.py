"""A failure as a script of its own: the framework, NumPy and the implementation, ready to paste into an issue."""

from __future__ import annotations

import shlex
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from typing import Any

import numpy as np

from xentcheck.adapters import built_in
from xentcheck.adapters.base import Adapter
from xentcheck.adapters.process import wire
from xentcheck.adapters.process.requests import request
from xentcheck.adapters.scripting import INPUT_NAMES, Call, Failure, Writer, text_of
from xentcheck.adapters.spec import Spec
from xentcheck.errors import AdapterError
from xentcheck.records.paths import Kind
from xentcheck.running.subjects import Subject
from xentcheck.vocabulary import DTYPES

NAMES = {kind: name for kind, name in wire.DTYPES.items() if name in (*DTYPES, "int64", "uint8")}
"""Names of dtypes in messages, of those that a problem has."""


MARK = "Found by xentcheck"
SCRIPT = Kind("script", (MARK,))
"""What the first line of a script has."""


def script_of(failure: Failure, spec: Spec, subject: Subject, case: str) -> str:
    """At most 25 lines that compute the failing quantity and exit with 1 if it is not what it should be.

    Raises AdapterError for an adapter that is no wrapped function: there is nothing that a script could call.
    """
    adapter = subject.adapter
    how = "is wrong" if failure.outcome == "disagree" else f"ends in {failure.outcome}"
    made_with = " ".join(filter(None, (adapter.package, adapter.version())))
    about = f"{failure.quantity} of {adapter.name}{f' ({made_with})' * bool(made_with)} {how}"
    lines = [f'"""{about}. {MARK} {version("xentcheck")}, shrunk from {case}."""']
    if spec.framework == "process":
        return _text([*lines, *_process(failure, spec, subject)])
    if adapter.package not in built_in() or not adapter.calling:
        raise AdapterError(f"no script can call adapter {adapter.name}; allowed: functions of {', '.join(built_in())}")
    writer: Writer = import_module(f"xentcheck.adapters.{adapter.package}.script").WRITER
    lines += ["import sys", "", *writer.imports(failure.problem), *_implementation(failure, spec, adapter, writer), ""]
    lines += writer.body(failure, subject.variant, subject.device, Call.of(adapter.calling))
    return _text([*lines, *_judged(failure, writer)])


def repeats(script: str, failure: Failure) -> bool:
    """Whether a script fails in a fresh interpreter, in this folder, as the failure does.

    A wrong result is printed, and exit code 1. An error is the same exception; where it is ours, about what came back,
    any that does not speak of the script itself.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=PATIENCE
        )
    except subprocess.TimeoutExpired:
        return False
    if failure.outcome == "disagree":
        return done.returncode == 1 and done.stdout.startswith("got")
    last = (done.stderr.strip().splitlines() or [""])[-1]
    raised = last.partition(":")[0].rpartition(".")[2].strip()
    ours = failure.raised in ("AdapterError", "ProtocolError") or "subprocess.run(" in script
    return done.returncode != 0 and (raised not in ("", *OF_A_SCRIPT) if ours else raised == failure.raised)


PATIENCE = 300.0
"""Seconds for a script, which imports a framework."""

OF_A_SCRIPT = ("SyntaxError", "NameError", "ImportError", "ModuleNotFoundError")
"""What a script raises that is none."""


def _text(lines: list[str]) -> str:
    return "\n".join([*lines, ""])


def _implementation(failure: Failure, spec: Spec, adapter: Adapter, writer: Writer) -> list[str]:
    """The lines that make `loss` the implementation."""
    if spec.framework:
        module, _, attribute = spec.name.partition(":")
        if "adapter" in adapter.calling.split():
            return [f"from {module} import {attribute.partition('.')[0]}", "", f"loss = {attribute}.function"]
        first, *within = attribute.split(".")
        if within:
            return [f"from {module} import {first}", "", f"loss = {attribute}"]
        return [f"from {module} import {attribute}" + (" as loss" if attribute != "loss" else "")]
    if spec.name not in built_in():
        return ["from xentcheck import adapters", "", f'loss = adapters.get("{spec.name}").function']
    return writer.own(failure.problem)


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
        before = np.asarray(getattr(p, failure.changed))
        return [f"got = {writer.wide.format(INPUT_NAMES[failure.changed])}", *_tail(before, np.zeros(before.shape))]
    return [f"got = {writer.wide.format('result')}", *_tail(failure.exact, failure.bound)]


def _tail(exact: Any, bound: Any) -> list[str]:
    right = np.asarray(exact, np.float64)
    special = not (np.isfinite(right).all() and np.isfinite(np.asarray(bound)).all())
    same = "(got == exact) | (np.isnan(got) & np.isnan(exact))" if np.isnan(right).any() else "(got == exact)"
    return [
        f"exact, bound = {_array(right)}, {_array(bound)}",
        *(['np.seterr(invalid="ignore")  # infinities have no difference'] if special else []),
        'print("got", got, "exact", exact, "bound", bound, sep="\\n")',
        f"sys.exit(int(got.shape != exact.shape or not np.all({same} | (abs(got - exact) <= bound))))",
    ]


def _array(x: Any) -> str:
    return f"np.array({text_of(x)})" if np.size(x) else f"np.zeros({np.shape(x)})"


def _process(failure: Failure, spec: Spec, subject: Subject) -> list[str]:
    """One message of the protocol, written and read by hand."""
    p, q = failure.problem, failure.quantity
    asked = {"quantities": q, "device": subject.device, "variant": subject.variant}
    message = request("compute", p, asked)
    given = ", ".join(f'"{name}": {_array(a)}.astype("{a.dtype}")' for name, a in message.arrays.items())
    imports = ["import json", "import subprocess", "import sys", ""]
    imports += ["import ml_dtypes"] if p.dtype == "bfloat16" else []
    form = f'(names[place["dtype"]], tuple(place["shape"])) != ("{p.dtype}", {p.shapes[q]})'
    return [
        *imports,
        "import numpy as np",
        "",
        f"names = {NAMES}",
        f"arrays = {{{given}}}",
        f'header, data = {{"__metadata__": {dict(message.text)}}}, b""',
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
        *(['print("got", place)', f"sys.exit(int({form}))"] if failure.form else _tail(failure.exact, failure.bound)),
    ]
