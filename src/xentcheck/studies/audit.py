"""What an assertion |actual - expected| <= atol + rtol |expected| on dC/dz would accept: zeros and wrong gradients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xentcheck.cases.randomness import Stream
from xentcheck.errors import AuditError
from xentcheck.judging.power.gradients import other_upstream, row_factors, structural_deltas
from xentcheck.judging.power.measure import largest
from xentcheck.reference.formats import FORMATS, Array
from xentcheck.reference.oracle import Exact
from xentcheck.reference.problem import Problem
from xentcheck.vocabulary import DTYPES, REDUCTIONS

ELEMENTS = 4_000_000
"""Elements that are drawn: of a larger gradient some rows stand for all, with the factor 1/N of the whole."""

WRONG = (
    "zero",
    "negated",
    "doubled",
    "halved",
    "onehot_dropped",
    "offtarget_zeroed",
    "last_column_dropped",
    "last_row_dropped",
    "not_divided",
    "upstream_ignored",
    "first_upstream",
)
"""The standard wrong gradients of plain class indices."""

FARTHEST = 12.0
"""No two logits are farther apart, in units of the scale: each is a sum of 12 uniform numbers, and lies within 6."""

UPSTREAMS = ("ones", "negative", "random")


@dataclass(frozen=True, kw_only=True)
class Assertion:
    """A comparison of dC/dz as test suites write it, and the input it is used on: standard normal logits times scale.

    shape: (N, C). upstream: `ones`, `negative` (-1.7 for all), or `random` (signed, per row; reduction none only).
    Raises AuditError for what makes no assertion.

    >>> audit(Assertion(atol=1e-8, rtol=1e-6, shape=(8192, 32000))).blind > 0.9
    True
    """

    atol: float
    rtol: float
    shape: tuple[int, int]
    reduction: str = "mean"
    dtype: str = "float32"
    upstream: str = "ones"
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not (self.atol >= 0 and self.rtol >= 0 and np.isfinite(self.atol + self.rtol)):
            raise AuditError(f"atol is {self.atol}, rtol {self.rtol}; allowed: finite numbers from 0")
        if len(self.shape) != 2 or min(self.shape) < 1 or self.shape[1] > ELEMENTS:
            raise AuditError(f"shape is {self.shape}; allowed: N,C, both from 1, C to {ELEMENTS}")
        if not 0 < self.scale < np.inf:
            raise AuditError(f"scale is {self.scale}; allowed: a positive number")
        for name, allowed in (("reduction", REDUCTIONS), ("dtype", DTYPES), ("upstream", UPSTREAMS)):
            if getattr(self, name) not in allowed:
                raise AuditError(f"{name} is {getattr(self, name)!r}; allowed: {', '.join(allowed)}")
        limit = FORMATS[self.dtype].largest / FARTHEST
        if not self.scale <= limit:
            raise AuditError(f"scale is {self.scale}, beyond which {self.dtype} overflows; allowed: up to {limit:.3g}")
        if self.upstream == "random" and self.reduction != "none":
            raise AuditError("upstream random needs reduction none; allowed otherwise: ones, negative")


@dataclass(frozen=True)
class Audit:
    """What the assertion accepts.

    blind: share of the gradient's elements that could be 0 unnoticed. margins: wrong gradient -> its largest error in
    units of the tolerance; at most 1 is accepted. Those that equal the right gradient on this input are left out.
    rows: how many were looked at.
    """

    blind: float
    margins: dict[str, float]
    rows: int

    @property
    def accepted(self) -> tuple[str, ...]:
        """The wrong gradients that pass."""
        return tuple(name for name, margin in self.margins.items() if margin <= 1.0)


def audit(assertion: Assertion, seed: int = 0) -> Audit:
    """Replay the assertion on the exact gradient and on the wrong ones made from it [derived].

    Linear in min(N C, 4 million) elements: rows are alike, so some of them stand for all. Raises AuditError where the
    right gradient is 0, as with one class: nothing that is made from it is wrong.
    """
    n, classes = assertion.shape
    rows = max(1, min(n, ELEMENTS // classes))
    mean = assertion.reduction == "mean"
    exact = Exact(_problem(assertion, rows, seed))
    found: dict[str, float] = {}
    blind = 0
    for block in exact.blocks():
        right = exact.backend.pair(block.gradient)[0]
        tolerance = assertion.atol + assertion.rtol * np.abs(right)
        blind += int(np.count_nonzero(np.abs(right) <= tolerance))
        factors = dict(row_factors(block, float(n) if mean else 1.0, n, last=block.rows.stop == rows))
        factors.pop("divided_by_n", None)  # no row is ignored: the same as the right gradient
        if assertion.upstream == "random":
            factors["first_upstream"] = other_upstream(block.targets, float(exact.targets.upstream[0]))
        if mean:
            factors["upstream_ignored"] = np.full(len(right), 1.0 / _scalar(assertion) - 1.0)
        deltas = {name: factor[:, None] * right for name, factor in factors.items()} | dict(structural_deltas(block))
        for name, delta in deltas.items():
            if delta.any():
                found[name] = max(found.get(name, 0.0), largest(delta, tolerance))
    if "zero" not in found:
        raise AuditError(
            f"the right gradient of {n}x{classes} logits is 0: nothing to audit; allowed: 2 classes or more"
        )
    return Audit(blind / (rows * classes), {name: found[name] for name in WRONG if name in found}, rows)


def _scalar(assertion: Assertion) -> float:
    return -1.7 if assertion.upstream == "negative" else 1.0


def _problem(assertion: Assertion, rows: int, seed: int) -> Problem:
    """Some rows of the whole, whose gradient is that of the whole: the mean over fewer rows gets less upstream."""
    n, classes = assertion.shape
    stream = Stream(f"audit.{assertion.dtype}.{rows}.{classes}.s{seed}")
    logits = (assertion.scale * stream.gaussian((rows, classes))).astype(assertion.dtype)
    upstream: Array = np.asarray(_scalar(assertion))
    if assertion.reduction == "mean":
        upstream = upstream * (rows / n)
    elif assertion.reduction == "none":
        upstream = np.full(rows, _scalar(assertion))
        if assertion.upstream == "random":
            upstream = stream.uniform(0.25, 2.0, (rows,)) * stream.signs((rows,))
        upstream = upstream.astype(assertion.dtype)
    labels = stream.integers(0, classes, (rows,))
    return Problem(logits=logits, target=labels, reduction=assertion.reduction, upstream=upstream)
