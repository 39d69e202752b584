"""An implementation in a process of its own: one in another language, or one that may crash or hang.

The program reads messages (`wire`) from its standard input and answers each on its standard output; the protocol is
documented in docs/other-languages.md. A call that ends the process, or does not end, is one failed call: the next one
starts the program anew.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from xentcheck.adapters.base import Adapter, Result
from xentcheck.adapters.declaring import declaration, declare
from xentcheck.adapters.needs import needed_options
from xentcheck.errors import (
    AdapterError,
    ImplementationError,
    ProcessEnded,
    ProcessTimeout,
    ProtocolError,
    Refused,
    UnavailableError,
)
from xentcheck.reference.problem import Problem
from xentcheck.vocabulary import TIMEOUT

from .program import Program
from .requests import request, unfit_of
from .wire import Message

PROTOCOL = "1"

HELLO = Message({"message": "hello", "protocols": PROTOCOL})

STARTING = 300.0
"""Seconds for the start of the program, which imports frameworks."""

COMPILING = 2
"""So many times the limit, besides, for the first call of each signature, which may compile."""

PATIENCE = {"crash": 20, "timeout": 3}
"""So many calls of one kind (the same options needed) may end like this in a row; the later ones are not made."""


SILENT = 5
"""So many calls without an answer end it for a program that has never answered one."""

Kind = frozenset[str]
"""What a problem needs: hangs and crashes go with a rank, a dtype or an option."""


class ProcessAdapter(Adapter):
    """The program of a command line, started when it is first asked for anything; `variables` of its environment."""

    copies = True

    def __init__(
        self,
        command: Sequence[str],
        *,
        name: str = "",
        timeout: float = TIMEOUT,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.command_line = tuple(command)
        self._named = bool(name)
        self.name = name or os.path.basename(self.command_line[-1])
        self.timeout = timeout
        self.variables = variables or {}
        self.patience = PATIENCE
        self._program: Program | None = None
        self._hello: Mapping[str, str] = {}
        self._settings: Mapping[str, str] = {}
        self._met: set[tuple[object, ...]] = set()
        self._ended: Counter[tuple[Kind, str]] = Counter()
        self._poison = False
        self._answered = False
        self._silent = 0

    def greet(self) -> ProcessAdapter:
        """Start the program and take over what it says of itself. Raises AdapterError if it cannot."""
        try:
            hello = self._call(HELLO, STARTING)
        except ImplementationError as error:
            raise AdapterError(str(error).removeprefix("AdapterError: ")) from error
        except (ProcessEnded, ProtocolError) as error:
            started = self.name if self._named else shlex.join(self.command_line)
            raise AdapterError(f"implementation {started!r} cannot start: {error}") from error
        if hello.text.get("protocol") != PROTOCOL:
            spoken = hello.text.get("protocol")
            raise AdapterError(f"implementation {self.name!r} speaks protocol {spoken!r}; allowed: {PROTOCOL}")
        self._hello = hello.text
        self.name = hello.text.get("name", self.name)
        self.package = hello.text.get("package", "")
        self._broken = hello.text.get("unavailable", "")
        try:
            declare(self, hello.text)
            settings = json.loads(hello.text.get("settings", "{}"))
            self._settings = {str(name): str(value) for name, value in settings.items()}
        except (ValueError, TypeError, AttributeError) as error:
            raise AdapterError(f"implementation {self.name!r} declares what cannot be read: {error}") from error
        return self

    def unavailable(self) -> str:
        """Why it cannot run, as far as is known without starting it."""
        if self._broken:
            return self._broken
        program = self.command_line[0]
        return "" if shutil.which(program) else f"program {program!r} is not installed"

    def version(self) -> str:
        """What the program calls its version."""
        return self._hello.get("version", "")

    def devices(self) -> tuple[str, ...]:
        """The devices that the program says it has."""
        return tuple(self._hello.get("available", " ".join(self.capabilities.devices)).split())

    def settings(self) -> dict[str, str]:
        """What the program tells of its settings, and its own process."""
        return {**self._settings, "process": "own"}

    def unsupported(self, problem: Problem) -> str:
        """By what is declared; a program that is `choosy` is asked as well."""
        reason = super().unsupported(problem)
        if reason or "choosy" not in self._hello:
            return reason
        return self._call(request("unsupported", problem), self.timeout).text.get("reason", "")

    @contextmanager
    def _poisoned(self) -> Iterator[None]:
        self._poison = True
        try:
            yield
        finally:
            self._poison = False

    def poisoned(self) -> Any:
        """A context in which the program is told to poison fresh memory, if it can."""
        return self._poisoned() if "poisons" in self._hello else None

    def compute(self, problem: Problem, quantities: Sequence[str], *, device: str, variant: str) -> Result:
        """Let the program compute it. Raises ProcessEnded, ProcessTimeout, or ProtocolError for an unfit answer."""
        if reason := self.unavailable():
            raise UnavailableError(reason)
        wanted = self.provided(problem, quantities)
        text = {"quantities": " ".join(wanted), "device": device, "variant": variant}
        if self._poison:
            text["poisoned"] = "yes"
        limit = self.timeout * (1 + COMPILING * self._is_new(problem, wanted, variant))
        kind = frozenset({problem.dtype, problem.head, *needed_options(problem)})
        answer = self._call(request("compute", problem, text), limit, kind)
        values = {**answer.arrays, **unfit_of(answer)}
        if missing := [q for q in wanted if q not in values]:
            raise ProtocolError(f"{self.name} answers without {missing[0]}")
        warned = tuple(json.loads(answer.text.get("warnings", "[]")))
        changed = tuple(answer.text.get("changed_inputs", "").split())
        return Result({q: values[q] for q in wanted}, changed, warned)

    def serves(self, kind: str) -> bool:
        """Whether the program answers messages of a kind (`law`, `probe`) that not every program knows."""
        return kind in self._hello.get("serves", "").split()

    def serve(self, kind: str, text: Mapping[str, str]) -> str:
        """What the program finds of itself, asked with what is declared of it here. Raises what `compute` does."""
        message = Message({"message": kind, **declaration(self), **text})
        return self._call(message, self.timeout * (1 + COMPILING), frozenset({kind})).text["found"]

    def close(self) -> None:
        """End the program, if it runs."""
        if self._program:
            self._program.stop()
            self._program = None

    def _is_new(self, problem: Problem, wanted: Sequence[str], variant: str) -> bool:
        """Whether this process has not been called with such a problem before."""
        signature = (
            *(problem.dtype, problem.logits_shape, problem.target.dtype, problem.reduction, variant),
            *(frozenset(needed_options(problem)), tuple(wanted)),
        )
        new = signature not in self._met
        self._met.add(signature)
        return new

    def _call(self, message: Message, limit: float, kind: Kind = frozenset(), *, repeated: bool = False) -> Message:
        """One message and its answer, in a program that is started if none runs.

        A program that was killed in the middle is asked once more: what is to blame was killed then, too.
        """
        if kind and self.patience and not self._answered and self._silent >= SILENT:
            raise ProcessTimeout(f"not called: it has answered none of {SILENT} calls", called=False)
        for outcome, patience in self.patience.items():
            if self._ended[kind, outcome] >= patience:
                ended = ProcessTimeout if outcome == "timeout" else ProcessEnded
                raise ended(f"not called: the last {patience} calls of this kind ended in a {outcome}", called=False)
        if self._program is None:
            self._program = Program(self.command_line, self.variables)
            self._met.clear()
            if message is not HELLO:  # so that the limit of a call is not that of a start
                self._call(HELLO, STARTING)
        try:
            answer = self._program.exchange(message, limit)
        except ProcessEnded as error:
            self.close()
            if error.killed and not repeated:
                return self._call(message, limit * (1 + COMPILING), kind, repeated=True)
            self._ended[kind, error.outcome] += 1
            self._silent += bool(kind) and error.outcome == "timeout"
            raise
        except ProtocolError:
            self.close()
            raise
        self._answered |= bool(kind)
        for outcome in PATIENCE:
            self._ended.pop((kind, outcome), None)
        if (found := answer.text.get("message")) == "error":
            text = answer.text.get("text", "no message")
            if "refused" in answer.text:
                raise Refused(answer.text.get("lacks", text), answer.text.get("raised", ""))
            raise ImplementationError(text)
        if found != message.text["message"]:
            self.close()
            raise ProtocolError(f"{self.name} answers {message.text['message']!r} with {found!r}")
        return answer
