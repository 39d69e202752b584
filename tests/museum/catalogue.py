"""The catalogue: every fault in every framework it is planted in, with the adapter that carries it."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import heads
from . import jax as jax_museum
from . import numpy as numpy_museum
from . import torch as torch_museum
from .base import RIGHT, Fault

if TYPE_CHECKING:
    from xentcheck.adapters.base import Adapter
    from xentcheck.cases import Case

MUSEUMS: dict[str, Any] = {"numpy": numpy_museum, "torch": torch_museum, "jax": jax_museum}
LAYER_FRAMEWORKS = ("numpy", "torch")
"""Where the faults behind a last layer are planted: they change results after the framework has gone."""


@dataclass(frozen=True)
class Planted:
    """One fault in one framework."""

    fault: Fault
    framework: str
    behind_a_layer: bool = False

    @property
    def text(self) -> str:
        """What is wrong, in a sentence."""
        return (inspect.getdoc(self.fault.implementation) or "").partition("\n")[0]

    def adapter(self) -> Adapter:
        """The implementation that has the fault."""
        if self.behind_a_layer:
            return heads.adapter(self.framework, self.fault.implementation)
        made: Adapter = MUSEUMS[self.framework].adapter(self.fault.implementation, self.fault.contract)
        return made

    def meets(self, case: Case) -> bool:
        """Whether the fault is looked for in a case: its dtype, and what it is planted in."""
        return case.dtype == self.fault.dtype and bool(case.inputs) == self.behind_a_layer


def planted(framework: str) -> list[Planted]:
    """All faults of a framework, `numpy`, `torch` or `jax`, and the right implementation.

    >>> len({p.fault.name for p in planted("torch")}) == len(planted("torch")) > 80
    True
    """
    found = [Planted(f, framework) for f in (RIGHT, *MUSEUMS[framework].FAULTS)]
    if framework in LAYER_FRAMEWORKS:
        found += [Planted(f, framework, behind_a_layer=True) for f in heads.FAULTS]
    return found
