"""The adapters by name: those that come with xentcheck, and those that installed packages bring along."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from xentcheck.errors import AdapterError, foreign, told

if TYPE_CHECKING:
    from .base import Adapter

_BUILT_IN = {"numpy": "NumpyAdapter", "torch": "TorchAdapter", "jax": "JaxAdapter"}
GROUP = "xentcheck.adapters"
"""Entry-point group of adapters in other packages."""


def names() -> tuple[str, ...]:
    """The names of the built-in adapters, then of those that installed packages bring along, in alphabetical order.

    A package names its own in the entry-point group `xentcheck.adapters`.

    >>> names()[:3]
    ('numpy', 'torch', 'jax')
    """
    return (*_BUILT_IN, *sorted(_plugins()))


def built_in() -> tuple[str, ...]:
    """The names of those that come with xentcheck.

    >>> built_in()
    ('numpy', 'torch', 'jax')
    """
    return tuple(_BUILT_IN)


def get(name: str) -> Adapter:
    """The adapter of that name, whether or not its framework is installed.

    Raises AdapterError if there is none, or a package's entry point gives something else.

    >>> get("torch").name
    'torch'
    """
    if name in _BUILT_IN:
        adapter: Adapter = getattr(import_module(f"xentcheck.adapters.{name}.adapter"), _BUILT_IN[name])()
    elif name in (plugins := _plugins()):
        adapter = _loaded(plugins[name])
    else:
        raise AdapterError(f"unknown adapter {name!r}; allowed: {', '.join(names())}")
    from .promises import settled

    adapter = settled(adapter)
    adapter.command = f"--adapter {name}"
    return adapter


def _plugins() -> dict[str, EntryPoint]:
    """Entry points by name; a built-in name cannot be taken."""
    return {point.name: point for point in entry_points(group=GROUP) if point.name not in _BUILT_IN}


def _loaded(point: EntryPoint) -> Adapter:
    """The adapter of an entry point: an Adapter, or a function without arguments that makes one."""
    from .base import Adapter

    try:
        with foreign():
            found = point.load()
            adapter = found if isinstance(found, Adapter) else found()
    except Exception as error:
        raise AdapterError(f"adapter {point.name!r} of {point.value} fails: {told(error)}") from error
    if not isinstance(adapter, Adapter):
        kind = type(adapter).__name__
        raise AdapterError(f"adapter {point.name!r} of {point.value} is of type {kind}; allowed: an Adapter")
    adapter.name = point.name
    return adapter


def available() -> dict[str, Adapter]:
    """The built-in adapters whose framework is installed, by name; imports no framework.

    >>> "numpy" in available()
    True
    """
    adapters = {name: get(name) for name in _BUILT_IN}
    return {name: adapter for name, adapter in adapters.items() if not adapter.unavailable()}
