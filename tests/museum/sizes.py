"""Wrong where unusual inputs, calls and sizes alone show it; each is caught by the cases of one kind, and by no others.

Those on logits are subclasses of `CrossEntropy`; those behind a layer and along a direction change a right adapter's
results; those of repeated calls and variants are adapters of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from xentcheck import adapters
from xentcheck.adapters.base import Adapter, Result
from xentcheck.reference.problem import Problem

from .base import BOTH, GRADIENT, NO_THREAD, VALUE, Array, CrossEntropy, Fault, Where, fault
from .outputs import Values

FAULTS: list[Fault] = []
"""On logits, in NumPy."""

CHANGES: list[Fault] = []
"""Behind a layer, and along a direction, in NumPy and PyTorch."""


def upstream(*names: str) -> Where:
    """The cases with one of some upstream gradients."""
    return lambda case: case.upstream in names


def layout(*names: str) -> Where:
    """The cases with one of some layouts."""
    return lambda case: bool(set(names) & set(case.layout))


def having(*names: str) -> Where:
    """The cases with one of some options."""
    return lambda case: bool(set(names) & set(case.options))


def classes(holds: Any) -> Where:
    """The cases whose number of classes has a property."""
    return lambda case: bool(holds(case.classes))


@fault(FAULTS, "H06-block-of-1024-masked", NO_THREAD, GRADIENT, classes(lambda c: c % 1024 == 0))
class LastBlockMasked(CrossEntropy):
    """The mask of the last block of 1024 classes is C % 1024, which is 0 where the block is full."""

    def gradient(self, upstream: Array) -> Array:
        found = super().gradient(upstream)
        if self.classes % 1024 == 0:
            found[:, -1024:] = 0
        return found


@fault(FAULTS, "H07-classes-in-sixteen-bits", NO_THREAD, BOTH, classes(lambda c: c > 65536))
class ClassesInSixteenBits(CrossEntropy):
    """Classes are numbered in 16 bits: those from 65536 on are not added up."""

    def exp(self, t: Array) -> Array:
        found = super().exp(t)
        found[:, 65536:] = 0
        return found


@fault(FAULTS, "H13-two-rows-for-one", NO_THREAD, BOTH, lambda c: len(c.shape) > 1 and c.shape[0] == 2)
class TwoRowsForOne(CrossEntropy):
    """With a batch of two, the second row is taken for a pair's other half, and left out."""

    def q(self) -> Array:
        q = super().q()
        if self.logits.ndim > 1 and self.logits.shape[0] == 2:
            q = np.array(np.broadcast_to(q, self.rows(self.logits).shape))
            q[len(q) // 2 :] = 0
        return q


@fault(FAULTS, "H14-rows-in-sixteen-bits", NO_THREAD, GRADIENT, lambda c: c.shape[0] > 65536)
class RowsInSixteenBits(CrossEntropy):
    """Rows are numbered in 16 bits: those from 65536 on get no gradient."""

    def gradient(self, upstream: Array) -> Array:
        found = super().gradient(upstream)
        if found.ndim > 1:
            found[65536:] = 0
        return found


@fault(FAULTS, "H15-elements-in-float32", NO_THREAD, VALUE, lambda c: math.prod(c.shape) > 2**24)
class ElementsInFloat32(CrossEntropy):
    """The number of elements is held in float32, so that beyond 2^24 the tail of the batch is not added."""

    def losses(self) -> Array:
        found = super().losses()
        if self.logits.size > 2**24:
            found[-len(found) // 4 :] = 0
        return found


@fault(FAULTS, "F74-vectors-of-four", NO_THREAD, GRADIENT, lambda c: len(c.shape) > 2 and c.shape[-1] >= 4)
class VectorsOfFour(CrossEntropy):
    """The last axis is read in vectors of four, and the first element of each is written to all."""

    def gradient(self, upstream: Array) -> Array:
        found = super().gradient(upstream)
        if found.ndim > 2 and found.shape[-1] >= 4:
            found[..., 1:4] = found[..., :1]
        return found


@fault(FAULTS, "C36-first-row-always-kept", NO_THREAD, BOTH, having("ignfirst", "ignmost"))
class FirstRowKept(CrossEntropy):
    """The scan over kept rows starts at the first row, kept or not."""

    def kept(self) -> Array:
        kept = np.array(super().kept())
        kept[:1] |= not self.soft and kept.any()
        return kept


@fault(FAULTS, "C36-last-row-always-kept", NO_THREAD, BOTH, having("ignlast", "ignmost"))
class LastRowKept(CrossEntropy):
    """The last row is handled outside of the loop, and not looked at."""

    def kept(self) -> Array:
        kept = np.array(super().kept())
        kept[-1:] |= not self.soft and kept.any()
        return kept


@fault(FAULTS, "C37-second-of-two-ignored-rows-kept", NO_THREAD, BOTH, having("ignpair"))
class SecondOfTwoKept(CrossEntropy):
    """After an ignored row the next one is moved up without being looked at."""

    def kept(self) -> Array:
        kept = np.array(super().kept())
        pair = ~kept[1:] & ~kept[:-1]
        if not self.soft and pair.sum() == 1:
            kept[1:] |= pair
        return kept


@fault(FAULTS, "C38-at-least-two-rows", NO_THREAD, BOTH, having("ignmost"))
class AtLeastTwoRows(CrossEntropy):
    """Fewer than two kept rows of a batch count as none."""

    def q(self) -> Array:
        q = super().q()
        return q * 0 if not self.soft and self.kept().sum() == 1 and len(self.kept()) > 3 else q


@fault(FAULTS, "D47-weights-of-one-are-none", NO_THREAD, BOTH, having("w1"))
class WeightsOfOne(CrossEntropy):
    """Weights that are all 1 are taken for none, and the mean then divides by all rows."""

    def denominator(self) -> Array:
        ones = self.weight is not None and bool((self.weight == 1).all())
        return self.cast(len(self.rows(self.logits))) if ones else super().denominator()


@fault(FAULTS, "E60-divided-by-upstream", NO_THREAD, GRADIENT, upstream("zero"))
class DividedByUpstream(CrossEntropy):
    """The gradient is scaled up and down again by the upstream gradient: 0/0 where that is 0."""

    def factor(self, upstream: Array) -> Array:
        found = super().factor(upstream)
        return found * (upstream / upstream)


@fault(FAULTS, "E60-small-upstream-skipped", NO_THREAD, GRADIENT, upstream("tiny"))
class SmallUpstreamSkipped(CrossEntropy):
    """Rows whose upstream gradient is below 1e-20 are skipped."""

    def factor(self, upstream: Array) -> Array:
        found = super().factor(upstream)
        return np.where(np.abs(found) < 1e-20, 0, found).astype(found.dtype)


@fault(FAULTS, "E60-large-upstream-clipped", NO_THREAD, GRADIENT, upstream("huge"))
class LargeUpstreamClipped(CrossEntropy):
    """Upstream gradients are clipped at 1e10."""

    def factor(self, upstream: Array) -> Array:
        return super().factor(np.clip(upstream, -1e10, 1e10))


@fault(FAULTS, "A20-broken-row-spreads", NO_THREAD, BOTH, lambda c: c.family == "broken-rows")
class BrokenRowSpreads(CrossEntropy):
    """If any loss is not a number, all losses and gradients are set to 0, and the step is skipped."""

    def q(self) -> Array:
        return super().q() * (not np.isnan(self.logits).any())


def on(changes: str, name: str, caught: frozenset[str], among: Where, dtype: str = "float32") -> Callable[[Any], Any]:
    """A change of a right adapter's results; `changes`: the kind of problem it is in, for readers."""
    return fault(CHANGES, name, NO_THREAD, caught, among, dtype=dtype)


@on("layer", "G95-weight-alone", GRADIENT, layout("needs-w"))
def weight_alone(p: Problem, values: Values) -> None:
    """Where the weight alone needs a gradient it gets none."""
    if p.needs == ("w",):
        values["dC/dw"][...] = 0


@on("layer", "G95-frozen-weight-freezes-inputs", GRADIENT, layout("needs-x", "needs-xb"))
def frozen_weight(p: Problem, values: Values) -> None:
    """A weight that needs no gradient is taken for a model in evaluation: none for the inputs either."""
    if p.needs and "w" not in p.needs and "dC/da_prev" in values:
        values["dC/da_prev"][...] = 0


@on("layer", "G96-second-backward-of-many-classes", GRADIENT, lambda c: "twice" in c.layout and c.classes > 128)
def second_backward_of_many(p: Problem, values: Values) -> None:
    """Beyond 128 classes the weight gradient is accumulated in place, and doubled by a second backward."""
    if p.head == "layer" and p.backwards > 1 and p.classes > 128:
        values["dC/dw"] *= np.asarray(2, values["dC/dw"].dtype)


@on("layer", "G96-narrow-columns-beyond-128", GRADIENT, lambda c: bool(c.inputs) and c.classes > 128, "bfloat16")
def narrow_columns(p: Problem, values: Values) -> None:
    """In bfloat16 the classes beyond 128 get no bias gradient."""
    if p.head == "layer" and p.dtype == "bfloat16":
        values["dC/db"][128:] = 0


@on("direction", "E59-hessian-of-rows-that-sum-to-one", GRADIENT, lambda c: c.target == "prob" and "dir" in c.options)
def rows_of_one(p: Problem, values: Values) -> None:
    """Second order takes rows of probabilities to sum to 1."""
    if p.v is not None and p.probabilities and p.logits is not None and p.logits.ndim == 2 and p.weight is not None:
        q = (np.asarray(p.target, np.float64) * np.asarray(p.weight, np.float64)).sum(1, keepdims=True)
        values["hvp"] = (np.asarray(values["hvp"], np.float64) / q).astype(p.dtype)


def third_backward() -> Adapter:
    """PyTorch's own loss, whose third backward finds the buffers of the second."""
    import torch

    function: Any = torch.autograd.Function

    class Third(function):  # type: ignore[misc]  # PyTorch need not be installed where types are checked
        @staticmethod
        def forward(ctx: Any, z: Any, losses: Any) -> Any:
            ctx.calls = 0
            return losses.clone()

        @staticmethod
        def backward(ctx: Any, *upstream: Any) -> Any:
            ctx.calls += 1
            return None, upstream[0] * (2 if ctx.calls > 2 else 1)

    apply: Any = Third.apply  # PyTorch does not annotate it

    def loss(z: Any, target: Any, **given: Any) -> Any:
        return apply(z, torch.nn.functional.cross_entropy(z, target, **given))

    usual = {"weight", "ignore_index", "label_smoothing", "probabilities", "upstream"}
    return adapters.from_torch(loss, name="third_backward", options=usual, devices=["cpu"])


def wrong_in_eager(hit: Callable[[Problem], bool], wrong: Callable[[Any], Any]) -> Adapter:
    """JAX's own loss, whose results eager, and only eager, gets wrong where a problem is hit."""

    class Eager(type(adapters.get("jax"))):  # type: ignore[misc]  # a class that is looked up by name
        def compute(self, problem: Problem, quantities: Sequence[str], *, device: str, variant: str) -> Result:
            found = super().compute(problem, quantities, device=device, variant=variant)
            if variant != "eager" or not hit(problem):
                return Result(found.values, found.changed_inputs)
            return Result({q: wrong(np.asarray(x)) for q, x in found.values.items()}, found.changed_inputs)

    made: Adapter = Eager()
    return made


def hidden_by_xla() -> Adapter:
    """Eager multiplies 0 with the -inf of masked classes."""
    return wrong_in_eager(lambda p: p.logits is not None and bool(np.isneginf(p.logits).any()), lambda x: x * np.nan)


def doubled_in_eager(reduction: str) -> Adapter:
    """Eager doubles the results of one reduction."""
    return wrong_in_eager(lambda p: p.reduction == reduction, lambda x: x * x.dtype.type(2))
