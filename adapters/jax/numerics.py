"""JAX's settings during a call, and its devices."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any


@contextmanager
def numerics(jax: Any, dtype: str) -> Iterator[None]:
    """x64 on for float64 and off for all others, matrix products at their highest precision; restored after it."""
    with x64(jax, dtype == "float64"), jax.default_matmul_precision("highest"):
        yield


def x64(jax: Any, on: bool) -> AbstractContextManager[None]:
    """`jax.enable_x64`, which is `jax.experimental.enable_x64` in older versions."""
    enable = jax.enable_x64 if hasattr(jax, "enable_x64") else jax.experimental.enable_x64
    context: AbstractContextManager[None] = enable(on)
    return context


def sees(jax: Any, device: str) -> bool:
    """Whether JAX has such a device."""
    try:
        return bool(jax.devices(device))
    except RuntimeError:
        return False
