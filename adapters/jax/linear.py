"""Fused linear losses of JAX: functions of (x, weight, bias, target)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from xentcheck.adapters.base import Capabilities
from xentcheck.adapters.layer import LAYER, QUANTITIES

from .adapter import DEVICES, NARROW, JaxFunction

if TYPE_CHECKING:
    from jax import Array as JaxArray


class JaxLinear(JaxFunction):
    """A function of (x, weight, bias, target) in JAX, under `jax.vjp` with respect to the first three."""

    capabilities = Capabilities(devices=DEVICES, options=NARROW, quantities=QUANTITIES, heads=("layer",))
    calling = "linear"

    def head(self, leaves: Mapping[str, JaxArray]) -> tuple[JaxArray, ...]:
        """x, weight and bias."""
        return tuple(leaves[name] for name in LAYER)
