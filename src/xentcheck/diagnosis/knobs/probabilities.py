"""Probabilities that are changed with one number: an epsilon, a limit, a power."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from .rows import Family, Made, Rows, spread


def of_probabilities(r: Rows) -> Iterator[Family]:
    """Every family that changes probabilities."""
    small = spread(1e-13, 0.3, 15)
    yield Family("A04", "eps is added to probabilities before the logarithm, eps = {}", _added_to_a, small)
    for told, flows in (("", False), ("the maximum is no constant", True)):
        sentence = "eps is added to the sum of exponentials, eps = {}"
        yield Family("A04", sentence, partial(_added_to_sum, flows), small, beside=told)
    sentence = "{} columns of zeros: padding of the classes counts in the sum of exponentials"
    yield Family("F74", sentence, _padded, spread(0.7, 70_000.0, 12), count=True)
    for block in (8, 16, 32, 64, 128):
        if pad := -r.z.shape[1] % block:
            sentence = (
                f"{pad} columns pad the classes to a multiple of {block}: padding counts as logits of v, v = -{{}}"
            )
            yield Family("F74", sentence, partial(_padded_with, pad), spread(0.01, 100.0, 9), round=True)
    sentence = "c is added to the sum of exponentials, which is not shifted, c = {}"
    yield Family("A04", sentence, _padded, spread(1e-13, 1e3, 16))
    yield Family("A04", "probabilities are clipped from below at eps, eps = {}", _clipped, small)
    for told, high in (("1 - eps", True), ("1", False)):
        sentence = f"a is clipped to eps to {told}, eps = {{}}"
        yield Family("A04", sentence, partial(_a_clipped, high), small, beside="a is not that of the value")
    if r.hot is None:
        return
    powers = spread(0.05, 8.0)
    sentence = "a factor (1 - a_y)^g of a focal loss is left on, g = {}"
    yield Family("A12", sentence, partial(_focal, 1.0), powers)
    yield Family("A12", sentence, partial(_focal, 0.0), powers, beside="the factor is a constant")
    sentence = "each row's loss is multiplied by a power of the label's probability, a_y^p, p = {}"
    yield Family("B27", sentence, _by_a_power, spread(0.1, 4.0), beside="the factor is a constant")
    yield Family("B27", sentence, _by_a_power, spread(0.1, 4.0))
    if not r.eps:
        sentence = "(1 - a_y^p)/p in the place of -log a_y, a generalised cross-entropy, p = {}"
        yield Family("A12", sentence, _power, powers)


def _added_to_a(r: Rows, t: float) -> Made:
    a = r.softmax[0]
    pulled = r.q * a / (a + t)
    return r.losses(np.log(a + t)), a * pulled.sum(1, keepdims=True) - pulled


def _added_to_sum(flows: bool, r: Rows, t: float) -> Made:
    top = r.z.max(1, keepdims=True)
    e = np.exp(r.z - top)
    total = e.sum(1, keepdims=True) + t
    mass = r.q.sum(1, keepdims=True)
    gradient = e / total * mass - r.q
    if flows:
        at = r.z == top
        gradient = gradient + at / at.sum(1, keepdims=True) * mass * t / total
    return r.losses(r.z - top - np.log(total)), gradient


def _padded_with(columns: int, r: Rows, t: float) -> Made:
    return _padded(r, columns * np.exp(-t))


def _padded(r: Rows, t: float) -> Made:
    """By columns whose logit is 0."""
    top = np.maximum(r.z.max(1, keepdims=True), 0.0)
    e = np.exp(r.z - top)
    total = e.sum(1, keepdims=True) + t * np.exp(-top)
    return r.losses(r.z - top - np.log(total)), e / total * r.q.sum(1, keepdims=True) - r.q


def _clipped(r: Rows, t: float) -> Made:
    a = r.softmax[0]
    inside = np.where(a > t, r.q, 0.0)
    return r.losses(np.log(np.maximum(a, t))), a * inside.sum(1, keepdims=True) - inside


def _a_clipped(high: bool, r: Rows, t: float) -> Made:
    a = np.clip(r.softmax[0], t, 1.0 - t if high else np.inf)
    return r.right[0], a * r.q.sum(1, keepdims=True) - r.q


def _focal(whole: float, r: Rows, t: float) -> Made:
    """whole: 1 where its gradient flows through the factor, and 0 where that is a constant."""
    assert r.hot is not None
    a, (losses, gradient) = r.softmax[0], r.right
    p = (a * r.hot).sum(1)
    miss = np.maximum(1.0 - p, 1e-300)
    through = whole * losses * t * miss ** (t - 1.0) * p
    return losses * miss**t, gradient * (miss**t)[:, None] + through[:, None] * (a - r.hot)


def _by_a_power(r: Rows, t: float) -> Made:
    factor = (r.softmax[0] * (r.hot != 0)).sum(1) ** t
    return r.right[0] * factor, r.right[1] * factor[:, None]


def _power(r: Rows, t: float) -> Made:
    p = (r.softmax[0] * (r.hot != 0)).sum(1) ** t
    return r.own * (1.0 - p) / t, r.right[1] * p[:, None]
