"""Contracts: the arithmetic that an implementation promises, from which its error bounds follow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from xentcheck.errors import AdapterError

from .formats import FORMATS, TF32, Format

STAGES = (
    "logits",
    "exponents",
    "exponentials",
    "sum",
    "log",
    "log_a",
    "between",
    "backward_sum",
    "forward_sum",
    "batch_sum",
    "reduction",
)
"""Where a result may be rounded to the storage dtype.

logits: what a linear layer hands to the softmax; a fused kernel may keep them wide. exponents: z - m, and every
subtraction, product and quotient of the softmax. exponentials: exp(z - m) and the softmax made of it. sum, log: S and
log S. log_a: the log-probabilities kept for the loss and the gradient. between: every other tensor between two kernels
(losses per row, scaled upstream gradients, 1/N, eps/C, the denominator). forward_sum, backward_sum, batch_sum: sums
over classes (forward and backward) and over examples are accumulated in storage; reduction: those of the losses and of
the weights that a mean divides by.
"""

BETWEEN_KERNELS = ("logits", "log_a", "between")
LINEAR = ("logits",)
ROUNDED_SUM = ("sum", "log", *BETWEEN_KERNELS)
ELEMENTWISE = ("exponents", "exponentials", *ROUNDED_SUM)


@dataclass(frozen=True, kw_only=True)
class Contract:
    """Where an implementation rounds, and how well it evaluates exp and log.

    log_form: `sub` for log a = (z - m) - log S, or `lse` for z - fl(m + log S); either may be used under `lse`.
    gradient_form: `ratio` for e/S, or `exp` for the exponential of the kept log a, each in the gradient.
    stored: the `STAGES` whose results are rounded to the storage dtype; all others are carried out in the arithmetic
    format (float32 for bfloat16 and float16). flushes: results below the smallest normal number may become zero.
    exp_ulps, log_ulps: largest error of exp and log in ULPs, so a relative error of 2 ULPs u. exp_slope: further
    relative error of exp per unit of its argument, in u (an exp built from a rounded product has 1). shift_units:
    error of each exponent in u |logit|, for implementations that do not subtract the maximum first. rescales: how often
    an online softmax rescales its running sum. product_inputs: `storage`, `tf32` or `bfloat16`: what matrix products
    round their inputs to. lanes: sums over classes are so many partial sums and a tree of them; 0 for any order, in
    which all other sums may be taken. normwise: gradients are right up to rounding errors of their row (automatic
    differentiation through the maximum adds the row's sum).
    """

    name: str
    log_form: str = "sub"
    gradient_form: str = "ratio"
    stored: tuple[str, ...] = LINEAR
    flushes: bool = True
    exp_ulps: float = 2.0
    log_ulps: float = 2.0
    exp_slope: float = 0.0
    shift_units: float = 0.0
    rescales: int = 0
    product_inputs: str = "storage"
    lanes: int = 0
    normwise: bool = False

    def with_accuracy(self, exp_ulps: float, log_ulps: float) -> Contract:
        """The same contract for an exp and a log of another accuracy (`stable` allows any up to its own)."""
        if self.normwise:
            return self
        return replace(self, exp_ulps=exp_ulps, log_ulps=log_ulps)


CATALOGUE: dict[str, Contract] = {
    c.name: c
    for c in (
        Contract(name="fused"),
        Contract(name="fused-lse", log_form="lse"),
        Contract(name="stash", gradient_form="exp", stored=BETWEEN_KERNELS),
        Contract(name="stash-lse", log_form="lse", gradient_form="exp", stored=BETWEEN_KERNELS),
        Contract(name="stash-sum", gradient_form="exp", stored=(*ROUNDED_SUM, "reduction")),
        Contract(name="storage", log_form="lse", gradient_form="exp", stored=ELEMENTWISE),
        Contract(name="storage-backsum", log_form="lse", gradient_form="exp", stored=(*ELEMENTWISE, "backward_sum")),
        Contract(name="storage-accumulate", log_form="lse", gradient_form="exp", stored=STAGES),
        Contract(
            name="stable",
            log_form="lse",
            gradient_form="exp",
            stored=(*ELEMENTWISE, "backward_sum", "reduction"),
            exp_ulps=8.0,
            log_ulps=8.0,
            exp_slope=1.0,
            shift_units=2.0,
            normwise=True,
        ),
    )
}
"""The contracts by name, in the order in which a grade is looked for: the first that all cases meet."""

DEFAULT = "stable"
"""The contract of what declares none."""


def get(name: str) -> Contract:
    """The contract of a name. Raises AdapterError naming those allowed.

    >>> get("stash").gradient_form
    'exp'
    """
    if name not in CATALOGUE:
        raise AdapterError(f"unknown contract {name!r}; allowed: {', '.join(CATALOGUE)}")
    return CATALOGUE[name]


def distinct(contracts: tuple[Contract, ...], dtype: str) -> tuple[Contract, ...]:
    """Those of the contracts that differ for a dtype, the first of equals: storing rounds nothing in a wide dtype.

    >>> [c.name for c in distinct(tuple(CATALOGUE.values()), "float64")]
    ['fused', 'fused-lse', 'stash', 'stash-lse', 'stable']
    """
    if Arithmetic.of(CATALOGUE["fused"], dtype).narrow:
        return contracts
    return tuple({replace(c, name="", stored=()): c for c in reversed(contracts)}.values())[::-1]


INPUTS = {"storage": 0.0, "tf32": TF32.unit_roundoff, "bfloat16": FORMATS["bfloat16"].unit_roundoff}
"""u of the rounding of a matrix product's inputs."""


def growth(additions: Any, u: float) -> Any:
    """(1 + u)^n - 1: relative error of n successive roundings, or of a sum with n additions in any order."""
    return np.expm1(np.minimum(np.maximum(additions, 0) * np.log1p(u), 700.0))


@dataclass(frozen=True)
class Arithmetic:
    """A contract's roundings for one storage dtype: arrays are in `storage`, arithmetic in `wide`."""

    contract: Contract
    storage: Format
    wide: Format

    @classmethod
    def of(cls, contract: Contract, dtype: str) -> Arithmetic:
        """float64 and float32 compute in themselves, bfloat16 and float16 in float32."""
        storage = FORMATS[dtype]
        return cls(contract, storage, storage if storage.precision >= 24 else FORMATS["float32"])

    @property
    def narrow(self) -> bool:
        """Whether storing rounds."""
        return self.storage != self.wide

    def stores(self, stage: str) -> bool:
        """Whether the results of a stage are rounded to a narrower storage dtype."""
        return self.narrow and stage in self.contract.stored

    def extra(self, stage: str) -> float:
        """u of the rounding to storage that follows a stage; 0 if there is none."""
        return self.storage.unit_roundoff if self.stores(stage) else 0.0

    def growth(self, additions: Any, stage: str) -> Any:
        """Relative error of a sum that makes so many additions in a stage's format: over classes, by the lanes."""
        a = np.maximum(additions, 0)
        lanes = self.contract.lanes
        if lanes and stage in ("forward_sum", "backward_sum"):
            a = np.minimum(a, np.ceil((a + 1) / lanes) + np.ceil(np.log2(lanes)))
        return growth(a, self.unit(stage))

    def unit(self, stage: str) -> float:
        """u of the format in which a stage computes."""
        return (self.storage if self.stores(stage) else self.wide).unit_roundoff

    @property
    def output(self) -> float:
        """u of the rounding of every output to storage; 0 if the arithmetic format is the storage."""
        return self.storage.unit_roundoff if self.narrow else 0.0

    @property
    def tiny(self) -> float:
        """Largest error of a result in the arithmetic format that is below its normal range."""
        return self.wide.smallest_normal if self.contract.flushes else self.wide.smallest_subnormal

    @property
    def underflow(self) -> float:
        """Largest error of storing a number below the normal range: half of the spacing there, or all of it where a
        wide result that small may be flushed; 0 if storing does not round.
        """
        if not self.narrow:
            return 0.0
        flushed = self.contract.flushes and self.storage.emin == self.wide.emin
        return self.storage.smallest_normal if flushed else self.storage.smallest_subnormal / 2.0

    @property
    def product_input(self) -> float:
        """u of the rounding of a matrix product's inputs."""
        return INPUTS[self.contract.product_inputs]

    def largest(self, stage: str) -> float:
        """Results of a stage from here on may overflow."""
        fmt = self.storage if self.stores(stage) else self.wide
        return fmt.largest * (1.0 - 16.0 * fmt.unit_roundoff)
