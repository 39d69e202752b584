"""Fused linear losses of JAX: functions of (x, weight, bias, target)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from xentcheck.adapters.base import LAYER, LAYER_QUANTITIES, Capabilities
from xentcheck.adapters.ways import OF_LAYERS

from .function import DEVICES, NARROW, JaxFunction

if TYPE_CHECKING:
    from jax import Array as JaxArray


class JaxLinear(JaxFunction):
    """A function of (x, weight, bias, target) in JAX, under `jax.vjp` with respect to the first three."""

    capabilities = Capabilities(devices=DEVICES, options=NARROW, quantities=LAYER_QUANTITIES, heads=("layer",))
    calling = "linear"
    ways = (*JaxFunction.ways, *OF_LAYERS)

    def head(self, leaves: Mapping[str, JaxArray]) -> tuple[JaxArray, ...]:
        """x, weight and bias."""
        return tuple(leaves[name] for name in LAYER)

    def called(self) -> Callable[..., Any]:
        """The function, without a bias, or of x and target with two axes of rows."""
        function = super().called()
        if self.way not in OF_LAYERS:
            return function

        def call(x: JaxArray, w: JaxArray, b: JaxArray, target: JaxArray, **options: Any) -> Any:
            if self.way == "no-bias":
                return function(x, w, None, target, **options)
            rows = target.reshape(2, -1, *target.shape[1:])
            return function(x.reshape(2, -1, x.shape[-1]), w, b, rows, **options)

        return call
