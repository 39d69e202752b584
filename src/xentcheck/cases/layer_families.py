"""Families of last layers: laws for inputs, weights and biases, each there for a kind of fault, and labels that fit.

Most draw multiples of a quarter, so that the logits are exact in any order of summation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xentcheck.reference.formats import Array

from .families import FAR
from .randomness import Stream

LAYER_FAMILIES = {
    "gaussian": "inputs of order 1: the logits themselves are rounded",
    "dyadic": "multiples of 1/4: the logits are exact in any order of summation",
    "masked": "dyadic, with classes masked by a bias of -inf, class 0 among them: where ignored rows look for a label",
    "few-active": "dyadic, with a bias of -20000 on all but 8 classes",
    "confident": "dyadic, with one class ahead by 12",
    "common-offset": "dyadic, with a common bias of 1024",
    "one-hot": "one input of a row is 1 and votes for another class than its label: large gradients, no cancellation",
}

ALL_LAYER_FAMILIES = {
    **LAYER_FAMILIES,
    "tail": "dyadic, and the last class is the label of every second row: among many classes a lost tail shows",
    "untrained": "dyadic inputs, and weights and biases that are all 0: all logits are 0",
    "small": "dyadic, weights and biases divided by 64: logits within 1 of 0, as in the first steps",
}
"""All families of layers that a case may name; the last three are there for real sizes, and for the first steps."""


@dataclass(frozen=True)
class Layer:
    """Inputs and parameters of a last layer before rounding, and labels that fit."""

    a_prev: Array
    w: Array
    b: Array
    labels: Array


def draw_layer(family: str, s: Stream, m: int, c: int, k: int) -> Layer:
    """A last layer with m examples, c classes and k inputs."""
    labels = s.integers(0, c, (m,))
    if family == "gaussian":
        return Layer(s.gaussian((m, k)), 0.5 * s.gaussian((c, k)), s.gaussian((c,)), labels)
    if family == "one-hot":
        votes = (labels + 1) % c % k
        w = 4.0 * (np.arange(c)[:, None] % k == np.arange(k))
        return Layer((votes[:, None] == np.arange(k)) * 1.0, w, np.zeros(c), labels)
    a_prev = s.integers(-4, 5, (m, k)) / 4.0
    w = s.integers(-8, 9, (c, k)) / 4.0
    b = s.integers(-8, 9, (c,)) / 4.0
    if family == "masked":
        labels = np.maximum(labels, min(1, c - 1))
        masked = ((s.integers(0, 5, (c,)) < 2) | (np.arange(c) == 0)) & ~np.isin(np.arange(c), labels)
        b = np.where(masked, -np.inf, b)
    elif family == "few-active":
        active = s.subset(1, c, min(8, c))[0]
        b = np.where(np.isin(np.arange(c), active), b, FAR)
        labels = active[s.integers(0, len(active), (m,))]
    elif family == "tail":
        labels = np.where(np.arange(m) % 2 == 0, c - 1, labels)
    elif family == "confident":
        b = b + 12.0 * (np.arange(c) == labels[0])
    elif family == "common-offset":
        b = b + 1024.0
    elif family in ("untrained", "small"):
        w, b = (x / 64.0 if family == "small" else np.zeros_like(x) for x in (w, b))
    return Layer(a_prev, w, b, labels)
