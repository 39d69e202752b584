"""From a function, loss class or module of a user to the adapter that tests it, with what its signature supports."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any

from xentcheck.adapters.base import LABELS
from xentcheck.adapters.promises import Given, promised, promising
from xentcheck.adapters.registry import built_in, get
from xentcheck.errors import AdapterError
from xentcheck.reference.problem import NO_IGNORE
from xentcheck.vocabulary import DTYPES, REDUCTIONS

from .aliases import renamed
from .called import as_function, calling_of, is_module, name_of
from .functions import command_of, from_jax, from_numpy, from_torch
from .fused import by_position, names_of
from .places import of_autograd, refuse_uncallable
from .signatures import (
    DEFAULTS,
    always_given,
    array_names,
    may_be_none,
    named_parameters,
    never_set,
    parameters_of,
    supported,
    takes_any_keyword,
)
from .trying.answers import UNNAMED
from .trying.refusals import KEYWORDS, NAMED, TRIED, UNTOLD

if TYPE_CHECKING:
    from xentcheck.adapters.base import Adapter

WRAPPERS: dict[str, Callable[..., Adapter]] = {
    "torch": from_torch,
    "jax": from_jax,
    "numpy": from_numpy,
}
"""Framework -> what makes an adapter of a function in it."""

CONFIGURED = ("label_smoothing", "smoothing")
"""Attributes of a module that smooths."""

IMPORTED = ("torch", "jax")
"""Frameworks that are known by being imported; NumPy always is."""


def adapter_of(
    implementation: object,
    framework: str | None = None,
    *,
    options: Collection[str] | None = None,
    contract: Given = None,
    overwrites: Collection[str] = (),
) -> Adapter:
    """The adapter of an adapter, a built-in name, a function, a loss class or a `torch.nn.Module`.

    A function with a parameter for a bias (`bias`, `linear_bias`) is a fused linear loss of x, weight, bias and target.

    framework: torch, jax or numpy; needed unless exactly one of PyTorch and JAX is imported. options: what it supports;
    by default everything that its signature has a parameter for. contract: the arithmetic that it promises, by name, or
    as dtype -> name; it comes before what an adapter declares. overwrites: inputs that it says it overwrites. Nothing
    is called: `tried` finds out what the signature does not tell. Raises AdapterError.

    >>> def loss(logits, target, upstream=1.0): ...
    >>> sorted(adapter_of(loss, "numpy").capabilities.options & {"upstream", "weight"})
    ['upstream']
    """
    from xentcheck.adapters.base import Adapter

    some = promised(contract)
    found = get(implementation) if isinstance(implementation, str) else implementation
    if isinstance(found, Adapter):
        if options is not None or overwrites:
            what = "overwrites" if options is None else "options"
            raise AdapterError(f"{what} of adapter {found.name} are its own; allowed: none here")
        adapter = copy(found)
        if found is implementation:
            adapter.calling = adapter.calling and f"adapter {adapter.calling}"
        return promising(adapter, some)
    if not callable(implementation):
        raise AdapterError(f"{type(implementation).__name__} is no implementation; allowed: a function, a loss class")
    if framework is None:
        framework = _guess(implementation)
    if framework not in WRAPPERS:
        raise AdapterError(f"unknown framework {framework!r}; allowed: {', '.join(WRAPPERS)}")
    _refuse_configured(implementation)
    function, aliases = renamed(as_function(implementation))
    parameters = parameters_of(function)
    unnamed = {"reduction", *NAMED} - set(named_parameters(function)) if takes_any_keyword(function) else set()
    name = name_of(implementation)
    if name in built_in():
        raise AdapterError(f"the implementation is called {name!r}, as a built-in adapter is; allowed: another name")
    calling = calling_of(implementation, parameters)
    wrap = partial(WRAPPERS[framework], name=name, overwrites=overwrites)
    names = names_of(named_parameters(function), name)
    arrays = array_names(function, tuple((names or {}).values()))
    refuse_uncallable(function, name, 2 if not names else 0 if "x" in names else 1, [*arrays, *DEFAULTS, "axis"])
    always, unset = always_given(function, arrays), never_set(function, framework, tuple((names or {}).values()))
    biasless = bool(names) and may_be_none(function, (names or {})["b"])
    if names:
        function = by_position(function, names)
        wrap = partial(wrap, head="layer")
        calling = " ".join(("linear", *calling.split(), *(f"{role}={name}" for role, name in names.items())))
        if parameters is not None:
            parameters = parameters - set(names.values()) | ({"weight"} & set(names))
    if always:
        function = _with_defaults(function, always)
        calling += f" always={'+'.join(always)}"
    if aliases:
        calling += f" renamed={'+'.join(f'{usual}:{own}' for usual, own in aliases.items())}"
    declared = supported(parameters, framework) if options is None else options
    wrap = partial(wrap, options=declared)
    if parameters is None or "reduction" in parameters:
        made = wrap(function)
    else:
        made = wrap(_without_reduction(function, parameters))
    made.command = command_of(implementation, framework)
    made.calling = calling
    made.never_set = unset
    if biasless:
        made.ways = tuple(dict.fromkeys((*made.ways, "no-bias")))
    made.guessed = frozenset({LABELS}) if options is not None else frozenset((*TRIED, *NAMED, *DTYPES, LABELS))
    if parameters is None and options is None:
        made.guessed |= {KEYWORDS, *(UNNAMED + name for name in unnamed)}
    made.guessed |= frozenset(REDUCTIONS if parameters is None or "reduction" in parameters else {UNTOLD})
    return promising(made, some)


def _with_defaults(function: Callable[..., Any], names: Collection[str]) -> Callable[..., Any]:
    usual = {name: DEFAULTS[name] for name in names}

    def call(*arrays: Any, **options: Any) -> Any:
        return function(*arrays, **{**usual, **options})

    return call


def _refuse_configured(implementation: object) -> None:
    """A module that has weights or smoothing of its own computes something else than is asked for."""
    if not is_module(implementation) or isinstance(implementation, type):
        return
    own = [f"{name}={value}" for name in CONFIGURED if (value := getattr(implementation, name, None))]
    own += ["weight=..."] if getattr(implementation, "weight", None) is not None else []
    sentinel = getattr(implementation, "ignore_index", NO_IGNORE)
    if own := own + ([f"ignore_index={sentinel}"] if sentinel != NO_IGNORE else []):
        raise AdapterError(
            f"{type(implementation).__name__} is an instance with {', '.join(own)}; allowed: its class, which is made "
            "with every option, or an instance without options"
        )


def _guess(implementation: object) -> str:
    """The framework of a module or a class of one; else the only one that is imported."""
    if is_module(implementation) or of_autograd(implementation):
        return "torch"
    imported = [name for name in IMPORTED if name in sys.modules]
    if len(imported) == 1:
        return imported[0]
    found = " and ".join(imported) or "neither torch nor jax"
    raise AdapterError(
        f"framework= is needed, as {found} {'are' if imported else 'is'} imported; allowed: torch, jax, numpy, as in "
        "adapters.from_torch, adapters.from_jax, adapters.from_numpy"
    )


def _without_reduction(function: Callable[..., Any], parameters: frozenset[str]) -> Callable[..., Any]:
    """The function with a reduction that it is not told, and its own axis argument, if it has one, at the classes."""

    def call(*arrays: Any, reduction: str = "mean", **options: Any) -> Any:
        if "axis" in parameters:
            options["axis"] = 0 if arrays[0].ndim == 1 else 1
        return function(*arrays, **options)

    return call
