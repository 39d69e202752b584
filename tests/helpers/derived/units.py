"""Sections 1 and 3 of `docs/numerics.md`: unit roundoffs of a contract's stages for one dtype."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from xentcheck.reference.bounds.contracts import Contract

PRECISION = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}
EMIN = {"float64": -1022, "float32": -126, "float16": -14, "bfloat16": -126}
EMAX = {"float64": 1023, "float32": 127, "float16": 15, "bfloat16": 127}


class Units:
    """u, u_s, nu, lambda_s and the rest for one contract and dtype."""

    def __init__(self, contract: Contract, dtype: str) -> None:
        self.contract, self.dtype = contract, dtype
        self.narrow = PRECISION[dtype] < 24
        wide = "float32" if self.narrow else dtype
        self.u, self.u_s = 2.0 ** -PRECISION[wide], 2.0 ** -PRECISION[dtype]
        self.smallest_normal = 2.0 ** EMIN[wide]
        self.storage_normal = 2.0 ** EMIN[dtype]
        self.eta = 2.0 ** (EMIN[dtype] - PRECISION[dtype] + 1)
        """The storage's smallest subnormal number."""
        self.smallest_subnormal = 2.0 ** (EMIN[wide] - PRECISION[wide] + 1)
        self.nu = self.smallest_normal if contract.flushes else self.smallest_subnormal
        flushed = contract.flushes_storage or (contract.flushes and EMIN[dtype] == EMIN[wide])
        self.lambda_s = 0.0 if not self.narrow else (2.0 ** EMIN[dtype] if flushed else self.eta / 2.0)
        self.smallest_exponent = math.log(self.smallest_subnormal)
        """Exponentials of less are 0."""
        self.k_e, self.k_l = contract.exp_ulps, contract.log_ulps
        self.inputs = {"storage": 0.0, "tf32": 2.0**-11, "bfloat16": 2.0**-8}[contract.product_inputs]

    def stores(self, stage: str) -> bool:
        """Whether a stage's results are rounded."""
        return self.narrow and stage in self.contract.stored

    def extra(self, stage: str) -> float:
        """u_t, u_e, u_S, u_log, u_b."""
        return self.u_s if self.stores(stage) else 0.0

    def of(self, stage: str) -> float:
        """u of the format that a stage computes in."""
        return self.u_s if self.stores(stage) else self.u

    def largest(self, stage: str) -> float:
        """The largest number of the format that a stage computes in."""
        name = self.dtype if self.stores(stage) or not self.narrow else "float32"
        return (2.0 - 2.0 ** (1 - PRECISION[name])) * 2.0 ** EMAX[name]

    def sum_of(self, terms: int, stage: str) -> float:
        """(1 + u)^(terms - 1) - 1, or with the lanes' height for sums over classes."""
        additions, c = max(terms - 1, 0), self.contract
        over_classes = stage in ("forward_sum", "backward_sum", "row_sum")
        if c.lanes and over_classes:
            additions = min(additions, math.ceil((additions + 1) / c.lanes) + math.ceil(math.log2(c.lanes)))
        block = c.class_block if over_classes else c.row_block
        if block and self.stores(stage):
            levels = next(k for k in range(99) if block**k >= additions + 1)
            additions = min(additions, (block + 1) * levels)
        return growth(additions, self.of(stage))

    def rounded(self, wide: int, stored: int, stage: str = "between") -> float:
        """What so many factors 1/(1 - u), and so many 1/(1 - u_s), move a product by."""
        return math.expm1(-wide * math.log1p(-self.u) - stored * math.log1p(-self.extra(stage)))

    def keep(self, error: float, value: float) -> float:
        """Storing a wide result."""
        return error + ((self.u_s * (abs(value) + error) + self.lambda_s) if self.narrow else 0.0)


def total(terms: Iterable[float]) -> float:
    """A sum that may be inf."""
    with np.errstate(all="ignore"):
        return float(np.sum([*terms], dtype=float))


def judged(bound: float, largest: float) -> float:
    """inf where a bound is nan, or where what errs by so much may leave the format."""
    return bound if bound < largest else math.inf


def growth(additions: int, u: float) -> float:
    """(1 + u)^n - 1."""
    return math.expm1(min(additions * math.log1p(u), 700.0))


def safe_expm1(x: float) -> float:
    """exp(x) - 1, at most exp(700): no bound worth the name."""
    return math.expm1(min(x, 700.0))


def one_by_one(*errors: float) -> float:
    """The relative error of what errs by each of them in turn."""
    return math.expm1(min(sum(map(math.log1p, errors)), 700.0))
