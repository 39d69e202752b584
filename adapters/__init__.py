"""Implementations under test: the built-in adapters by name, and wrappers for a function of one's own.

No framework is imported here, nor by making an adapter; the first `devices` or `compute` does it.
"""

from __future__ import annotations

from xentcheck.adapters.wrap.functions import from_jax, from_numpy, from_process, from_torch

from .registry import GROUP, available, built_in, get, names

__all__ = ["GROUP", "available", "built_in", "from_jax", "from_numpy", "from_process", "from_torch", "get", "names"]
