"""Problems that the ways of a call are tried on: each option alone, those that go together, and other layouts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from xentcheck.cases.randomness import Stream
from xentcheck.reference.formats import Array
from xentcheck.reference.labels import one_hot
from xentcheck.reference.problem import Problem
from xentcheck.studies.related import IGNORED

PIXELS = ((2, 7, 3, 4), (3, 7, 5))
"""Logits with two axes of pixels, and with one, as a sequence has."""

VOLUME = (2, 7, 2, 3, 2)
"""Logits with three axes of pixels."""


def with_options(p: Problem, *, labels: bool) -> list[Problem]:
    """Sums and means with each option alone, and with those that go together."""
    rows = np.arange(len(p.target))
    mean = replace(p, reduction="mean", upstream=np.ones((), p.dtype))
    return [*_with_each(mean, rows % 3 == 0, labels), replace(mean, reduction="sum")]


def _with_each(mean: Problem, ignored: Array, labels: bool) -> list[Problem]:
    """A mean without an option, with each alone, and with those that go together; ignored: where labels may be."""
    weight = {"weight": (Stream("laws.weight").integers(1, 9, (mean.classes,)) / 4).astype(mean.dtype)}
    smoothing = {"label_smoothing": 0.125}
    ignoring = {"target": np.where(ignored, IGNORED, mean.target), "ignore_index": IGNORED}
    options: list[dict[str, Any]] = [{}, weight, smoothing, {"target": soft_rows(mean)}, {**weight, **smoothing}]
    options += [ignoring, {**ignoring, **weight, **smoothing}] if labels else []
    return [replace(mean, **some) for some in options]


def with_other_numbers(q: Problem) -> Problem:
    """Other logits, labels and weights, such as arrays hold before they are filled anew."""
    weight = None if q.weight is None else np.roll(q.weight, 1, 0)
    target = np.roll(q.target, 1, 0) if q.target.ndim else q.target
    return replace(q, logits=-np.asarray(q.logits), target=target, weight=weight)


def with_a_class_ignored(q: Problem, p: Problem) -> Problem:
    """A problem that ignores rows by -100, with a class for its sentinel, and the labels of p."""
    return replace(q, target=p.target, ignore_index=int(p.target[0]))


def few(p: Problem, *, labels: bool) -> list[Problem]:
    """Means with probabilities, and with all options that go together."""
    *means, _ = with_options(p, labels=labels)
    return [means[3], means[-1]]


def soft_rows(p: Problem) -> Array:
    """Half of each row at its label, half at the class after it."""
    hot = np.asarray(one_hot(p).target)
    return np.asarray(((hot + np.roll(hot, 1, 1)) / 2).astype(p.dtype))


def with_pixels(p: Problem, shape: tuple[int, ...]) -> Problem:
    """The mean over logits of so many axes, of the problem's dtype."""
    s = Stream(f"laws.pixels.{p.dtype}")
    step = 2 if p.dtype == "bfloat16" else 8
    return Problem(
        logits=(s.integers(-2 * step, 2 * step + 1, shape) / step).astype(p.dtype),
        target=s.integers(0, shape[1], (shape[0], *shape[2:])),
        upstream=np.ones((), p.dtype),
    )


def images(p: Problem, *, labels: bool) -> list[Problem]:
    """Means over pixels, with each option alone, and with those that go together."""
    image = with_pixels(p, PIXELS[0])
    return _with_each(image, image.target % 3 == 0, labels)


def a_row(p: Problem) -> Problem:
    """The mean over one row of logits without a batch."""
    one = np.ones((), p.dtype)
    return replace(p, logits=np.asarray(p.logits)[0].copy(), target=p.target[0], reduction="mean", upstream=one)


def classes_last(x: Array) -> Array:
    """The same values with the classes next to each other in memory."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)


def apart(x: Array) -> Array:
    """The same values in every second place of a wider buffer."""
    buffer = np.zeros((*x.shape[:-1], 2 * x.shape[-1] + 1), x.dtype)
    buffer[..., 1::2] = x
    return buffer[..., 1::2]


def backwards(x: Array) -> Array:
    """The same values in a buffer that is read from its end, as NumPy can."""
    return np.flip(np.flip(x).copy())


def in_longer_rows(x: Array) -> Array:
    """The same values in the midst of longer rows, as those of a padded vocabulary lie."""
    buffer = np.zeros((*x.shape[:-1], x.shape[-1] + 5), x.dtype)
    buffer[..., 2:-3] = x
    return buffer[..., 2:-3]


def turned(x: Array) -> Array:
    """The same values with the first axis next to each other in memory."""
    return np.ascontiguousarray(x.T).T
