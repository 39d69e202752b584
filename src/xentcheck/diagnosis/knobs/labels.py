"""Labels and weights that are changed with one number: smoothed, mixed, limited, with a power."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from xentcheck.reference.formats import Array

from .rows import Family, Made, Rows, entropy, spread


def labels(r: Rows) -> Iterator[Family]:
    """Every family that changes q."""
    if r.hot is not None and not r.eps:
        sentence = "the labels are smoothed although no smoothing is asked for, eps = {}"
        yield Family("D40", sentence, partial(_smoothed, False))
        if r.z.shape[1] > 2:
            yield Family("D40", f"eps/(C - 1) for each class but the label, {sentence}", partial(_smoothed, True))
    elif r.hot is not None:
        sentence = f"smoothed by another eps than {r.eps:g}, which is given, eps = {{}}"
        yield Family("D40", sentence, partial(_smoothed, False), start=r.eps)
        sentence = "the label has 1 - eps, and each class another mass than eps/C, m = {}"
        yield Family("D40", sentence, _with_mass, start=r.eps / r.z.shape[1])
        sentence = "each class has eps/C, and the label another mass than 1 - eps, m = {}"
        yield Family("D40", sentence, _with_label_mass, start=1.0 - r.eps)
    if r.hot is not None:
        sentence = f"y has another mass at the label than {'1 - eps' if r.eps else '1'}, m = {{}}"
        yield Family("D40" if r.eps else "E60", sentence, _with_y, start=1.0 - r.eps, beside="a is right")
    for told, order in (("in reverse order", None), ("of the next row", 1), ("of the row before", -1)):
        sentence = f"the labels are (1 - l) y + l y', as in mixup, with y' {told}, l = {{}}"
        yield Family("F76", sentence, partial(_mixed, order), whole=True)
    sentence = "the labels are (1 - b) y + b a, as in bootstrapping, b = {}"
    yield Family("A12", sentence, _boot, beside="a has a derivative, too")
    yield Family("A12", sentence, _boot, values=True)
    if r.weighted and (r.weight > 0).all():
        yield Family("D42", "class weights have a power p, p = {}", _powered, spread(0.1, 4.0, 10))
        limits = spread(float(r.weight.min()) * 1.001, float(r.weight.max()), 10)
        yield Family("D42", "class weights are limited to at most u, u = {}", _limited, limits, whole=True)


def _limited(r: Rows, t: float) -> Made:
    """In the denominator of index labels, too."""
    limited = np.minimum(r.weight, t)
    losses, gradient = _with_q(r, r.q * limited / r.weight)
    if not (r.mean and r.hot is not None):
        return losses, gradient
    factor = r.d / float((r.hot * r.kept[:, None] * limited).sum())
    return losses * factor, gradient * factor[:, None]


def _powered(r: Rows, t: float) -> Made:
    return _with_q(r, r.q * r.weight ** (t - 1.0))


def _with_q(r: Rows, q: Array) -> Made:
    return replace(r, q=q).of_logits(r.z)


def _smoothed(others: bool, r: Rows, t: float) -> Made:
    """By t more than is asked for."""
    assert r.hot is not None
    share = (1.0 - r.hot) / (r.z.shape[1] - 1.0) if others else 1.0 / r.z.shape[1]
    return _with_q(r, r.q + t * (r.kept[:, None] * r.weight * share - r.hot * r.own[:, None]))


def _with_mass(r: Rows, t: float) -> Made:
    return _with_q(r, r.q + t * r.kept[:, None] * r.weight)


def _with_label_mass(r: Rows, t: float) -> Made:
    assert r.hot is not None
    return _with_q(r, r.q + t * r.hot * r.own[:, None])


def _with_y(r: Rows, t: float) -> Made:
    assert r.hot is not None
    return r.right[0], r.right[1] - t * r.hot * r.own[:, None]


def _mixed(step: int | None, r: Rows, t: float) -> Made:
    other = r.q[::-1] if step is None else np.roll(r.q, -step, 0)
    return _with_q(r, (1.0 - t) * r.q + t * other)


def _boot(r: Rows, t: float) -> Made:
    (losses, gradient), (value, slope) = r.right, entropy(r)
    scale = t * r.kept
    return (1.0 - t) * losses + scale * value, (1.0 - t) * gradient + scale[:, None] * slope
