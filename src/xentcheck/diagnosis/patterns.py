"""What a wrong result says by its pattern, where no known mistake explains it number by number."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from xentcheck.reference.formats import FORMATS, Array
from xentcheck.vocabulary import LAYER_GRADIENTS, VALUES

from .counterfactual import Counterfactual

OPEN = 0.002
"""Share of an element's error that a constant ratio may leave open."""

FARTHEST = 1e6
"""Ratios beyond it, or below its inverse, are no factor that somebody forgot, but another result."""

MANY = 6
"""Wrong elements from which on their signs say something: of so many roundings one goes the other way."""

NO_SHIFT = "A01: not finite where the exact value is: exp overflows, or all of it underflows; subtract the maximum"
NAN_WHERE_MASKED = "A05: nan beside classes at -inf: 0 * inf, or inf - inf"


def pattern_of(right: Counterfactual, quantity: str, exact: Array, got: Array, bound: Array) -> str:
    """The first pattern that fits, or an empty string: not finite, 0 in places, a constant ratio, a low precision."""
    found = not_finite(right, exact, got)
    if not found and quantity == "dC/dz":
        found = _where_wrong(right, exact, got, bound)
    if not found and quantity in LAYER_GRADIENTS:
        found = _where_zero(quantity, exact, got, bound)
    return found or constant_ratio(right, exact, got, bound) or precision(right, exact, got, bound, quantity)


def nan_where_masked(right: Counterfactual, exact: Array, got: Array, bound: Array) -> str:
    """Where all that is wrong is nan, and classes are at -inf, numbers say nothing about other mistakes."""
    wrong = _wrong(exact, got, bound)
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
    gone = (top - label > -np.log(fmt.smallest_normal)) & right.targets.kept
    if right.targets.probabilities is None and gone.any() and _just_there(gone, rows):
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


