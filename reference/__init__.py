"""The problem, Nielsen's equations, the exact oracle, contracts and error bounds. Knows NumPy, nothing else of ours."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .activations import log_softmax, sigmoid, sigmoid_prime, softmax, softmax_jacobian
from .loss import cross_entropy, cross_entropy_grad, cross_entropy_hvp
from .problem import Problem

__all__ = [
    "Problem",
    "bounds",
    "cross_entropy",
    "cross_entropy_grad",
    "cross_entropy_hvp",
    "log_softmax",
    "oracle",
    "sigmoid",
    "sigmoid_prime",
    "softmax",
    "softmax_jacobian",
]


def __getattr__(name: str) -> Any:
    if name in ("bounds", "oracle"):
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
