"""Planted faults in JAX: `CrossEntropy` under `jax.custom_vjp`."""

from __future__ import annotations

from typing import Any

import faults_everywhere
from faults import Array, CrossEntropy, Fault

from xentcheck.adapters import from_jax
from xentcheck.adapters.base import Adapter
from xentcheck.cases import Case

NAMES = {
    "A01-no-shift",
    "A02-recombined-offset",
    "A04-log-of-clipped-softmax",
    "A05-zero-times-infinity",
    "A10-half-precision-logarithm",
    "B20-divides-by-all-rows",
    "C30-ignored-rows-keep-gradient",
    "D42-smoothing-dropped-in-backward",
    "E50-upstream-ignored",
    "F74-padding-counts",
}
"""Some of each class, as every one of them compiles anew."""

FAULTS: list[Fault] = [f for f in faults_everywhere.FAULTS if f.name in NAMES]


def compiled(case: Case) -> bool:
    """Few signatures, for the same reason: one shape and one reduction."""
    options = {(), ("ign",), ("w", "ls", "ign"), ("w",)}
    return case.reduction == "mean" and case.shape == (5, 10) and case.options in options


def adapter(implementation: type[CrossEntropy], contract: str | None = None) -> Adapter:
    """The adapter of an implementation; JAX is imported by its first call."""

    def cross_entropy(logits: Array, target: Array, **options: Any) -> Array:
        import jax

        def call(z: Array) -> CrossEntropy:
            return implementation(jax.numpy, z, target, **options)

        @jax.custom_vjp
        def loss(z: Array) -> Array:
            return call(z).value()

        loss.defvjp(lambda z: (call(z).value(), z), lambda z, upstream: (call(z).gradient(upstream),))
        return loss(logits)

    return from_jax(cross_entropy, name=implementation.__name__, contract=contract, devices=["cpu"])
