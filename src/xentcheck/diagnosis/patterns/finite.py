"""What a nan or an infinity says by itself, and by its row."""

from __future__ import annotations

import numpy as np

from xentcheck.diagnosis.counterfactual import Counterfactual, wrong_elements
from xentcheck.reference.formats import FORMATS, Array

NO_SHIFT = "A01: not finite where the exact value is: exp overflows, or all of it underflows; subtract the maximum"
NAN_WHERE_MASKED = "A05: nan beside classes at -inf: 0 * inf, or inf - inf"


def nan_where_masked(right: Counterfactual, exact: Array, got: Array, bound: Array) -> str:
    """Where all that is wrong is nan, and classes are at -inf, numbers say nothing about other mistakes."""
    wrong = wrong_elements(exact, got, bound)
    only_nan = wrong.any() and np.isnan(got[wrong]).all()
    return NAN_WHERE_MASKED if only_nan and np.isneginf(right.z).any() else ""


def not_finite(right: Counterfactual, exact: Array, got: Array) -> str:
    """What a nan or an infinity says by itself."""
    bad = np.asarray(~np.isfinite(got) & np.isfinite(exact))
    if not bad.any():
        return ""
    if np.isneginf(right.z).any() and np.isnan(got[bad]).any():
        return NAN_WHERE_MASKED
    fmt = FORMATS["float64" if right.problem.dtype == "float64" else "float32"]
    rows = np.asarray(bad.reshape(len(right.z), -1).any(1)) if len(bad) == len(right.z) else None
    if told := _of_all_rows(right, rows):
        return told
    if np.abs(exact[bad]).min() > FORMATS["float16"].largest and fmt.largest > np.abs(exact).max():
        return "A09: infinite where the right value is beyond 65504: a sum in half precision"
    top, label = right.z.max(1), right.z[np.arange(len(right.z)), right.targets.label]
    smallest = fmt.smallest_normal, fmt.smallest_normal * 2.0 ** (1 - fmt.precision) / 2.0
    for below in smallest if right.targets.probabilities is None else ():  # with subnormal numbers, and without
        gone = (top - label > -np.log(below)) & right.targets.kept
        if gone.any() and _just_there(gone, rows):
            return "A04: not finite where the label's softmax is 0: the logarithm of it, or a division by it"
    if told := _wrong_shift(right, rows):
        return told
    z = right.z[right.targets.kept]
    top = z.max(1)
    if top.max() < np.log(fmt.largest) and top.min() > -80.0:
        if not (top[:, None] - z > -np.log(fmt.smallest_normal)).any():
            return ""
        return "A04: not finite where no exp can overflow: the logarithm of a softmax that is 0"
    return NO_SHIFT


def also_overflows(right: Counterfactual, exact: Array, got: Array) -> str:
    """What else explains infinities and nans: just the rows where exp overflows without a shift have them."""
    bad = np.asarray(~np.isfinite(got) & np.isfinite(exact))
    if not bad.any() or len(bad) != len(right.z):
        return ""
    fmt = FORMATS["float64" if right.problem.dtype == "float64" else "float32"]
    beyond = (right.z.max(1) > np.log(fmt.largest)) & right.targets.kept
    return NO_SHIFT if _just_there(beyond, np.asarray(bad.reshape(len(right.z), -1).any(1))) else ""


def _just_there(expected: Array, rows: Array | None) -> bool:
    """Whether just these rows are not finite; rows: None where there is one value of all."""
    return bool(expected.any() if rows is None else np.array_equal(expected, rows))


def _of_all_rows(right: Counterfactual, rows: Array | None) -> str:
    """What one maximum of all rows does: rows far below it underflow."""
    top = right.z.max(1)
    if rows is None or len(top) < 2 or not np.isfinite(top).all():
        return ""
    dtype = np.float64 if right.problem.dtype == "float64" else np.float32
    below = top.max() - top > -np.log(float(np.finfo(dtype).smallest_subnormal))
    if below.any() and np.array_equal(rows, below & right.targets.kept):
        return "A01: rows far below the others underflow: the maximum of all rows is subtracted, not each row's own"
    return ""


def _wrong_shift(right: Counterfactual, rows: Array | None) -> str:
    """What is subtracted in place of each row's maximum: not finite are just the rows where exp overflows after it.

    Where no row has its maximum far above 0, a softmax without any shift is right, and a wrong shift is to blame.
    """
    z = right.z
    most = np.log(FORMATS["float64" if right.problem.dtype == "float64" else "float32"].largest)
    top = z.max(1)
    for sentence, shift in (
        ("the first logit", z[:, 0]),
        ("the last logit", z[:, -1]),
        ("the mean of the logits", z.mean(1)),
        ("the smallest logit", z.min(1)),
    ):
        beyond = (top - shift > most) & right.targets.kept
        if beyond.any() and _just_there(beyond, rows) and not (top > most).any():
            return f"A01: exp overflows after the shift: {sentence} is subtracted, not the maximum"
    return ""
