"""The number of a mistake, read off a wrong result, and whether it then explains all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from xentcheck.diagnosis.counterfactual import Counterfactual, wrong_elements
from xentcheck.reference.formats import FORMATS, Array
from xentcheck.vocabulary import LAYER_GRADIENTS, VALUES

from .differences import differences
from .labels import labels
from .logits import of_logits
from .probabilities import of_probabilities
from .rows import Family, Rows
from .terms import terms

FAMILIES = (of_logits, of_probabilities, terms, labels, differences)
"""What makes families, in the order in which they are told."""

ASKED = ("loss", "cost", "dC/dz", "jvp", "hvp", *LAYER_GRADIENTS)
"""Quantities that numbers are read off."""

LARGEST = 50_000
"""Logits beyond which nobody waits for a guess."""

FEWEST = 3
"""Wrong elements from which on any number may be right; fewer have to give a round one."""

DIGITS = 8.0
"""Decimal digits, over all wrong elements but the largest, in which a number has to be right."""

ROUND = 2
"""Digits of a number that somebody chose."""

DIGITS_TOLD = 6
"""Those of a number that several elements agree on, which may have more."""

STEPS = 60

NEAR = 0.01
"""Share of a number with a name within which it is tried."""

DIFFERENCES = 1e-6
"""Share of the largest element that derivatives from differences may miss."""

OPEN = 4.0
"""Units of an element, and of its error, that may be left where it is far from what is right."""

TINY = 1e-7
"""Share of the number to which it is read."""


def numbers_of(
    c: Counterfactual, quantity: str, exact: Array, got: Array, bound: Array, noise: bool = False
) -> tuple[str, ...]:
    """The mistakes with one number that explain a result: "D47: ... is added to each row's loss, c = 0.02".

    Of several elements any number is taken that explains all of them, to as few digits as it takes; a single one has to
    give a number of one digit, or of two where it is right to so many more. noise: errors look like those of roundings,
    which few elements could have by chance.
    """
    wrong = wrong_elements(exact, got, bound)
    if quantity not in ASKED or c.z.size > LARGEST or not wrong.any() or not np.isfinite(got).all():
        return ()
    if not (np.isfinite(exact).all() and np.isfinite(c.z).all()):
        return ()
    digits = np.sort(np.log10(np.maximum(np.abs(got - exact) / np.maximum(bound, 1e-300), 1.0))[wrong])
    several = len(digits) >= FEWEST and digits[:-1].sum() >= DIGITS
    most = DIGITS_TOLD if several else _digits_of_few(digits)
    if not most or (noise and not several):
        return ()
    unit = 2.0 ** -FORMATS[c.problem.dtype].precision
    limit = 2.0 * bound + OPEN * unit * np.minimum(np.abs(got - exact), np.abs(got))
    limit = limit + (DIFFERENCES * np.abs(got).max() if quantity == "hvp" else 0.0)
    rows = Rows.of(c)
    place = int(np.argmax(np.where(wrong, np.abs(got - exact) / np.maximum(bound, 1e-300), 0.0)))
    found = []
    with np.errstate(all="ignore"):
        for family in (family for source in FAMILIES for family in source(rows)):
            if (family.beside and quantity in VALUES) or (family.values and quantity not in VALUES):
                continue
            by_step = _roundings(rows, unit) if family.step and quantity == "dC/dz" else np.zeros(1)
            digits_told = min(most, 2) if family.round else most
            if told := _fitted(family, rows, quantity, got, limit, place, digits_told, by_step):
                beside = f"in the gradient, {family.beside}: " if family.beside else ""
                found.append(f"{family.code}: {beside}{family.sentence.format(told)}")
    return tuple(dict.fromkeys(found))


def _digits_of_few(digits: Array) -> int:
    """How many digits a number may have that few elements give: in how many each of them is wrong, ascending."""
    most = digits[-1]
    if most > 4.5:
        return ROUND
    together = len(digits) >= FEWEST and digits[:-1].sum() >= DIGITS / 2.0
    return 1 if together or most > 2.5 else 0


def _fitted(
    family: Family, rows: Rows, quantity: str, got: Array, limit: Array, place: int, most: int, by_step: Array
) -> str:
    """The number in digits; empty if none explains all elements. by_step: what it may miss besides, times it."""
    part, at = rows, place
    width = got.size // len(got)
    if not family.whole and len(got) == len(rows.z) and quantity in ("loss", "dC/dz", "hvp", "dC/da_prev"):
        row = place // width
        part, at = rows.only(slice(row, row + 1)), place % width
    value = got.reshape(-1)[place]

    def miss(t: float) -> float:
        return float(_made(family, part, quantity, t).reshape(-1)[at] - value)

    for t in _linear(miss) if not family.among else _crossings(miss, family.among):
        whole = [(f"{round(t)}", float(round(t)))] if family.count and t > 0.5 else []
        for told, number in whole if family.count else _tellings(family.start + t, rows, most):
            made = _made(family, rows, quantity, number - family.start)
            if made.shape == got.shape and (np.abs(made - got) <= limit + by_step / number).all():
                return told
    return ""


def _roundings(rows: Rows, unit: float) -> Array:
    """(m, 1): what roundings of the losses, and of the logits in them, are in a difference, before its step divides."""
    size = np.abs(rows.right[0]) + np.abs(rows.z).max(1)
    return np.asarray((np.abs(rows.s) * OPEN * unit * size)[:, None])


def _made(family: Family, rows: Rows, quantity: str, t: float) -> Array:
    if quantity == "hvp":
        return rows.along(lambda moved: family.made(moved, t))
    return rows.quantity(quantity, family.made(rows, t))


def _tellings(t: float, rows: Rows, most: int) -> Iterator[tuple[str, float]]:
    """A number in digits, few first, and by its name before those of more digits than anybody would choose."""
    m, classes = rows.z.shape
    names = {"log C": np.log(classes), "log N": np.log(m), "1/C": 1.0 / classes, "1/N": 1.0 / m}
    names |= {"sqrt(C)": np.sqrt(classes), "1/sqrt(C)": classes**-0.5, "C": float(classes), "N": float(m)}
    if rows.eps:
        names |= {"eps": rows.eps, "eps/C": rows.eps / classes, "1 - eps": 1.0 - rows.eps}
        names |= {"eps/(C - 1)": rows.eps / max(classes - 1, 1)}
    for digits in range(1, most + 1):
        for name, value in names.items() if digits == ROUND + 1 or digits == most < ROUND + 1 else ():
            if most > 1 and value and abs(abs(t) / value - 1.0) < NEAR:
                yield ("-" if t < 0 else "") + name, float(np.copysign(value, t))
        number = float(f"{t:.{digits}g}")
        yield f"{number:g}", number
    if most >= DIGITS_TOLD:
        yield f"{t:.{most}g}", t


def _linear(miss: Callable[[float], float]) -> Iterator[float]:
    first = miss(0.0)
    slope = miss(1.0) - first
    if slope != 0 and np.isfinite(slope) and np.isfinite(first):
        yield -first / slope


def _crossings(miss: Callable[[float], float], among: tuple[float, ...]) -> Iterator[float]:
    """Where it changes its sign: by secants of the logarithm that keep the sign between two numbers (Illinois)."""
    values = [miss(t) for t in among]
    for low, high, first, last in zip(among, among[1:], values, values[1:], strict=False):
        if not (np.isfinite(first) and np.isfinite(last)) or first * last > 0:
            continue
        a, b, fa, fb, before = float(np.log(low)), float(np.log(high)), first, last, np.inf
        for step in range(STEPS):
            x = b - fb * (b - a) / (fb - fa) if fb != fa and step % 8 != 7 else 0.5 * (a + b)
            fx = miss(float(np.exp(x)))
            if fx == 0 or not np.isfinite(fx) or abs(x - before) <= TINY or abs(b - a) <= TINY:
                break
            if (fx > 0) != (fb > 0):
                a, fa = b, fb
            else:
                fa *= 0.5
            b, fb, before = x, fx, x
        yield float(np.exp(x))
