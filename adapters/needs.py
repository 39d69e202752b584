"""What a problem needs of an implementation, as options and as keywords, and why an implementation lacks it."""

from __future__ import annotations

from typing import Any

import numpy as np

from xentcheck.reference.problem import NO_IGNORE, Problem
from xentcheck.vocabulary import refusal


class Lack(str):
    """Why a problem is not supported, in words; `lacks` and `refused` say it apart, as in a record."""

    lacks: tuple[str, ...]
    refused: str

    def __new__(cls, *lacks: str, refused: str = "") -> Lack:
        """What is not supported, and the exception of that where nobody declared it."""
        made = super().__new__(cls, refusal(lacks, refused))
        made.lacks, made.refused = lacks, refused
        return made


def needed_options(problem: Problem) -> set[str]:
    """The options (of `vocabulary.OPTIONS`) that a problem makes use of."""
    p = problem
    shape = p.logits_shape
    needed = {
        "weight": p.weight is not None,
        "negative_weight": p.weight is not None and bool((p.weight < 0).any()),
        "ignore_index": p.ignore_index != NO_IGNORE or (not p.probabilities and not bool(p.kept.all())),
        "label_smoothing": p.label_smoothing != 0,
        "probabilities": p.probabilities,
        "smoothed_probabilities": p.probabilities and p.label_smoothing != 0,
        "signed_targets": p.probabilities and bool(((p.target < 0) | (p.target > 1)).any()),
        "k_dims": len(shape) > 2,
        "unbatched": len(shape) == 1,
        "empty_batch": 0 in shape,
        "upstream": bool((np.asarray(p.upstream) != 1).any()),
        "second_order": p.v is not None,
        "uint8_targets": str(p.target.dtype) == "uint8",
        "wide_sentinel": abs(p.ignore_index) > 2**31,
        "strided": any(not a.flags.c_contiguous for a in p.arrays().values()),
    }
    return {option for option, used in needed.items() if used}


NEARLY = 2.0**-7
"""How far from 1 rows of probabilities may be that were rounded to 8 bits."""


def adds_up_to_1(problem: Problem) -> bool:
    """Whether each row of probabilities does, but for the rounding of its entries."""
    axis = 0 if len(problem.logits_shape) == 1 else 1
    sums = np.asarray(problem.target).astype(np.float64).sum(axis)
    return bool((np.abs(sums - 1.0) <= NEARLY).all())


def keywords(problem: Problem) -> dict[str, Any]:
    """The options of a problem that differ from the defaults of `torch.nn.functional.cross_entropy`, by keyword."""
    given: dict[str, tuple[Any, bool]] = {
        "weight": (problem.weight, problem.weight is not None),
        "ignore_index": (problem.ignore_index, problem.ignore_index != NO_IGNORE),
        "reduction": (problem.reduction, problem.reduction != "mean"),
        "label_smoothing": (problem.label_smoothing, problem.label_smoothing != 0),
    }
    return {name: value for name, (value, differs) in given.items() if differs}
