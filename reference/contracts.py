"""Contracts: the arithmetic that an implementation promises, from which its error bounds follow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from xentcheck.errors import AdapterError

from .formats import FORMATS, TF32, Format, wider

STAGES = (
    "logits",
    "exponents",
    "exponentials",
    "sum",
    "log",
    "log_a",
    "between",
    "backward_sum",
    "row_sum",
    "forward_sum",
    "batch_sum",
    "reduction",
)
"""Where a result may be rounded to the storage dtype.

logits: what a linear layer hands to the softmax; a fused kernel may keep them wide. exponents: z - m, and every
subtraction, product and quotient of the softmax. exponentials: exp(z - m) and the softmax made of it. sum, log: S and
log S. log_a: the log-probabilities kept for the loss and the gradient. between: every other tensor between two kernels
(losses per row, a log-sum-exp, scaled upstream gradients, 1/N, eps/C, the denominator). forward_sum, backward_sum,
batch_sum: sums over classes (forward and backward) and over examples are accumulated in storage; row_sum: those of a
row's gradient; reduction: those of the losses and of the weights that a mean divides by.
"""

DEFAULT = "decisive"
"""The contract that an implementation is judged by which declares none: it decides at every size."""

BETWEEN_KERNELS = ("logits", "log_a", "between")
LINEAR = ("logits",)
ROUNDED_SUM = ("sum", "log", *BETWEEN_KERNELS)
ELEMENTWISE = ("exponents", "exponentials", *ROUNDED_SUM)


@dataclass(frozen=True, kw_only=True)
class Contract:
    """Where an implementation rounds, and how well it evaluates exp and log.

    log_form: `sub` for log a = (z - m) - log S, or `lse` for z - fl(m + log S); either may be used under `lse`.
    gradient_form: `ratio` for e/S, or `exp` for the exponential of the kept log a, each in the gradient.
    complement: log S is log1p of the sum of the other exponentials, and 1 - a_y, where a_y is above 1/2, the sum of the
    other activations: nothing cancels, at any margin.
    stored: the `STAGES` whose results are rounded to the storage dtype; all others are carried out in the arithmetic
    format (float32 for bfloat16 and float16). flushes: results below the smallest normal number of the arithmetic
    format may become zero; flushes_storage: those of the storage format, too.
    exp_ulps, log_ulps: largest error of exp and log in ULPs, so a relative error of 2 ULPs u. exp_slope: further
    relative error of exp per unit of its argument, in u (an exp built from a rounded product has 1). shift_units:
    error of each exponent in u |logit|, the same in a whole row or not (an exp built from rounded products has 2).
    shifted: the maximum is subtracted before exp, so that the largest exponential is 1. margin: what is subtracted may
    be the label's logit. log_of_softmax: the loss may be the logarithm of the computed softmax.
    rescales: how often an online softmax rescales its running sum at most, and never more often than there are terms.
    product_inputs: `storage`, `tf32` or `bfloat16`: what matrix products round their inputs to.
    lanes: sums over classes are so many partial sums and a tree of them (no contract of the catalogue promises it,
    `heights` looks for it); 0 for any order, in which all other sums may be taken. running_sums: exponentials of more
    than 4096 classes are added in so many running sums or more, whose errors are found from the very addends
    (`scattered`); 0 where nothing is known of the order.
    class_block, row_block: sums over classes, or over rows, that are accumulated in storage are trees of blocks of so
    many terms; 0 for any order. compensated: sums may be compensated (Kahan), which errs by up to 2u.
    result: dtype of a result that is returned wider than the storage, and so is not rounded to it, unless what passes
    between kernels is; empty for results in storage.
    row_sum: where gradients have the rounding errors of their row's sum, which is exactly 0: `none`; `pivots`, where
    automatic differentiation through the maximum puts it: the near-maxima and the label; or `all` elements.
    """

    name: str
    log_form: str = "sub"
    gradient_form: str = "ratio"
    complement: bool = False
    stored: tuple[str, ...] = LINEAR
    flushes: bool = True
    flushes_storage: bool = False
    exp_ulps: float = 2.0
    log_ulps: float = 2.0
    exp_slope: float = 0.0
    shift_units: float = 0.0
    shifted: bool = True
    margin: bool = False
    log_of_softmax: bool = False
    rescales: int = 0
    product_inputs: str = "storage"
    lanes: int = 0
    running_sums: int = 1
    class_block: int = 0
    row_block: int = 0
    compensated: bool = False
    row_sum: str = "none"
    result: str = ""

    def returning(self, result: str, storage: str) -> Contract:
        """The mixed contract for a result of a dtype that is wider than the storage; else this one.

        >>> [CATALOGUE["fused"].returning(dtype, "bfloat16").result for dtype in ("float32", "bfloat16", "float16")]
        ['float32', '', '']
        """
        return replace(self, result=result) if result in wider(storage) else self

    def with_accuracy(self, exp_ulps: float, log_ulps: float) -> Contract:
        """The same contract for an exp and a log of another accuracy.

        `decisive` and `stable` promise nothing about them, and allow any up to their own.
        """
        if self.name in (DEFAULT, "stable"):
            return self
        return replace(self, exp_ulps=exp_ulps, log_ulps=log_ulps)

    def with_sums(self, running_sums: int) -> Contract:
        """The same contract for another number of running sums; `decisive` and `stable` promise nothing about them."""
        return self if self.name in (DEFAULT, "stable") else replace(self, running_sums=running_sums)


UNLIMITED = 2**31
"""As often as it likes."""

PLAIN: dict[str, Any] = {
    "log_form": "lse",
    "gradient_form": "exp",
    "exp_ulps": 8.0,
    "log_ulps": 8.0,
    "exp_slope": 1.0,
    "shift_units": 2.0,
    "margin": True,
    "compensated": True,
}
"""What implementations that declare nothing may do."""

CATALOGUE: dict[str, Contract] = {
    c.name: c
    for c in (
        Contract(name="accurate", complement=True),
        Contract(name="fused"),
        Contract(name="fused-lse", log_form="lse"),
        Contract(name="stash", gradient_form="exp", stored=BETWEEN_KERNELS),
        Contract(name="stash-lse", log_form="lse", gradient_form="exp", stored=BETWEEN_KERNELS),
        Contract(name="stash-sum", gradient_form="exp", stored=(*ROUNDED_SUM, "reduction"), row_block=16),
        Contract(name="storage", log_form="lse", gradient_form="exp", stored=ELEMENTWISE),
        Contract(
            name=DEFAULT,
            **PLAIN,
            stored=(*ELEMENTWISE, "backward_sum", "reduction"),
            class_block=32,
            row_block=16,
            row_sum="pivots",
        ),
        Contract(name="online", log_form="lse", gradient_form="exp", stored=BETWEEN_KERNELS, rescales=UNLIMITED),
        Contract(name="storage-backsum", log_form="lse", gradient_form="exp", stored=(*ELEMENTWISE, "backward_sum")),
        Contract(name="storage-accumulate", log_form="lse", gradient_form="exp", stored=STAGES),
        Contract(
            name="stable",
            **PLAIN,
            stored=(*ELEMENTWISE, "backward_sum", "row_sum", "reduction"),
            flushes_storage=True,
            shifted=False,
            log_of_softmax=True,
            running_sums=0,
            row_sum="all",
        ),
    )
}
"""The contracts by name, in the order in which a grade is looked for: the first that all cases meet."""


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
    ['accurate', 'fused', 'fused-lse', 'stash', 'stash-lse', 'decisive', 'online', 'stable']
    """
    if Arithmetic.of(CATALOGUE["fused"], dtype).narrow:
        return contracts
    kinds = {replace(c, name="", stored=(), class_block=0, row_block=0): c for c in reversed(contracts)}
    return tuple(c for c in contracts if c in kinds.values())


