"""What a contract does not decide: a result of zeros, which is wrong, would pass; and from how many classes on."""

from __future__ import annotations

from functools import cache

import numpy as np

from xentcheck.reference.bounds import Bounds
from xentcheck.reference.contracts import CATALOGUE, Contract
from xentcheck.reference.oracle import Exact
from xentcheck.reference.problem import Problem

from .build import build
from .cases import Case
from .power import THRESHOLD, largest
from .vocabulary import DIRECTIONAL, LAYER_GRADIENTS, SHORT_DTYPES

LADDER = tuple(2**k + 1 for k in range(1, 18))
"""Numbers of classes that are tried: 3, 5, 9, ... 131073, one more than vectors and blocks hold."""

DOUBLE = LADDER[:12]
"""Those tried in float64, where exact values cost most: to 4097."""

INPUTS = 8
"""Of the layer before, for its gradients."""


def decides(problem: Problem, quantity: str, contract: Contract) -> bool:
    """Whether a result of zeros is rejected, as in `power`: some |exact| is more than twice its bound [derived]."""
    exact = Exact(problem)
    bound = Bounds(exact, contract).evaluate([quantity])[quantity]
    return largest(np.asarray(exact.evaluate([quantity])[quantity][0]), np.asarray(bound)) > THRESHOLD


@cache
def zeros_pass_from(contract: str, dtype: str, quantity: str) -> int:
    """The smallest number of classes of the ladder from which on a result of zeros passes; 0 if none [derived].

    Tried on one problem of one row of gaussian logits for each number of classes: `case_of`. It is a property of the
    contract, whatever an implementation returns.

    >>> zeros_pass_from("fused", "float32", "dC/dz")
    0
    """
    passing = 0
    for classes in reversed(DOUBLE if dtype == "float64" else LADDER):
        if decides(build(case_of(classes, dtype, quantity)), quantity, CATALOGUE[contract]):
            break
        passing = classes
    return passing


def case_of(classes: int, dtype: str, quantity: str) -> Case:
    """The case that a number of classes is tried on.

    >>> str(case_of(129, "bfloat16", "dC/dz"))
    'gaussian.1x129.bf16.index.plain.mean.up-one.contig.s0'
    """
    inputs = f"k{INPUTS}" if quantity in LAYER_GRADIENTS else ""
    options = "dir" if quantity in DIRECTIONAL else "plain"
    reduction = "none" if quantity == "loss" else "mean"
    return Case.parse(
        f"gaussian.1x{classes}{inputs}.{SHORT_DTYPES[dtype]}.index.{options}.{reduction}.up-one.contig.s0"
    )
