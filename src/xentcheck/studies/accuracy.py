"""The largest errors of an implementation, by a directed search: start from the families, then climb on the logits.

Every row of a problem is a candidate, so that one call judges many; the search is reproducible from its seed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from xentcheck.cases.families import FAMILIES
from xentcheck.cases.randomness import Stream
from xentcheck.judging.metric import error_of, shape_and_dtype
from xentcheck.records.findings import Accuracy
from xentcheck.reference.bounds import Bounds
from xentcheck.reference.formats import FORMATS, Array
from xentcheck.reference.oracle import Exact
from xentcheck.reference.problem import Problem
from xentcheck.running.attempts import attempt, given
from xentcheck.running.subjects import Subject, contract_of

QUANTITIES = ("a", "log_a", "loss", "dC/dz")
CLASSES = (2, 5, 10)
ROWS = 64
"""Candidates per call: one shape per number of classes, so that a JIT compiles once."""

ELITE = 2
"""Rows kept per quantity and measure."""


@dataclass(frozen=True)
class Witness:
    """One row of logits with its label, and an error that it makes: in ULPs, and as share of the bound."""

    quantity: str
    measure: str
    value: float
    logits: tuple[float, ...]
    label: int

    @property
    def recipe(self) -> str:
        """The input as text from which it can be rebuilt exactly."""
        return f"{' '.join(x.hex() for x in self.logits)} label {self.label}"


def largest_errors(subject: Subject, dtype: str, *, seed: int = 0, rounds: int = 30) -> list[Witness]:
    """The worst row found for each quantity, by ULPs (`ulp`) and by share of the declared bound (`share`).

    Elements whose exact value is below the normal range are left out of `ulp`. nan is worse than any number.
    """
    best: dict[tuple[str, str], Witness] = {}
    for classes in CLASSES:
        for witness in _climb(subject, dtype, classes, seed, rounds):
            key = witness.quantity, witness.measure
            if key not in best or witness.value > best[key].value:
                best[key] = witness
    return [best[q, measure] for q in QUANTITIES for measure in ("ulp", "share") if (q, measure) in best]


def accuracies(subject: Subject, dtype: str, *, seed: int, rounds: int) -> list[Accuracy]:
    """`largest_errors`, both measures of a quantity together, as the report shows them."""
    found = {(w.quantity, w.measure): w for w in largest_errors(subject, dtype, seed=seed, rounds=rounds)}
    return [
        Accuracy(
            adapter=subject.adapter.name,
            variant=subject.variant,
            device=subject.device,
            dtype=dtype,
            quantity=q,
            ulp=found[q, "ulp"].value,
            ulp_input=found[q, "ulp"].recipe,
            share=found[q, "share"].value,
            share_input=found[q, "share"].recipe,
        )
        for q in QUANTITIES
        if (q, "ulp") in found
    ]


def _climb(subject: Subject, dtype: str, classes: int, seed: int, rounds: int) -> Iterator[Witness]:
    stream = Stream(f"accuracy.{dtype}.{classes}.s{seed}")
    elite: dict[tuple[str, str], list[Witness]] = {}
    for family in FAMILIES.values():
        _select(elite, subject, *family.draw(stream, ROWS, classes, dtype), dtype)
    for _ in range(rounds):
        parents = [w for members in elite.values() for w in members]
        if not parents:
            return
        _select(elite, subject, *_children(stream, parents, classes, FORMATS[dtype].unit_roundoff), dtype)
    for members in elite.values():
        yield members[0]


def _children(stream: Stream, parents: list[Witness], classes: int, u: float) -> tuple[Array, Array]:
    """Each parent several times: by steps of a few ULPs, by noise of three sizes, and with logits of another parent."""
    chosen = stream.integers(0, len(parents), (ROWS,))
    others = stream.integers(0, len(parents), (ROWS,))
    z = np.array([parents[i].logits for i in chosen])
    mates = np.array([parents[i].logits for i in others])
    labels = np.array([parents[i].label for i in chosen])
    kind = stream.integers(0, 5, (ROWS, 1))
    one = np.arange(classes) == stream.integers(0, classes, (ROWS, 1))
    steps = z * (1.0 + u * stream.integers(-8, 9, (ROWS, classes)))
    noise = stream.gaussian((ROWS, classes)) * np.where(kind == 1, 1e-3, np.where(kind == 2, 0.1, 2.0))
    with np.errstate(invalid="ignore"):
        z = np.where(kind == 0, np.where(one, steps, z), np.where(kind == 4, np.where(one, mates, z), z + noise))
    return z, labels


def _select(elite: dict[tuple[str, str], list[Witness]], subject: Subject, z: Array, y: Array, dtype: str) -> None:
    """Measure the candidates, and keep the worst of them and of those kept before."""
    with np.errstate(over="ignore"):
        logits = z.astype(dtype)
    exact = logits.astype(np.float64)
    usable = np.isfinite(exact.max(1)) & np.isfinite(exact[np.arange(len(y)), y])
    logits = np.where(usable[:, None], logits, np.zeros((), dtype))
    for q, measure, values in measured(subject, logits, y):
        ranked = np.where(np.isnan(values), np.inf, values)
        for row in np.argsort(-ranked, kind="stable")[:ELITE]:
            row_logits = tuple(map(float, logits[row]))
            found = Witness(q, measure, float(ranked[row]), row_logits, int(y[row]))
            members = elite.setdefault((q, measure), [])
            if found not in members:
                members.append(found)
        elite[q, measure] = sorted(elite[q, measure], key=lambda w: -w.value)[:ELITE]


def measured(subject: Subject, logits: Array, labels: Array) -> Iterator[tuple[str, str, Array]]:
    """Largest error of each row, per quantity: (quantity, `ulp` or `share`, (rows,)).

    Raises nothing for an implementation that does: it then has no errors to show.
    """
    dtype = str(logits.dtype)
    labelled = Problem(logits=logits, target=labels, reduction="none", upstream=np.ones(len(labels), dtype))
    p = given(labelled, subject)
    result = attempt(subject, p, QUANTITIES).result
    if result is None:
        return
    exact = Exact(p).evaluate(QUANTITIES)
    for q in QUANTITIES:
        if q not in result.values or shape_and_dtype(np.asarray(result.values[q]), p.shapes[q], dtype):
            continue
        hi, lo = exact[q]
        error = error_of(np.asarray(result.values[q]).astype(np.float64), hi, lo)
        contract = contract_of(subject, dtype, q, result.values[q])
        fmt = FORMATS[contract.result or dtype]
        bound = Bounds(Exact(p), contract).evaluate([q])[q]
        with np.errstate(all="ignore"):
            ulp = np.fmax(fmt.ulps(error, hi), 0.0)
            share = np.where((error == 0) | np.isinf(bound), 0.0, error / bound)
        for measure, values in (("ulp", ulp), ("share", share)):
            yield q, measure, values.reshape(len(labels), -1).max(1)


@dataclass(frozen=True)
class AccuracySearch:
    """The task: a search for the largest errors of all implementations in one dtype."""

    dtype: str
    seed: int
    rounds: int

    @property
    def signature(self) -> str:
        """The name of the task among the timings."""
        return f"accuracy {self.dtype}"

    def run(self, subjects: Sequence[Subject]) -> Iterator[Accuracy]:
        """The largest errors of the main variants of all subjects that are there and take the dtype."""
        for s in subjects:
            if s.is_main and not s.missing and self.dtype in s.adapter.capabilities.dtypes:
                yield from accuracies(s, self.dtype, seed=self.seed, rounds=self.rounds)

    def lost(self, subjects: Sequence[Subject], reason: str) -> Iterator[Accuracy]:
        """An infinite error for each subject: what it is was not found out."""
        for s in subjects:
            if s.is_main and not s.missing and self.dtype in s.adapter.capabilities.dtypes:
                yield Accuracy(
                    adapter=s.adapter.name,
                    variant=s.variant,
                    device=s.device,
                    dtype=self.dtype,
                    quantity="dC/dz",
                    ulp=math.inf,
                    ulp_input=reason,
                    share=math.inf,
                    share_input=reason,
                )
