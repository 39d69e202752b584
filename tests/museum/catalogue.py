"""The catalogue: every fault in every framework it is planted in, with the adapter that carries it."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from xentcheck import adapters

from . import along, heads, right, right_forms, right_jax, right_torch
from . import jax as jax_museum
from . import numpy as numpy_museum
from . import torch as torch_museum
from .base import RIGHT, Fault

if TYPE_CHECKING:
    from xentcheck.adapters.base import Adapter
    from xentcheck.cases import Case

RIGHTS: dict[str, list[Fault]] = {
    "numpy": [*right.FAULTS, *right_forms.FAULTS],
    "torch": right_torch.FAULTS,
    "jax": right_jax.FAULTS,
}
"""Right implementations of other arithmetic than the one that the faults are planted in."""

MUSEUMS: dict[str, Any] = {"numpy": numpy_museum, "torch": torch_museum, "jax": jax_museum}
CHANGED: dict[str, Any] = {"layer": heads, "direction": along}
"""Faults behind a last layer, and along a direction: changes of a right adapter's results."""

CHANGED_FRAMEWORKS = ("numpy", "torch")
"""Where they are planted; a third would show nothing new."""


@dataclass(frozen=True)
class Planted:
    """One fault in one framework.

    found_in: the cases it is looked for in, those of `logits`, `layer` or `direction`; of `right` ones, where nothing
    is wrong, those of logits in all dtypes.
    """

    fault: Fault
    framework: str
    found_in: str = "logits"

    @property
    def text(self) -> str:
        """What is wrong, in a sentence."""
        return (inspect.getdoc(self.fault.implementation) or "").partition("\n")[0]

    def adapter(self) -> Adapter:
        """The implementation that has the fault."""
        return self.adapters()[0]

    def adapters(self) -> list[Adapter]:
        """The implementation, once for each contract that the fault is judged by."""
        implementation = self.fault.implementation
        if self.found_in == "right":
            return [self._right()]
        if self.found_in in CHANGED:
            return [CHANGED[self.found_in].adapter(self.framework, implementation)]
        return [MUSEUMS[self.framework].adapter(implementation, contract) for contract in self.fault.contracts]

    def _right(self) -> Adapter:
        """A right implementation, which promises nothing."""
        found = self.fault.implementation
        supported = {"options": found.options, "dtypes": found.dtypes}
        if self.framework == "numpy":
            made: Adapter = numpy_museum.adapter(found, **supported)
        else:
            wrap = {"torch": adapters.from_torch, "jax": adapters.from_jax}[self.framework]
            made = wrap(found, devices=["cpu"], **supported)
            made.variants = ("eager",)  # jit would compile each of them anew
        made.name = self.fault.name
        return made

    def meets(self, case: Case) -> bool:
        """Whether the fault is looked for in a case: its dtype, and what it is planted in."""
        if self.found_in == "right":
            return not case.inputs and self.fault.dtype in ("", case.dtype)
        if case.dtype != self.fault.dtype or bool(case.inputs) != (self.found_in == "layer"):
            return False
        return self.found_in != "direction" or "dir" in case.options


def planted(framework: str) -> list[Planted]:
    """All faults of a framework, `numpy`, `torch` or `jax`, and the right implementations whose modules are there.

    >>> len({p.fault.name for p in planted("torch")}) == len(planted("torch")) > 80
    True
    """
    found = [Planted(f, framework) for f in (RIGHT, *MUSEUMS[framework].FAULTS)]
    if framework in CHANGED_FRAMEWORKS:
        found += [Planted(f, framework, found_in) for found_in, museum in CHANGED.items() for f in museum.FAULTS]
    present = [f for f in RIGHTS[framework] if not f.implementation.needs or find_spec(f.implementation.needs)]
    return found + [Planted(f, framework, "right") for f in present]
