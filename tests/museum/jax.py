"""Planted faults in JAX: `CrossEntropy` under `jax.custom_vjp`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from xentcheck.adapters import from_jax
from xentcheck.adapters.base import Adapter
from xentcheck.vocabulary import OPTIONS, RARE_OPTIONS

from . import everywhere
from .base import ERROR, Array, CrossEntropy, Fault

SHAPES = ("B26-none-returns-sum", "F80-unbatched-keeps-batch-axis")
"""A loss of another shape than the upstream gradient is refused before any number can be judged."""

HARMLESS = ("C32-sentinel-as-index", "C38-sentinel-narrowed")
"""JAX clamps an index that is out of range, and the mask drops what it finds there; its integers have 32 bits."""

FAULTS: list[Fault] = [
    replace(f, caught=ERROR) if f.name in SHAPES else f for f in everywhere.FAULTS if f.name not in HARMLESS
]


def adapter(implementation: type[CrossEntropy], contract: str | None = None) -> Adapter:
    """The adapter of an implementation; JAX is imported by its first call."""

    def cross_entropy(logits: Array, target: Array, **options: Any) -> Array:
        import jax

        def call(z: Array) -> CrossEntropy:
            return implementation(jax.numpy, z, target, **options)

        def value(z: Array) -> Array:
            return call(z).value()

        loss: Any = jax.custom_vjp(value)
        loss.defvjp(lambda z: (call(z).value(), z), lambda z, upstream: (call(z).gradient(upstream),))
        return loss(logits)

    supported = set(OPTIONS) - {"second_order", "wide_sentinel", *RARE_OPTIONS}
    name = implementation.__name__
    made = from_jax(cross_entropy, name=name, contract=contract, devices=["cpu"], options=supported)
    made.variants = ("eager",)  # jit would compile every fault anew
    return made
