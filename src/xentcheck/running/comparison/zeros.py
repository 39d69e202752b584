"""From how many classes on a contract lets a result of zeros pass."""

from __future__ import annotations

from functools import cache

from xentcheck.cases import Case
from xentcheck.cases.build import build
from xentcheck.judging.undecided import rejects_zeros
from xentcheck.reference.bounds.contracts import CATALOGUE
from xentcheck.vocabulary import DIRECTIONAL, LAYER_GRADIENTS, SHORT_DTYPES

CLASS_COUNTS = tuple(2**k + 1 for k in range(1, 18))
"""Numbers of classes that are tried: 3, 5, 9, ... 131073, one more than vectors and blocks hold."""

DOUBLE = CLASS_COUNTS[:12]
"""Those tried in float64, where exact values cost most: to 4097."""

INPUTS = 8
"""Of the layer before, for its gradients."""


@cache
def zeros_pass_from(contract: str, dtype: str, quantity: str) -> int:
    """The smallest number of classes of the ladder from which on a result of zeros passes; 0 if none [derived].

    Tried on one problem of one row of gaussian logits for each number of classes: `case_of`. It is a property of the
    contract, whatever an implementation returns.

    >>> zeros_pass_from("fused", "float32", "dC/dz")
    0
    """
    passing = 0
    for classes in reversed(DOUBLE if dtype == "float64" else CLASS_COUNTS):
        if rejects_zeros(build(case_of(classes, dtype, quantity)), quantity, CATALOGUE[contract]):
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
