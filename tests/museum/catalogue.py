"""The catalogue: every fault in every framework it is planted in, with the adapter that carries it."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import along, heads
from . import jax as jax_museum
from . import numpy as numpy_museum
from . import torch as torch_museum
from .base import RIGHT, Fault

if TYPE_CHECKING:
    from xentcheck.adapters.base import Adapter
    from xentcheck.cases import Case

MUSEUMS: dict[str, Any] = {"numpy": numpy_museum, "torch": torch_museum, "jax": jax_museum}
CHANGED: dict[str, Any] = {"layer": heads, "direction": along}
"""Faults behind a last layer, and along a direction: changes of a right adapter's results."""

CHANGED_FRAMEWORKS = ("numpy", "torch")
"""Where they are planted; a third would show nothing new."""


@dataclass(frozen=True)
class Planted:
    """One fault in one framework; found_in: the cases it is looked for in, those of `logits`, `layer`, `direction`."""

    fault: Fault
    framework: str
    found_in: str = "logits"

    @property
    def text(self) -> str:
        """What is wrong, in a sentence."""
        return (inspect.getdoc(self.fault.implementation) or "").partition("\n")[0]

    def adapter(self) -> Adapter:
        """The implementation that has the fault."""
        if self.found_in in CHANGED:
            made: Adapter = CHANGED[self.found_in].adapter(self.framework, self.fault.implementation)
        else:
            made = MUSEUMS[self.framework].adapter(self.fault.implementation, self.fault.contract)
        return made

    def meets(self, case: Case) -> bool:
        """Whether the fault is looked for in a case: its dtype, and what it is planted in."""
        if case.dtype != self.fault.dtype or bool(case.inputs) != (self.found_in == "layer"):
            return False
        return self.found_in != "direction" or "dir" in case.options


def planted(framework: str) -> list[Planted]:
    """All faults of a framework, `numpy`, `torch` or `jax`, and the right implementation.

    >>> len({p.fault.name for p in planted("torch")}) == len(planted("torch")) > 80
    True
    """
    found = [Planted(f, framework) for f in (RIGHT, *MUSEUMS[framework].FAULTS)]
    if framework in CHANGED_FRAMEWORKS:
        found += [Planted(f, framework, found_in) for found_in, museum in CHANGED.items() for f in museum.FAULTS]
    return found
