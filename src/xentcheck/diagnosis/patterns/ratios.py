"""One ratio for all elements, and the bits of a narrower format."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from xentcheck.diagnosis.counterfactual import Counterfactual, wrong_elements
from xentcheck.reference.formats import FORMATS, Array
from xentcheck.vocabulary import VALUES

OPEN = 0.002
"""Share of an element's error that a constant ratio may leave open."""

FARTHEST = 1e6
"""Ratios beyond it, or below its inverse, are no factor that somebody forgot, but another result."""

SURE = 1e-4
"""Share of a single number that its bound has to be below, for a ratio of two digits."""

MANY = 6
"""Wrong elements from which on their signs say something: of so many roundings one goes the other way."""


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
    if f"{ratio:.6g}" in ("0", "1") or not (np.abs(got - ratio * exact) <= limit).all():
        return ""
    names = [
        name
        for name, value in _known_ratios(right)
        if abs(ratio - value) <= 2 * float((bound / size).max()) + 1e-6 * value
    ]
    length = float(np.sqrt((got * got).sum()))
    cut = [x for x in (0.1, 0.5, 1.0, 2.0, 5.0, 10.0) if 0 < ratio < 1 and abs(length - x) <= 1e-4 * x and got.size > 4]
    if cut and not names:
        return (
            f"E51: every element is {ratio:.6g} times the right one: the whole gradient is cut to the length {cut[0]:g}"
        )
    telling = np.count_nonzero(wrong_elements(exact, got, bound)) > 1 and 1.0 / FARTHEST < abs(ratio) < FARTHEST
    if not names and not telling:
        return ""
    told = f"B24: every element is {ratio:.6g} times the right one"
    return f"{told}: {names[0]}" if names else told


def same_factor(exact: Array, got: Array, bound: Array) -> tuple[str, ...]:
    """The one ratio of several elements in two digits, or three, which is the same in other cases if it is a constant.

    None where 1, 2, 1/2 or 0 is that ratio, which have names.
    """
    if not (np.isfinite(got).all() and np.isfinite(exact).all() and exact.any()):
        return ()
    size = np.abs(exact).max()
    x = exact / size
    found = float(((got / size) * x).sum() / (x * x).sum())
    sure = got.size > 2 or (bound < SURE * np.abs(exact)).all()
    for told in (f"{found:.2g}", f"{found:.3g}") if sure else ():
        ratio = float(told)
        if abs(ratio) in (0.5, 1.0, 2.0) or not 1.0 / FARTHEST < abs(ratio) < FARTHEST:
            return ()
        if (np.abs(got - ratio * exact) <= (1.0 + abs(ratio)) * bound).all():
            return (f"B24: everything has one and the same factor f = {told}",)
    return ()


def named_ratios(right: Counterfactual, exact: Array, got: Array, bound: Array) -> tuple[str, ...]:
    """What the one ratio of all elements may come from: quotients and products of the problem's own counts and sums."""
    if not (np.isfinite(got).all() and np.isfinite(exact).all() and exact.any() and got.any()):
        return ()
    size = np.abs(exact).max()
    x = exact / size
    ratio = float(((got / size) * x).sum() / (x * x).sum())
    limit = (1.0 + abs(ratio)) * bound + OPEN * np.abs(got - exact) * (got.size > 1)
    if abs(ratio - 1.0) < 1e-3 or not (np.abs(got - ratio * exact) <= limit).all():
        return ()
    near = 2.0 * float((bound / size).max()) + 1e-6 * abs(ratio)
    if near > 1e-3 * abs(ratio):
        return ()
    counts = list(_counts(right).items())
    found = []
    for i, (name, n) in enumerate(counts):
        for j, (other, o) in enumerate(counts):
            if i != j and abs(n / o - ratio) <= near:
                found.append(f"{name} / {other}")
            if i < j and abs(n * o - ratio) <= near:
                found.append(f"{name} times {other}")
            if i < j and abs(1.0 / (n * o) - ratio) <= near:
                found.append(f"1 / ({name} times {other})")
    return tuple(f"B24: every element is {ratio:.6g} times the right one: the factor {name}" for name in found)


