"""Requests: a problem as a message to an implementation in a process of its own, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np

from xentcheck.reference.problem import Problem

from .base import Array
from .layout import own_copy
from .wire import Message


def request(kind: str, problem: Problem, text: Mapping[str, str] | None = None) -> Message:
    """A problem as a message; arrays that are not contiguous go as their buffer, with the layout in `layouts`."""
    arrays: dict[str, Array] = {}
    layouts: dict[str, object] = {}
    for name, array in problem.arrays().items():
        array = np.asarray(array, problem.dtype) if name == "upstream" else array
        if array.flags.c_contiguous:
            arrays[name] = array
            continue
        copy = own_copy(array)
        arrays[name] = copy.buffer
        layouts[name] = [copy.shape, copy.strides, copy.offset]
    given = {
        "message": kind,
        "reduction": problem.reduction,
        "ignore_index": str(problem.ignore_index),
        "label_smoothing": repr(float(problem.label_smoothing)),
        **({"backward": {2: "twice"}.get(problem.backwards, "thrice")} if problem.backward_twice else {}),
        **({"needs": " ".join(problem.needs)} if problem.needs else {}),
        **({"layouts": json.dumps(layouts)} if layouts else {}),
    }
    return Message({**given, **(text or {})}, arrays)


def problem_of(message: Message) -> Problem:
    """The inverse of a request: the problem, in its layout. Raises ProblemError or ProtocolError."""
    layouts = json.loads(message.text.get("layouts", "{}"))
    arrays = dict(message.arrays)
    for name, (shape, strides, offset) in layouts.items():
        buffer = arrays[name]
        steps = [s * buffer.itemsize for s in strides]
        arrays[name] = np.lib.stride_tricks.as_strided(buffer[offset:], shape, steps)
    return Problem(
        **arrays,
        ignore_index=int(message.text["ignore_index"]),
        label_smoothing=float(message.text["label_smoothing"]),
        reduction=message.text["reduction"],
        backwards={"twice": 2, "thrice": 3}.get(message.text.get("backward", ""), 1),
        needs=tuple(message.text.get("needs", "").split()),
    )
