"""From a function, loss class or module of a user to the adapter that tests it, with what its signature supports."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Collection
from copy import copy
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from xentcheck.adapters.base import LABELS
from xentcheck.adapters.promises import Given, promised, promising
from xentcheck.adapters.registry import built_in, get
from xentcheck.errors import AdapterError, foreign
from xentcheck.reference.labels import one_hot
from xentcheck.reference.oracle import Exact
from xentcheck.reference.problem import NO_IGNORE, Problem
from xentcheck.vocabulary import DTYPES, REDUCTIONS

from .aliases import renamed
from .called import as_function, calling_of, is_module, name_of
from .functions import command_of, from_jax, from_numpy, from_torch
from .fused import as_layer, by_position, names_of
from .places import of_autograd, refuse_uncallable
from .refusals import KEYWORDS, NAMED, ROWS, TRIED
from .signatures import (
    DEFAULTS,
    always_given,
    array_names,
    may_be_none,
    named_parameters,
    never_set,
    parameters_of,
    supported,
)

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
    as dtype -> name; it comes before what an adapter declares. overwrites: inputs that it says it overwrites. A
    function without `reduction` is tested with the one
    that it does. Raises AdapterError.

    >>> import numpy as np
    >>> def loss(logits, target, upstream=1.0):
    ...     from xentcheck.reference import cross_entropy, cross_entropy_grad
    ...     return cross_entropy(logits, target), cross_entropy_grad(logits, target, upstream=upstream)
    >>> adapter_of(loss, "numpy").capabilities.reductions
    ('mean',)
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
        fixed = _without_reduction(function, parameters)
        made = wrap(fixed, reductions=_reductions(wrap(fixed)))
    made.command = command_of(implementation, framework)
    made.calling = calling
    made.never_set = unset
    if biasless:
        made.ways = tuple(dict.fromkeys((*made.ways, "no-bias")))
    made.guessed = frozenset() if options is not None else frozenset((*TRIED, *NAMED, *DTYPES, LABELS))
    if parameters is None and options is None:
        made.guessed |= {KEYWORDS}
    if parameters is None or "reduction" in parameters:
        made.guessed |= frozenset(REDUCTIONS)
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


def _reductions(adapter: Adapter) -> list[str]:
    """What a function without `reduction` does: by the shape of what it returns, then by which number is nearer.

    All of them if it returns nothing usable: the tests then say why.
    """
    logits = np.array(ROWS, np.float32)
    rows: dict[str, Any] = {"logits": logits, "target": np.array([0, 2])}
    if adapter.unavailable():
        return ["mean"]
    labels = [Problem(**rows, reduction=reduction, upstream=_ones(reduction)) for reduction in ("mean", "sum", "none")]
    for problems in (labels, [one_hot(p) for p in labels]):
        if distance := _distances(adapter, problems):
            return [min(distance, key=lambda r: distance[r])]
    return [p.reduction for p in labels]


def _distances(adapter: Adapter, problems: Collection[Problem]) -> dict[str, float]:
    """By reduction, how far its value is from the exact one, where it has that one's shape."""
    distance: dict[str, float] = {}
    for p, device in product(problems, adapter.devices()):
        reduction = p.reduction
        p = p if "logits" in adapter.capabilities.heads else as_layer(p) or p
        quantity = "loss" if reduction == "none" else "cost"
        try:
            with foreign(), warnings.catch_warnings(action="ignore"):
                found = adapter.compute(p, [quantity], device=device, variant=adapter.variants[0]).values[quantity]
        except Exception:
            continue
        exact = Exact(p).evaluate([quantity])[quantity][0]
        if np.shape(found) == exact.shape:
            distance[reduction] = float(np.abs(np.asarray(found).astype(np.float64) - exact).max())
    return distance


def _ones(reduction: str) -> np.ndarray[Any, Any]:
    return np.ones(2 if reduction == "none" else (), np.float32)