def _counts(c: Counterfactual) -> dict[str, float]:
    """Counts and sums, all different and none of them 0."""
    rows, classes = c.z.shape
    t = c.targets
    found: dict[str, float] = {
        "1": 1.0,
        "C": classes,
        "sqrt(C)": classes**0.5,
        "N": rows,
        "the number of kept rows": float(np.count_nonzero(t.kept)),
        "2": 2.0,
    }
    if t.weight is not None:
        if t.probabilities is None:
            found["the sum of the labels' weights"] = t.label_weight.sum()
            found["the largest of the labels' weights"] = t.label_weight.max(initial=0.0)
        found["the sum of all class weights"] = t.weight.sum()
        found["the mean class weight"] = t.weight.mean()
        found["the largest class weight"] = t.weight.max()
        found["the smallest class weight"] = t.weight.min()
    if t.smoothing:
        found |= {"1 - eps": 1.0 - t.smoothing, "eps": t.smoothing}
    if c.problem.reduction != "none" and c.upstream.any():
        found["the upstream gradient"] = np.abs(c.upstream).max()
    shape = c.problem.logits_shape
    if len(shape) > 2:
        found |= {"the examples of the batch": shape[0], "the positions of an example": rows / shape[0]}
    kept: dict[str, float] = {}
    for name, x in found.items():
        if x and float(x) not in kept.values():
            kept[name] = float(x)
    return kept


def _known_ratios(c: Counterfactual) -> Iterator[tuple[str, float]]:
    """Factors that something in the problem accounts for."""
    rows, classes = c.z.shape
    kept = int(np.count_nonzero(c.targets.kept))
    counts = {"C": classes, "N": rows, "N C": rows * classes, "the number of kept rows": kept}
    for name, count in counts.items():
        if count > 1:
            yield f"1/{name}, divided once more" if name != "N C" else "1/(N C), divided once more", 1.0 / count
            yield f"{name}, not divided by it", float(count)
    for power in range(7, 17):
        yield f"2^{power}: a loss scale that is not divided out", 2.0**power
        yield f"2^-{power}: a loss scale that is divided out twice", 2.0**-power
    yield "log2 in place of ln", 1.0 / np.log(2.0)
    yield "log10 in place of ln", 1.0 / np.log(10.0)
    if c.targets.smoothing:
        yield "1 - eps", 1.0 - c.targets.smoothing


def rounded(right: Counterfactual, exact: Array, got: Array, bound: Array, quantity: str) -> str:
    """The same as `precision`, where errors go to both sides as those of roundings do: no term, no factor."""
    error = (got - exact)[wrong_elements(exact, got, bound)]
    rarer = min(np.count_nonzero(error > 0), np.count_nonzero(error < 0))
    return precision(right, exact, got, bound, quantity) if len(error) >= MANY and 8 * rarer >= len(error) else ""


def precision(right: Counterfactual, exact: Array, got: Array, bound: Array, quantity: str) -> str:
    """Whether everything is right to the bits of a narrower format.

    Errors are relative: of values and log a to ln C at least, of all else to a part of the largest element. A result
    that went through a format of p bits is off by up to u = 2^-p, by a few of them after a few steps. The
    errors of many elements go to both sides, and are no constant multiple of the right values; few elements are
    numbers of that format themselves.
    """
    wrong = wrong_elements(exact, got, bound)
    if np.count_nonzero(wrong) < 2 or not np.isfinite(got[wrong]).all():
        return ""
    scaled = quantity not in (*VALUES, "log_a")
    size = np.abs(exact).max(initial=0.0) * 2.0**-5 if scaled else np.log(right.z.shape[1])
    error = ((got - exact) / np.maximum(np.abs(exact), size))[wrong]
    relative = float(np.abs(error).max())
    if quantity == "loss" and np.isfinite(right.z).all():
        big = np.abs(right.z).max(1)
        if (big[wrong] > 0).all():
            relative = min(relative, 4.0 * float(np.abs((got - exact)[wrong] / big[wrong]).max()))
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
