"""Sensitivity: arithmetic that is a little worse than declared is caught, each kind by its name.

Every fault is a step of one right implementation (wide arithmetic, one rounding at the end) done worse; the right one
is within its bounds on the same problems.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from xentcheck.cases import Case
from xentcheck.cases.build import build
from xentcheck.cases.families import FAMILIES
from xentcheck.judging.comparisons import Submission
from xentcheck.judging.verdict import Judgement
from xentcheck.reference.bounds.contracts import CATALOGUE, Contract
from xentcheck.reference.formats import Array
from xentcheck.reference.problem import Problem

FUSED = CATALOGUE["fused"].with_accuracy(3.0, 3.0)
WIDE_LOGITS = replace(FUSED, stored=())
GRADUAL = replace(FUSED, flushes=False)
SIXTEEN_LANES = replace(FUSED, lanes=16)


class Fused:
    """Softmax cross-entropy for class indices, in float32 or float64, stored once."""

    def __init__(self, p: Problem) -> None:
        self.p = p
        self.storage = np.dtype(p.dtype)
        self.wide = np.dtype(np.float64 if p.dtype == "float64" else np.float32)
        self.a_prev, self.w, self.b = (
            None if x is None else np.asarray(x).astype(self.wide) for x in (p.a_prev, p.w, p.b)
        )

    def narrow(self, x: Any, dtype: Any = "bfloat16") -> Array:
        """A step's result through another dtype."""
        return np.asarray(x).astype(dtype).astype(self.wide)

    def product(self, a: Array, b: Array) -> Array:
        """a b."""
        return np.asarray(a @ b)

    def shift(self, z: Array) -> Array:
        """What is taken off every logit."""
        return np.asarray(z.max(1, keepdims=True))

    def exp(self, t: Array) -> Array:
        """exp."""
        return np.exp(t)

    def total(self, e: Array) -> Array:
        """S."""
        return np.asarray(e.sum(1, keepdims=True))

    def softmax(self, e: Array, total: Array) -> Array:
        """e / S."""
        return e / total

    def log_softmax(self, z: Array, m: Array, total: Array) -> Array:
        """(z - m) - log S."""
        return np.asarray((z - m) - np.log(total))

    def backward(self, z: Array, m: Array, total: Array, a: Array) -> Array:
        """The softmax of the gradient."""
        return a

    def count(self, kept: Array) -> Any:
        """What the mean divides by."""
        return self.wide.type(np.count_nonzero(kept))

    def difference(self, a: Array, y: Array) -> Array:
        """a - y."""
        return a - y

    def store(self, x: Any) -> Array:
        """The rounding of an output."""
        return np.asarray(x).astype(self.storage)

    def results(self) -> dict[str, Array]:
        """All quantities of the problem."""
        p = self.p
        with np.errstate(all="ignore"):
            if p.logits is not None:
                z = np.asarray(p.logits).astype(self.wide)
            else:
                assert self.a_prev is not None and self.w is not None and self.b is not None  # noqa: PT018 - for mypy
                z = self.product(self.a_prev, self.w.T) + self.b
            m = self.shift(z)
            total = self.total(self.exp(z - m))
            a = self.softmax(self.exp(z - m), total)
            log_a = self.log_softmax(z, m, total)
            y = np.arange(p.classes) == p.target[:, None]
            losses = -log_a[y]
            denominator = self.count(p.kept) if p.reduction == "mean" else self.wide.type(1)
            factor = np.broadcast_to(p.upstream.astype(self.wide), losses.shape) / denominator
            g = self.difference(self.backward(z, m, total, a), y.astype(self.wide)) * factor[:, None]
            found = {"a": a, "log_a": log_a, "loss": losses, "cost": losses.sum() / denominator, "dC/dz": g}
            if p.head == "layer":
                assert self.a_prev is not None and self.w is not None  # noqa: PT018 - for mypy
                found |= {
                    "dC/db": g.sum(0),
                    "dC/dw": self.product(g.T, self.a_prev),
                    "dC/da_prev": self.product(g, self.w),
                }
            return {q: self.store(found[q]) for q in p.quantities}