def _where_wrong(right: Counterfactual, exact: Array, got: Array, bound: Array) -> str:
    """What the places of a gradient's wrong elements say."""
    wrong = _wrong(exact, got, bound)
    columns, rows = np.flatnonzero(wrong.any(0)), np.flatnonzero(wrong.any(1))
    if (got[wrong] == 0).all():
        upper = np.arange(wrong.shape[1]) >= wrong.shape[1] // 2
        other = upper != (right.targets.label >= wrong.shape[1] // 2)[:, None]
        if right.targets.probabilities is None and len(rows) > 1 and np.array_equal(wrong, other & (exact != 0)):
            return "E59: a gradient in the half of the classes with the label only: its own shard"
        if 0 < len(columns) < wrong.shape[1] and columns[-1] == wrong.shape[1] - 1:
            return f"F74: no gradient from column {columns[0]} on"
        if 0 < len(rows) < wrong.shape[0] and rows[-1] == wrong.shape[0] - 1:
            return f"F78: no gradient from row {rows[0]} on: a lost chunk, or an offset that overflows"
        return "E54: the wrong elements are all 0"
    clipped = np.abs(got[wrong])
    if np.count_nonzero(wrong) > 1 and (clipped == clipped[0]).all() and np.abs(got).max() == clipped[0] > 0:
        return f"E51: the gradient is clipped at {clipped[0]:.6g}: just the larger elements are wrong"
    at_maximum = right.z == right.z.max(1, keepdims=True)
    if not wrong[~at_maximum].any():
        return "A11: wrong at the row's maximum only: a gradient flows through the maximum"
    return ""


def _where_zero(quantity: str, exact: Array, got: Array, bound: Array) -> str:
    """What the places of a layer's gradient say that are wrongly 0."""
    wrong = _wrong(exact, got, bound)
    if not wrong.any() or got[wrong].any():
        return ""
    somewhere = np.asarray(wrong.reshape(len(wrong), -1).any(1))
    first = int(np.argmax(somewhere))
    if first and somewhere[first:].all():
        what = "row" if quantity == "dC/da_prev" else "class"
        return f"G94: no gradient from {what} {first} on: a lost shard or chunk"
    return "E54: the wrong elements are all 0"


def constant_ratio(right: Counterfactual, exact: Array, got: Array, bound: Array) -> str:
    """The number that all elements are a multiple of the right ones by; a single element has to have a known one.

    [derived] r = sum(got exact)/sum(exact^2); each element may miss r exact by the bound of both and 0.2 % of
    its error.
    """
    if not np.isfinite(got).all() or not np.isfinite(exact).all() or not exact.any():
        return ""
    size = np.abs(exact).max()
    x = exact / size
    ratio = float(((got / size) * x).sum() / (x * x).sum())
    error = np.abs(got - exact)
    limit = (1.0 + abs(ratio)) * bound + OPEN * error
    if ratio == 0.0 or not (np.abs(got - ratio * exact) <= limit).all():
        return ""
    names = [
        name
        for name, value in _known_ratios(right)
        if abs(ratio - value) <= 2 * float((bound / size).max()) + 1e-6 * value
    ]
    telling = np.count_nonzero(_wrong(exact, got, bound)) > 1 and 1.0 / FARTHEST < abs(ratio) < FARTHEST
    if not names and not telling:
        return ""
    told = f"B24: every element is {ratio:.6g} times the right one"
    return f"{told}: {names[0]}" if names else told


def _known_ratios(c: Counterfactual) -> Iterator[tuple[str, float]]:
    """Factors that something in the problem accounts for."""
    rows, classes = c.z.shape
    kept = int(np.count_nonzero(c.targets.kept))
    counts = {"C": classes, "N": rows, "N C": rows * classes, "the number of kept rows": kept}
    for name, count in counts.items():
        if count > 1:
            yield f"1/{name}, divided once more" if name != "N C" else "1/(N C), divided once more", 1.0 / count
            yield f"{name}, not divided by it", float(count)
    yield "log2 in place of ln", 1.0 / np.log(2.0)
    yield "log10 in place of ln", 1.0 / np.log(10.0)
    if c.targets.smoothing:
        yield "1 - eps", 1.0 - c.targets.smoothing


def precision(right: Counterfactual, exact: Array, got: Array, bound: Array, quantity: str) -> str:
    """Whether everything is right to the bits of a narrower format.

    Errors are relative: of values and log a to ln C at least, of all else to a part of the largest element. A result
    that went through a format of p bits is off by up to u = 2^-p, by a few of them after a few steps. The
    errors of many elements go to both sides, and are no constant multiple of the right values; few elements are
    numbers of that format themselves.
    """
    wrong = _wrong(exact, got, bound)
    if np.count_nonzero(wrong) < 2 or not np.isfinite(got[wrong]).all():
        return ""
    scaled = quantity not in (*VALUES, "log_a")
    size = np.abs(exact).max(initial=0.0) * 2.0**-5 if scaled else np.log(right.z.shape[1])
    error = ((got - exact) / np.maximum(np.abs(exact), size))[wrong]
    relative = float(np.abs(error).max())
    one_sided = bool(np.all(error > 0) or np.all(error < 0))
    if len(error) >= MANY and one_sided and np.abs(error).min() > relative / 4.0:
        return ""
    few = len(error) < MANY
    own = FORMATS[right.problem.dtype].precision
    for name in ("bfloat16", "float16", "float32"):
        bits = FORMATS[name].precision
        if few and not (got[wrong].astype(name).astype(np.float64) == got[wrong]).all():
            continue
        if bits <= own and 2.0 ** (-bits - 2) <= relative <= 2.0 ** (-bits + 3):
            return f"A10: right to about {bits} bits, as {name} has them: a step in too low a precision"
    return ""


def _wrong(exact: Array, got: Array, bound: Array) -> Array:
    return np.asarray(~(np.abs(got - exact) <= bound) & ~(got == exact))
