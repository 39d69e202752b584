"""Requests and answers: problems and results as messages between this process and an implementation's own."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np

from xentcheck.adapters.layout import own_copy
from xentcheck.errors import ProtocolError
from xentcheck.reference.formats import Array
from xentcheck.reference.problem import Problem

from .wire import DTYPES, Message


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
        **({"backward": {2: "twice"}.get(problem.backwards, "thrice")} if problem.backwards > 1 else {}),
        **({"needs": " ".join(problem.needs)} if problem.needs else {}),
        **({"layouts": json.dumps(layouts)} if layouts else {}),
    }
    return Message({**given, **(text or {})}, arrays)


def problem_of(message: Message) -> Problem:
    """The inverse of a request: the problem, in its layout; what a probe asks need not be valid."""
    layouts = json.loads(message.text.get("layouts", "{}"))
    arrays = dict(message.arrays)
    for name, (shape, strides, offset) in layouts.items():
        buffer = arrays[name]
        steps = [s * buffer.itemsize for s in strides]
        arrays[name] = np.lib.stride_tricks.as_strided(buffer[offset:], shape, steps)
    return Problem.unchecked(
        **arrays,
        ignore_index=int(message.text["ignore_index"]),
        label_smoothing=float(message.text["label_smoothing"]),
        reduction=message.text["reduction"],
        backwards={"twice": 2, "thrice": 3}.get(message.text.get("backward", ""), 1),
        needs=tuple(message.text.get("needs", "").split()),
    )


def answer_of(text: Mapping[str, str], values: Mapping[str, Array]) -> Message:
    """Results as a message; an array of a dtype that no message can name goes as its shape and dtype, in `unfit`."""
    arrays = {name: np.asarray(value) for name, value in values.items()}
    known = DTYPES.values()
    unfit = {name: (x.shape, str(x.dtype)) for name, x in arrays.items() if str(x.dtype) not in known}
    more = {"unfit": json.dumps(unfit)} if unfit else {}
    return Message({**text, **more}, {name: x for name, x in arrays.items() if name not in unfit})


def unfit_of(answer: Message) -> dict[str, Array]:
    """Zeros in place of the arrays that could not travel: by their dtype alone they are wrong. Raises ProtocolError.

    >>> sent = answer_of({}, {"cost": np.zeros((2, 3), complex)})
    >>> sent.arrays, unfit_of(sent)["cost"].dtype
    ({}, dtype('complex128'))
    """
    try:
        told = json.loads(answer.text.get("unfit", "{}"))
        return {name: np.broadcast_to(np.zeros((), dtype), shape) for name, (shape, dtype) in told.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise ProtocolError(f"malformed field unfit: {type(error).__name__}: {error}") from error
