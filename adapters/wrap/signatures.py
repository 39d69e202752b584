"""Signatures: what the parameters of somebody's function say about the options that it supports, and leave unsaid."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from typing import Any

from xentcheck.reference.problem import NO_IGNORE
from xentcheck.vocabulary import OPTIONS, RARE_OPTIONS

NEEDS = {
    "weight": "weight",
    "negative_weight": "weight",
    "ignore_index": "ignore_index",
    "wide_sentinel": "ignore_index",
    "label_smoothing": "label_smoothing",
    "smoothed_probabilities": "label_smoothing",
}
"""Option -> the parameter without which a function cannot support it."""


CANNOT = {"jax": ("wide_sentinel",)}
"""What no function of a framework can take: JAX has no 64-bit integers outside of float64."""

DEFAULTS: dict[str, Any] = {
    "reduction": "mean",
    "ignore_index": NO_IGNORE,
    "label_smoothing": 0.0,
    "weight": None,
    "upstream": 1.0,
}
"""What a call may pass by keyword beside the arrays, and what it means where a call does not: the defaults of
`torch.nn.functional.cross_entropy`, and an upstream gradient of ones.
"""


def parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """Those of a function, in their order; none where nobody knows them."""
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return []


def tells_parameters(function: Callable[..., Any]) -> bool:
    """Whether anybody knows the parameters of a function, of which there may be none."""
    try:
        inspect.signature(function)
    except (TypeError, ValueError):
        return False
    return True


def takes_any_keyword(function: Callable[..., Any]) -> bool:
    """Whether a function says that it takes any keyword."""
    return any(p.kind == p.VAR_KEYWORD for p in parameters(function))


def may_be_none(function: Callable[..., Any], name: str) -> bool:
    """Whether a parameter is None by default."""
    return any(p.name == name and p.default is None for p in parameters(function))


def always_given(function: Callable[..., Any], arrays: Collection[str]) -> list[str]:
    """The options that a function has no default for, or another than PyTorch's; arrays: parameters that are none.

    >>> def loss(logits, target, weight, reduction="sum", label_smoothing=0.0): ...
    >>> always_given(loss, ["logits", "target"])
    ['reduction', 'weight']
    """
    found = {p.name: p.default for p in parameters(function) if p.name not in arrays}
    needed = [name for name in DEFAULTS if found.get(name, DEFAULTS[name]) is inspect.Parameter.empty]
    others = [name for name in COMPARED if found.get(name, DEFAULTS[name]) != DEFAULTS[name]]
    return [name for name in DEFAULTS if name in needed or name in others]


COMPARED = ("reduction", "ignore_index", "label_smoothing")
"""Options whose default may be another than PyTorch's: a loss of its own may mean anything by a default weight."""


def array_names(function: Callable[..., Any], roles: Collection[str] = ()) -> list[str]:
    """The parameters that arrays are passed to: the first two, or the first and those of a fused linear loss."""
    named = named_parameters(function)
    return [*named[: 1 if roles else 2], *roles]


def never_set(function: Callable[..., Any], framework: str, roles: Collection[str] = ()) -> tuple[str, ...]:
    """The parameters beside the arrays that no problem sets, in their order; roles: those of a fused linear loss.

    >>> def loss(logits, target, reduction="mean", z_loss=0.0): ...
    >>> never_set(loss, "torch")
    ('z_loss',)
    """
    named = named_parameters(function)
    given = {*array_names(function, roles), *DEFAULTS}
    if framework != "numpy":
        given.discard("upstream")
    if "reduction" not in named:
        given.add("axis")
    return tuple(name for name in named if name not in given)


def parameters_of(function: Callable[..., Any]) -> frozenset[str] | None:
    """The names of a function's parameters; None if it takes any keyword, or nobody knows."""
    found = parameters(function)
    unknown = not found or any(p.kind == p.VAR_KEYWORD for p in found)
    return None if unknown else frozenset(named_parameters(function))


def named_parameters(function: Callable[..., Any]) -> list[str]:
    """The names of the parameters that it has by name, in their order."""
    return [p.name for p in parameters(function) if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]


def supported(parameters: frozenset[str] | None, framework: str) -> list[str] | None:
    """The usual options, without those that the signature has no parameter for."""
    if parameters is None:
        return None
    needs = NEEDS | ({"upstream": "upstream"} if framework == "numpy" else {})
    left_out = {*RARE_OPTIONS, *CANNOT.get(framework, ())}
    return [o for o in OPTIONS if o not in left_out and (o not in needs or needs[o] in parameters)]
