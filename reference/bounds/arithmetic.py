"""The roundings that a contract makes in a storage dtype: of sums, of products, of a result."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from xentcheck.reference.formats import FORMATS, TF32, Array, Format
from xentcheck.reference.numbers.arrays import as_array

from .contracts import CATALOGUE, Contract


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

    @cached_property
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


SLACK = 1.0 + 1e-6
"""The bounds are themselves evaluated in float64, in fewer than 1e9 roundings of 2^-53."""


def finished(bound: Array, arithmetic: Arithmetic) -> Array:
    """A bound as it is judged by: inf where it is nan or reaches the largest number of the storage.

    nan is the difference or product of infinities. An error that large may take an intermediate out of the format, and
    what follows may be any number, or none.
    """
    largest = bound.max(initial=0.0) * SLACK
    bound = bound * SLACK
    if largest < arithmetic.storage.largest:  # false for nan
        return as_array(bound)
    return np.where(bound < arithmetic.storage.largest, bound, np.inf)


def together(*errors: Any) -> Any:
    """(1 + e_1) (1 + e_2) ... - 1: relative error of what errs by e_1, and the result by e_2 [derived].

    >>> together(0.5, 1.0)
    2.0
    """
    found = 0.0
    for error in errors:
        found = found + error + found * error
    return found
