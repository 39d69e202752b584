"""Whether loops over elements are compiled: where numba is installed (the extra `fast`), for large arrays."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from types import ModuleType

from .arrays import Array, here

ENOUGH = 2**14
"""Elements from which on compiled loops are used: starting numba takes longer than some thousand smaller arrays."""


def kernels(x: Array) -> ModuleType | None:
    """The module `compiled` for a large array in this machine's memory, None where NumPy does it, or a device."""
    return _compiled() if x.size >= ENOUGH and here(x) else None


@cache
def _compiled() -> ModuleType | None:
    if find_spec("numba") is None:
        return None
    try:
        from .loops import compiled  # numba starts at the first large array
    except (ImportError, RuntimeError):  # it is not made for this NumPy, or may keep nothing anywhere
        return None
    return compiled


def described() -> str:
    """What compiles the loops, as a run file's environment says it.

    >>> described().split()[0] in ("numba", "NumPy")
    True
    """
    return f"numba {version('numba')}" if find_spec("numba") else "NumPy alone"
