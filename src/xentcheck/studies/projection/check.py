"""Projection check: whether the gradient of a large problem is the derivative of its losses, in few calls.

The gradient, asked for once with a signed weight per row as its upstream gradient, is projected on K random directions
of independent signs, one sign per class and the same for all rows; each row's projection is compared with the central
difference of that row's loss. Signs cannot lie in the null space of the softmax's Jacobian, the constants, as positive
directions nearly do. Tolerances and the probability of a miss: `docs/numerics.md`, section 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from xentcheck import adapters as registry
from xentcheck.adapters.promises import Given, promised, promising
from xentcheck.cases.randomness import Stream
from xentcheck.errors import AdapterError, DtypeError, ProblemError
from xentcheck.judging.metric import shape_and_dtype
from xentcheck.judging.power.measure import THRESHOLD
from xentcheck.records.facts import Facts, sentence
from xentcheck.records.record import rank
from xentcheck.reference.bounds.arithmetic import growth
from xentcheck.reference.formats import Array
from xentcheck.reference.given import whole
from xentcheck.reference.inputs import WIDE
from xentcheck.reference.problem import Problem
from xentcheck.running.attempts import attempt
from xentcheck.running.subjects import Subject, contracts_of, subject_on
from xentcheck.studies.asker import Failed
from xentcheck.vocabulary import FAILING, OVERWRITABLE

from .rows import judged, moved, problem_of, projections_of, some_rows, step_of, tolerance_of

if TYPE_CHECKING:
    from xentcheck.adapters.base import Adapter

SAMPLED = 8
"""Rows per probe whose moved losses are compared with exact ones."""

BLOCK = 1 << 25
"""Elements that an implementation gets at a time unless told otherwise: 256 MiB of float64, and some copies."""


@dataclass(frozen=True)
class Projection:
    """What a projection check found; shares are error over tolerance, and not (share <= 1) is a disagreement.

    calls: evaluations of the implementation. resolution: in every row, an error in one element of more than this times
    the row's |upstream| is seen by each probe; if several elements err, with probability 1/2 at least. miss: how
    probable it is at most that no probe sees them. failure: why a call has no results that could be projected, as an
    exception, another shape, or an input that it overwrote; nothing was looked at after it.
    """

    place: str
    shape: tuple[int, int]
    probes: int
    calls: int
    value_share: float
    value_row: int
    gradient_share: float
    gradient_row: int
    resolution: float
    undecided: tuple[str, ...] = ()
    failure: str = ""

    @property
    def miss(self) -> float:
        """Probability bound of missing what every single probe misses with 1/2."""
        return 2.0**-self.probes

    @property
    def ok(self) -> bool:
        """Whether all calls had results, losses are right, the gradient is their derivative, and zeros would not be."""
        right = self.value_share <= 1.0 and self.gradient_share <= 1.0
        return right and not self.undecided and not self.failure

    def __str__(self) -> str:
        n, c = self.shape
        if self.failure:
            return f"{self.place} {n}x{c}, {self.calls} calls\n  cannot be projected: {self.failure}"
        names = " and ".join(self.undecided)
        zeros = f"\n  undecided {names}: a result of zeros would pass as well" if names else ""
        return (
            f"{self.place} {n}x{c}, {self.calls} calls\n"
            f"  losses    at {self.value_share:.3g} of their bound at most, in row {self.value_row}\n"
            f"  gradient  at {self.gradient_share:.3g} of its tolerance at most, in row {self.gradient_row}\n"
            f"  noticed   one element off by {self.resolution:.3g} of its row's upstream gradient;\n"
            f"            several of them with a probability of at least 1 - 2^-{self.probes}{zeros}"
        )


class _Worst:
    """The largest share so far, and its row; nan is worst."""

    def __init__(self) -> None:
        self.share = 0.0
        self.row = 0

    def note(self, error: Array, limit: Array, rows: Array) -> None:
        with np.errstate(all="ignore"):
            shares = np.where(error == 0, 0.0, error / limit)
        at = int(np.where(np.isnan(shares), np.inf, shares).argmax())
        if rank(shares[at]) > rank(self.share):
            self.share, self.row = float(shares[at]), int(rows[at])


class _Projector:
    """Checks one row block after another, and keeps the worst of all."""

    def __init__(self, subject: Subject, classes: int, dtype: str, probes: int, seed: int) -> None:
        self.subject, self.classes, self.dtype, self.seed = subject, classes, dtype, seed
        self.contracts = contracts_of(subject, dtype)[0]
        self.directions = Stream(f"project.signs.{seed}").signs((classes, probes))
        self.value, self.gradient = _Worst(), _Worst()
        self.zero = {"losses": _Worst(), "gradient": _Worst()}  # what results of zeros would be noted as
        self.resolution = 0.0
        self.calls = 0

    def block(self, rows: range) -> None:
        """The losses and the gradient of some rows."""
        p = problem_of(rows, self.classes, self.dtype, self.seed)
        answer = self._ask(p, "loss", "dC/dz")
        exact, bounds, spread = judged(p, self.contracts["loss"], self.contracts["dC/dz"])
        self.value.note(np.abs(answer["loss"] - exact), bounds, np.array(rows))
        self.zero["losses"].note(np.abs(exact), bounds, np.array(rows))
        if not np.isfinite(bounds).all():
            many = f"{self.classes} classes in {self.dtype}"
            raise DtypeError(f"the contract bounds no loss of {many}; allowed: fewer, or float64")
        step = step_of(float(np.median(bounds)))
        projections, sizes = projections_of(answer["dC/dz"], self.directions)
        upstream = np.abs(p.upstream.astype(np.float64))
        # of the gradient itself, and of adding up its projection here
        fixed = spread + growth(self.classes, 2.0**-53) * sizes
        for k, direction in enumerate(self.directions.T):
            sides = [moved(p, sign * step * direction) for sign in (1.0, -1.0)]
            losses = [self._ask(side, "loss")["loss"] for side in sides]
            sample = np.unique(Stream(f"project.rows.{self.seed}.{k}").integers(0, len(rows), (SAMPLED,)))
            for side, found in zip(sides, losses, strict=True):
                right, limit, _ = judged(some_rows(side, sample), self.contracts["loss"])
                self.value.note(np.abs(found[sample] - right), limit, sample + rows.start)
            derivative = p.upstream * (losses[0] - losses[1]) / (2.0 * step)
            error = np.abs(projections[:, k] - derivative)
            tolerance = tolerance_of(2.0 * bounds, step, upstream, fixed)
            if len(far := np.flatnonzero(~(error <= tolerance))):
                one, other = (judged(some_rows(side, far), self.contracts["loss"])[1] for side in sides)
                exactly = tolerance_of(one + other, step, upstream[far], fixed[far])
                tolerance[far] = np.maximum(tolerance[far], exactly)
            self.gradient.note(error, tolerance, np.array(rows))
            self.zero["gradient"].note(np.abs(derivative), tolerance, np.array(rows))
            self.resolution = max(self.resolution, float((2.0 * tolerance / upstream).max()))

    def _ask(self, p: Problem, *quantities: str) -> dict[str, Array]:
        """One call. Raises AdapterError for what is not supported, Failed for what a run would call a failure."""
        self.calls += 1
        done = attempt(self.subject, p, quantities)
        name = self.subject.adapter.name
        if done.outcome in FAILING:
            raise Failed(done.reason)
        if done.result is None:
            raise AdapterError(f"{name} cannot be projected: {done.reason}")
        values = done.result.values
        if harmed := tuple(i for i in done.result.changed_inputs if i not in OVERWRITABLE):
            raise Failed(sentence(Facts(check="inputs", changed=harmed), "disagree"))
        for q, shape in (("loss", p.loss_shape), ("dC/dz", p.logits_shape)):
            if q not in quantities:
                continue
            if q not in done.quantities:
                raise AdapterError(f"{name} cannot be projected: it computes no {q}")
            if q not in values:
                raise Failed(f"{q} is missing")
            if found := shape_and_dtype(np.asarray(values[q]), shape, self.dtype):
                raise Failed(f"{q} is {sentence(found, 'disagree')}")
        return {q: x.astype(np.float64) if q == "loss" else x for q, x in values.items()}


def check_projection(
    adapter: Adapter | str,
    shape: tuple[int, int],
    *,
    dtype: str = "float64",
    probes: int = 20,
    seed: int = 0,
    device: str = "cpu",
    rows: int | None = None,
    contract: Given = None,
) -> Projection:
    """Check the losses of one large problem, and that the gradient is their derivative, in 2 K + 1 calls [derived].

    adapter: one, or its name. shape: (N, C). dtype: float64 or float32; only float64 sees single elements where C is
    large. probes: K, random directions of signs. rows: how many the implementation gets at a time, by default what
    keeps the whole below 8 GiB. contract: as for `check`. Tolerances are in units of dC/dz, from the bounds of the
    declared contract. Source: `docs/numerics.md`, section 6. What an implementation raises, another shape or dtype,
    and an input that it overwrites are a failure, as in `check`. Raises AdapterError if it supports no losses of rows
    or no gradient, or has no such device, DtypeError, ProblemError for a problem that is empty or too large,
    UnavailableError for a device that is not there.

    >>> found = check_projection("numpy", (4, 101), probes=3)
    >>> found.ok, found.calls
    (True, 7)
    """
    if not isinstance(shape, Sequence) or len(shape) != 2:
        raise ProblemError(f"shape is {shape!r}; allowed: (N, C)")
    n, classes = whole("N", shape[0]), whole("C", shape[1])
    whole("probes", probes, 1)
    if dtype not in WIDE:
        raise DtypeError(f"dtype {dtype!r} is too narrow for differences; allowed: {', '.join(WIDE)}")
    if min(n, classes, probes) < 1 or (rows is not None and rows < 1):
        raise ProblemError(
            f"{n}x{classes} logits, {probes} probes; allowed: at least one of each, and one row at a time"
        )
    if classes * max(rows or 1, probes // 8) > BLOCK:
        raise ProblemError(
            f"{rows or 1} rows of {classes} classes at a time, {probes} probes; allowed: {BLOCK} logits at a time, and "
            "8 times as many signs"
        )
    chosen = promising(registry.get(adapter) if isinstance(adapter, str) else adapter, promised(contract))
    subject = subject_on(chosen, device)
    projector = _Projector(subject, classes, dtype, probes, seed)
    step = rows or max(1, BLOCK // classes)
    failure = ""
    try:
        for start in range(0, n, step):
            projector.block(range(start, min(start + step, n)))
    except Failed as error:
        failure = str(error)
    return Projection(
        place=f"{chosen.name}/{subject.variant}/{device}/{dtype}",
        shape=shape,
        probes=probes,
        calls=projector.calls,
        value_share=projector.value.share,
        value_row=projector.value.row,
        gradient_share=projector.gradient.share,
        gradient_row=projector.gradient.row,
        resolution=projector.resolution,
        undecided=tuple(name for name, worst in projector.zero.items() if not rank(worst.share) > THRESHOLD),
        failure=failure,
    )