INPUTS = {"storage": 0.0, "tf32": TF32.unit_roundoff, "bfloat16": FORMATS["bfloat16"].unit_roundoff}
"""u of the rounding of a matrix product's inputs."""


def growth(additions: Any, u: float) -> Any:
    """(1 + u)^n - 1 [derived]: relative error of n successive roundings, or of a sum with n additions in any order.

    additions: n, a number or an array of any shape; below 0 as 0. u: the unit roundoff. The result has that shape, in
    float64 and without a unit; it stays finite, as exp(700) - 1 at most.

    >>> float(growth(2, 0.5)), float(growth(-1, 0.5))
    (1.25, 0.0)
    """
    return np.expm1(np.minimum(np.maximum(additions, 0) * np.log1p(u), 700.0))


def height(additions: Any, block: int) -> Any:
    """How many additions a term goes through at most in a tree of blocks of so many terms; 0: one after another.

    [derived] a block adds up to `block` terms to an accumulator and hands over its sum: block + 1 additions a level.
    PyTorch's cascade has blocks of 16, XLA's rewriting of reductions windows of 32.

    >>> int(height(999, 32)), int(height(999, 0))
    (66, 999)
    """
    if not block:
        return additions
    levels = np.ceil(np.log(np.maximum(additions + 1.0, 1.0)) / np.log(block) - 1e-9)
    return np.minimum(additions, (block + 1.0) * levels)[()]


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

    def roundings(self, wide: float, stored: float, stage: str = "between") -> float:
        """(1 - u)^-wide (1 - u_s)^-stored - 1 [derived]: relative error of so many roundings, one after another.

        Each is of a factor or of a divisor: linear terms alone are 0.6 % too little for four of 8 bits.
        """
        return float(np.expm1(-wide * np.log1p(-self.wide.unit_roundoff) - stored * np.log1p(-self.extra(stage))))

    def growth(self, additions: Any, stage: str) -> Any:
        """Relative error of a sum that makes so many additions in a stage's format: by its lanes, or in blocks."""
        a = np.maximum(additions, 0)
        over_classes = stage in ("forward_sum", "backward_sum", "row_sum")
        if over_classes and self.contract.lanes:
            lanes = self.contract.lanes
            a = np.minimum(a, np.ceil((a + 1) / lanes) + np.ceil(np.log2(lanes)))
        if self.stores(stage):
            a = height(a, self.contract.class_block if over_classes else self.contract.row_block)
        return growth(a, self.unit(stage))

    def unit(self, stage: str) -> float:
        """u of the format in which a stage computes."""
        return (self.storage if self.stores(stage) else self.wide).unit_roundoff

    @property
    def output(self) -> float:
        """u of the rounding of every output to storage; 0 if the arithmetic format is the storage."""
        return self.storage.unit_roundoff if self.narrow else 0.0

    @property
    def result_rounding(self) -> float:
        """u of the rounding of a result to storage: as `output`, and 0 for one that is returned wider.

        Where tensors between kernels are stored, such a result may be one of them, made wider afterwards.
        """
        return self.output if self._result_is_stored else 0.0

    @property
    def result_underflow(self) -> float:
        """Largest error of storing a result below the normal range; 0 for one that is returned wider."""
        return self.underflow if self._result_is_stored else 0.0

    @property
    def _result_is_stored(self) -> bool:
        return not self.contract.result or self.stores("between")

    @property
    def tiny(self) -> float:
        """Largest error of a result in the arithmetic format that is below its normal range."""
        return self.wide.smallest_normal if self.contract.flushes else self.wide.smallest_subnormal

    @property
    def underflow(self) -> float:
        """Largest error of storing a number below the normal range: half of the spacing there, or all of it where a
        result that small may be flushed; 0 if storing does not round.
        """
        if not self.narrow:
            return 0.0
        flushed = self.contract.flushes_storage or (self.contract.flushes and self.storage.emin == self.wide.emin)
        return self.storage.smallest_normal if flushed else self.storage.smallest_subnormal / 2.0

    @property
    def product_input(self) -> float:
        """u of the rounding of a matrix product's inputs."""
        return INPUTS[self.contract.product_inputs]

    def largest(self, stage: str) -> float:
        """Results of a stage from here on may overflow."""
        fmt = self.storage if self.stores(stage) else self.wide
        return fmt.largest * (1.0 - 16.0 * fmt.unit_roundoff)
