"""What a nan or an infinity says by itself, and by its row."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from xentcheck.diagnosis.counterfactual import Counterfactual, wrong_elements
from xentcheck.reference.formats import FORMATS, Array

NO_SHIFT = "A01: not finite where the exact value is: exp overflows, or all of it underflows; subtract the maximum"
SUMMED = ("cost", "jvp", "dC/dw", "dC/db")
"""Quantities in which all rows may be added up."""

NAN_WHERE_MASKED = "A05: nan beside classes at -inf: 0 * inf, or inf - inf"


def nan_where_masked(right: Counterfactual, exact: Array, got: Array, bound: Array) -> str:
    """Where all that is wrong is nan, and classes are at -inf, numbers say nothing about other mistakes."""
    wrong = wrong_elements(exact, got, bound)
    only_nan = wrong.any() and np.isnan(got[wrong]).all()
    return NAN_WHERE_MASKED if only_nan and np.isneginf(right.z).any() else ""


def not_finite(right: Counterfactual, quantity: str, exact: Array, got: Array) -> tuple[str, ...]:
    """What a nan or an infinity says by itself: one sentence, or those on each shift that makes just these."""
    bad = np.asarray(~np.isfinite(got) & np.isfinite(exact))
    if not bad.any():
        return ()
    if np.isneginf(right.z).any() and np.isnan(got[bad]).any():
        return (NAN_WHERE_MASKED,)
    rows = None if quantity in SUMMED else np.asarray(bad.reshape(len(right.z), -1).any(1))
    looked_up = tuple(_looked_up(right, rows)) if np.isnan(got[bad]).any() else ()
    if looked_up and rows is not None:
        return looked_up
    return (*looked_up, *_of_exponentials(right, exact, bad, rows))


def _looked_up(right: Counterfactual, rows: Array | None) -> Iterator[str]:
    """What is nan by its label: of a class that is not there, or of a logarithm of what is no probability."""
    t = right.targets
    if t.probabilities is not None or (t.weight is not None and (t.weight < 0).any()):
        return
    if not t.kept.all() and _just_there(~t.kept, rows):
        yield "C32: nan in just the rows that are ignored: the sentinel is looked up as an index, which fills in nan"
    if rows is None and not t.smoothing and (right.z[np.arange(len(right.z)), t.label] < 0)[t.kept].any():
        yield "A12: logits are taken for probabilities: log z in the place of log a, without a softmax"


def _of_exponentials(right: Counterfactual, exact: Array, bad: Array, rows: Array | None) -> tuple[str, ...]:
    """What overflows or underflows: an exponential, or a sum."""
    fmt = FORMATS["float64" if right.problem.dtype == "float64" else "float32"]
    if np.abs(exact[bad]).min() > FORMATS["float16"].largest and fmt.largest > np.abs(exact).max():
        return ("A09: infinite where the right value is beyond 65504: a sum in half precision",)
    top, label = right.z.max(1), right.z[np.arange(len(right.z)), right.targets.label]
    tiny = -np.log(fmt.smallest_normal)
    gaps = tiny, tiny + fmt.precision * np.log(2.0)
    for gap in gaps if right.targets.probabilities is None else ():  # without subnormal numbers, and with them
        gone = (top - label > gap) & right.targets.kept
        if gone.any() and _just_there(gone, rows):
            return ("A04: not finite where the label's softmax is 0: the logarithm of it, or a division by it",)
    if told := tuple(dict.fromkeys(_wrong_shifts(right, rows))):
        return told
    z = right.z[right.targets.kept]
    top = z.max(1)
    if len(top) and top.max() < np.log(fmt.largest) and top.min() > -80.0:
        if not (top[:, None] - z > -np.log(fmt.smallest_normal)).any():
            return ()
        return ("A04: not finite where no exp can overflow: the logarithm of a softmax that is 0",)
    return (NO_SHIFT,) if rows is None or not right.z.size else ()


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


def _shifts(z: Array) -> Iterator[tuple[str, Array]]:
    """What may be subtracted in the place of each row's maximum, (m,), the usual last."""
    over, under = "exp overflows after the shift", "rows far below what is subtracted underflow"
    rows, top = len(z), z.max(1)
    yield f"{under}: the maximum is clamped from below, at 0", np.maximum(top, 0.0)
    if rows > 1:
        yield f"{under}: the maximum of all rows is subtracted, not each row's own", np.full(rows, top.max())
        yield f"{over}: the maximum of the first row is subtracted, not each row's own", np.full(rows, top[0])
        yield f"{over}: the maximum of the previous row is subtracted, not each row's own", np.roll(top, 1)
        for column, of in ((0, "first"), (-1, "last")):
            sentence = f"the {of} class's maximum over the rows is subtracted, not each row's own"
            yield f"{over}: {sentence}", np.full(rows, z[:, column].max())
    for sentence, shift in (
        ("the first logit", z[:, 0]),
        ("the last logit", z[:, -1]),
        ("the mean of the logits", z.mean(1)),
        ("the smallest logit", z.min(1)),
        ("the largest absolute value", np.abs(z).max(1)),
        ("the largest of the first half of the logits", z[:, : -(-z.shape[1] // 2)].max(1)),
    ):
        yield f"{under if 'absolute' in sentence else over}: {sentence} is subtracted, not the maximum", shift
    yield NO_SHIFT.partition(": ")[2], np.zeros(rows)
    yield f"{over}: the maximum is clamped from above, at 0", np.minimum(top, 0.0)
    yield f"{over}: the mean of all logits is subtracted, not the maximum", np.full(rows, z.mean())


def _wrong_shifts(right: Counterfactual, rows: Array | None) -> Iterator[str]:
    """Each shift after which just these rows are not finite: the sum of exponentials overflows there, or is 0.

    A sum among subnormal numbers is 0 on some machines.
    """
    z, kept = right.z, right.targets.kept
    top = z.max(1)
    if not z.size or not np.isfinite(top).all():
        return
    lse = top - right.softmax[1].max(1)
    for name in dict.fromkeys((right.problem.dtype, "float32")):
        fmt = FORMATS[name]
        tiny = np.log(fmt.smallest_normal)
        for told, shift in _shifts(z):
            beyond, gone = lse - shift > np.log(fmt.largest), top - shift < tiny - fmt.precision * np.log(2.0)
            must, may = (beyond | gone) & kept, (beyond | (lse - shift < tiny)) & kept
            if "of all rows" in told:  # a gradient that flows through it
                may = may | (top == top.max())
            same = rows is None or not ((must & ~rows).any() or (rows & ~may).any())
            if must.any() and same:
                yield f"A01: {told}"
