"""Fused linear losses: by their signature, and on problems of logits, which a layer hands on to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from xentcheck.errors import AdapterError
from xentcheck.reference.problem import Problem

ROLES: Mapping[str, tuple[str, ...]] = {
    "b": ("linear_bias", "lin_bias", "bias", "b"),
    "w": ("linear_weight", "lin_weight", "lm_head_weight", "head_weight", "classifier", "w", "c", "weight"),
    "y": ("target", "targets", "labels", "label", "y"),
    "weight": ("class_weight", "class_weights", "ce_weight", "weight"),
}
"""What a fused linear loss takes besides x and the names under which libraries take it: bias (C,), weight (C, K),
target, and class weights, which may be missing. The first name that is there and free counts.
"""

INPUTS = ("_input", "input", "x", "inputs", "hidden_states", "hidden", "a_prev")
"""Names of x, which is the first parameter unless that is one of the others."""


def names_of(parameters: Sequence[str], name: str) -> dict[str, str] | None:
    """Role -> parameter of a fused linear loss, of x only where that is not the first; None for a function without a
    bias, which is a loss of logits.

    Raises AdapterError for one with a bias of which the weight, target or x are not known by their names.

    >>> names_of(["input", "linear_weight", "target", "linear_bias", "weight"], "f")["weight"]
    'weight'
    >>> names_of(["lin_weight", "_input", "target", "bias"], "f")["x"]
    '_input'
    >>> names_of(["input", "target", "weight"], "f") is None
    True
    """
    if not set(ROLES["b"]) & set(parameters):
        return None
    found: dict[str, str] = {}
    for role, names in ROLES.items():
        free = [n for n in names if n in parameters and n not in found.values()]
        if free:
            found[role] = free[0]
        elif role != "weight":
            raise AdapterError(
                f"{name} takes a bias, as a fused linear loss does, and nothing that it needs beside it; "
                f"allowed: {', '.join(ROLES[role])}"
            )
    if parameters[0] in found.values():
        inputs = [n for n in INPUTS if n in parameters]
        if not inputs:
            raise AdapterError(f"{name} takes {parameters[0]} first, and no x; allowed: {', '.join(INPUTS)}")
        found["x"] = inputs[0]
    return found


def by_position(function: Callable[..., Any], names: Mapping[str, str]) -> Callable[..., Any]:
    """The function as one of (x, weight, bias, target), the class weights by the keyword `weight`."""

    def call(x: Any, w: Any, b: Any, target: Any, *, weight: Any = None, **options: Any) -> Any:
        given = {names["w"]: w, names["b"]: b, names["y"]: target}
        if weight is not None:
            given[names.get("weight", "weight")] = weight
        if "x" in names:
            return function(**{names["x"]: x}, **given, **options)
        return function(x, **given, **options)

    return call


LARGEST = 1 << 20
"""Multiplications of a layer that only hands the logits on."""


def as_layer(p: Problem) -> Problem | None:
    """The same finite logits (N, C), made by a layer: the inputs times the identity, exact in any order of summation.

    A target that a Problem would refuse (a probe's) stays what it is. None for logits that are not finite or have other
    axes, for derivatives along a direction, and for more than LARGEST multiplications.

    >>> as_layer(Problem(logits=np.zeros((2, 3)), target=np.array([0, 1]))).w.shape
    (3, 3)
    """
    if p.logits is None or p.logits.ndim != 2 or p.v is not None or not np.isfinite(p.logits).all():
        return None
    if p.logits.size * p.classes > LARGEST:
        return None
    parts = {"logits": None, "a_prev": np.ascontiguousarray(p.logits)}
    parts |= {"w": np.eye(p.classes, dtype=p.dtype), "b": np.zeros(p.classes, p.dtype)}
    return p.with_arrays(parts)
