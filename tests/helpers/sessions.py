"""Sessions of pytest in this process: a folder with losses of one's own, and modules that no session forgets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module

import pytest

import xentcheck.testing.given  # noqa: F401  # imported once, and not by each session
from xentcheck.adapters.spec import resolve

for name in ("matplotlib.figure", "matplotlib.backends.backend_svg"):
    import_module(name)  # a session forgets what it imports; half of it would then be there twice
with suppress(ModuleNotFoundError):  # the extra `fast` may not be installed
    import_module("numba")

MINE = """
import os
import numpy as np
from xentcheck.reference import cross_entropy, cross_entropy_grad

def right(logits, target, reduction="mean", upstream=1.0):
    value = cross_entropy(logits, target, reduction=reduction)
    return value, cross_entropy_grad(logits, target, reduction=reduction, upstream=upstream)

def wrong(logits, target, reduction="mean", upstream=1.0):
    value, gradient = right(logits, target, reduction, upstream)
    return value, gradient * (len(logits) if reduction == "mean" else 1)

def leaves(logits, target, reduction="mean", upstream=1.0):
    if logits.ndim == 1:
        os._exit(9)
    return right(logits, target, reduction, upstream)

def takes_along(logits, target, reduction="mean", upstream=1.0):
    in_test = "::test_matrix" in os.environ.get("PYTEST_CURRENT_TEST", "")
    return (leaves if in_test else right)(logits, target, reduction, upstream)
"""


@contextmanager
def of_ones_own(pytester: pytest.Pytester) -> Iterator[None]:
    """The folder of a session has the module `mine`, which no other session has imported."""
    pytester.makepyfile(mine=MINE)
    pytester.syspathinsert()
    resolve.cache_clear()
    yield
    resolve.cache_clear()
