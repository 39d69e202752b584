"""Targets of a case: labels of which some are ignored, or rows of probabilities."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from xentcheck.reference.formats import Array
from xentcheck.reference.problem import NO_IGNORE

from .case import Case
from .fields import FIXED, SOFT
from .randomness import Stream

POISON = {**dict.fromkeys(("index", *FIXED), 10**6), "u8": 254, **dict.fromkeys(SOFT, np.nan)}
"""What lies between the elements of strided targets."""

SENTINELS = {
    "ign": NO_IGNORE,
    "ign1": 1,
    "ign0": 0,
    "ign255": 255,
    "ignminus": -1,
    "ignbig": 10**6,
    "ignwide": 2**32,
}
"""ignore_index of each option that ignores some rows."""

BEYOND = {"igntop": -1, "ignabove": 0}
"""ignore_index of others, from the number of classes on."""

WHERE: dict[str, Callable[[Array, int], Array]] = {
    "ignfirst": lambda at, n: at == 0,
    "ignlast": lambda at, n: at == n - 1,
    "ignpair": lambda at, n: (at == n // 2) | (at == n // 2 - 1),
    "ignmost": lambda at, n: at != n // 3,
    "ignhalf": lambda at, n: at < n // 2,
}
"""Which rows are ignored, where it is not about a third."""


def rows_of(case: Case, stream: Stream, labels: Array, usable: Array) -> Array:
    """(m, C): rows of numbers as targets; of probabilities, none at a class that is not usable (m, C)."""
    if case.target == "pad":
        return np.zeros(usable.shape)
    if case.target == "sparse":
        return _sparse(labels, usable)
    if case.target in ("multi", "mixed"):
        both = np.stack([labels, (labels + 1) % case.classes])
        there = (np.arange(case.classes) == both[:, :, None]).any(0) & usable
        return np.asarray(there * (1.0 if case.target == "multi" else 0.5))
    if case.target in ("hot", "unit"):
        hot = (np.arange(case.classes) == labels[:, None]) * 1.0
        even = usable / np.maximum(usable.sum(1, keepdims=True), 1)
        return hot if case.target == "hot" else np.asarray(np.where(_second(labels), even, (hot + even) / 2))
    q = _probabilities(stream, labels, usable)
    if case.target == "void":
        return np.asarray(np.where(_second(labels), 0.0, q))
    return _signed(q, labels) if case.target == "signed" else q


def _second(labels: Array) -> Array:
    """(m, 1): every second row, from the second on."""
    return np.asarray(np.arange(len(labels))[:, None] % 2 == 1)


def _probabilities(stream: Stream, labels: Array, usable: Array) -> Array:
    """Rows of multiples of a fraction, at least a quarter of it at the label, summing to 3/4 or 5/4 instead of 1."""
    counts = stream.integers(0, 9, usable.shape) * usable
    counts[np.arange(len(labels)), labels] += 4
    q = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    return np.asarray(q * np.where(q.max(1, keepdims=True, initial=0.0) <= 0.75, 1.25, 0.75))


def _sparse(labels: Array, usable: Array) -> Array:
    """Rows of 5/8 at the label, and a half, a quarter and an eighth of that at three classes far from it."""
    classes = usable.shape[1]
    q = np.zeros(usable.shape)
    rows = np.arange(len(labels))
    for k in (3, 2, 1, 0):
        q[rows, (labels + k * classes // 4) % classes] = 0.625 / 2**k
    return np.asarray(q * usable)


def _signed(q: Array, labels: Array) -> Array:
    """Every second entry below 0, and the label's above 1."""
    found = q * np.where(np.arange(q.shape[1]) % 2 == 1, -1.0, 1.0)
    found[np.arange(len(q)), labels] = q[np.arange(len(q)), labels] + 1.0
    return np.asarray(found)


def kept_and_ignored(case: Case, labels: Array, usable: Array) -> Array:
    """Labels with the ignored rows marked: about a third, never the first nor the last.

    A kept row whose label is the sentinel gets another class that is not at -inf, if it has one.
    """
    if "allign" in case.options:
        return np.full_like(labels, NO_IGNORE)
    at = np.arange(len(labels))
    for option, ignored in WHERE.items():
        if option in case.options:
            return np.where(ignored(at, len(labels)), NO_IGNORE, labels)
    if not {*SENTINELS, *BEYOND} & set(case.options):
        return labels
    middle = at % 3 == 1
    middle[-1:] = False
    sentinel = sentinel_of(case)
    others = usable & (np.arange(case.classes) != sentinel)
    kept = np.where((labels == sentinel) & others.any(1), others.argmax(1), labels)
    return np.where(middle, sentinel, kept)


def sentinel_of(case: Case) -> int:
    """The case's ignore_index."""
    known = SENTINELS | {option: case.classes + more for option, more in BEYOND.items()}
    return next((known[option] for option in case.options if option in known), NO_IGNORE)
