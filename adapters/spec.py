"""How an implementation is named, and found in any process: a registered adapter, a function, or a program."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from operator import attrgetter
from typing import TYPE_CHECKING

from xentcheck.adapters.process.adapter import ProcessAdapter
from xentcheck.adapters.wrap.functions import from_process
from xentcheck.adapters.wrap.implementation import WRAPPERS, adapter_of
from xentcheck.adapters.wrap.trying.refusals import tried
from xentcheck.errors import AdapterError, foreign, require_named, told
from xentcheck.vocabulary import TIMEOUT

from .promises import Promised, promising, settled
from .registry import built_in, get, names

if TYPE_CHECKING:
    from .base import Adapter

FRAMEWORKS = (*WRAPPERS, "process")
"""What an implementation may be written in; `process`: a program with the protocol of docs/other-languages.md."""

GUESSED = "guessed"
"""The framework of an implementation whose module imports one, and not the other."""


@dataclass(frozen=True)
class Spec:
    """How to find an adapter in any process: a registered name, or `package.module:function` and its framework, or a
    command line and the framework `process`.

    timeout: seconds for a call, which then runs in a process of its own; 0: it runs in this one. contracts: those that
    it is to be judged by, whatever it declares. overwrites: inputs that it says it overwrites.
    """

    name: str
    framework: str = ""
    timeout: float = 0
    contracts: Promised = ()
    overwrites: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """The options that name it on the command line."""
        if not self.framework:
            return f"--adapter {self.name}"
        named = "" if self.framework == GUESSED else f" --framework {self.framework}"
        named += "".join(f" --overwrites {name}" for name in self.overwrites)
        return f"--impl {shlex.quote(self.name)}{named}"


@cache
def resolve(spec: Spec) -> Adapter:
    """The adapter of a spec, without what it refuses. Raises AdapterError if there is none."""
    if spec.framework == "process":
        adapter: Adapter = from_process(spec.name, timeout=spec.timeout or TIMEOUT)
    else:
        adapter = tried(_isolated(spec) if spec.timeout else imported(spec))
    adapter.overwrites = tuple(dict.fromkeys((*adapter.overwrites, *spec.overwrites)))
    return promising(adapter, spec.contracts)


def _isolated(spec: Spec) -> Adapter:
    worker = (sys.executable, "-m", "xentcheck.worker", spec.name, spec.framework)
    path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    isolated = ProcessAdapter(worker, name=spec.name, timeout=spec.timeout, variables=path).greet()
    isolated.command = spec.command
    return isolated


def imported(spec: Spec) -> Adapter:
    """The adapter of a spec in this process. Raises AdapterError."""
    if not spec.framework:
        return get(spec.name)
    if spec.framework not in (*FRAMEWORKS, GUESSED):
        raise AdapterError(f"unknown framework {spec.framework!r}; allowed: {', '.join(FRAMEWORKS)}")
    module, _, attribute = spec.name.partition(":")
    if not module or not attribute:
        raise AdapterError(
            f"implementation {spec.name!r} is not of the form package.module:function, as my_file:my_loss"
        )
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        with foreign():
            found = attrgetter(attribute)(import_module(module))
    except (ImportError, AttributeError) as error:
        raise AdapterError(f"implementation {spec.name!r} cannot be imported: {error}{_instead(module)}") from error
    except Exception as error:
        raise AdapterError(f"implementation {spec.name!r} cannot be imported: {told(error)}") from error

    if not callable(found) and not hasattr(found, "compute"):
        kind = type(found).__name__
        raise AdapterError(f"implementation {spec.name!r} is of type {kind}; allowed: a function or an adapter")
    return settled(adapter_of(found, None if spec.framework == GUESSED else spec.framework))


def _instead(module: str) -> str:
    """The functions and classes that a module defines, if it was imported."""
    found = vars(sys.modules[module]).items() if module in sys.modules else ()
    own = [name for name, value in found if getattr(value, "__module__", "") == module and name[0] != "_"]
    return f"; allowed: {', '.join(own)}" if own else ""


def specs_of(
    adapters: tuple[str, ...],
    implementation: str | None,
    framework: str | None,
    timeout: float = TIMEOUT,
    *,
    contracts: Promised = (),
    prefix: str = "--",
    overwrites: tuple[str, ...] = (),
) -> list[Spec]:
    """The subjects named on the command line; timeout 0: all in this process; contracts: that they are to be judged by;
    prefix: of the options' names.

    Raises AdapterError.
    """
    for option, text in (("impl", implementation), ("framework", framework)):
        if text is not None:
            require_named(f"{prefix}{option}", text, "package.module:function" if option == "impl" else "a framework")
    for name in adapters:
        if name not in names():
            raise AdapterError(f"unknown adapter {name!r}; allowed: {', '.join(names())}")
    limits = {name: 0 if name in built_in() else timeout for name in adapters}
    specs = [Spec(name, timeout=limit, contracts=contracts) for name, limit in limits.items()]
    if framework is not None and implementation is None:
        raise AdapterError(f"{prefix}framework goes with {prefix}impl package.module:function")
    if implementation is not None:
        specs.append(Spec(implementation, framework or GUESSED, timeout, contracts, overwrites))
    elif overwrites:
        raise AdapterError(f"{prefix}overwrites goes with {prefix}impl package.module:function")
    return specs