class Bfloat16Accumulation(Fused):
    """The sum of exponentials is accumulated in bfloat16."""

    def total(self, e: Array) -> Array:
        sums = np.zeros((len(e), 1), self.wide)
        for column in e.T:
            sums = self.narrow(sums + column[:, None])
        return sums


class LogSumExpStoredInBfloat16(Fused):
    """The backward pass recomputes exp(z - lse) from a log-sum-exp that was stored in bfloat16."""

    def backward(self, z: Array, m: Array, total: Array, a: Array) -> Array:
        return np.exp(z - self.narrow(m + np.log(total)))


class Float32StepInFloat64(Fused):
    """exp in float32."""

    def exp(self, t: Array) -> Array:
        return np.exp(t.astype(np.float32)).astype(self.wide)


class ExpOffByAMillionth(Fused):
    """exp with a relative error of 1e-6 that depends on its argument."""

    def exp(self, t: Array) -> Array:
        return np.asarray(np.exp(t) * (1 + 1e-6 * np.sin(7 * t)), self.wide)


class NoMaximumSubtracted(Fused):
    """exp of the logits themselves."""

    def shift(self, z: Array) -> Array:
        return np.zeros((len(z), 1), self.wide)


class DifferenceInBfloat16(Fused):
    """softmax and one-hot are subtracted in bfloat16."""

    def difference(self, a: Array, y: Array) -> Array:
        return self.narrow(self.narrow(a) - y)


class Tf32Products(Fused):
    """Matrix products round their inputs to 11 bits."""

    def product(self, a: Array, b: Array) -> Array:
        return tf32(a) @ tf32(b)


class ValidCountInFloat16(Fused):
    """The number of kept rows is a float16."""

    def count(self, kept: Array) -> Any:
        return self.wide.type(np.float16(np.count_nonzero(kept)))


class ReciprocalOf12Bits(Fused):
    """1/S from a table of 12 bits."""

    def softmax(self, e: Array, total: Array) -> Array:
        mantissa, exponent = np.frexp(1 / total)
        return np.asarray(e * np.ldexp(np.rint(mantissa * 2**12) / 2**12, exponent), self.wide)


class LogSumExpForm(Fused):
    """log a as z - fl(m + log S)."""

    def log_softmax(self, z: Array, m: Array, total: Array) -> Array:
        return np.asarray(z - (m + np.log(total)))


class Truncation(Fused):
    """Outputs are cut off after 8 bits instead of rounded."""

    def store(self, x: Any) -> Array:
        bits = np.asarray(x, np.float32).view(np.uint32) & np.uint32(0xFFFF0000)
        return np.asarray(bits.view(np.float32)).astype(self.storage)


class StoredLogits(Fused):
    """The logits of the layer go through bfloat16."""

    def shift(self, z: Array) -> Array:
        z[:] = self.narrow(z)
        return super().shift(z)


class Flushed(Fused):
    """Outputs below the normal range become 0."""

    def store(self, x: Any) -> Array:
        x = super().store(x)
        return np.where(np.abs(x) < np.finfo(x.dtype).smallest_normal, x.dtype.type(0), x)


class OneLane(Fused):
    """The exponentials are added one after another."""

    def total(self, e: Array) -> Array:
        return np.cumsum(e, axis=1)[:, -1:]


def tf32(x: Array) -> Array:
    """Rounded to 11 significant bits, to nearest."""
    mantissa, exponent = np.frexp(x)
    return np.asarray(np.ldexp(np.rint(mantissa * 2**11) / 2**11, exponent), x.dtype)


