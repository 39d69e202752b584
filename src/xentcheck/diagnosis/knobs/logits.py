"""Logits that are bent with one number: a temperature, a cap, a margin, a share of the weights' logarithm."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from xentcheck.reference.formats import Array

from .rows import Family, Made, Rows, spread


def of_logits(r: Rows) -> Iterator[Family]:
    """Every family that changes the logits."""
    bent: tuple[tuple[str, Callable[[Array, float], tuple[Array, Array | float]], tuple[float, ...]], ...] = (
        ("a temperature, z/T in the place of z, T = {}", _cooled, spread(0.03, 40.0, 16)),
        ("a temperature, z/T in the place of z, and the factor T^2, T = {}", _cooled, spread(0.03, 40.0, 16)),
        ("a temperature, z/T in the place of z, and the factor T, T = {}", _cooled, spread(0.03, 40.0, 16)),
        ("soft cap, c tanh(z/c) in the place of z, c = {}", _capped, spread(0.5, 2000.0)),
        ("logits are clamped to -c to c, c = {}", _clamped, spread(0.5, 2000.0)),
        ("logits below -c are set to -c, c = {}", _from_below, spread(0.5, 2000.0)),
        ("logits above c are set to c, c = {}", _from_above, spread(0.5, 2000.0)),
    )
    for sentence, bend, among in bent:
        for told, slope in (("", True), ("without its derivative", False)):
            power = 2.0 if "factor T^2" in sentence else 1.0 if "factor T" in sentence else 0.0
            made = partial(_bent, bend, slope, power)
            yield Family("A12", sentence, made, among, beside=told)
    if r.hot is not None:
        for told, sign in (("lowered", -1.0), ("raised", 1.0)):
            sentence = f"the label's logit is {told} by a margin m = {{}}"
            yield Family("A12", sentence, partial(_moved, sign), spread(1e-3, 64))
    if r.weighted and (r.weight > 0).all():
        log_w = np.log(r.weight)
        for told, sign in (("added to", 1.0), ("subtracted from", -1.0)):
            sentence = f"the log of the class weights is {told} the logits, times f = {{}}"
            for unweighted in (False, True):
                yield Family("D42", sentence, partial(_adjusted, sign * log_w, unweighted), spread(0.01, 10.0))


def _moved(sign: float, r: Rows, t: float) -> Made:
    assert r.hot is not None
    return r.of_logits(r.z + sign * t * r.hot)


def _adjusted(log_w: Array, unweighted: bool, r: Rows, t: float) -> Made:
    return (replace(r, q=r.q / r.weight) if unweighted else r).of_logits(r.z + t * log_w)


def _cooled(z: Array, t: float) -> tuple[Array, float]:
    return z / t, 1.0 / t


def _capped(z: Array, t: float) -> tuple[Array, Array]:
    bent = np.tanh(z / t)
    return t * bent, 1.0 - bent * bent


def _clamped(z: Array, t: float) -> tuple[Array, Array]:
    return np.clip(z, -t, t), (np.abs(z) <= t) * 1.0


def _from_below(z: Array, t: float) -> tuple[Array, Array]:
    return np.maximum(z, -t), (z >= -t) * 1.0


def _from_above(z: Array, t: float) -> tuple[Array, Array]:
    return np.minimum(z, t), (z <= t) * 1.0


def _bent(
    bend: Callable[[Array, float], tuple[Array, Array | float]], slope: bool, power: float, r: Rows, t: float
) -> Made:
    """times t^power."""
    z, by = bend(r.z, t)
    losses, gradient = r.of_logits(z)
    return losses * t**power, (gradient * by if slope else gradient) * t**power
