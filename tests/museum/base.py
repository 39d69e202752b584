"""Planted faults: a softmax cross-entropy that is right as it stands, and subclasses that each get one step wrong.

`CrossEntropy` is written in the functions that NumPy, PyTorch and JAX share, so that one fault can be planted in each
of them. A fault is named after its class: A range and precision, B normaliser, C ignored rows, D smoothing and soft
targets, E upstream and autograd, F layout and tails, G linear head; and where it shows at one size, in one dtype or for
one value only, H sizes, I dtypes, J values of options and calls, K what lies at the edge of all of these, L batches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from xentcheck.cases import Case

Array = Any
Where = Callable[[Case], bool]

VALUE = frozenset({"value"})
GRADIENT = frozenset({"gradient"})
BOTH = VALUE | GRADIENT
ERROR = frozenset({"error"})
LAW = frozenset({"law"})

NO_THREAD = ""
"""The issue of a fault that is a class of its own, without a report that it was ever shipped."""


@dataclass(frozen=True)
class Fault:
    """One wrong implementation.

    name: class and number of the fault, then what is wrong. issue: where it, or its nearest kin, was reported, as
    project#number, or NO_THREAD. caught: the sides that have to raise an alarm, all of them and no other. among: the
    cases that are there for it. contract: what the implementation promises, or None. honest: what it could promise as
    well, as its arithmetic is no other; it has to be caught with either.
    """

    name: str
    issue: str
    caught: frozenset[str]
    among: Where
    implementation: Any
    dtype: str = "float32"
    contract: str | None = None
    honest: str | None = None

    @property
    def contracts(self) -> tuple[str | None, ...]:
        """The contracts under each of which it has to be caught; None for the default."""
        return (self.contract,) if self.honest is None else (self.contract, self.honest)


class CrossEntropy:
    """One call of the loss, for logits (C,), (N, C) or (N, C, d1..dk); each method is a step that a fault may replace.

    xp: numpy, torch or jax.numpy. Inside, logits are rows z (m, C), and the loss of a row is -sum(q log a).
    """

    def __init__(
        self,
        xp: Any,
        logits: Array,
        target: Array,
        *,
        weight: Array | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        self.xp = xp
        self.logits = logits
        self.target = target
        self.soft = target.ndim == logits.ndim and target.dtype == logits.dtype
        self.weight = weight
        self.ignore_index = ignore_index
        self.reduction = reduction
        self.smoothing = label_smoothing
        self.classes = logits.shape[0 if logits.ndim == 1 else 1]

    def cast(self, x: Array) -> Array:
        """x in the dtype of the logits."""
        return self.xp.asarray(x, dtype=self.logits.dtype)

    def rows(self, x: Array) -> Array:
        """(m, C), the class axis last."""
        return (x if x.ndim == 1 else self.xp.moveaxis(x, 1, -1)).reshape(-1, self.classes)

    def unrows(self, x: Array) -> Array:
        """Rows in the shape of the logits."""
        shape = self.logits.shape
        if len(shape) == 1:
            return x.reshape(shape)
        return self.xp.moveaxis(x.reshape(shape[0], *shape[2:], shape[1]), -1, 1)

    def labels(self) -> Array:
        return self.target.reshape(-1)

    def kept(self) -> Array:
        """Which rows are not ignored: (m,)."""
        if self.soft:
            return self.xp.isfinite(self.rows(self.target).sum(1))
        return self.labels() != self.ignore_index

    def weights(self) -> Array:
        return self.cast(self.xp.ones(self.classes)) if self.weight is None else self.weight

    def hot(self) -> Array:
        """One-hot rows of the labels; a row of zeros for a label outside of [0, C)."""
        return self.cast(self.xp.arange(self.classes) == self.labels()[:, None])

    def uniform(self) -> Array:
        """What smoothing adds to the one-hot rows, eps/C per class, by class weight: (m, C) or (1, C)."""
        return (self.weights() * (self.smoothing / self.classes))[None, :]

    def q(self) -> Array:
        """The factors of -log a: class weights and smoothing inside, 0 in ignored rows: (m, C)."""
        if self.soft:
            return self.rows(self.target) * self.weights() * (1 - self.smoothing) + self.uniform()
        q = self.hot() * self.weights() * (1 - self.smoothing) + self.uniform()
        return self.xp.where(self.kept()[:, None], q, 0.0)

    def denominator(self) -> Array:
        """What the mean divides by."""
        if self.soft:
            return self.cast(self.rows(self.logits).shape[0])
        return self.xp.where(self.kept(), (self.hot() * self.weights()).sum(1), 0.0).sum()

    def shift(self, z: Array) -> Array:
        """What is subtracted before exp: (m, 1)."""
        return self.xp.amax(z, axis=1, keepdims=True)

    def exp(self, t: Array) -> Array:
        return self.xp.exp(t)

    def parts(self) -> tuple[Array, Array, Array]:
        """z minus its shift t, exp(t), and its sum (m, 1)."""
        z = self.rows(self.logits)
        t = z - self.shift(z)
        e = self.exp(t)
        return t, e, e.sum(1, keepdims=True)

    def log_a(self) -> Array:
        """Forward: log-softmax of the rows."""
        t, _, total = self.parts()
        return t - self.xp.log(total)

    def a(self) -> Array:
        """Backward: softmax of the rows."""
        _, e, total = self.parts()
        return e / total

    def losses(self) -> Array:
        """Forward: -sum(q log a) per row, where 0 * inf is 0."""
        q = self.q()
        return -self.xp.where(q != 0, q * self.log_a(), 0.0).sum(1)

    def reduce(self, losses: Array) -> Array:
        """Forward: the output for the losses of the rows."""
        if self.reduction == "none":
            shape = self.logits.shape
            return losses.reshape(shape[:1] + shape[2:] if len(shape) > 1 else ())
        return losses.sum() / self.denominator() if self.reduction == "mean" else losses.sum()

    def value(self) -> Array:
        return self.reduce(self.losses())

    def factor(self, upstream: Array) -> Array:
        """Backward: upstream over the denominator, one per row or one for all."""
        up = upstream.reshape(-1)
        return up / self.denominator() if self.reduction == "mean" else up

    def error(self) -> Array:
        """Backward: a - y, with weights: (m, C)."""
        q = self.q()
        return self.a() * q.sum(1, keepdims=True) - q

    def gradient(self, upstream: Array) -> Array:
        return self.unrows(self.cast(self.factor(upstream)[:, None] * self.error()))


def anywhere(case: Case) -> bool:
    """Every case."""
    return True


def families(*names: str) -> Where:
    """The cases of some families."""
    return lambda case: case.family in names


def options(*names: str) -> Where:
    """The cases that use all of some options."""
    return lambda case: set(names) <= set(case.options)


RIGHT = Fault("none", NO_THREAD, frozenset(), anywhere, CrossEntropy)
"""No fault: what the others are planted in."""


def fault(
    into: list[Fault],
    name: str,
    issue: str,
    caught: frozenset[str],
    among: Where = anywhere,
    *,
    dtype: str = "float32",
    contract: str | None = None,
    honest: str | None = None,
) -> Callable[[Any], Any]:
    """Decorator that adds an implementation to a list of faults."""

    def add(implementation: Any) -> Any:
        into.append(Fault(name, issue, caught, among, implementation, dtype, contract, honest))
        return implementation

    return add