FAULTS: dict[str, tuple[type[Fused], str, str]] = {
    "bfloat16 accumulation where float32 is declared": (Bfloat16Accumulation, "float32", "logits"),
    "bfloat16 accumulation where bfloat16 has float32 sums": (Bfloat16Accumulation, "bfloat16", "logits"),
    "log-sum-exp stored in bfloat16 for the backward pass": (LogSumExpStoredInBfloat16, "bfloat16", "logits"),
    "a float32 step inside a float64 path": (Float32StepInFloat64, "float64", "logits"),
    "exp with a relative error of 1e-6 in float32": (ExpOffByAMillionth, "float32", "logits"),
    "no maximum subtracted": (NoMaximumSubtracted, "float32", "logits"),
    "softmax minus one-hot in bfloat16": (DifferenceInBfloat16, "bfloat16", "logits"),
    "TF32 products where float32 is declared": (Tf32Products, "float32", "layer"),
    "valid count overflows in float16": (ValidCountInFloat16, "float16", "many rows"),
    "a reciprocal of 12 bits": (ReciprocalOf12Bits, "float32", "logits"),
    "log-sum-exp form where the difference form is declared": (LogSumExpForm, "float32", "logits"),
    "bfloat16 truncated instead of rounded": (Truncation, "bfloat16", "logits"),
    "logits of a layer stored where wide ones are declared": (StoredLogits, "bfloat16", "steep layer"),
    "results flushed to zero where gradual underflow is declared": (Flushed, "float32", "deep rows"),
    "one running sum where sixteen lanes are declared": (OneLane, "float32", "many classes"),
}

CONTRACTS: dict[type[Fused], Contract] = {StoredLogits: WIDE_LOGITS, Flushed: GRADUAL, OneLane: SIXTEEN_LANES}
"""What is declared, where it is not FUSED."""


def many_rows(dtype: str) -> Problem:
    """More rows than float16 can say."""
    return Problem(logits=np.zeros((70_000, 2), dtype), target=np.arange(70_000) % 2)


def many_classes(dtype: str) -> Problem:
    """Sums of many equal terms, which a running sum rounds the same way again and again."""
    z = np.zeros((2, 65_536), dtype)
    z[:, 0] = 1.0
    return Problem(logits=z, target=np.array([0, 1]))


def deep_rows(dtype: str) -> Problem:
    """Activations down to the smallest subnormal number of float32."""
    return Problem(logits=np.array([[0.0, *range(-84, -104, -1)]], dtype), target=np.array([1]))


def steep_layer(dtype: str) -> Problem:
    """Logits of some 25, so that rounding them to storage moves the activations by more than storing these."""
    rng = np.random.default_rng(0)
    a_prev, w, b = (scale * rng.standard_normal(shape) for scale, shape in ((1, (5, 10)), (8, (10, 10)), (1, 10)))
    return Problem(
        a_prev=a_prev.astype(dtype), w=w.astype(dtype), b=b.astype(dtype), target=np.arange(5), reduction="sum"
    )


MADE = {"many rows": many_rows, "many classes": many_classes, "deep rows": deep_rows, "steep layer": steep_layer}


def problems(dtype: str, kind: str) -> Iterator[Problem]:
    """What the quick profile has of a kind of problem, or one problem that is made for a fault."""
    if kind in MADE:
        yield MADE[kind](dtype)
        return
    layer: dict[str, Any] = {"inputs": 10} if kind == "layer" else {}
    for family in ("gaussian", "few-active") if layer else FAMILIES:
        for shape in ((5, 10),) if layer else ((5, 10), (5, 1003)):
            yield build(Case(family=family, shape=shape, dtype=dtype, upstream="neg", **layer))


def shares(implementation: type[Fused], contract: Contract, dtype: str, kind: str) -> list[float]:
    """The largest share of a bound on each problem."""
    found = []
    for p in problems(dtype, kind):
        (verdicts,) = Judgement(p, p.quantities, [Submission(implementation(p).results(), contract)]).run()
        found.append(max(v.tally.share for v in verdicts.values()))
        assert not any(v.mismatch for v in verdicts.values())
    return found


@pytest.mark.parametrize("name", FAULTS)
def test_arithmetic_that_is_worse_than_declared_is_caught(name: str) -> None:
    """Some element exceeds the declared bound, while the right arithmetic stays within it on the same problems."""
    implementation, dtype, kind = FAULTS[name]
    contract = CONTRACTS.get(implementation, FUSED)
    right, wrong = (shares(i, contract, dtype, kind) for i in (Fused, implementation))
    assert len(right) == len(wrong) > 0
    assert max(right) <= 1.0
    assert not max(wrong) <= 1.0
