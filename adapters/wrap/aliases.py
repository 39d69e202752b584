"""Options under the names that some libraries have for them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from .signatures import parameters

ALIASES: Mapping[str, tuple[str, ...]] = {
    "label_smoothing": ("smoothing",),
    "ignore_index": ("ignored_index", "padding_idx"),
}
"""Option -> its names elsewhere: smoothing in timm and apex, padding_idx in apex, ignored_index in flash-attn."""


def renamed(function: Callable[..., Any]) -> tuple[Callable[..., Any], dict[str, str]]:
    """The function with options by their usual names, and its own name of each that has another one.

    >>> def loss(logits, labels, smoothing=0.1): ...
    >>> found, names = renamed(loss)
    >>> list(inspect.signature(found).parameters), names
    (['logits', 'labels', 'label_smoothing'], {'label_smoothing': 'smoothing'})
    """
    found = parameters(function)
    there = {p.name for p in found}
    names = {
        usual: own[0]
        for usual, others in ALIASES.items()
        if usual not in there and (own := [name for name in others if name in there])
    }
    if not names:
        return function, {}
    usual_of = {own: usual for usual, own in names.items()}

    def call(*arrays: Any, **options: Any) -> Any:
        return function(*arrays, **{names.get(name, name): value for name, value in options.items()})

    kept = [p.replace(name=usual_of.get(p.name, p.name)) for p in found]
    call.__signature__ = inspect.Signature(kept)  # type: ignore[attr-defined]  # what inspect.signature looks for
    return call, names
