"""Probes: degenerate inputs whose meaning differs between libraries; each answer is recorded, none is judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xentcheck.adapters.process.adapter import ProcessAdapter
from xentcheck.adapters.wrap.fused import as_layer
from xentcheck.errors import ProcessEnded, kind_of
from xentcheck.records.findings import ProbeResult
from xentcheck.reference.formats import Array
from xentcheck.reference.problem import Problem
from xentcheck.running.attempts import attempt, served
from xentcheck.running.subjects import Subject

from .asker import REAL, THROUGH

DTYPE = np.dtype(np.float32)
ROWS = ((1.0, 2.0, 3.0), (0.5, -1.0, 2.0))
INF, NAN = np.inf, np.nan


@dataclass(frozen=True)
class Probe:
    """One degenerate situation: what is asked, and the problem that asks it."""

    id: str
    text: str
    problem: Callable[[], Problem]


def _ask(rows: Any = ROWS, target: Any = (0, 2), **options: Any) -> Callable[[], Problem]:
    """A problem on two rows of three classes, whose targets need not be valid."""

    def problem() -> Problem:
        logits = np.array(rows, DTYPE).reshape(-1, 3)
        given: dict[str, Any] = {name: np.array(x, DTYPE) if name == "weight" else x for name, x in options.items()}
        labels = np.asarray(target)
        soft = labels.dtype.kind == "f"
        if given.get("reduction") == "none":
            given["upstream"] = np.ones(len(logits), DTYPE)
        # a Problem refuses invalid targets; what implementations do with them is the question here
        return Problem.unchecked(
            logits=logits, target=labels.astype(DTYPE).reshape(logits.shape) if soft else labels, **given
        )

    return problem


def _cell(value: float, row: int, column: int) -> Array:
    rows = np.array(ROWS)
    rows[row, column] = value
    return rows


SOFT = ((0.2, 0.3, 0.5), (0.5, 0.5, 0.0))
EMPTY = np.zeros((0, 3))

PROBES = tuple(
    Probe(*probe)
    for probe in (
        ("all-ignored", "every row ignored, mean", _ask(target=(-100, -100))),
        ("all-ignored-sum", "every row ignored, sum", _ask(target=(-100, -100), reduction="sum")),
        ("zero-weights", "class weights of the labels that are 0, mean", _ask(weight=(0, 1, 0))),
        ("cancelling-weights", "class weights of the labels that add up to 0, mean", _ask(weight=(1, 1, -1))),
        ("empty-mean", "no rows, mean", _ask(EMPTY, np.zeros(0, np.int64))),
        ("empty-sum", "no rows, sum", _ask(EMPTY, np.zeros(0, np.int64), reduction="sum")),
        ("empty-soft-sum", "no rows, probabilities, sum", _ask(EMPTY, EMPTY, reduction="sum")),
        ("label-c", "a label of C", _ask(target=(0, 3))),
        ("label-minus-1", "a label of -1, not the sentinel", _ask(target=(0, -1))),
        ("label-below-minus-c", "a label of -C - 1, not the sentinel", _ask(target=(0, -4))),
        ("label-wide", "a label of 2^31 - 1", _ask(target=(0, 2**31 - 1))),
        ("int32-labels", "labels in int32", _ask(target=np.array((0, 2), np.int32))),
        ("int16-labels", "labels in int16", _ask(target=np.array((0, 2), np.int16))),
        ("int8-labels", "labels in int8", _ask(target=np.array((0, 2), np.int8))),
        ("uint8-labels", "labels in uint8", _ask(target=np.array((0, 2), np.uint8))),
        ("nan-ignored", "nan in an ignored row", _ask(_cell(NAN, 1, 0), (0, -100))),
        ("minus-inf-ignored", "an ignored row of -inf", _ask((ROWS[0], (-INF,) * 3), (0, -100))),
        ("nan-kept", "nan in a kept row", _ask(_cell(NAN, 1, 0))),
        ("minus-inf-at-label", "-inf at the label", _ask(_cell(-INF, 1, 2))),
        ("all-minus-inf", "a row of -inf", _ask((ROWS[0], (-INF,) * 3))),
        ("inf-elsewhere", "+inf at another class", _ask(_cell(INF, 1, 0))),
        ("inf-at-label", "+inf at the label", _ask(_cell(INF, 1, 2))),
        ("minus-inf-smoothed", "-inf at another class, smoothing", _ask(_cell(-INF, 1, 1), label_smoothing=0.1)),
        ("minus-inf-soft-0", "-inf where a probability is 0", _ask(_cell(-INF, 1, 2), SOFT)),
        ("minus-inf-soft", "-inf where a probability is not 0", _ask(_cell(-INF, 1, 1), SOFT)),
        ("soft-outside", "probabilities outside of [0, 1]", _ask(target=((-0.5, 1.5, 0.0), SOFT[1]))),
        ("soft-ignored", "probabilities and ignore_index 1", _ask(target=SOFT, ignore_index=1)),
    )
)
"""All of them, in the order of the report."""


BY_ID = {p.id: p for p in PROBES}


def probe(subject: Subject) -> list[ProbeResult]:
    """What a subject answers to every probe: numbers, or the name of the exception; in its own process, if it has one.

    There, the end of that process is the answer `crash` or `timeout`.
    """
    return [result for p in PROBES if (result := _anywhere(subject, p))]


def _anywhere(subject: Subject, p: Probe) -> ProbeResult | None:
    adapter = subject.adapter
    if not (isinstance(adapter, ProcessAdapter) and adapter.serves("probe")):
        return probe_result(subject, p)
    try:
        found = served(subject, "probe", {"probe": p.id})
    except ProcessEnded as error:
        return _result(subject, p, error.outcome, error.outcome)
    except Exception as error:
        name = kind_of(error)
        return _result(subject, p, name, name)
    return found and ProbeResult.from_json(found)


def probe_result(subject: Subject, p: Probe) -> ProbeResult | None:
    """The answer to one probe in this process; None if the implementation does not support what it asks."""
    problem, gradient_of = p.problem(), "dC/dz"
    if "logits" not in subject.adapter.capabilities.heads:
        layer, gradient_of = as_layer(problem), THROUGH["dC/dz"]
        if layer is None:
            return None
        problem = layer
    done = attempt(subject, problem, ("loss" if problem.reduction == "none" else "cost", gradient_of))
    if done.outcome in ("unavailable", "unsupported"):
        return None
    if done.result is None:
        name = done.facts.raised or done.outcome
        return _result(subject, p, name, name)
    value, gradient = (_numbers(done.result.values.get(q)) for q in ("cost", gradient_of))
    return _result(subject, p, value, gradient)


def _result(subject: Subject, p: Probe, value: str, gradient: str) -> ProbeResult:
    place = {"adapter": subject.adapter.name, "variant": subject.variant, "device": subject.device}
    return ProbeResult(**place, probe=p.id, text=p.text, value=value, gradient=gradient)


def _numbers(x: Array | None) -> str:
    """A few numbers as text, signed zeros and nan included, three digits: enough to tell one meaning from another."""
    if x is None:
        return "-"
    if np.asarray(x).dtype.kind not in REAL:
        return str(np.asarray(x).dtype)
    wide = np.asarray(x).astype(np.float64)
    if wide.ndim == 2:
        return " / ".join(_numbers(row) for row in wide) or "[]"
    return " ".join(f"{number:.3g}" for number in wide.ravel()) or "[]"


@dataclass(frozen=True)
class ProbeStudy:
    """The task: all probes."""

    signature: str = "probes"

    def run(self, subjects: Sequence[Subject]) -> Iterator[ProbeResult]:
        """The answers of the main variants of all subjects that are there."""
        for s in subjects:
            if s.is_main and not s.missing:
                yield from probe(s)

    def lost(self, subjects: Sequence[Subject], reason: str) -> Iterator[ProbeResult]:
        """One answer for each subject: that there was none."""
        for s in subjects:
            if s.is_main and not s.missing:
                place = {"adapter": s.adapter.name, "variant": s.variant, "device": s.device}
                yield ProbeResult(**place, probe="all", text="all probes", value=reason, gradient=reason)
