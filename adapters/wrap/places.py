"""Functions that `inspect` knows nothing of, and those that take options by position only: as functions of keywords."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from inspect import Parameter
from typing import Any

from xentcheck.errors import AdapterError

from .signatures import DEFAULTS, parameters, tells_parameters

ANY = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
SWAPPED = ("target", "targets", "labels", "label", "y_true"), ("input", "logits", "y_pred", "preds", "output")
"""Names of a first and a second parameter that say that the arrays are taken the other way round."""

BY_POSITION = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD, Parameter.VAR_POSITIONAL)


def with_keywords(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function itself, or one that takes the same parameters by name, and says so in its signature.

    `apply` of a `torch.autograd.Function` takes what its `forward` does, by position only; a scripted function and a
    registered operator have a schema.
    """
    found = known(function)
    return function if found == parameters(function) and not places_of(found) else _by_place(function, found)


def known(function: Callable[..., Any]) -> list[Parameter]:
    """The parameters of a function, wherever they are written down."""
    found = parameters(function)
    if any(p.kind not in ANY for p in found):
        return found
    return list(_of_forward(function)) or list(_of_schema(function)) or found


def places_of(found: list[Parameter]) -> list[Parameter]:
    """Those, after the first two, that are taken by position only."""
    return [p for p in found[2:] if p.kind == Parameter.POSITIONAL_ONLY]


def of_autograd(function: Any) -> type | None:
    """The `torch.autograd.Function` whose `apply` it is."""
    torch, owner = sys.modules.get("torch"), getattr(function, "__self__", None)
    return owner if torch and isinstance(owner, type) and issubclass(owner, torch.autograd.Function) else None


def _of_forward(function: Any) -> Iterator[Parameter]:
    """The parameters of a `torch.autograd.Function`, whose forward begins with the context, unless that is set up
    elsewhere.
    """
    owner: Any = of_autograd(function)
    if owner is None:
        return
    alone = owner.setup_context is not sys.modules["torch"].autograd.Function.setup_context
    for p in parameters(owner.forward)[0 if alone else 1 :]:
        if p.kind in BY_POSITION:
            yield p if p.kind in ANY else p.replace(kind=Parameter.POSITIONAL_ONLY)


def _of_schema(function: Any) -> Iterator[Parameter]:
    """The parameters of what PyTorch has compiled (`torch.jit.script`) or registered (`torch.library`)."""
    for at in ("schema", "_schema", "_opoverload._schema", "default._schema"):
        schema: Any = function
        for name in at.split("."):
            schema = getattr(schema, name, None)
        if arguments := getattr(schema, "arguments", None):
            for x in (x for x in arguments if x.name != "self"):
                kind = Parameter.KEYWORD_ONLY if x.kwarg_only else Parameter.POSITIONAL_OR_KEYWORD
                yield Parameter(x.name, kind, default=x.default_value if x.has_default_value() else Parameter.empty)
            return


def _by_place(function: Callable[..., Any], found: list[Parameter]) -> Callable[..., Any]:
    def call(*arrays: Any, **options: Any) -> Any:
        given = list(arrays)
        left = [p for p in found if p.kind == Parameter.POSITIONAL_ONLY][len(arrays) :]
        while any(p.name in options for p in left):
            p = left.pop(0)
            given.append(options.pop(p.name, unless_given(p)))
        return function(*given, **options)

    arrays = [p if p.kind in ANY else p.replace(kind=Parameter.POSITIONAL_OR_KEYWORD) for p in found[:2]]
    options = [p if p.kind in ANY else p.replace(kind=Parameter.KEYWORD_ONLY) for p in found[2:]]
    signature = inspect.Signature(sorted([*arrays, *options], key=lambda p: p.kind))
    call.__signature__ = signature  # type: ignore[attr-defined]  # what inspect.signature looks for
    return call


def unless_given(p: Parameter) -> Any:
    """What stands in the place of a parameter that is not set."""
    return DEFAULTS.get(p.name) if p.default is Parameter.empty else p.default


def refuse_uncallable(function: Callable[..., Any], name: str, arrays: int, given: list[str]) -> None:
    """Raises AdapterError for a function that a call cannot reach: with too few places, the arrays the other way round,
    or a parameter too many.

    arrays: how many it gets by position. given: the names of all that a call passes.
    """
    found = parameters(function)
    places = [p for p in found if p.kind in BY_POSITION]
    enough = len(places) >= arrays or any(p.kind == Parameter.VAR_POSITIONAL for p in places)
    if not enough and tells_parameters(function):
        raise AdapterError(
            f"{name} takes {len(places)} arguments by position; allowed: logits and target there, options by keyword"
        )
    if arrays == 2 and len(places) > 1 and all(p.name in names for p, names in zip(places, SWAPPED, strict=False)):
        raise AdapterError(
            f"{name} takes {places[0].name} before {places[1].name}; allowed: logits first, if need be by a function "
            "that swaps them"
        )
    unknown = [p.name for p in found if p.kind not in ANY and p.default is Parameter.empty and p.name not in given]
    if unknown:
        fused = " (a fused linear loss has a parameter for a bias, too)" if set(unknown) & set(SWAPPED[0]) else ""
        raise AdapterError(
            f"{name} needs {', '.join(unknown)}, which no problem sets; allowed: a default there, or a function that "
            f"passes it on{fused}"
        )
