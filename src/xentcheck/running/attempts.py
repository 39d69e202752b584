"""Attempts: a subject computes a problem, and whatever it does instead is written down, never the end of a run."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from xentcheck.adapters.base import Result
from xentcheck.adapters.layout import copied
from xentcheck.adapters.needs import Lack
from xentcheck.adapters.process.adapter import ProcessAdapter
from xentcheck.errors import ProcessEnded, Refused, foreign, kind_of, told
from xentcheck.records.facts import Facts, sentence
from xentcheck.reference.given import native
from xentcheck.reference.labels import one_hot
from xentcheck.reference.numbers.arrays import as_array, here
from xentcheck.reference.problem import NO_IGNORE, Problem

from .subjects import Subject

NOTHING = Facts()

COMBINATION = ("this", "combination")
"""What a function refuses that raises a NotImplementedError for some cases, and not for their options one by one."""


@dataclass(frozen=True)
class Attempt:
    """What a subject did with a problem: a result, or the outcome that stands in its place, and why; its warnings.

    told: what the implementation, or its process, says of that.
    """

    subject: Subject
    quantities: tuple[str, ...]
    result: Result | None = None
    outcome: str = ""
    facts: Facts = NOTHING
    told: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """Why there is no result, for people."""
        return sentence(self.facts, self.outcome, told=self.told)

    def copied(self) -> Attempt:
        """The same with results in memory that no later call can write into."""
        if self.result is None:
            return self
        values = {q: as_array(value).copy("K") for q, value in self.result.values.items()}
        return replace(self, result=replace(self.result, values=values))


def attempt(subject: Subject, problem: Problem, quantities: Sequence[str], *, anywhere: bool = False) -> Attempt:
    """Let a subject compute a problem; an exception of the implementation is an `error`, never the end of the run.

    Where it has a process of its own, the end of that is a `crash` or a `timeout`. Its warnings are caught. anywhere:
    large results may stay on the device where they lie.
    """
    wanted = tuple(q for q in quantities if q in subject.adapter.capabilities.quantities)
    if subject.missing:
        return Attempt(subject, wanted, outcome="unavailable", told=subject.missing)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        done = _attempt(subject, problem, wanted, _native if anywhere else _at_home)
    own = [f"{w.category.__name__}: {w.message}" for w in caught]
    return replace(done, warnings=tuple(dict.fromkeys([*own, *done.warnings])))


def _attempt(subject: Subject, problem: Problem, wanted: tuple[str, ...], taken: Callable[[Any], Any]) -> Attempt:
    try:
        with foreign():
            if reason := subject.adapter.unsupported(problem):
                return Attempt(subject, wanted, outcome="unsupported", facts=_lacking(reason))
            if not wanted:
                return Attempt(subject, wanted)
            asked = problem if subject.adapter.copies else copied(problem)
            result = subject.adapter.compute(asked, wanted, device=subject.device, variant=subject.variant)
            changed = (*result.changed_inputs, *(() if asked is problem else asked.changed()))
            result = replace(result, values={q: taken(value) for q, value in result.values.items()})
            result = replace(result, changed_inputs=tuple(dict.fromkeys(changed)))
    except ProcessEnded as error:
        facts = Facts(check="raises", not_called=not error.called)
        return Attempt(subject, wanted, outcome=error.outcome, facts=facts, told=str(error))
    except Refused as error:
        facts = Facts(lacks=(error.lacks,), refused=error.raised)
        return Attempt(subject, wanted, outcome="unsupported", facts=facts)
    except Exception as error:
        if kind_of(error) == "NotImplementedError":
            return Attempt(subject, wanted, outcome="unsupported", facts=Facts(lacks=COMBINATION, refused=told(error)))
        facts = Facts(check="raises", raised=kind_of(error))
        return Attempt(subject, wanted, outcome="error", facts=facts, told=told(error))
    return Attempt(subject, wanted, result, warnings=result.warnings)


def _native(value: Any) -> Any:
    """A result as it came, but for its order of bytes, which is no part of what it says."""
    return native(value) if isinstance(value, np.ndarray) else value


def _at_home(value: Any) -> Any:
    """The same in this machine's memory."""
    return _native(value) if here(value) else np.asarray(value)


def _lacking(reason: str) -> Facts:
    """What is lacking: of an adapter that says it in words of its own, those."""
    return Facts(lacks=reason.lacks, refused=reason.refused) if isinstance(reason, Lack) else Facts(lacks=(reason,))


def served(subject: Subject, kind: str, text: Mapping[str, str]) -> Any:
    """A finding of a worker process on its own implementation, as JSON; None if it does not support what is asked.

    Raises ProcessEnded, ImplementationError or ProtocolError.
    """
    assert isinstance(subject.adapter, ProcessAdapter)
    place = {"device": subject.device, "variant": subject.variant}
    return json.loads(subject.adapter.serve(kind, {**place, **text}))


GIVEN_AS_ROWS = "takes no labels: they are given as one-hot rows of probabilities"
"""What is noted of comparisons whose case has labels."""


def given(problem: Problem, subject: Subject) -> Problem:
    """The problem as an implementation gets it, and is judged by; where examples are ignored its labels stay."""
    if subject.adapter.capabilities.labels or problem.ignore_index != NO_IGNORE or not problem.kept.all():
        return problem
    return one_hot(problem)
