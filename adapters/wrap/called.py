"""What somebody hands over, a function, a loss class or a module, as a function of arrays and options.

A class is made with the options that its constructor takes, and called with the arrays and those that its call takes.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from inspect import Parameter
from typing import Any

from xentcheck.errors import AdapterError

from .places import ANY, known, of_autograd, places_of, unless_given, with_keywords
from .signatures import DEFAULTS, parameters

TWO = [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in ("input", "target")]
"""What is called with something that nobody knows."""

PLAIN = (bool, int, float, str)
"""Options by which an instance is known, and called again: it may keep something from one call to the next."""


def is_module(implementation: object) -> bool:
    """Whether it is a `torch.nn.Module`, or a class of them."""
    torch = sys.modules.get("torch")
    kind = implementation if isinstance(implementation, type) else type(implementation)
    return torch is not None and issubclass(kind, torch.nn.Module)


def name_of(implementation: object) -> str:
    """Its name in reports; of `apply`, that of its autograd function."""
    named = of_autograd(implementation) or implementation
    return str(getattr(named, "__name__", type(named).__name__))


def as_function(implementation: Any) -> Callable[..., Any]:
    """A function that takes arrays by position and options by name, and says so in its signature.

    Raises AdapterError for an autograd function itself, which is never made.
    """
    if isinstance(implementation, type):
        if of_autograd(getattr(implementation, "apply", None)):
            name = implementation.__name__
            raise AdapterError(f"{name} is a torch.autograd.Function, which is not called; allowed: {name}.apply")
        return _of_class(implementation)
    if not is_module(implementation):
        return with_keywords(implementation)

    def called(*arrays: Any, **options: Any) -> Any:
        return implementation(*arrays, **options)  # not its forward, so that hooks are run

    return with_keywords(_signed(called, _of_call(implementation.forward)))


def _of_class(kind: type) -> Callable[..., Any]:
    own, taken = _of_constructor(kind), _of_calls(kind)
    later = {p.name for p in taken}
    instances: dict[frozenset[tuple[str, Any]], Any] = {}

    def made(*arrays: Any, **options: Any) -> Any:
        given = {name: options.pop(name) for name in later & options.keys()}
        if not all(isinstance(value, PLAIN) for value in options.values()):
            return kind(**options)(*arrays, **given)
        known = frozenset(options.items())
        if known not in instances:
            instances[known] = kind(**options)
        return instances[known](*arrays, **given)

    return _signed(made, [*taken, *(p for p in own if p.name not in later)])


def _of_constructor(kind: type) -> list[Parameter]:
    return [p.replace(kind=Parameter.KEYWORD_ONLY) for p in parameters(kind) if p.kind not in ANY]


def _of_calls(kind: type) -> list[Parameter]:
    """What an instance is called with, without what its constructor takes."""
    call = getattr(kind, "forward", None) if is_module(kind) else kind.__call__
    own = {p.name for p in _of_constructor(kind)}
    return [p for i, p in enumerate(_of_call(call, bound=False)) if i < len(TWO) or p.name not in own]


def _of_call(function: Any, *, bound: bool = True) -> list[Parameter]:
    """The parameters of a call, or those of (input, target) where some are not known."""
    found = (known(function) if callable(function) else [])[0 if bound else 1 :]
    return found if len(found) >= len(TWO) and not any(p.kind in ANY for p in found) else TWO


def _signed(function: Callable[..., Any], found: list[Parameter]) -> Callable[..., Any]:
    in_order = sorted(found, key=lambda p: p.kind)
    function.__signature__ = inspect.Signature(in_order)  # type: ignore[attr-defined]  # what inspect.signature looks for
    return function


def calling_of(implementation: Any, parameters: frozenset[str] | None) -> str:
    """How it takes its options, as in `Adapter.calling`."""
    if isinstance(implementation, type):
        later = "+".join(p.name for p in _of_calls(implementation)[len(TWO) :])
        how = f"class later={later}" if later else "class"
    elif is_module(implementation) and _of_call(implementation.forward)[len(TWO) :] == []:
        return "module"
    else:
        places = places_of(known(implementation.forward if is_module(implementation) else implementation))
        others = ("" if p.name in DEFAULTS else repr(unless_given(p)).replace(" ", "") for p in places)
        stands = "+".join(f"{p.name}:{text}" for p, text in zip(places, others, strict=True))
        how = f"function places={stands}" if places else "function"
    if parameters is None or "reduction" in parameters:
        return how
    return f"{how} {'axis' if 'axis' in parameters else 'fixed'}"
