"""Adapters of somebody's own function, or of a program; no framework is imported by making one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from importlib import import_module
from math import inf
from typing import TYPE_CHECKING, Any

from xentcheck.errors import AdapterError
from xentcheck.vocabulary import DTYPES, OPTIONS, OVERWRITABLE, RARE_OPTIONS, REDUCTIONS, TIMEOUT

if TYPE_CHECKING:
    from xentcheck.adapters.base import Adapter
    from xentcheck.adapters.promises import Given

_WRAPPERS = {
    ("numpy", "logits"): "numpy.adapter.NumpyFunction",
    ("torch", "logits"): "torch.adapter.TorchFunction",
    ("jax", "logits"): "jax.function.JaxFunction",
    ("numpy", "layer"): "numpy.linear.NumpyLinear",
    ("torch", "layer"): "torch.linear.TorchLinear",
    ("jax", "layer"): "jax.linear.JaxLinear",
}
"""Framework and head -> module and class."""


def from_torch(
    function: Callable[..., Any],
    *,
    name: str | None = None,
    dtypes: Collection[str] | None = None,
    devices: Collection[str] | None = None,
    reductions: Collection[str] | None = None,
    contract: Given = None,
    options: Collection[str] | None = None,
    head: str = "logits",
    overwrites: Collection[str] = (),
) -> Adapter:
    """Adapter of a function with the signature of `torch.nn.functional.cross_entropy` that returns the loss tensor.

    It gets (input, target) by position and only those keywords that differ from PyTorch's defaults. input has shape
    (C,), (N, C) or (N, C, d1..dk), and may be strided; the gradient comes from `torch.autograd.grad`.

    name: as in reports (default: the function's). dtypes, devices, reductions, options: what it supports (default:
    all but `uint8_targets`); the rest is `unsupported`. contract: the arithmetic that it promises, by name, or as dtype
    -> name; without one it is judged by the default contract. head: `layer` for a fused linear loss, which gets (x,
    weight, bias, target) with x (N, K), weight (C, K), bias (C,), and is judged by the gradients of these. overwrites:
    `logits` if it says that it leaves something else in them, which is shown and no failure. Raises AdapterError for a
    word that is not allowed there.

    >>> def own_loss(input, target, weight=None, reduction="mean"): ...
    >>> from_torch(own_loss, options={"weight", "upstream"}).name
    'own_loss'
    """
    return _wrap("torch", function, name, dtypes, devices, reductions, contract, options, head, overwrites)


def from_jax(
    function: Callable[..., Any],
    *,
    name: str | None = None,
    dtypes: Collection[str] | None = None,
    devices: Collection[str] | None = None,
    reductions: Collection[str] | None = None,
    contract: Given = None,
    options: Collection[str] | None = None,
    head: str = "logits",
    overwrites: Collection[str] = (),
) -> Adapter:
    """Adapter of a function with the signature of `torch.nn.functional.cross_entropy` over JAX arrays.

    It gets (input, target) by position and only those keywords that differ from PyTorch's defaults, returns the loss,
    and is differentiated by `jax.vjp` under `jax.jit` (variant `jit`, the main one) and without (`eager`). All keywords
    but `weight` are Python values. The other parameters and errors are those of `from_torch`.

    >>> def own_loss(input, target, reduction): ...
    >>> from_jax(own_loss, reductions=["none"], options=["upstream"]).variants
    ('jit', 'eager')
    """
    return _wrap("jax", function, name, dtypes, devices, reductions, contract, options, head, overwrites)


def from_numpy(
    function: Callable[..., Any],
    *,
    name: str | None = None,
    dtypes: Collection[str] | None = None,
    devices: Collection[str] | None = None,
    reductions: Collection[str] | None = None,
    contract: Given = None,
    options: Collection[str] | None = None,
    head: str = "logits",
    overwrites: Collection[str] = (),
) -> Adapter:
    """Adapter of function(logits, target, *, weight, ignore_index, reduction, label_smoothing, upstream).

    It returns (loss, dlogits) and gets only those keywords that differ from the defaults: PyTorch's, and an upstream
    gradient of ones. With head `layer` it returns (loss, (dx, dweight, dbias)). The other parameters and errors are
    those of `from_torch`.

    >>> def own_loss(logits, target, upstream=1.0): ...
    >>> from_numpy(own_loss, reductions=["mean"], options=["upstream"]).capabilities.reductions
    ('mean',)
    """
    return _wrap("numpy", function, name, dtypes, devices, reductions, contract, options, head, overwrites)


def from_process(command: str | Sequence[str], *, name: str = "", timeout: float = TIMEOUT) -> Adapter:
    """Adapter of a program, in any language, that speaks the protocol of docs/other-languages.md.

    command: its command line, as text for a shell or as words. name: as in reports (default: what the program says).
    timeout: seconds for a call, three times as many for the first of each signature; the start may take 300. Starts
    the program. Raises AdapterError if that fails, or it speaks another version of the protocol.

    >>> from_process("no-such-program --loss")
    Traceback (most recent call last):
      ...
    xentcheck.errors.AdapterError: program 'no-such-program' is not installed
    """
    import shlex

    from xentcheck.adapters.process.adapter import ProcessAdapter

    try:
        words = shlex.split(command) if isinstance(command, str) else list(command)
    except ValueError as error:
        raise AdapterError(f"command {command!r} is no command line: {error}") from error
    if not 0 < timeout < inf:
        raise AdapterError(f"timeout is {timeout}; allowed: a finite number of seconds above 0")
    if not words:
        raise AdapterError("from_process got no command; allowed: a program and its arguments")
    adapter = ProcessAdapter(words, name=name, timeout=timeout)
    if reason := adapter.unavailable():
        raise AdapterError(reason)
    adapter.greet()
    adapter.name = name or adapter.name
    adapter.command = f"--impl {shlex.quote(shlex.join(words))} --framework process"
    return adapter


def _wrap(
    framework: str,
    function: Callable[..., Any],
    name: str | None,
    dtypes: Collection[str] | None,
    devices: Collection[str] | None,
    reductions: Collection[str] | None,
    contract: Given,
    options: Collection[str] | None,
    head: str,
    overwrites: Collection[str],
) -> Adapter:
    from dataclasses import replace

    from xentcheck.adapters.promises import promised

    from .places import with_keywords
    from .signatures import never_set

    if not callable(function):
        raise AdapterError(f"from_{framework} got {type(function).__name__}; allowed: a function")
    if (framework, head) not in _WRAPPERS:
        raise AdapterError(f"head is {head!r}; allowed: logits, layer")
    module, _, kind = _WRAPPERS[framework, head].rpartition(".")
    adapter: Adapter = getattr(import_module(f"xentcheck.adapters.{module}"), kind)(
        with_keywords(function), name or _name(function)
    )
    adapter.command = command_of(function, framework)
    adapter.never_set = never_set(function, framework) if head == "logits" else ()
    usual = adapter.capabilities.options - frozenset(RARE_OPTIONS)
    adapter.overwrites = selection("overwrites", overwrites, OVERWRITABLE, empty=True)
    adapter.promised = promised(contract)
    adapter.capabilities = replace(
        adapter.capabilities,
        dtypes=selection("dtypes", dtypes, DTYPES),
        devices=selection("devices", devices, adapter.capabilities.devices),
        reductions=selection("reductions", reductions, REDUCTIONS),
        options=frozenset(selection("options", options, OPTIONS, empty=True)) if options is not None else usual,
    )
    return adapter


def _name(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def command_of(function: object, framework: str) -> str:
    """The options by which another process finds the function; empty for a local one, or one of `__main__`."""
    module, name = getattr(function, "__module__", ""), getattr(function, "__qualname__", "")
    known = getattr(sys.modules.get(module), name, None) is function
    return f"--impl {module}:{name} --framework {framework}" if known and module != "__main__" else ""


def selection(
    what: str, chosen: Collection[str] | None, allowed: tuple[str, ...], *, empty: bool = False
) -> tuple[str, ...]:
    """The words chosen, in the vocabulary's order; all of them for None. Raises AdapterError."""
    if chosen is None:
        return allowed
    if isinstance(chosen, str) or not isinstance(chosen, Collection):
        raise AdapterError(f"{what} is {chosen!r}; allowed: a collection of {', '.join(allowed)}")
    for word in chosen:
        if word not in allowed:
            raise AdapterError(f"{what} has {word!r}; allowed: {', '.join(allowed)}")
    if not chosen and not empty:
        raise AdapterError(f"{what} is empty; allowed: {', '.join(allowed)}")
    return tuple(word for word in allowed if word in chosen)
