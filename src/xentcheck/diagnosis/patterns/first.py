"""What a wrong result says by its pattern, where no known mistake explains it number by number."""

from __future__ import annotations

from xentcheck.diagnosis.counterfactual import Counterfactual
from xentcheck.reference.formats import Array
from xentcheck.vocabulary import LAYER_GRADIENTS

from .decoded import at_label, labels_of, logits_of, targets_of
from .finite import not_finite
from .parts import part_of
from .places import (
    columns_of,
    moved_rows,
    one_ratio_in_columns,
    one_ratio_in_rows,
    rows_of,
    rows_of_zeros,
    where_wrong,
    where_zero,
)
from .ratios import constant_ratio, precision, rounded
from .softmax import softmax_of
from .terms import term_of

ROWS = ("loss", "dC/dz", "dC/da_prev")
"""Quantities that have a row, or an element, for each row of the logits."""


def patterns_of(right: Counterfactual, quantity: str, exact: Array, got: Array, bound: Array) -> tuple[str, ...]:
    """What a nan or an infinity says, which may be several things, or else the first pattern that fits, if any does."""
    if told := not_finite(right, quantity, exact, got):
        return told
    found = _pattern_of(right, quantity, exact, got, bound)
    return (found,) if found else ()


def _pattern_of(right: Counterfactual, quantity: str, exact: Array, got: Array, bound: Array) -> str:
    """The first pattern that fits, or an empty string.

    0 in places, a constant ratio, other labels, a part or a term with another factor, a low precision, which columns
    alone are wrong, and last, which rows.
    """
    seen = right, exact, got, bound
    found = ""
    if quantity == "dC/dz":
        found = where_wrong(*seen)
    if not found and quantity == "loss":
        found = rows_of_zeros(*seen)
    if not found and quantity in LAYER_GRADIENTS:
        found = where_zero(quantity, exact, got, bound)
    found = found or constant_ratio(*seen)
    in_rows = quantity in ("loss", "dC/dz")
    if not found and in_rows:
        found = one_ratio_in_rows(*seen)
    if not found and in_rows:
        found = labels_of(right, quantity, exact, got, bound)
    if not found and quantity == "dC/dz":
        found = at_label(*seen) or one_ratio_in_columns(*seen)
    if not found and in_rows:
        found = rounded(*seen, quantity)
    if not found and in_rows:
        found = part_of(*seen) if quantity == "dC/dz" else term_of(*seen)
    if not found and quantity in ROWS:
        found = moved_rows(*seen)
    if not found and quantity == "loss":
        found = logits_of(*seen)
    if not found and quantity == "dC/dz":
        found = columns_of(*seen) or targets_of(*seen)
    found = found or precision(*seen, quantity)
    if not found and quantity == "dC/dz":
        found = softmax_of(*seen)
    if not found and quantity in ROWS:
        found = rows_of(*seen)
    return found
