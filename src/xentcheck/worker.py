"""`python -m xentcheck.worker IMPLEMENTATION FRAMEWORK`: serve one implementation to another process.

It answers on what was standard output when it started; whatever the implementation prints goes to standard error.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from typing import IO

from xentcheck.adapters.base import Adapter
from xentcheck.adapters.declaring import declaration, declare
from xentcheck.adapters.process import wire
from xentcheck.adapters.process.adapter import PROTOCOL
from xentcheck.adapters.process.requests import answer_of, problem_of
from xentcheck.adapters.process.wire import Message
from xentcheck.adapters.spec import Spec, imported
from xentcheck.running.subjects import Subject

from .errors import ProtocolError, Refused, foreign, told


def main() -> None:
    """Answer until the other end closes the pipe."""
    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the implementation prints or reads is no message
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    faulthandler.enable()
    name, framework = sys.argv[1:]
    adapter: Adapter | None = None
    while (message := wire.read(questions)) is not None:
        try:
            with foreign():
                adapter = adapter or imported(Spec(name, framework))
                answer = respond(adapter, message)
        except Refused as error:
            apart = {"lacks": error.lacks, "raised": error.raised} if error.raised else {}
            answer = Message({"message": "error", "text": str(error), "refused": "yes", **apart})
        except Exception as error:
            answer = Message({"message": "error", "text": told(error)})
        _send(answers, answer)


def _send(answers: IO[bytes], answer: Message) -> None:
    try:
        wire.write(answers, answer)
    except ProtocolError as error:
        wire.write(answers, Message({"message": "error", "text": f"ProtocolError: {error}"}))


def respond(adapter: Adapter, message: Message) -> Message:
    """The answer to one message."""
    kind = message.text["message"]
    if kind == "hello":
        return Message({"message": "hello", **hello(adapter)})
    if kind in SERVED:
        return Message({"message": kind, "found": json.dumps(_served(adapter, message.text))})
    problem = problem_of(message)
    if kind == "unsupported":
        return Message({"message": kind, "reason": adapter.unsupported(problem)})
    poison = adapter.poisoned() if "poisoned" in message.text else None
    with warnings.catch_warnings(record=True) as caught, poison or nullcontext():
        warnings.simplefilter("always")
        wanted = message.text["quantities"].split()
        result = adapter.compute(problem, wanted, device=message.text["device"], variant=message.text["variant"])
    warned = list(dict.fromkeys(f"{w.category.__name__}: {w.message}" for w in caught))
    text = {"message": kind, "changed_inputs": " ".join(result.changed_inputs), "warnings": json.dumps(warned)}
    return answer_of(text, result.values)


SERVED = ("law", "probe")
"""Messages whose answer is a finding: what only the process that holds an implementation's memory can see."""


def _served(adapter: Adapter, text: Mapping[str, str]) -> object:
    """A law's or probe's result by name, on the adapter as the other process declares it; None if it is not asked."""
    from xentcheck.studies.law_study import law_result
    from xentcheck.studies.probes import BY_ID, probe_result

    declare(adapter, text)
    subject = Subject(adapter, text["variant"], text["device"], "")
    if text["message"] == "law":
        law = law_result(subject, text["dtype"], text["law"])
        return law and law.to_json()
    probe = probe_result(subject, BY_ID[text["probe"]])
    return probe and probe.to_json()


def hello(adapter: Adapter) -> dict[str, str]:
    """What an adapter declares, as text."""
    missing = adapter.unavailable()
    seen = () if missing else adapter.devices()
    missing = missing or adapter.unavailable()
    told = {
        "protocol": PROTOCOL,
        "name": adapter.name,
        "package": adapter.package,
        "version": adapter.version(),
        **declaration(adapter),
        "available": " ".join(seen),
        "serves": " ".join(SERVED),
        "settings": json.dumps({} if missing else adapter.settings()),
    }
    if missing:
        told["unavailable"] = missing
    elif adapter.poisoned() is not None:
        told["poisons"] = "yes"
    if type(adapter).unsupported is not Adapter.unsupported:
        told["choosy"] = "yes"
    return told


if __name__ == "__main__":
    main()
