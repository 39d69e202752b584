"""Results that somebody has computed already, as an implementation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xentcheck.adapters.base import Adapter, Capabilities, Result
from xentcheck.adapters.promises import Given, promised
from xentcheck.reference.formats import Array
from xentcheck.reference.problem import Problem


class Handed(Adapter):
    """An implementation whose answers, arrays by quantity, are known already."""

    package = "numpy"
    copies = True

    def __init__(self, values: Mapping[str, Array], contract: Given, name: str) -> None:
        self.name = name
        self.values = values
        self.promised = promised(contract)
        self.capabilities = Capabilities(quantities=tuple(values), heads=("logits", "layer", "network"))

    def devices(self) -> tuple[str, ...]:
        """The one that needs none."""
        return ("cpu",)

    def settings(self) -> dict[str, str]:
        """None."""
        return {}

    def compute(self, problem: Problem, quantities: Sequence[str], *, device: str, variant: str) -> Result:
        """The answers."""
        return Result({q: self.values[q] for q in quantities})
